"""What a trainer would make of a group: advantages, their expected square, pass@k, and how large a group to take.

A group's update is scaled by its advantages. GRPO divides them by the group's standard deviation, so only whether a
group is mixed counts (`signal`); Dr. GRPO and RLOO do not, so the variance of the reward counts (`contrast`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from taskcal.core.stats import rates
from taskcal.core.stats.rates import DEFAULT_PRIOR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskcal.core.stats.rates import BetaPart

LARGEST_GROUP = 64
"""No larger group is recommended: what is flat so often is better left out."""


class Trainer(StrEnum):
    """How rewards become advantages."""

    GRPO = "grpo"
    DR_GRPO = "dr-grpo"
    RLOO = "rloo"


@dataclass(frozen=True, slots=True)
class Advantages:
    """The advantage of each passed and each failed rollout of a group; None where the group has none such.

    Both are None where GRPO would divide by a standard deviation of 0 (trainers add an epsilon and get 0).
    """

    passed: float | None
    failed: float | None


def mixed_chance(rate: float, group_size: int) -> float | None:
    """1 - p^G - (1-p)^G: the chance that a group at a known rate is mixed (Yu et al. 2025, DAPO). None under G = 2."""
    return None if group_size < 2 else 1.0 - rate**group_size - (1.0 - rate) ** group_size


def advantages(passed: int, group_size: int, trainer: Trainer) -> Advantages:
    """The two advantages in a group with `passed` of G; m = k/G, before any epsilon.

    GRPO (r - m)/s with s of ddof 1 (Shao et al. 2024, 4.1.2); Dr. GRPO r - m (Liu et al. 2025, section 3.2);
    RLOO r minus the mean of the others = G/(G-1) (r - m) (Kool, van Hoof, Welling 2019; Ahmadian et al. 2024).
    """
    centre = passed / group_size
    scale = _scale(passed, group_size, trainer)
    if scale is None:
        return Advantages(None, None)
    return Advantages(
        passed=(1.0 - centre) * scale if passed else None,
        failed=-centre * scale if passed < group_size else None,
    )


def expected_squared_advantage(rate: float, group_size: int, trainer: Trainer) -> float | None:
    """The mean squared advantage of a rollout, over groups of G at a known rate p. None under G = 2.

    GRPO (G-1)/G (1 - p^G - (1-p)^G), since squares sum to G-1 in every mixed group; Dr. GRPO (G-1)/G p(1-p);
    RLOO G/(G-1) p(1-p): all three follow from the definitions under `advantages`.
    """
    mixed = mixed_chance(rate, group_size)
    return None if mixed is None else _squared(trainer, group_size, mixed, rate * (1.0 - rate))


def squared_advantage_unbiased(rewards: Sequence[float], group_size: int, trainer: Trainer) -> float | None:
    """The same from a group's rewards, whatever their values: unbiased, as signal and contrast are.

    None where the estimate that the trainer needs is: fewer than G rewards for GRPO, fewer than two for the others.
    """
    if group_size < 2:
        return None
    mixed, variance = rates.signal_unbiased(rewards, group_size), rates.contrast_unbiased(rewards)
    needed = mixed if trainer is Trainer.GRPO else variance
    return None if needed is None else _squared(trainer, group_size, mixed or 0.0, variance or 0.0)


def expected_absolute_advantage(rate: float, group_size: int, trainer: Trainer) -> float | None:
    """The mean of |A| over groups of G at a known rate, flat groups counting 0; a binomial sum. None under G = 2."""
    return _over_groups(rate, group_size, lambda passed: _absolute(passed, group_size, trainer))


def expected_std(rate: float, group_size: int, ddof: int = 0) -> float | None:
    """The mean standard deviation of reward in groups of G at a known rate, as trainers log it. None under G = 2."""
    return _over_groups(rate, group_size, lambda passed: group_std(passed, group_size, ddof))


def group_std(passed: int, group_size: int, ddof: int = 0) -> float:
    """sqrt(k (G-k) / (G (G - ddof))): the standard deviation of a group of zeros and ones."""
    return math.sqrt(passed * (group_size - passed) / (group_size * (group_size - ddof)))


def pass_at_k(passed: int, graded: int, k: int) -> float | None:
    """1 - C(n-c, k)/C(n, k): unbiased chance that at least one of k passes (Chen et al. 2021, equation 1).

    None where n < k. After adaptive stopping it is biased, as n then depends on what was seen.
    """
    if not 1 <= k <= graded:
        return None
    return 1.0 - math.comb(graded - passed, k) / math.comb(graded, k)


def pass_hat_k(passed: int, graded: int, k: int) -> float | None:
    """C(c, k)/C(n, k), written pass^k: unbiased chance that all of k pass (Yao et al. 2024, tau-bench).

    None and biased as `pass_at_k`.
    """
    return math.comb(passed, k) / math.comb(graded, k) if 1 <= k <= graded else None


def recommended_group_size(
    passed: int, graded: int, target: float = 0.9, prior: Sequence[BetaPart] = DEFAULT_PRIOR
) -> int | None:
    """The smallest group of at most 64 whose signal reaches the target; None where none does or nothing was graded."""
    sizes = range(2, LARGEST_GROUP + 1) if graded else ()
    return next((size for size in sizes if (rates.signal(passed, graded, size, prior) or 0.0) >= target), None)


def _scale(passed: int, group_size: int, trainer: Trainer) -> float | None:
    if trainer is Trainer.DR_GRPO:
        return 1.0
    if trainer is Trainer.RLOO:
        return group_size / (group_size - 1)
    spread = group_std(passed, group_size, ddof=1)
    return 1.0 / spread if spread else None


def _squared(trainer: Trainer, group_size: int, mixed: float, variance: float) -> float:
    shrink = (group_size - 1) / group_size
    per_trainer = {
        Trainer.GRPO: shrink * mixed,
        Trainer.DR_GRPO: shrink * variance,
        Trainer.RLOO: variance / shrink,
    }
    return per_trainer[trainer]


def _absolute(passed: int, group_size: int, trainer: Trainer) -> float:
    found = advantages(passed, group_size, trainer)
    total = passed * abs(found.passed or 0.0) + (group_size - passed) * abs(found.failed or 0.0)
    return total / group_size


def _over_groups(rate: float, group_size: int, value: Callable[[int], float]) -> float | None:
    if group_size < 2:
        return None
    return math.fsum(
        math.comb(group_size, passed) * rate**passed * (1.0 - rate) ** (group_size - passed) * value(passed)
        for passed in range(group_size + 1)
    )
