"""Intervals of one task's rate: against tables made by other means, and what they cover, as exact sums."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.adaptive.design import Design
from taskcal.core.adaptive.tables import certified_table, stopping_table
from taskcal.core.stats import rates
from taskcal.core.stats.posterior import credible_interval
from taskcal.core.stats.posterior_table import posterior_table
from taskcal.core.stats.prior import JEFFREYS, UNIFORM, Counts
from taskcal.core.stats.rates import DEFAULT_PRIOR
from tests.core.stats.oracles import clopper_pearson, jeffreys

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskcal.core.stats.posterior_table import StoppingTable
    from taskcal.core.stats.rates import Interval

# k, n: Wilson, Clopper-Pearson and Jeffreys at 95 %.
# Computed with scipy.stats (binomtest, beta.ppf), not with this code.
TABLE = {
    (0, 8): (0.000000, 0.324408, 0.000000, 0.369417, 0.000000, 0.262217),
    (1, 8): (0.022417, 0.470888, 0.003160, 0.526510, 0.013838, 0.453719),
    (4, 8): (0.215216, 0.784784, 0.157013, 0.842987, 0.198966, 0.801034),
    (6, 8): (0.409275, 0.928521, 0.349144, 0.968146, 0.408376, 0.944033),
    (7, 8): (0.529112, 0.977583, 0.473490, 0.996840, 0.546281, 0.986162),
    (8, 8): (0.675592, 1.000000, 0.630583, 1.000000, 0.737783, 1.000000),
    (0, 16): (0.000000, 0.193608, 0.000000, 0.205907, 0.000000, 0.143184),
    (1, 16): (0.011119, 0.283287, 0.001581, 0.302321, 0.006829, 0.256921),
    (12, 16): (0.505017, 0.898179, 0.476229, 0.927338, 0.509271, 0.909172),
    (0, 32): (0.000000, 0.107179, 0.000000, 0.108881, 0.000000, 0.074928),
    (0, 59): (0.000000, 0.061129, 0.000000, 0.060609, 0.000000, 0.041509),
    (3, 64): (0.016069, 0.128997, 0.009773, 0.130936, 0.013377, 0.119825),
    (48, 64): (0.631837, 0.839851, 0.626010, 0.849844, 0.634516, 0.843456),
    (11, 11): (0.741167, 1.000000, 0.715086, 1.000000, 0.800005, 1.000000),
}
RATES = [(step + 0.5) / 2000 for step in range(2000)]

METHODS: dict[str, Callable[[int, int], Interval | None]] = {
    "wilson": rates.wilson,
    "clopper_pearson": clopper_pearson,
    "jeffreys": jeffreys,
    "credible": lambda passed, graded: credible_interval(DEFAULT_PRIOR, Counts(passed, graded)),
}
COVERAGE = {  # the method: its mean coverage over the grid at n = 8, 16, 64, and its worst over all of them
    "wilson": ((0.9544, 0.9536, 0.9512), 0.83),
    "clopper_pearson": ((0.9860, 0.9791, 0.9678), 0.95),
    "jeffreys": ((0.9545, 0.9515, 0.9501), 0.87),
    "credible": ((0.9482, 0.9441, 0.9448), 0.74),
}


@pytest.mark.parametrize(("passed", "graded"), TABLE)
def test_intervals_are_the_tables(passed: int, graded: int) -> None:
    """Six digits of three intervals: the product's, and the two that tests compare with it."""
    found = [method(passed, graded) for method in (rates.wilson, clopper_pearson, jeffreys)]
    ends = [end for interval in found if interval for end in (interval.low, interval.high)]
    assert ends == pytest.approx(TABLE[passed, graded], abs=1e-6)


@pytest.mark.parametrize("name", COVERAGE)
def test_coverage_is_near_what_is_promised(name: str) -> None:
    """Exact sums over 499 rates: mean and worst coverage beside the nominal 95 %; the exact interval is never below.

    The credible one, of the default mixture, promises its share on average over that prior, not over equal rates.
    """
    means, worst = COVERAGE[name]
    for graded, expected in zip((8, 16, 64), means, strict=True):
        shares = coverages(METHODS[name], graded)
        assert sum(shares) / len(shares) == pytest.approx(expected, abs=2e-4)
        assert min(shares) >= worst


@pytest.mark.parametrize("graded", [8, 16, 64])
def test_the_credible_interval_covers_on_average_over_its_prior(graded: int) -> None:
    """Under a uniform prior all rates weigh the same, and the mean over 2,000 of them is 95 %."""
    found = [credible_interval(UNIFORM, Counts(passed, graded)) for passed in range(graded + 1)]
    assert math.fsum(covered(found, rate) for rate in RATES) / len(RATES) == pytest.approx(0.95, abs=5e-4)


