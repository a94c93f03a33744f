"""Stopping rules, counted out over every path: the default rule's table, what it does, what estimates survive it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.adaptive.tables import DecisionTables, certified_table, make_tables
from taskcal.core.stats import prior
from taskcal.core.stats.posterior_table import (
    CLASSES,
    StoppingTable,
    expected_left,
    posterior_table,
)
from taskcal.core.stats.prior import PriorSource
from taskcal.core.stats.rates import DEFAULT_PRIOR
from taskcal.core.verdict import Band, Verdict
from tests.core.forecast.population_case import population
from tests.core.stats.oracles import foresee, operating, unbiased_rate

if TYPE_CHECKING:
    from taskcal.core.stats.posterior_table import PosteriorTable

GOLDEN = """
n:        5    6    7    8    9   10   11   12   13   14   15   16   17   18   19   20   21   22   23   24   28   32   40   48   56   64
hard      -    -    -    -    -    -    -    -    -    -    -    -    -    -    0    0    0    0    0    0    0    0    0    0    1    1
band-from 2    2    2    2    2    2    3    3    3    3    3    3    3    3    3    3    4    4    4    4    4    4    5    6    6    7
band-to   2    2    3    4    4    5    5    6    7    7    8    9    9   10   11   11   12   13   13   14   17   20   25   31   36   42
easy      -    -    7    8    9   10   11   12   13   13   14   15   16   17   18   19   19   20   21   22   25   29   35   42   48   54
"""  # noqa: E501 - a table is read across
"""Posterior at least .95 under the default mixture, from 4 rollouts on, cap 64: "hard" up to, "easy" from so many."""

OPERATING: dict[float, tuple[float, float | None, float | None, float | None, float | None]] = {
    # rate: rollouts; too hard, in band, too easy, undecided where the table gives them
    0: (19.000, 1.0000, None, None, None),
    0.01: (25.060, 0.9411, None, None, 0.0540),
    0.05: (38.254, 0.4505, 0.1741, None, 0.3754),
    0.1: (30.834, 0.1449, 0.6341, None, None),
    0.2: (13.338, None, 0.9798, None, None),
    0.4: (8.046, None, 0.9983, None, None),
    0.5: (10.478, None, 0.9905, None, None),
    0.6: (18.691, None, 0.9119, None, None),
    0.75: (39.022, None, 0.2743, 0.2478, 0.4779),
    0.9: (17.474, None, None, 0.9668, None),
    0.95: (10.533, None, None, 0.9985, None),
    1: (7.000, None, None, 1.0000, None),
}
UNBIASED = {  # n, k of first stops
    (5, 2): 0.4,
    (6, 2): 0.2,
    (7, 2): 0.166667,
    (7, 3): 0.6,
    (7, 7): 1.0,
    (8, 4): 0.64,
    (10, 5): 0.673913,
    (14, 13): 0.857143,
    (19, 0): 0.0,
    (21, 19): 0.814286,
}
AVERAGES = {  # population: rollouts, wrong where every task gets its most probable class, undecided
    "i": (17.936, 0.0449, 0.0614),
    "ii": (19.836, 0.0876, 0.1173),
    "iii": (19.824, 0.0820, 0.1087),
    "hardheavy": (20.712, 0.0322, 0.0380),
}
"""By quadrature, to all digits shown; averages over a population cut into points differ by up to 1e-4."""

STEPS = {1: 17.9, 2: 19.3, 4: 20.1, 8: 22.3}
BIAS = {  # rate: means of k/n and of the unbiased estimate under the fair-charge rule with a zone, price .001
    0.02: (0.0171, 0.0200),
    0.1: (0.1461, 0.1000),
    0.2: (0.2493, 0.2000),
    0.4: (0.3754, 0.4000),
    0.6: (0.5281, 0.6000),  # .5282 where a prior cut into points has one on an edge, which moves a cell of the rule
    0.8: (0.8107, 0.8000),
    0.9: (0.9272, 0.9000),
}


@cache
def tables(design: Design = Design()) -> DecisionTables:  # noqa: B008 - frozen
    return make_tables(DEFAULT_PRIOR, PriorSource.DEFAULT, design, certified_table(design))


def test_the_default_rule_is_the_golden_table() -> None:
    """Every entry of the stopping table, and nothing decided before five rollouts."""
    sizes, hard, low, high, easy = (
        [None if entry == "-" else int(entry) for entry in line.split()[1:]] for line in GOLDEN.strip().splitlines()
    )
    cells = tables().table.cells
    for column, n in enumerate(sizes):
        assert n is not None
        where = {verdict: [k for k, cell in enumerate(cells[n]) if cell is verdict] for verdict in CLASSES}
        found = [max(where[Verdict.TOO_HARD], default=None), min(where[Verdict.IN_BAND]), max(where[Verdict.IN_BAND])]
        assert [*found, min(where[Verdict.TOO_EASY], default=None)] == [
            hard[column],
            low[column],
            high[column],
            easy[column],
        ]
    assert not any(cell for row in cells[:5] for cell in row)


def test_a_decided_class_is_that_of_the_success_rate() -> None:
    """Wherever the default rule decides, k/n lies in the same class, so that the verdict shown is the one decided."""
    for n, row in enumerate(tables().table.cells):
        assert all(cell is None or cell is Band().verdict(k / n) for k, cell in enumerate(row))


@pytest.mark.parametrize("rate", OPERATING)
def test_the_default_rule_does_what_the_table_says(rate: float) -> None:
    """Exact rollouts to three digits and chances of each end to four; the chances sum to 1."""
    found = operating(tables().table, rate)
    rollouts, *chances = OPERATING[rate]
    assert found.expected == pytest.approx(rollouts, abs=6e-4)
    ends = [*(found.decided[verdict] for verdict in CLASSES), found.undecided]
    assert sum(ends) == pytest.approx(1)
    assert all(want is None or have == pytest.approx(want, abs=6e-5) for have, want in zip(ends, chances, strict=True))


@pytest.mark.parametrize("name", AVERAGES)
def test_averages_over_populations(name: str) -> None:
    """Rollouts, errors of the most probable class, and undecided, over four populations, by quadrature."""
    rows = posterior_table(population(name), 64, Band())
    found, labelled = foresee(tables().table, rows), foresee(labelling(tables().table, tables().posteriors), rows)
    assert (found.rollouts, labelled.wrong, 1 - found.decided) == pytest.approx(AVERAGES[name], abs=6e-4)
    assert labelled.wrong == pytest.approx(AVERAGES[name][1], abs=6e-5)


def labelling(table: StoppingTable, posteriors: PosteriorTable) -> StoppingTable:
    """The rule, with the most probable class for what it leaves undecided."""
    last = tuple(posteriors.best(k, table.cap)[0] for k in range(table.cap + 1))
    return StoppingTable((*table.cells[:-1], last))


def test_the_default_rule_meets_its_target() -> None:
    """Population (i): at most 21 rollouts a task, 92 % decided, 5 % of these wrong; fixed n needs 254 for as many."""
    grid = population("i")
    for step in (1, 4):
        found = foresee(tables(Design(step=step)).table, posterior_table(grid, 64, Band()))
        assert found.rollouts <= 21
        assert found.decided >= 0.92
        assert found.wrong / found.decided <= 0.05
    default = foresee(tables().table, posterior_table(grid, 64, Band()))
    sizes = range(100, 401)
    posteriors, truth = (posterior_table(one, sizes[-1], Band()) for one in (DEFAULT_PRIOR, grid))
    needed = next(n for n in sizes if fixed_share(posteriors, truth, n) >= default.decided)
    assert needed == 254
    assert needed / default.rollouts == pytest.approx(14.2, abs=0.05)


def fixed_share(posteriors: PosteriorTable, truth: PosteriorTable, n: int) -> float:
    """The share of a population's tasks that n rollouts each leave with a class of at least .95."""
    rows = [tuple([None] * (m + 1)) for m in range(n)]
    last = tuple(best if chance >= 0.95 else None for best, chance in (posteriors.best(k, n) for k in range(n + 1)))
    return foresee(StoppingTable((*rows, last)), truth).decided


