"""The posterior for every k of n up to a cap, and stopping rules that depend only on k and n, both as tables.

Such a rule can be evaluated exactly, as a sum over its paths: errors and rollouts need no simulation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from taskcal.core.stats import rates
from taskcal.core.stats.prior import Grid
from taskcal.core.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.stats.prior import Prior
    from taskcal.core.stats.rates import BetaPart
    from taskcal.core.verdict import Band

CLASSES = (Verdict.TOO_HARD, Verdict.IN_BAND, Verdict.TOO_EASY)

Triple = tuple[float, float, float]
"""One number for each of CLASSES."""


@dataclass(frozen=True, slots=True)
class PosteriorTable:
    """`right[n][k]`: the posterior chance that each class is right; `passing[n][k]`: that the next rollout passes.

    n goes from 0 to the cap, where `passing` ends one earlier.
    """

    right: tuple[tuple[Triple, ...], ...]
    passing: tuple[tuple[float, ...], ...]

    @property
    def cap(self) -> int:
        """The largest n."""
        return len(self.right) - 1

    def best(self, passed: int, graded: int) -> tuple[Verdict, float]:
        """The class most likely right, and how likely."""
        triple = self.right[graded][passed]
        chance = max(triple)
        return CLASSES[triple.index(chance)], chance


@dataclass(frozen=True, slots=True)
class StoppingTable:
    """A rule: `cells[n][k]` is the class that it decides on there, None where it goes on; at the cap it ends anyway."""

    cells: tuple[tuple[Verdict | None, ...], ...]

    @property
    def cap(self) -> int:
        """The largest n."""
        return len(self.cells) - 1

    def stops(self, passed: int, graded: int) -> bool:
        """Whether nothing more is run there."""
        return graded >= self.cap or self.cells[graded][passed] is not None


def posterior_table(prior: Prior, cap: int, band: Band, zone: float = 0.0) -> PosteriorTable:
    """The posterior at every k of n up to the cap. With a zone, either class is right within it of an edge.

    Only the last row is integrated. The chance to see k of n while the class is right then adds up backwards, since
    k of n comes on the way to k of n+1 and to k+1 of n+1: m(n, k) = ((n+1-k) m(n+1, k) + (k+1) m(n+1, k+1))/(n+1).
    """
    regions = ((0.0, band.low + zone), (band.low - zone, band.high + zone), (band.high - zone, 1.0), (0.0, 1.0))
    *classes, total = (_backwards(_last_row(prior, cap, region)) for region in regions)
    right = tuple(
        tuple((a / t, b / t, c / t) for a, b, c, t in zip(*rows, strict=True))
        for rows in zip(*classes, total, strict=True)
    )
    passing = tuple(
        tuple((k + 1) / (n + 1) * after[k + 1] / here for k, here in enumerate(now))
        for n, (now, after) in enumerate(pairwise(total))
    )
    return PosteriorTable(right, passing)


def expected_left(table: StoppingTable, posteriors: PosteriorTable) -> tuple[tuple[float, ...], ...]:
    """How many more rollouts the rule is expected to take from every k of n, under the table's own prior."""
    rows: list[tuple[float, ...]] = [(0.0,) * (table.cap + 1)]
    for n in range(table.cap - 1, -1, -1):
        after, chances = rows[-1], posteriors.passing[n]
        rows.append(
            tuple(
                0.0 if table.stops(k, n) else 1.0 + chances[k] * after[k + 1] + (1 - chances[k]) * after[k]
                for k in range(n + 1)
            )
        )
    return tuple(reversed(rows))


def _last_row(prior: Prior, cap: int, part: tuple[float, float]) -> list[float]:
    """The chance to see each k of `cap` with a rate in this part of [0, 1]."""
    if isinstance(prior, Grid):
        nodes = [(p, w) for p, w in zip(prior.nodes, prior.weights, strict=True) if part[0] <= p <= part[1] and w]
        return [math.fsum(w * _binomial(k, cap, p) for p, w in nodes) for k in range(cap + 1)]
    return [rates.marginal(k, cap, prior) * _share(rates.posterior(k, cap, prior), part) for k in range(cap + 1)]


def _share(parts: Sequence[BetaPart], part: tuple[float, float]) -> float:
    low, high = (min(1.0, max(0.0, end)) for end in part)
    return rates.chance_below(parts, high) - rates.chance_below(parts, low)


def _binomial(passed: int, graded: int, rate: float) -> float:
    failed = graded - passed
    ways = math.lgamma(graded + 1) - math.lgamma(passed + 1) - math.lgamma(failed + 1)
    return math.exp(ways + passed * math.log(rate) + failed * math.log1p(-rate))


def _backwards(last: list[float]) -> list[list[float]]:
    rows = [last]
    for n in range(len(last) - 2, -1, -1):
        after = rows[-1]
        rows.append([((n + 1 - k) * after[k] + (k + 1) * after[k + 1]) / (n + 1) for k in range(n + 1)])
    return rows[::-1]
