"""The tables of docs/verdicts.md: what `tests.bench.claims` measures, written out."""

from __future__ import annotations

import sys
from multiprocessing import Pool
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.bench.claims import Design, Score, moved, of_population, rates_of, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PAGE = Path(__file__).parents[2] / "docs" / "verdicts.md"
BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"

NAMES = {
    "i": "(i) typical",
    "ii": "(ii) uniform",
    "iii": "(iii) Beta(.5, .5)",
    "hardheavy": "hard-heavy",
    "nospike": "middling",
    "near": "near: .06 to .14",
    "80 % at 1, 20 % at .70": "80 % at 1, 20 % at .70",
    ".015": "all .015",
    ".105": "all .105",
    ".695": "all .695",
    ".805": "all .805",
    "zones": ".015, .105, .695, .805",
    ".10": "all .10",
    "edges2": ".02, .08, .70, .80",
    ".06": "all .06",
    ".74": "all .74",
    "edges": ".04, .06, .74, .76",
}
TASKS = (5, 10, 19, 25, 50, 200)
DESIGNS = {  # title: design, shift in logits, tasks simulated for each cell
    "Fixed groups of 8": (Design(8), 0.0, 20_000),
    "Fixed groups of 16": (Design(16), 0.0, 20_000),
    "Adaptive (`--adaptive`, at most 64 rollouts each)": (Design(None), 0.0, 4_000),
    "Adaptive from 64 earlier rollouts of each task, no drift": (Design(None, 64), 0.0, 1_200),
    "Adaptive from 64 earlier rollouts of each task, drift of +2 logits": (Design(None, 64), 2.0, 1_200),
}
BEYOND = 3.0
"""Standard errors by which more must be wrong than claimed for a cell to be marked: chance does that once in 700."""

DRIFTS = {  # before, now: rates, or the population with a shift in logits
    ".30 → 0": (".30", 0.0),
    ".30 → .90": (".30", 0.9),
    "0 → .30": ("0", 0.3),
    "1 → .70": ("1", 0.7),
}
SHIFTS = (2.0, 1.0, -1.0, 0.0)
DRIFTING = 40
"""Tasks of a taskset in the table of drifts."""


def write() -> None:
    """Simulate every cell and put the tables in their place."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    cells = [(title, name, tasks) for title in DESIGNS for name in NAMES for tasks in TASKS]
    with Pool(2) as pool:
        scores = dict(zip(cells, pool.starmap(measure, cells, chunksize=1), strict=True))
    tables = "\n\n".join([*(_table(title, scores) for title in DESIGNS), _drifts()])
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{rest.partition(END)[2]}")


def cell(found: Score) -> str:
    """Really wrong / claimed wrong in percent (likely verdicts in percent of all tasks); bold if beyond chance."""
    if not found.decided:
        return "none"
    shares = f"{100 * found.real:.1f} / {100 * found.claimed:.1f}"
    decided = f"{100 * found.decided:.0f}" if found.decided >= 0.01 else "<1"
    return f"{f'**{shares}**' if found.excess > BEYOND else shares} ({decided})"


def measure(title: str, name: str, tasks: int) -> Score:
    """The score behind one cell."""
    design, shift, many = DESIGNS[title]
    print(title, name, tasks, file=sys.stderr, flush=True)
    return of_population(design, name, tasks, max(20, many // tasks), shift)


def _table(title: str, scores: Mapping[tuple[str, str, int], Score]) -> str:
    rows = (f"| {said} | {' | '.join(cell(scores[title, name, n]) for n in TASKS)} |" for name, said in NAMES.items())
    heads = " | ".join(f"{n} tasks" for n in TASKS)
    return "\n".join([f"### {title}", "", f"| true rates | {heads} |", f"|---|{'---|' * len(TASKS)}", *rows])


def _drifts() -> str:
    heads = ("agent's drift", "groups of 4", "groups of 8", "adaptive", "rollouts a task", "from nothing")
    lines = [f"### {DRIFTING} tasks that an earlier agent ran 64 times each", ""]
    lines += [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *(f"| {' | '.join(row)} |" for row in _moves())]
    return "\n".join(lines)


def _moves() -> Iterator[Sequence[str]]:
    sets = (60, DRIFTING)
    for said, (name, now) in DRIFTS.items():
        yield _moved(f"all {said}", rates_of(name, sets, np.random.default_rng(1)), np.full(sets, now))
    for shift in SHIFTS:
        before = rates_of("i", sets, np.random.default_rng(2))
        yield _moved(f"(i), {shift:+g} logits" if shift else "(i), none", before, moved(before, shift))


def _moved(said: str, before: np.ndarray, now: np.ndarray) -> Sequence[str]:
    scores = [
        simulate(design, before, now, np.random.default_rng(3))
        for design in (Design(4, 64), Design(8, 64), Design(None, 64), Design(None))
    ]
    *warm, cold = scores
    return (said, *map(cell, warm), f"{warm[-1].rollouts:.1f}", f"{cold.rollouts:.1f}")
