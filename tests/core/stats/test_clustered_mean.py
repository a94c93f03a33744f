"""Two intervals for the average of a taskset: for the tasks at hand, and for tasks like these."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import pytest

from taskcal.core.adaptive.design import Design
from taskcal.core.adaptive.tables import DecisionTables, certified_table, make_tables
from taskcal.core.stats import rates
from taskcal.core.stats.clustered_mean import PooledMean, Sample, mean_after_stopping, mean_of_these, pooled_mean
from taskcal.core.stats.posterior import posterior_mean, posterior_variance
from taskcal.core.stats.prior import Counts, PriorSource
from taskcal.core.stats.rates import DEFAULT_PRIOR
from tests.core.forecast.population_case import draw, seeded

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

RUNS = 400


def holds(found: PooledMean | None, truth: float) -> bool:
    interval = found.interval if found else None
    return interval is not None and interval.low <= truth <= interval.high


def measured(rates: list[float], chance: random.Random, graded: int) -> list[Sample]:
    passed = [sum(chance.random() < rate for _ in range(graded)) for rate in rates]
    return [Sample(k / graded, k * (graded - k) / (graded * (graded - 1)), graded) for k in passed]


@pytest.mark.parametrize("tasks", [5, 25])
@pytest.mark.parametrize("name", ["i", "ii", "hardheavy", "near"])
def test_the_mean_of_these_tasks_is_where_it_says(name: str, tasks: int) -> None:
    """Groups of 8 of known tasks: 95 of 100 intervals hold their mean, also where most tasks never pass."""
    chance, hits = seeded(f"{name}/{tasks}"), 0
    for run in range(RUNS):
        rates = draw(name, tasks, run)
        hits += holds(mean_of_these(measured(rates, chance, 8)), math.fsum(rates) / tasks)
    assert 0.915 <= hits / RUNS <= 0.98


def test_these_tasks_are_known_better_than_tasks_like_these() -> None:
    """On a typical taskset the interval for new tasks is more than twice as wide as these need."""
    samples = measured(draw("i", 50, 1), seeded("width"), 8)
    these, like_these = mean_of_these(samples), pooled_mean([one.mean for one in samples])
    assert these is not None
    assert like_these is not None
    assert these.mean == pytest.approx(like_these.mean)
    assert width(like_these) > 2 * width(these)


def width(found: PooledMean) -> float:
    assert found.interval is not None
    return found.interval.high - found.interval.low


def test_one_task_has_the_interval_of_its_rate() -> None:
    """Of a single task it is Wilson's, whether its rollouts agree or not; of none there is none."""
    for passed in (0, 3, 8):
        found = mean_of_these([Sample(passed / 8, passed * (8 - passed) / 56, 8)])
        assert found is not None
        wilson = rates.wilson(passed, 8)
        assert found.interval is not None
        assert wilson is not None
        assert (found.interval.low, found.interval.high) == pytest.approx((wilson.low, wilson.high), abs=0.012)
    assert mean_of_these([]) is None


def test_single_rollouts_have_the_largest_variance_that_they_can() -> None:
    """One rollout of each task says nothing of how they differ: the interval is that of as many of one task."""
    found = mean_of_these([Sample(1.0, None, 1)] * 30 + [Sample(0.0, None, 1)] * 10)
    wilson = rates.wilson(30, 40)
    assert found is not None
    assert found.interval is not None
    assert wilson is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((wilson.low, wilson.high), abs=0.01)


@pytest.mark.parametrize(("name", "without"), [("near", 0.25), ("i", 0.98), ("hardheavy", 0.85)])
def test_a_prior_that_does_not_fit_enters_the_error(name: str, without: float) -> None:
    """19 tasks, judged by the default prior and stopped by it: posterior means of a set near an edge are all too high.

    Their own variances hold the true mean in one of ten runs there; with the distance from the first rollouts in nine.
    """
    chance, hits, blind = seeded(f"stopped/{name}"), 0, 0
    for run in range(RUNS):
        rates = draw(name, 19, run)
        truth = math.fsum(rates) / 19
        ended = [stopped(rate, chance) for rate in rates]
        means = [moments(counts)[0] for counts, _ in ended]
        variances = [moments(counts)[1] for counts, _ in ended]
        bias = math.fsum(mean - first / 4 for mean, (_, first) in zip(means, ended, strict=True)) / 19
        hits += holds(mean_after_stopping(means, variances, bias), truth)
        blind += holds(mean_after_stopping(means, variances, 0.0), truth)
    assert hits / RUNS > 0.88
    assert blind / RUNS < without


@cache
def tables() -> DecisionTables:
    design = Design(learn=False)
    return make_tables(DEFAULT_PRIOR, PriorSource.DEFAULT, design, certified_table(design))


@cache
def moments(counts: Counts) -> tuple[float, float]:
    return (
        posterior_mean(DEFAULT_PRIOR, counts) or 0.0,
        posterior_variance(DEFAULT_PRIOR, counts) or 0.0,
    )


def stopped(rate: float, chance: random.Random) -> tuple[Counts, int]:
    """Where the default rule ends, and how many of the first four had passed."""
    path = list(_path(rate, chance))
    return path[-1], path[3].passed


def _path(rate: float, chance: random.Random) -> Iterator[Counts]:
    passed = 0
    for graded in range(1, 65):
        passed += chance.random() < rate
        yield Counts(passed, graded)
        if tables().table.cells[graded][passed] is not None:
            return
