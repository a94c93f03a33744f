"""What a verdict must cost at least: how far apart two rates are, and how many rollouts no rule can do without."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskcal.core.verdict import Band


def divergence(rate: float, other: float) -> float:
    """Kullback and Leibler's 1951: p ln(p/q) + (1-p) ln((1-p)/(1-q)), the information a rollout gives against q."""
    return _part(rate, other) + _part(1.0 - rate, 1.0 - other)


def least_rollouts(rate: float, band: Band, error_rate: float, zone: float = 0.0) -> float | None:
    """The rollouts that any rule needs on average at this rate if it errs at most so often whatever the rate.

    ln(1/delta) / d(p, nearest rate at which the verdict would be wrong) (Garivier and Kaufmann 2016, theorem 1, as
    delta tends to 0). Within `zone` of an edge either class is right and the cheaper one counts (Degenne and Koolen
    2019). None where no number is enough: on an edge without a zone.
    """
    low, high = band.low, band.high
    nearest = max(
        divergence(rate, low + zone) if rate < low + zone else 0.0,
        min(divergence(rate, low - zone), divergence(rate, high + zone)) if low - zone < rate < high + zone else 0.0,
        divergence(rate, high - zone) if rate > high - zone else 0.0,
    )
    return -math.log(error_rate) / nearest if nearest > 0 else None


def _part(chance: float, other: float) -> float:
    if not chance:
        return 0.0
    return chance * math.log(chance / other) if other > 0 else math.inf
