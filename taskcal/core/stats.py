"""What k of n says about a rate, and what a group's rewards say about learning: numbers in, numbers out.

Undefined is None, never 0.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval of a rate, 0 <= low <= high <= 1."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BetaPart:
    """One component of a mixture prior over success rates."""

    weight: float
    a: float
    b: float


DEFAULT_PRIOR = (BetaPart(0.25, 1, 100), BetaPart(0.60, 1, 1), BetaPart(0.15, 50, 1))
"""What is believed of a task before any rollout: a quarter hopeless, some always solved, the rest anything."""


def success_rate(passed: int, graded: int) -> float | None:
    """Passed / graded; None where nothing was graded."""
    return passed / graded if graded else None


def wilson(passed: int, graded: int) -> Interval | None:
    """Wilson's score interval at 95 % (Wilson 1927; Brown, Cai, DasGupta 2001); None where nothing was graded.

    For a fixed number of rollouts only: stopping when it looks narrow enough breaks its promise.
    """
    if not graded:
        return None
    z2 = Z95 * Z95
    rate = passed / graded
    centre = (rate + z2 / (2 * graded)) / (1 + z2 / graded)
    half = Z95 / (1 + z2 / graded) * math.sqrt(rate * (1 - rate) / graded + z2 / (4 * graded * graded))
    low = 0.0 if passed == 0 else max(0.0, centre - half)
    return Interval(low, 1.0 if passed == graded else min(1.0, centre + half))


def mean(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def contrast(rewards: Sequence[float]) -> float | None:
    """Population variance (ddof 0) of the rewards of a group; 0 means nothing to learn from. None below two."""
    if len(rewards) < 2:
        return None
    centre = math.fsum(rewards) / len(rewards)
    return math.fsum((reward - centre) ** 2 for reward in rewards) / len(rewards)


def contrast_unbiased(rewards: Sequence[float]) -> float | None:
    """Sample variance (ddof 1): for 0 and 1 it is k(n-k)/(n(n-1)). None below two."""
    biased = contrast(rewards)
    return None if biased is None else biased * len(rewards) / (len(rewards) - 1)


def signal(passed: int, graded: int, group_size: int, prior: Sequence[BetaPart] = DEFAULT_PRIOR) -> float | None:
    """Posterior probability that a group of `group_size` rollouts is mixed, so that its update is not zero.

    For a Beta(a, b) component it is 1 - B(a+k+G, b+n-k)/B(a+k, b+n-k) - B(a+k, b+n-k+G)/B(a+k, b+n-k) (the
    beta-binomial chance of no success and of only successes, taken away), averaged over the components' posterior
    weights. None where nothing was graded or below a group of two.
    """
    if not graded or group_size < 2:
        return None
    parts = posterior(passed, graded, prior)
    return min(1.0, max(0.0, math.fsum(part.weight * _mixed(part, group_size) for part in parts)))


def signal_unbiased(rewards: Sequence[float], group_size: int, digits: int = 6) -> float | None:
    """1 - sum over distinct rewards v of C(c_v, G)/C(n, G): the chance that G drawn from these n are not all equal.

    Unbiased for any reward values; they count as equal when they round to the same `digits`. None where n < G or G < 2.
    """
    n = len(rewards)
    if n < group_size or group_size < 2:
        return None
    counts = Counter(round(reward, digits) for reward in rewards)
    return 1.0 - math.fsum(math.comb(count, group_size) for count in counts.values()) / math.comb(n, group_size)


def posterior(passed: int, graded: int, prior: Sequence[BetaPart] = DEFAULT_PRIOR) -> tuple[BetaPart, ...]:
    """The mixture after k of n: each component updated, its weight times its marginal likelihood, normalised."""
    failed = graded - passed
    logs = [
        math.log(part.weight) + _log_beta(part.a + passed, part.b + failed) - _log_beta(part.a, part.b)
        for part in prior
    ]
    top = max(logs)
    masses = [math.exp(value - top) for value in logs]
    total = math.fsum(masses)
    return tuple(
        BetaPart(mass / total, part.a + passed, part.b + failed) for mass, part in zip(masses, prior, strict=True)
    )


def class_probabilities(
    passed: int, graded: int, band: tuple[float, float], prior: Sequence[BetaPart] = DEFAULT_PRIOR
) -> tuple[float, float, float]:
    """Posterior probability that the true rate lies below, inside and above a band; at n = 0 it is the prior's."""
    from scipy.special import betainc  # noqa: PLC0415 - a third of a second that only calibrating should cost

    parts = posterior(passed, graded, prior)
    below = math.fsum(part.weight * float(betainc(part.a, part.b, band[0])) for part in parts)
    not_above = math.fsum(part.weight * float(betainc(part.a, part.b, band[1])) for part in parts)
    return below, not_above - below, 1.0 - not_above


def _mixed(part: BetaPart, group_size: int) -> float:
    base = _log_beta(part.a, part.b)
    all_pass = math.exp(_log_beta(part.a + group_size, part.b) - base)
    none_pass = math.exp(_log_beta(part.a, part.b + group_size) - base)
    return 1.0 - all_pass - none_pass


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
