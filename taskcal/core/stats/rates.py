"""Estimates from k of n passed rollouts and from a group's rewards: numbers in, numbers out.

Undefined is None, never 0. Means over many tasks are in `clustered_mean`, claims that hold whatever the prior in
`certificate`.
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
    """Where a rate lies with the stated confidence (95 % unless said otherwise), 0 <= low <= high <= 1."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BetaPart:
    """One component of a mixture prior over success rates."""

    weight: float
    a: float
    b: float


DEFAULT_PRIOR = (BetaPart(0.25, 1, 100), BetaPart(0.60, 1, 1), BetaPart(0.15, 50, 1))
"""The prior before any rollout: a quarter of the tasks hopeless, some always solved, the rest anything."""


def success_rate(passed: int, graded: int) -> float | None:
    """Passed / graded; None where nothing was graded."""
    return passed / graded if graded else None


def wilson(passed: float, graded: float) -> Interval | None:
    """Wilson's score interval at 95 % (Wilson 1927; Brown, Cai, DasGupta 2001, 3.1.1); None where nothing was graded.

    For a fixed number of rollouts only: stopping when it looks narrow enough breaks its promise. An effective number
    need not be whole.
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


def signal_unbiased(rewards: Sequence[float], group_size: int, digits: int = 6) -> float | None:
    """1 - sum over distinct rewards v of C(c_v, G)/C(n, G): the chance that G drawn from these n are not all equal.

    Unbiased for any reward values, being a U-statistic (Hoeffding 1948); they count as equal when they round to the
    same `digits`. None where n < G or G < 2.
    """
    n = len(rewards)
    if n < group_size or group_size < 2:
        return None
    counts = Counter(round(reward, digits) for reward in rewards)
    # C(c, G)/C(n, G) factor by factor: the binomials themselves outgrow a float from a few hundred rollouts on.
    equal = (math.prod((count - i) / (n - i) for i in range(group_size)) for count in counts.values())
    return 1.0 - math.fsum(equal)


def at_most(passed: int, graded: int, rate: float) -> float:
    """The binomial chance that at most so many of n pass; 0 below none."""
    if passed < 0:
        return 0.0
    return 1.0 if passed >= graded else 1.0 - _beta_cdf(passed + 1, graded - passed, rate)


def posterior(passed: int, graded: int, prior: Sequence[BetaPart] = DEFAULT_PRIOR) -> tuple[BetaPart, ...]:
    """The mixture after k of n: each component updated, its weight times its marginal likelihood, normalised.

    Mixtures of conjugate priors stay mixtures (Diaconis and Ylvisaker 1985).
    """
    logs = _log_masses(passed, graded, prior)
    top = max(logs)
    masses = [math.exp(value - top) for value in logs]
    total = math.fsum(masses)
    return tuple(
        BetaPart(mass / total, part.a + passed, part.b + graded - passed)
        for mass, part in zip(masses, prior, strict=True)
    )


def marginal(passed: int, graded: int, prior: Sequence[BetaPart] = DEFAULT_PRIOR) -> float:
    """The chance to see k of n at all: the beta-binomial probability (Skellam 1948), averaged over the mixture."""
    ways = math.lgamma(graded + 1) - math.lgamma(passed + 1) - math.lgamma(graded - passed + 1)
    return math.fsum(math.exp(ways + value) for value in _log_masses(passed, graded, prior))


def chance_below(parts: Sequence[BetaPart], rate: float) -> float:
    """The probability that a mixture gives to rates under `rate`."""
    return math.fsum(part.weight * _beta_cdf(part.a, part.b, rate) for part in parts)


def student_quantile(chance: float, degrees: int) -> float:
    """The quantile of Student's t distribution (Student 1908)."""
    from scipy.special import stdtrit  # noqa: PLC0415 - as in _beta_cdf

    return float(stdtrit(degrees, chance))


def _log_masses(passed: int, graded: int, prior: Sequence[BetaPart]) -> list[float]:
    failed = graded - passed
    return [
        math.log(part.weight) + _log_beta(part.a + passed, part.b + failed) - _log_beta(part.a, part.b)
        for part in prior
    ]


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _beta_cdf(a: float, b: float, rate: float) -> float:
    from scipy.special import betainc  # noqa: PLC0415 - a third of a second that only calibrating should cost

    return float(betainc(a, b, rate))
