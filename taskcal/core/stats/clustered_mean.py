"""The mean over many tasks with its errors, and the share of a taskset that trains.

A mean has two errors. For the tasks at hand it comes only from the limited number of rollouts. For tasks like these it
comes also from the choice of tasks, and is two to four times as large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core.stats import rates
from taskcal.core.stats.rates import Interval

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence


SAME = 1e-12
"""A standard error below this is one of rounding."""


@dataclass(frozen=True, slots=True)
class PooledMean:
    """A mean over tasks. Standard error and 95 % interval are None where there is a single cluster.

    The interval is None as well where all values are equal: none of width 0 is to be had from a few rollouts.
    """

    mean: float
    standard_error: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class PromptYield:
    """What training on these tasks wastes.

    `ratio` is the expected share of groups that are mixed (the effective prompt ratio), `oversampling` its inverse,
    `rollouts_per_useful_group` G times that; the last two are None where no group is ever mixed.
    """

    ratio: float
    oversampling: float | None
    rollouts_per_useful_group: float | None


@dataclass(frozen=True, slots=True)
class Sample:
    """The mean of a task's rollouts and the variance of one of them, unbiased; None where there was a single one."""

    mean: float
    variance: float | None
    rollouts: int


def mean_of_these(samples: Sequence[Sample]) -> PooledMean | None:
    """The mean of the tasks at hand, each counted once, for rollouts in [0, 1] whose number was fixed. None of none.

    SE^2 = sum of variance / n over tasks, / T^2. The interval is Wilson's at the number of rollouts that would give
    this error if all were of one rate m (Korn and Graubard 1998, on effective sample sizes): m (1-m) / SE^2, and at
    least T^2 / sum(1/n), as rates that differ only make the error smaller. It covers 92 to 96 % where the error alone
    covers 66 % (5 tasks of which most never pass).
    """
    if not samples:
        return None
    tasks = len(samples)
    centre = math.fsum(sample.mean for sample in samples) / tasks
    least = tasks * tasks / math.fsum(1 / sample.rollouts for sample in samples)
    off_the_edge = (centre * least + 0.5) / (least + 1)
    most = off_the_edge * (1 - off_the_edge)
    known = (most if one.variance is None else one.variance for one in samples)
    square = math.fsum(v / one.rollouts for v, one in zip(known, samples, strict=True)) / (tasks * tasks)
    effective = max(least, most / square) if square else least
    return PooledMean(centre, math.sqrt(square), rates.wilson(centre * effective, effective))


def mean_after_stopping(means: Sequence[float], variances: Sequence[float], bias: float) -> PooledMean | None:
    """The mean of the tasks at hand after adaptive stopping, from their posterior means and variances. None of none.

    `bias` is how far the mean is from an estimate without bias: a prior that does not fit moves all posterior means the
    same way, which no variance shows.
    """
    if not means:
        return None
    centre = math.fsum(means) / len(means)
    error = math.hypot(math.sqrt(math.fsum(variances)) / len(means), bias)
    return PooledMean(centre, error, _cut(centre, rates.Z95 * error))


def pooled_mean(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    unseen: Sequence[float] = (),
    bias: float = 0.0,
) -> PooledMean | None:
    """The mean for tasks like these. Its error is clustered by `clusters`, one for each value; by default its own.

    SE^2 = C/(C-1) sum over clusters of (sum of deviations in it)^2 / n^2 (Miller 2024, arXiv 2411.00640, appendix A,
    with the correction for C clusters; Liang and Zeger 1986). For one mean per task it is sd/sqrt(T): tasks count
    equally, which they should, as an adaptive n depends on the rate. The interval is Student's with C - 1 degrees
    (Bowyer et al. 2025, arXiv 2503.01747, on why not the normal one), cut to [0, 1]. None of nothing.

    Values that are themselves expectations differ less than what they stand for: `unseen` is the variance that each
    leaves out (a posterior's), and its sum / n^2 is added to SE^2; so is the square of `bias`.
    """
    if not values:
        return None
    centre = math.fsum(values) / len(values)
    totals: dict[Hashable, float] = {}
    for value, cluster in zip(values, clusters if clusters is not None else range(len(values)), strict=True):
        totals[cluster] = totals.get(cluster, 0.0) + value - centre
    count = len(totals)
    if count < 2:
        return PooledMean(centre, None, None)
    spread = math.fsum(total * total for total in totals.values())
    error = math.hypot(math.sqrt(count / (count - 1) * spread + math.fsum(unseen)) / len(values), bias)
    if error < SAME:
        return PooledMean(centre, error, None)
    return PooledMean(centre, error, _cut(centre, error * rates.student_quantile(0.975, count - 1)))


def prompt_yield(signals: Sequence[float], group_size: int) -> PromptYield | None:
    """The effective prompt ratio of tasks with these signals at G (Yu et al. 2025, DAPO, section 3.2). None of none.

    Call it for all tasks and for the selected ones to see what a selection brings.
    """
    ratio = rates.mean(signals)
    if ratio is None:
        return None
    return PromptYield(ratio, 1.0 / ratio if ratio else None, group_size / ratio if ratio else None)


def _cut(centre: float, half: float) -> Interval:
    return Interval(max(0.0, centre - half), min(1.0, centre + half))
