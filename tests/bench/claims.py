"""How often likely verdicts are wrong, beside what they claim: simulated tasksets, judged exactly as the project does.

`python -m tests.bench.claims --write` writes the tables of docs/verdicts.md, in about half an hour on two cores.
The formulas are those of `taskcal.core`, over many tasksets at once; test_honest_claims.py holds them to the same
verdicts. All tasks of a run get one rollout a round until they are decided.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from taskcal.core.adaptive import drift
from taskcal.core.adaptive.design import CAP, FIRST
from taskcal.core.adaptive.task_state import SLACK
from taskcal.core.stats import prior as priors
from taskcal.core.stats.posterior_table import posterior_table
from taskcal.core.stats.prior import FEWEST_TASKS, ITERATIONS
from taskcal.core.stats.rates import DEFAULT_PRIOR
from tests.core.forecast.population_case import BAND, POPULATIONS

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

EDGES = (BAND.low, BAND.high)
SURE = 0.95
MIXES = {
    "edges": (0.04, 0.06, 0.74, 0.76),
    "edges2": (0.02, 0.08, 0.70, 0.80),
    "zones": (0.015, 0.105, 0.695, 0.805),
    "80 % at 1, 20 % at .70": (1.0, 1.0, 1.0, 1.0, 0.70),
}
"""Tasks of a few rates, equally many of each."""


@dataclass(frozen=True)
class Score:
    """Of simulated tasksets: rollouts a task, the share of likely verdicts, and of these claimed and really wrong.

    `excess` is how many standard errors, between tasksets, more are wrong than claimed.
    """

    rollouts: float
    decided: float
    claimed: float
    real: float
    excess: float


@dataclass(frozen=True)
class Earlier:
    """What was counted before, [taskset, task]."""

    passed: Ints
    graded: Ints


class Cells:
    """The cells of a prior's grid for so many tasks, with the likelihoods of every k of n."""

    def __init__(self, tasks: int) -> None:
        self.grid = priors.cautious_prior(EDGES, tasks)
        self.strength = priors.base_weight(tasks)
        self.base = np.array(self.grid.weights)
        nodes = np.array(self.grid.nodes)
        pairs = [(k, n) for n in range(CAP + 1) for k in range(n + 1)]
        self.likelihood = np.array([priors.likelihood(self.grid.nodes, k, n) for k, n in pairs])
        self.classes = np.array([nodes < BAND.low, (nodes > BAND.low) & (nodes < BAND.high), nodes > BAND.high])

    def of(self, passed: Ints, graded: Ints) -> Floats:
        """The likelihoods of each task's counts, [taskset, task, node]."""
        return np.asarray(self.likelihood[graded * (graded + 1) // 2 + passed])

    def posterior(self, weights: Floats, rows: Floats) -> Floats:
        """The chance of each class, [taskset, task, class], from priors that broadcast to the rows."""
        masses = (weights * rows) @ self.classes.T.astype(float)
        return np.asarray(masses / masses.sum(-1, keepdims=True))

    def learned(self, passed: Ints, graded: Ints) -> Floats:
        """`prior.learned`, one for each taskset."""
        places, inverse = np.unique(graded * (graded + 1) // 2 + passed, return_inverse=True)
        if len(places) < passed.shape[1]:  # few distinct counts, as in fixed groups: each taskset's are tallied
            rows = self.likelihood[places]
            sets = np.repeat(np.arange(len(passed)), passed.shape[1])
            times = np.zeros((len(passed), len(places)))
            np.add.at(times, (sets, inverse.ravel()), graded.ravel() > 0)
        else:
            rows, times = self.of(passed, graded), (graded > 0).astype(float)
        tasks = times.sum(1)[:, None]
        weights = np.tile(self.base, (len(passed), 1))
        for _ in range(ITERATIONS):
            chances = weights @ rows.T if rows.ndim == 2 else (rows @ weights[:, :, None])[:, :, 0]
            shares = times / chances
            parts = shares @ rows if rows.ndim == 2 else (shares[:, None, :] @ rows)[:, 0]
            weights = (weights * parts + self.strength * self.base) / (tasks + self.strength)
        return weights

    def remember(self, earlier: Earlier) -> tuple[Floats, Floats]:
        """`drift.remember`: the population of each taskset, and what each move makes of each task's past."""
        before = self.of(earlier.passed, earlier.graded)
        few = before.shape[1] < FEWEST_TASKS
        learned = None if few else self.learned(earlier.passed, earlier.graded)
        population = np.tile(self.base, (len(before), 1)) if learned is None else learned
        known = population[:, None, :] * before
        known /= known.sum(-1, keepdims=True)
        kernels = np.concatenate([drift.kernel(self.grid.edges, *move) for move in drift.MOVES], 1)
        return population, (known @ kernels).reshape(*known.shape[:2], len(drift.MOVES), -1)

    def warm(self, memory: tuple[Floats, Floats], rows: Floats, graded: Ints) -> Floats:
        """`drift.warm` for each task, after `drift.weigh` for each taskset."""
        population, moved = memory
        surprised = drift.SURPRISE * (rows @ population[:, :, None])
        chance = (1 - drift.SURPRISE) * (moved @ rows[..., None])[..., 0] + surprised
        logs = (np.log(chance) * (graded > 0)[..., None]).sum(1) - [
            abs(shift) / drift.SHIFT_SCALE for shift, _ in drift.MOVES
        ]
        moves = np.exp(logs - logs.max(1, keepdims=True))
        moves /= moves.sum(1, keepdims=True)
        now = (moves[:, None, None, :] @ moved)[:, :, 0]
        mixed = (1 - drift.SURPRISE) * now + drift.SURPRISE * population[:, None, :]
        nowhere = replace(self.grid, weights=(0.0,) * len(self.base))
        edges = np.array(priors.on_edges(nowhere, EDGES, drift.ON_EDGE).weights)
        return np.asarray((1 - edges.sum()) * mixed / mixed.sum(-1, keepdims=True) + edges)


@cache
def cells(tasks: int) -> Cells:
    return Cells(tasks)


@cache
def default_posteriors() -> Floats:
    return np.array([triple for row in posterior_table(DEFAULT_PRIOR, CAP, BAND).right for triple in row])


def judge(passed: Ints, graded: Ints, earlier: Earlier | None = None) -> Floats:
    """The chance of each class, [taskset, task, class], by the prior that all of a taskset's tasks teach."""
    return _Judge(passed.shape[1], earlier).posterior(np.arange(len(passed)), passed, graded)


def run(passes: Flags, earlier: Earlier | None = None) -> tuple[Ints, Ints]:
    """An adaptive run of each taskset, [taskset, task, launch], to its end: what it counted of each task."""
    sets, tasks, cap = passes.shape
    passed, graded = np.zeros((sets, tasks), np.int64), np.zeros((sets, tasks), np.int64)
    closed, learned, live = np.zeros((sets, tasks), bool), np.zeros(sets, np.int64), np.arange(sets)
    judged = _Judge(tasks, earlier)
    while len(live):
        some = _open(closed[live], graded[live], cap)
        at = np.minimum(graded[live], cap - 1)[:, :, None]
        passed[live] += some & np.take_along_axis(passes[live], at, 2)[:, :, 0]
        graded[live] += some
        overdue = live[graded[live].sum(1) - learned[live] >= tasks]
        judged.learn(overdue, passed, graded)
        learned[overdue] = graded[overdue].sum(1)
        closed[live] = _decided(judged.posterior(live, passed, graded, anew=False), graded[live], closed[live])
        rest = live[~_open(closed[live], graded[live], cap).any(1)]
        nothing = np.zeros((len(rest), tasks), bool)
        closed[rest] = _decided(judged.posterior(rest, passed, graded), graded[rest], nothing)
        learned[rest] = graded[rest].sum(1)
        live = np.setdiff1d(live, rest[~_open(closed[rest], graded[rest], cap).any(1)])
    return passed, graded


class _Judge:
    """The prior of each taskset, or of each task that has an earlier calibration, as it was last learned."""

    def __init__(self, tasks: int, earlier: Earlier | None) -> None:
        self.cells = cells(tasks)
        self.memory = self.cells.remember(earlier) if earlier else None
        self.fixed = earlier is None and tasks < FEWEST_TASKS
        self.priors: dict[int, Floats] = {}

    def learn(self, which: Ints, passed: Ints, graded: Ints) -> None:
        """Learn anew from what these tasksets have counted."""
        if self.fixed or not len(which):
            return
        if self.memory is None:
            found = self.cells.learned(passed[which], graded[which])[:, None, :]
        else:
            population, moved = self.memory
            rows = self.cells.of(passed[which], graded[which])
            found = self.cells.warm((population[which], moved[which]), rows, graded[which])
        self.priors.update(zip(which.tolist(), found, strict=True))

    def posterior(self, which: Ints, passed: Ints, graded: Ints, *, anew: bool = True) -> Floats:
        """The chance of each class, by a prior learned anew or the last one; before any, by the base."""
        passed_, graded_ = passed[which], graded[which]
        if self.fixed:
            return np.asarray(default_posteriors()[graded_ * (graded_ + 1) // 2 + passed_])
        if anew:
            self.learn(which, passed, graded)
        if not len(which):
            return np.zeros((*passed_.shape, len(self.cells.classes)))
        weights = np.array([self.priors[one] for one in which.tolist()])
        return self.cells.posterior(weights, self.cells.of(passed_, graded_))


def _open(closed: Flags, graded: Ints, cap: int) -> Flags:
    return ~closed & (graded < cap)


def _decided(posterior: Floats, graded: Ints, before: Flags) -> Flags:
    """As the planner decides; what it decided before stays so by SLACK less."""
    chance = posterior.max(-1)
    return np.asarray((graded >= FIRST) & ((chance >= SURE) | (before & (chance >= SURE - SLACK))))


def score(rates: Floats, posterior: Floats, graded: Ints) -> Score:
    """What the likely verdicts claim, and how many of them the true rates refute."""
    truth = (rates >= BAND.low).astype(int) + (rates > BAND.high)
    chance = posterior.max(-1)
    likely = (chance >= SURE) & (graded >= FIRST)
    wrong = (likely & (posterior.argmax(-1) != truth)).sum(1)
    doubt = (likely * (1 - chance)).sum(1)
    many = max(1, int(likely.sum()))
    error = float(np.sqrt(((wrong - doubt) ** 2).sum()))
    return Score(
        rollouts=float(graded.mean()),
        decided=float(likely.mean()),
        claimed=float(doubt.sum()) / many,
        real=float(wrong.sum()) / many,
        excess=float((wrong - doubt).sum()) / error if error else 0.0,
    )


def rates_of(name: str, shape: tuple[int, int], chance: np.random.Generator) -> Floats:
    """True rates: of a population by name, of a mix, or all the same."""
    if name in POPULATIONS:
        parts = POPULATIONS[name]
        chosen = np.array(parts)[chance.choice(len(parts), shape, p=[part[0] for part in parts])]
        _, a, b, low, high = np.moveaxis(chosen, -1, 0)
        return np.asarray(low + (high - low) * chance.beta(a, b))
    return chance.choice(np.array(MIXES[name]), shape) if name in MIXES else np.full(shape, float(name))


def moved(rates: Floats, shift: float) -> Floats:
    """The same rates this many logits further."""
    odds = np.divide(rates, 1 - rates, out=np.full_like(rates, np.inf), where=rates < 1) * np.exp(shift)
    return np.where(np.isinf(odds), 1.0, odds / (1 + np.where(np.isinf(odds), 0.0, odds)))


@dataclass(frozen=True)
class Design:
    """A design: a fixed group size or an adaptive run (None), and the earlier rollouts of each task, if any."""

    size: int | None
    earlier: int = 0


def simulate(design: Design, before: Floats, now: Floats, chance: np.random.Generator) -> Score:
    """Tasksets of these true rates, [taskset, task], which were `before` at an earlier checkpoint."""
    passes = chance.random((*now.shape, design.size or CAP)) < now[:, :, None]
    known = None
    if design.earlier:
        size = np.full(now.shape, design.earlier)
        known = Earlier(chance.binomial(design.earlier, before), size)
    if design.size:
        passed, graded = passes.sum(-1), np.full(now.shape, design.size)
    else:
        passed, graded = run(passes, known)
    return score(now, judge(passed, graded, known), graded)


def of_population(design: Design, name: str, tasks: int, sets: int, shift: float = 0.0) -> Score:
    """Tasksets drawn from a population, seeded by what is simulated."""
    chance = np.random.default_rng([ord(letter) for letter in f"{name}/{tasks}/{design}/{shift}"])
    before = rates_of(name, (sets, tasks), chance)
    return simulate(design, before, moved(before, shift), chance)


if __name__ == "__main__":
    from tests.bench.claims_page import write

    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.bench.claims --write")
    write()