def test_adaptive_stopping_does_not_break_the_posteriors_promise() -> None:
    """Where a posterior of 95 % stops a task, the posterior's intervals still hold 95 % of the prior's rates.

    Exact sums over all paths, for 2,000 rates under a uniform prior.
    """
    design = Design(cap=32)
    posteriors = posterior_table(UNIFORM, design.limit, design.band)
    counts = [(k, n) for n in range(design.limit + 1) for k in range(n + 1)]
    table = stopping_table(design, posteriors, ((),), certified_table(design))
    reached = [ends(table, rate) for rate in RATES]
    credible = {(k, n): credible_interval(UNIFORM, Counts(k, n)) for k, n in counts}
    assert held(reached, credible) == pytest.approx(0.95, abs=5e-4)


def ends(table: StoppingTable, rate: float) -> dict[tuple[int, int], float]:
    """The chance of each k of n at which the rule ends."""
    found: dict[tuple[int, int], float] = {}
    here = {0: 1.0}
    for n in range(table.cap + 1):
        found |= {(k, n): chance for k, chance in here.items() if table.stops(k, n)}
        going = {k: chance for k, chance in here.items() if not table.stops(k, n)}
        here = {k: going.get(k, 0.0) * (1 - rate) + going.get(k - 1, 0.0) * rate for k in range(n + 2)}
    return found


def held(reached: list[dict[tuple[int, int], float]], intervals: dict[tuple[int, int], Interval | None]) -> float:
    """How often an interval holds the rate, over all rates."""
    total = 0.0
    for rate, chances in zip(RATES, reached, strict=True):
        total += sum(chance for at, chance in chances.items() if (one := intervals[at]) and one.low <= rate <= one.high)
    return total / len(reached)


def coverages(method: Callable[[int, int], Interval | None], graded: int) -> list[float]:
    """For each rate of a grid the chance that the interval of a draw holds it."""
    found = [method(passed, graded) for passed in range(graded + 1)]
    return [covered(found, step / 500) for step in range(1, 500)]


def covered(intervals: list[Interval | None], rate: float) -> float:
    n = len(intervals) - 1
    return math.fsum(
        math.comb(n, k) * rate**k * (1 - rate) ** (n - k)
        for k, one in enumerate(intervals)
        if one is not None and one.low <= rate <= one.high
    )


@given(graded=st.integers(1, 60), share=st.floats(0, 1))
def test_the_exact_interval_inverts_the_binomial_test(graded: int, share: float) -> None:
    """Its definition: at each inner end, a result as extreme as this one has a chance of exactly 2.5 %."""
    passed = round(share * graded)
    found = clopper_pearson(passed, graded)
    if passed:
        assert tail(range(passed, graded + 1), graded, found.low) == pytest.approx(0.025, rel=1e-8)
    if passed < graded:
        assert tail(range(passed + 1), graded, found.high) == pytest.approx(0.025, rel=1e-8)


def tail(values: range, graded: int, rate: float) -> float:
    return math.fsum(math.comb(graded, k) * rate**k * (1 - rate) ** (graded - k) for k in values)


@given(graded=st.integers(1, 200), share=st.floats(0, 1))
def test_the_credible_interval_holds_its_share(graded: int, share: float) -> None:
    """Under the default mixture 2.5 % of the posterior lie on either side, and k of n failed mirrors under symmetry."""
    passed = round(share * graded)
    found = credible_interval(DEFAULT_PRIOR, Counts(passed, graded))
    parts = rates.posterior(passed, graded)
    assert found is not None
    assert rates.chance_below(parts, found.low) == pytest.approx(0.025, abs=1e-9)
    assert rates.chance_below(parts, found.high) == pytest.approx(0.975, abs=1e-9)
    mirrored = credible_interval(UNIFORM, Counts(graded - passed, graded))
    flat = credible_interval(UNIFORM, Counts(passed, graded))
    assert flat is not None
    assert mirrored is not None
    assert (flat.low, flat.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-9)


def test_the_credible_interval_under_jeffreys_is_jeffreys() -> None:
    """Away from 0 and n, where only the named interval is cut, both are the same quantiles."""
    named, general = jeffreys(3, 64), credible_interval(JEFFREYS, Counts(3, 64))
    assert general is not None
    assert (named.low, named.high) == pytest.approx((general.low, general.high), abs=1e-9)


def test_intervals_of_nothing_are_none() -> None:
    """Nothing graded: None from each of them, never 0 to 1."""
    assert (rates.wilson(0, 0), credible_interval(DEFAULT_PRIOR, Counts(0, 0))) == (None, None)
