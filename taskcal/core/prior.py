"""What is believed of a task's success rate before its rollouts: a mixture, or a grid learned from the whole taskset.

A prior chosen once can be wrong about a taskset as a whole (all tasks just inside an edge of the band): then the
posterior claims more than is true. Learned from the taskset itself it cannot be for long.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import mul
from typing import TYPE_CHECKING, NamedTuple

from taskcal.core import stats
from taskcal.core.stats import BetaPart, Interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EDGES = (
    *(0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.10, 0.12, 0.14, 0.16, 0.18),
    *(step / 1000 for step in range(200, 751, 25)),
    *(0.77, 0.80, 0.83, 0.86, 0.89, 0.92, 0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 1.0),
)
"""Edges of 53 cells, finer where rates are far from a half; those of a band are added where they are missing."""

STRENGTH = 10.0
"""How many tasks the default mixture weighs against those that a prior is learned from."""

ITERATIONS = 60

FEWEST_TASKS = 20
"""Below it nothing is learned: the default mixture would weigh too much in it to call it the taskset's own."""

DRIFT = 0.5
"""The standard deviation, in logits, by which a task's rate is thought to move between two calibrations."""

SURPRISE = 0.05
"""The chance that an earlier calibration says nothing about the task any more (it, or the agent, was replaced)."""


class Counts(NamedTuple):
    """So many passed of so many graded."""

    passed: int
    graded: int


@dataclass(frozen=True, slots=True)
class Grid:
    """A distribution of rates: a weight at the middle of each cell between two edges; weights sum to 1."""

    edges: tuple[float, ...]
    nodes: tuple[float, ...]
    weights: tuple[float, ...]

    def chance(self, low: float, high: float) -> float:
        """The weight of the nodes from low to high, both included."""
        return math.fsum(w for node, w in zip(self.nodes, self.weights, strict=True) if low <= node <= high)


Prior = tuple[BetaPart, ...] | Grid
"""Either kind; what follows takes both."""

JEFFREYS = (BetaPart(1, 0.5, 0.5),)
UNIFORM = (BetaPart(1, 1, 1),)


def as_grid(prior: Sequence[BetaPart], band: tuple[float, float]) -> Grid:
    """A mixture's weight in every cell. No node lies on an edge of the band."""
    edges = tuple(sorted({*EDGES, *band}))
    below = [stats.chance_below(prior, edge) for edge in edges]
    return Grid(
        edges=edges,
        nodes=tuple((low + high) / 2 for low, high in pairwise(edges)),
        weights=tuple(high - low for low, high in pairwise(below)),
    )


def learn(counts: Iterable[Counts], base: Grid) -> Grid:
    """The prior that makes the counts of a taskset likely, held towards `base` as if by STRENGTH more tasks.

    The nonparametric maximum likelihood estimate on a fixed grid (Kiefer and Wolfowitz 1956; by EM, Laird 1978), with
    a Dirichlet penalty (Dempster, Laird, Rubin 1977, section 1 on penalised likelihoods). How each task was stopped
    does not matter to a likelihood (Berger and Wolpert 1984), so that it can be fitted in the middle of a run.
    """
    tally = sorted(Counter(count for count in counts if count.graded).items())
    tasks = sum(times for _, times in tally)
    rows = [_likelihood(base.nodes, *count) for count, _ in tally]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(base.nodes)
    weights: Sequence[float] = base.weights
    for _ in range(ITERATIONS):
        shares = [times / sum(map(mul, weights, row)) for (_, times), row in zip(tally, rows, strict=True)]
        weights = [
            (weight * sum(map(mul, shares, column)) + STRENGTH * start) / (tasks + STRENGTH)
            for weight, column, start in zip(weights, columns, base.weights, strict=True)
        ]
    return replace(base, weights=tuple(weights))


def after(grid: Grid, counts: Counts) -> Grid:
    """The posterior on the same grid (Bayes 1763)."""
    masses = list(map(mul, grid.weights, _likelihood(grid.nodes, *counts)))
    total = math.fsum(masses)
    return replace(grid, weights=tuple(mass / total for mass in masses))


