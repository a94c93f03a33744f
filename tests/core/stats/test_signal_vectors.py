"""Estimates without bias from counts and rewards, and what many tasks say together."""

from __future__ import annotations

import math
import statistics
from operator import mul

import pytest

from taskcal.core.stats import rates
from taskcal.core.stats.clustered_mean import pooled_mean, prompt_yield
from taskcal.core.stats.signal import mixed_chance
from taskcal.core.verdict import Verdict
from tests.core.forecast.population_case import average, population, true_class

FIVE_TASKS = ([0, 0, 0, 0], [1, 1, 0, 1], [1, 1, 1, 1], [0, 1, 0, 0], [0, 0, 1, 1])
EFFECTIVE = {  # population, G: the effective prompt ratio of all tasks, then of those in the band
    ("i", 8): (0.424, 0.870),
    ("i", 16): (0.500, 0.956),
    ("ii", 8): (0.778, 0.888),
    ("iii", 8): (0.607, 0.855),
    ("hardheavy", 8): (0.213, 0.776),
    ("hardheavy", 16): (0.267, 0.911),
}


def test_standard_errors_know_which_task_a_rollout_is_of() -> None:
    """Five tasks of four rollouts: .114708 if all were independent, .176777 clustered, by rollouts or by task means."""
    rewards = [float(reward) for task in FIVE_TASKS for reward in task]
    clusters = [number for number, task in enumerate(FIVE_TASKS) for _ in task]
    naive, clustered = pooled_mean(rewards), pooled_mean(rewards, clusters)
    by_task = pooled_mean([statistics.fmean(task) for task in FIVE_TASKS])
    assert naive is not None
    assert clustered is not None
    assert by_task is not None
    assert [one.mean for one in (naive, clustered, by_task)] == pytest.approx([0.5] * 3)
    errors = [one.standard_error for one in (naive, clustered, by_task)]
    assert errors == pytest.approx([0.114708, 0.176777, 0.176777], abs=1e-6)
    assert (clustered.standard_error or 0) * math.sqrt(4 / 5) == pytest.approx(0.158114, abs=1e-6)


def test_few_tasks_get_students_interval() -> None:
    """Five tasks have four degrees of freedom, t = 2.776445; the interval is cut to [0, 1]; one task has none."""
    found = pooled_mean([statistics.fmean(task) for task in FIVE_TASKS])
    assert found is not None
    assert found.interval is not None
    assert found.interval.low == pytest.approx(0.5 - 2.776445 * 0.176777, abs=1e-5)
    cut = pooled_mean([0.0, 1.0])
    assert cut is not None
    assert cut.interval == rates.Interval(0.0, 1.0)
    alone = pooled_mean([0.25, 0.75], ["same", "same"])
    assert alone is not None
    assert (alone.mean, alone.standard_error, alone.interval) == (0.5, None, None)
    assert pooled_mean([]) is None


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1.0])
def test_equal_rates_have_no_interval(value: float) -> None:
    """Their spread is 0, and an interval of that width would claim to know from a few rollouts what nobody can."""
    found = pooled_mean([value] * 7)
    assert found is not None
    assert found.interval is None
    assert found.mean == pytest.approx(value)
    assert found.standard_error == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("name", "group_size"), EFFECTIVE)
def test_selecting_the_band_raises_the_effective_prompt_ratio(name: str, group_size: int) -> None:
    """Three digits of the ratio before and after, over populations by quadrature."""
    grid = population(name)
    mixed = [mixed_chance(rate, group_size) for rate in grid.nodes]
    inside = [w if true_class(p) is Verdict.IN_BAND else 0.0 for p, w in zip(grid.nodes, grid.weights, strict=True)]
    every = average(grid, lambda rate: mixed_chance(rate, group_size))
    selected = math.fsum(map(mul, inside, mixed)) / math.fsum(inside)
    assert (every, selected) == pytest.approx(EFFECTIVE[name, group_size], abs=6e-4)


def test_prompt_yield_by_hand() -> None:
    """Half of the groups mixed: twice the prompts, 16 rollouts for a useful group of 8; never mixed: no number."""
    found, never = prompt_yield([0.25, 0.75], 8), prompt_yield([0.0], 8)
    assert found is not None
    assert never is not None
    assert (found.ratio, found.oversampling, found.rollouts_per_useful_group) == (0.5, 2.0, 16.0)
    assert (never.ratio, never.oversampling, never.rollouts_per_useful_group) == (0.0, None, None)
    assert prompt_yield([], 8) is None


def test_thousands_of_rollouts_have_an_unbiased_signal() -> None:
    """C(6000, 2000) is no float: half of 6,000 drawn 2,000 times are never equal, and one of another level seldom."""
    assert rates.signal_unbiased([0.0, 1.0] * 3000, 2000) == 1.0
    assert rates.signal_unbiased([0.0] * 5999 + [1.0], 2000) == pytest.approx(1 / 3)
