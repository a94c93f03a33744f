"""Independent formulas that tests compare the product with: exact sums over paths, closed forms and lower bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import mul
from typing import TYPE_CHECKING

from scipy.special import betaincinv, betaln

from taskcal.core.stats import rates
from taskcal.core.stats.posterior import update_grid
from taskcal.core.stats.posterior_table import CLASSES
from taskcal.core.stats.prior import Grid
from taskcal.core.stats.rates import Interval
from taskcal.core.stats.signal import mixed_chance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.core.stats.posterior_table import PosteriorTable, StoppingTable
    from taskcal.core.stats.prior import Counts, Prior
    from taskcal.core.stats.rates import BetaPart
    from taskcal.core.verdict import Band, Verdict


def mixed_group_chance(prior: Prior, counts: Counts, group_size: int) -> float:
    """The chance that a group of G zeros and ones is mixed, averaged over the posterior of graded rollouts.

    For a Beta(a, b) component it is 1 - B(a+k+G, b+n-k)/B(a+k, b+n-k) - B(a+k, b+n-k+G)/B(a+k, b+n-k), the
    beta-binomial chance of neither only successes nor only failures (Skellam 1948).
    """
    if isinstance(prior, Grid):
        mixed = (mixed_chance(node, group_size) for node in prior.nodes)
        return math.fsum(map(mul, update_grid(prior, counts).weights, mixed))
    return math.fsum(part.weight * _mixed(part, group_size) for part in rates.posterior(*counts, prior))


def _mixed(part: BetaPart, group_size: int) -> float:
    base = betaln(part.a, part.b)
    all_pass = math.exp(betaln(part.a + group_size, part.b) - base)
    none_pass = math.exp(betaln(part.a, part.b + group_size) - base)
    return 1.0 - all_pass - none_pass


def clopper_pearson(passed: int, graded: int) -> Interval:
    """The exact 95 % interval as quantiles of a beta distribution (Brown, Cai, DasGupta 2001, 4.2.1)."""
    low = 0.0 if passed == 0 else float(betaincinv(passed, graded - passed + 1, 0.025))
    return Interval(low, 1.0 if passed == graded else float(betaincinv(passed + 1, graded - passed, 0.975)))


def jeffreys(passed: int, graded: int) -> Interval:
    """The equal-tailed 95 % interval under Beta(1/2, 1/2), cut at 0 and 1 (Brown, Cai, DasGupta 2001, 3.1.3)."""
    a, b = passed + 0.5, graded - passed + 0.5
    low = 0.0 if passed == 0 else float(betaincinv(a, b, 0.025))
    return Interval(low, 1.0 if passed == graded else float(betaincinv(a, b, 0.975)))


def divergence(rate: float, other: float) -> float:
    """Kullback and Leibler's 1951: p ln(p/q) + (1-p) ln((1-p)/(1-q)), the information a rollout gives against q."""
    return _part(rate, other) + _part(1.0 - rate, 1.0 - other)


def least_rollouts(rate: float, band: Band, error_rate: float, zone: float = 0.0) -> float | None:
    """The mean rollouts that any rule needs at this rate if it errs at most this often at every rate.

    ln(1/delta) / d(p, nearest rate at which the verdict would be wrong) (Garivier and Kaufmann 2016, theorem 1, as
    delta tends to 0). Within `zone` of an edge either class is right and the cheaper one counts (Degenne and Koolen
    2019). None if no number is enough: on an edge without a zone.
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


@dataclass(frozen=True, slots=True)
class Operating:
    """What a rule does at one true rate: rollouts it takes on average, and how often it ends in each class or none."""

    expected: float
    decided: Mapping[Verdict, float]
    undecided: float


@dataclass(frozen=True, slots=True)
class Foresight:
    """What a rule is expected to do to one task: its rollouts, and the chances that it decides, and decides wrongly."""

    rollouts: float
    decided: float
    wrong: float


def operating(table: StoppingTable, rate: float) -> Operating:
    """The rule at a true rate, by forward recursion over all paths (Wald 1947, chapter 5; exact, no simulation)."""
    decided = dict.fromkeys(CLASSES, 0.0)
    expected, undecided = 0.0, 0.0
    here = [1.0]
    for n, row in enumerate(table.cells):
        after = [0.0] * (n + 2)
        for k, (chance, verdict) in enumerate(zip(here, row, strict=True)):
            if verdict is not None:
                decided[verdict] += chance
            elif n == table.cap:
                undecided += chance
            else:
                expected += chance
                after[k] += chance * (1 - rate)
                after[k + 1] += chance * rate
        here = after
    return Operating(expected, decided, undecided)


def foresee(table: StoppingTable, posteriors: PosteriorTable) -> Foresight:
    """What the rule will do to a task drawn from the table's prior: exact where that is how tasks are distributed."""
    rollouts, decided, wrong = 0.0, 0.0, 0.0
    here = [1.0]
    for n, (row, triples) in enumerate(zip(table.cells, posteriors.right, strict=False)):
        after = [0.0] * (n + 2)
        for k, (chance, verdict) in enumerate(zip(here, row, strict=True)):
            if verdict is not None:
                decided += chance
                wrong += chance * (1.0 - triples[k][CLASSES.index(verdict)])
            elif n < table.cap:
                rollouts += chance
                step = chance * posteriors.passing[n][k]
                after[k] += chance - step
                after[k + 1] += step
        here = after
    return Foresight(rollouts, decided, wrong)


def unbiased_rate(table: StoppingTable, passed: int, graded: int) -> float | None:
    """The share of the ways to this stop that begin with a success: the unbiased rate after a stopping rule.

    Girshick, Mosteller, Savage 1946, theorem 1. Noisy for a single task: use it for means over tasks. None where the
    rule never stops at these counts.
    """
    if not graded <= table.cap or not table.stops(passed, graded) or not graded:
        return None
    every, from_success = _ways(table, passed, graded, [1]), _ways(table, passed, graded, [0, 1])
    return from_success / every if every else None


def _ways(table: StoppingTable, passed: int, graded: int, start: list[int]) -> int:
    """The number of paths from the row `start` (one entry: from nothing; two: from the first rollout) to a stop."""
    here = start
    for n in range(len(start) - 1, graded):
        open_ways = [0 if table.stops(k, n) else count for k, count in enumerate(here)]
        here = [stay + step for stay, step in zip([*open_ways, 0], [0, *open_ways], strict=True)]
    return here[passed]