@pytest.mark.parametrize("step", STEPS)
def test_fewer_looks_cost_rollouts(step: int) -> None:
    """Deciding at every 2nd, 4th, 8th rollout only, on population (i)."""
    found = foresee(tables(Design(step=step)).table, posterior_table(population("i"), 64, Band()))
    assert found.rollouts == pytest.approx(STEPS[step], abs=0.06)


@pytest.mark.parametrize(("graded", "passed"), UNBIASED)
def test_unbiased_estimates_are_the_tables(graded: int, passed: int) -> None:
    """Six digits of the Girshick-Mosteller-Savage estimate at first stops of the default rule."""
    assert unbiased_rate(tables().table, passed, graded) == pytest.approx(UNBIASED[graded, passed], abs=1e-6)


def test_no_estimate_where_the_rule_never_stops() -> None:
    """Where one goes on, or never comes, or before anything was run, there is no estimate: None."""
    assert unbiased_rate(tables().table, 0, 8) is None
    assert unbiased_rate(tables().table, 20, 20) is None
    assert unbiased_rate(tables().table, 0, 0) is None
    assert unbiased_rate(tables().table, 5, 65) is None


@pytest.mark.parametrize("rate", BIAS)
def test_adaptive_stopping_biases_k_of_n_and_not_the_estimate(rate: float) -> None:
    """Exact means over all stops of the fair-charge rule with a zone: k/n is off by up to .07, the estimate never."""
    table = zone_rule()
    naive = estimated = 0.0
    for k, n, chance in stops(table, rate):
        naive += chance * k / n
        estimated += chance * (unbiased_rate(table, k, n) or 0.0)
    assert (naive, estimated) == pytest.approx(BIAS[rate], abs=6e-5)
    assert estimated == pytest.approx(rate, abs=1e-9)