def warm(population: Grid, earlier: Counts, drift: float = DRIFT) -> Grid:
    """The prior of a task that was calibrated at an earlier checkpoint.

    The posterior after the earlier counts, its rates moved by a normal step with a standard deviation of `drift`
    logits (a random walk, as in Glickman 1999); SURPRISE of it is the population itself.
    """
    known = after(population, earlier)
    moved = _drifted(known, drift) if drift else known.weights
    weights = ((1 - SURPRISE) * m + SURPRISE * w for m, w in zip(moved, population.weights, strict=True))
    return replace(population, weights=tuple(weights))


def class_probabilities(prior: Prior, counts: Counts, band: tuple[float, float]) -> tuple[float, float, float]:
    """Posterior probability that the rate lies below, inside and above the band; without counts the prior's."""
    if not isinstance(prior, Grid):
        return stats.class_probabilities(*counts, band, prior)
    known = after(prior, counts)
    inside = known.chance(*band)
    below = known.chance(0.0, band[0])
    return below, inside, max(0.0, 1.0 - below - inside)


def posterior_mean(prior: Prior, counts: Counts) -> float | None:
    """The expected success rate; None where nothing was graded."""
    if not isinstance(prior, Grid):
        return stats.posterior_mean(*counts, prior)
    return math.fsum(map(mul, after(prior, counts).weights, prior.nodes)) if counts.graded else None


def posterior_variance(prior: Prior, counts: Counts) -> float | None:
    """The variance of the success rate; None where nothing was graded."""
    if not counts.graded:
        return None
    if isinstance(prior, Grid):
        weighted = list(zip(after(prior, counts).weights, prior.nodes, strict=True))
        square = math.fsum(weight * node * node for weight, node in weighted)
    else:
        parts = stats.posterior(*counts, prior)
        square = math.fsum(p.weight * p.a * (p.a + 1) / ((p.a + p.b) * (p.a + p.b + 1)) for p in parts)
    return max(0.0, square - (posterior_mean(prior, counts) or 0.0) ** 2)


def credible(prior: Prior, counts: Counts, level: float = 0.95) -> Interval | None:
    """The equal-tailed credible interval, on a grid with each cell's weight spread evenly; None without counts."""
    if not isinstance(prior, Grid):
        return stats.credible(*counts, prior, level)
    if not counts.graded:
        return None
    known = after(prior, counts)
    tail = (1 - level) / 2
    return Interval(_quantile(known, tail), _quantile(known, 1 - tail))


def signal(prior: Prior, counts: Counts, group_size: int) -> float | None:
    """Posterior chance that a group of G is mixed, 1 - p^G - (1-p)^G averaged; None as in `stats.signal`."""
    if not isinstance(prior, Grid):
        return stats.signal(*counts, group_size, prior)
    if not counts.graded or group_size < 2:
        return None
    mixed = (1.0 - node**group_size - (1.0 - node) ** group_size for node in prior.nodes)
    return math.fsum(map(mul, after(prior, counts).weights, mixed))


def _likelihood(nodes: Sequence[float], passed: int, graded: int) -> tuple[float, ...]:
    """p^k (1-p)^(n-k) at each node, scaled so that the largest is 1: only ratios between nodes are ever used."""
    failed = graded - passed
    logs = [passed * math.log(node) + failed * math.log1p(-node) for node in nodes]
    top = max(logs)
    return tuple(math.exp(value - top) for value in logs)


def _drifted(grid: Grid, drift: float) -> list[float]:
    ends = [_logit(edge) for edge in grid.edges]
    moved = [0.0] * len(grid.nodes)
    for node, weight in zip(grid.nodes, grid.weights, strict=True):
        here = _logit(node)
        below = [0.5 * math.erfc((here - end) / (drift * math.sqrt(2))) for end in ends]
        moved = [sofar + weight * (high - low) for sofar, (low, high) in zip(moved, pairwise(below), strict=True)]
    return moved


def _logit(rate: float) -> float:
    if rate in {0.0, 1.0}:
        return math.copysign(math.inf, rate - 0.5)
    return math.log(rate / (1 - rate))


def _quantile(grid: Grid, chance: float) -> float:
    below = 0.0
    for weight, (low, high) in zip(grid.weights, pairwise(grid.edges), strict=True):
        if weight and below + weight >= chance:
            return low + (high - low) * (chance - below) / weight
        below += weight
    return 1.0
