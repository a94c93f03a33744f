"""Find the smallest fixed group size that is as good as another design.

The share of wrong verdicts does not fall evenly with the group size: k/n takes only n + 1 values and the edges of a
band lie between them, so a larger group can be worse. Each size is computed, none is interpolated.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from operator import mul
from typing import TYPE_CHECKING

from taskcal.core.forecast.simulate import LARGEST, VerdictRule, powers
from taskcal.core.stats.posterior_table import CLASSES, posterior_table
from taskcal.core.stats.prior import Grid, as_grid
from taskcal.core.stats.rates import at_most

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskcal.core.forecast.population import Population
    from taskcal.core.forecast.simulate import Terms
    from taskcal.core.stats.certificate import Zone
    from taskcal.core.stats.prior import Prior
    from taskcal.core.verdict import Band, Verdict


@dataclass(frozen=True, slots=True)
class Size:
    """A group size: the shares of all tasks that get a sure verdict, and that get a wrong one, sure or leaning."""

    group_size: int
    decided: float
    wrong: float


def count_sizes(population: Population, terms: Terms, largest: int = LARGEST) -> tuple[Size, ...]:
    """All sizes from 1 on, exactly."""
    judge = VerdictRule(posterior_table(terms.prior, largest, terms.band), terms)
    classes = [_chances(population, terms, verdict, largest) for verdict in CLASSES]
    return tuple(_size(n, judge, [rows[n] for rows in classes]) for n in range(1, largest + 1))


def smallest(sizes: Sequence[Size], good_enough: Callable[[Size], bool]) -> int | None:
    """The smallest group size that is good enough; None where none of them is."""
    return next((size.group_size for size in sizes if good_enough(size)), None)


def size_as_good(priors: Sequence[Prior], band: Band, wrong: float, largest: int = LARGEST) -> int | None:
    """The smallest fixed group whose classes of k/n are wrong at most this often, for tasks that follow these priors.

    One prior for each task; all grids must be of the same band. None if no group up to the largest is good enough.
    """
    times = Counter(priors)
    grids = [prior if isinstance(prior, Grid) else as_grid(prior, (band.low, band.high)) for prior in times]
    shares = [times[prior] / len(priors) for prior in times]
    weights = [math.fsum(map(mul, shares, column)) for column in zip(*(grid.weights for grid in grids), strict=True)]
    nodes = list(zip(grids[0].nodes, weights, strict=True)) if grids else []
    sizes = range(1, largest + 1) if nodes else range(0)
    return next((n for n in sizes if _wrong(n, nodes, band) <= wrong), None)


def _wrong(n: int, nodes: Sequence[tuple[float, float]], band: Band) -> float:
    """How often the class of k/n is not that of the rate, over rates with their weights."""
    classes = [band.verdict(k / n) for k in range(n + 1)]
    below, above = classes.count(CLASSES[0]), classes.count(CLASSES[2])
    parts = []
    for rate, weight in nodes:
        low, high = at_most(below - 1, n, rate), at_most(n - above, n, rate)
        right = dict(zip(CLASSES, (low, high - low, 1.0 - high), strict=True))
        parts.append(weight * (1.0 - right[band.verdict(rate)]))
    return math.fsum(parts)


def smallest_with_guarantee(zone: Zone, error_rate: float, largest: int = LARGEST) -> int | None:
    """The smallest group with a certificate's promise: at any rate, wrong beyond the zone with at most this chance.

    For each edge there must be a count up to which "below" is said, seldom enough at the zone's upper end, and beyond
    which "above" is, seldom enough at its lower end. An edge at 0 or 1 asks for nothing.
    """
    edges = [(low, high) for low, high in ((zone.a0, zone.a1), (zone.b0, zone.b1)) if high > 0.0 and low < 1.0]
    promised = (all(_separates(n, *edge, error_rate) for edge in edges) for n in range(1, largest + 1))
    return next((n for n, kept in enumerate(promised, 1) if kept), None)


def _separates(n: int, low: float, high: float, error_rate: float) -> bool:
    at_most = {low: 0.0, high: 0.0}
    for k in range(n + 1):
        for rate in (low, high):
            at_most[rate] += math.comb(n, k) * rate**k * (1.0 - rate) ** (n - k)
        if at_most[high] > error_rate:
            return False
        if 1.0 - at_most[low] <= error_rate:
            return True
    return False


def _size(n: int, judge: VerdictRule, chances: Sequence[Sequence[float]]) -> Size:
    decided, wrong = [0.0], [0.0]
    for k, by_class in enumerate(zip(*chances, strict=True)):
        verdict, sure = judge.verdict(k, n)
        all_ = sum(by_class)
        wrong.append(all_ - by_class[CLASSES.index(verdict)])
        if sure:
            decided.append(all_)
    return Size(n, math.fsum(decided), math.fsum(wrong))


def _chances(population: Population, terms: Terms, verdict: Verdict, largest: int) -> list[list[float]]:
    """`[n][k]`: the chance that a task is of this class and passes k of n, as in posterior_table."""
    ways = [float(math.comb(largest, k)) for k in range(largest + 1)]
    sums = [0.0] * (largest + 1)
    for rate, weight in zip(population.rates, population.weights, strict=True):
        if terms.band.verdict(rate) is verdict:
            both = zip(powers(rate, largest), reversed(powers(1.0 - rate, largest)), strict=True)
            sums = [sofar + weight * p * q for sofar, (p, q) in zip(sums, both, strict=True)]
    rows = [list(map(mul, ways, sums))]
    for n in range(largest - 1, -1, -1):
        after = rows[-1]
        rows.append([((n + 1 - k) * after[k] + (k + 1) * after[k + 1]) / (n + 1) for k in range(n + 1)])
    return rows[::-1]