@cache
def zone_rule() -> StoppingTable:
    from tests.core.adaptive.test_rollout_value import value_rule

    return value_rule(posterior_table(DEFAULT_PRIOR, 64, Band(), 0.03), 0.001)


def stops(table: StoppingTable, rate: float) -> list[tuple[int, int, float]]:
    """Every end of the rule with its chance."""
    here, found = [1.0], []
    for n in range(table.cap + 1):
        ends = [(k, n, chance) for k, chance in enumerate(here) if chance and table.stops(k, n)]
        found += ends
        going = [0.0 if table.stops(k, n) else chance for k, chance in enumerate(here)]
        here = [a * (1 - rate) + b * rate for a, b in zip([*going, 0.0], [0.0, *going], strict=True)]
    return found


def test_expected_rollouts_left_are_those_of_the_prior() -> None:
    """Before the first rollout it is the rule's average over its own prior; where it stops, none are left."""
    rows = tables().posteriors
    left = expected_left(tables().table, rows)
    assert left[0][0] == pytest.approx(foresee(tables().table, rows).rollouts)
    assert left[19][0] == left[64][30] == 0
    assert left[8][0] == pytest.approx(1 + rows.passing[8][0] * left[9][1] + (1 - rows.passing[8][0]) * left[9][0])


def test_a_grid_moves_few_cells_of_the_table() -> None:
    """The 53 nodes in place of the default mixture change 8 cells of the default rule, by a hair: .9492 to .9506."""
    grid = prior.as_grid(DEFAULT_PRIOR, (0.05, 0.75))
    design = Design()
    rough = make_tables(grid, PriorSource.LEARNED, design, certified_table(design))
    changed = [
        (n, k) for n in range(65) for k in range(n + 1) if rough.table.cells[n][k] is not tables().table.cells[n][k]
    ]
    assert len(changed) == 8
    assert tables().posteriors.best(41, 48)[1] == pytest.approx(0.9492, abs=5e-5)
    assert rough.posteriors.best(41, 48)[1] == pytest.approx(0.9506, abs=5e-5)


def test_a_design_without_a_rule_goes_on_to_its_cap() -> None:
    """Budget mode decides nowhere, and expects as many rollouts as there are to the cap."""
    never = tables(Design(rule=Rule.NEVER, cap=10))
    assert not any(cell for row in never.table.cells for cell in row)
    assert never.expected_left[3][1] == pytest.approx(7)
