"""What many tasks say together: the mean with an error that knows tasks differ, and how much of a taskset trains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core import stats
from taskcal.core.stats import Interval

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


def pooled_mean(
    values: Sequence[float], clusters: Sequence[Hashable] | None = None, unseen: Sequence[float] = ()
) -> PooledMean | None:
    """The mean with a standard error clustered by `clusters` (one for each value; default: each value its own).

    SE^2 = C/(C-1) sum over clusters of (sum of deviations in it)^2 / n^2 (Miller 2024, arXiv 2411.00640, appendix A,
    with the correction for C clusters; Liang and Zeger 1986). For one mean per task it is sd/sqrt(T): tasks count
    equally, which they should, as an adaptive n depends on the rate. The interval is Student's with C - 1 degrees
    (Bowyer et al. 2025, arXiv 2503.01747, on why not the normal one), cut to [0, 1]. None of nothing.

    Values that are themselves expectations differ less than what they stand for: `unseen` is the variance that each
    leaves out (a posterior's), and its sum / n^2 is added to SE^2.
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
    error = math.sqrt(count / (count - 1) * spread + math.fsum(unseen)) / len(values)
    if error < SAME:
        return PooledMean(centre, error, None)
    half = error * stats.student_quantile(0.975, count - 1)
    return PooledMean(centre, error, Interval(max(0.0, centre - half), min(1.0, centre + half)))


def prompt_yield(signals: Sequence[float], group_size: int) -> PromptYield | None:
    """The effective prompt ratio of tasks with these signals at G (Yu et al. 2025, DAPO, section 3.2). None of none.

    Call it for all tasks and for the selected ones to see what a selection brings.
    """
    ratio = stats.mean(signals)
    if ratio is None:
        return None
    return PromptYield(ratio, 1.0 / ratio if ratio else None, group_size / ratio if ratio else None)
