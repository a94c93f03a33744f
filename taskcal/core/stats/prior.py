"""The prior of a task's success rate: a fixed mixture, or a grid learned from the whole taskset.

A fixed prior can be wrong about a taskset as a whole (all tasks just inside an edge of the band). Then the posterior
claims more than is true. A prior that is learned from the taskset corrects itself.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from operator import mul
from typing import TYPE_CHECKING, NamedTuple

from taskcal.core.stats import rates
from taskcal.core.stats.rates import DEFAULT_PRIOR, BetaPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EDGES = (
    *(0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.10, 0.12, 0.14, 0.16, 0.18),
    *(step / 1000 for step in range(200, 751, 25)),
    *(0.77, 0.80, 0.83, 0.86, 0.89, 0.92, 0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 1.0),
)
"""Edges of 53 cells, finer where rates are far from a half; those of a band are added where they are missing."""

STRENGTH = 10.0
"""The least number of tasks that the base weighs against those that a prior is learned from; see `base_weight`."""

ITERATIONS = 60

FEWEST_TASKS = 5
"""Fewer tasks keep the default mixture. From 5 on learning is right more often: of 19 tasks that all pass 6 % of the
time, the default mixture calls most too hard, and 59 % of its sure verdicts are wrong."""

ON_EDGE = 0.8
"""How many tasks each edge of the band weighs in the base: rates so close to it that no rollouts find their side.

Without it a prior learned from 25 tasks is wrong up to twice as often as it claims, as it takes the luck of a few
tasks near an edge for their side of it; docs/verdicts.md has the error by population and by number of tasks."""

NEAR_EDGE = 0.02
"""How close that is, as a share of the edge's distance from 0 or 1, whichever is nearer: 0.049 to 0.051 at 0.05."""


class Counts(NamedTuple):
    """So many passed of so many graded."""

    passed: int
    graded: int


class PriorSource(StrEnum):
    """Where a prior came from."""

    NONE = "none"
    DEFAULT = "default"
    LEARNED = "learned"
    WARM = "warm"


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


def as_grid(prior: Sequence[BetaPart], marks: Iterable[float]) -> Grid:
    """A mixture's weight in every cell, with a boundary between cells at each mark: no node lies on a band's edge."""
    edges = tuple(sorted({*EDGES, *marks}))
    below = [rates.chance_below(prior, edge) for edge in edges]
    return Grid(
        edges=edges,
        nodes=tuple((low + high) / 2 for low, high in pairwise(edges)),
        weights=tuple(high - low for low, high in pairwise(below)),
    )


def base_weight(tasks: int) -> float:
    """How many tasks the base weighs in a prior learned from this many: sqrt(2 T), and 10 at least.

    The maximum of a likelihood follows chance more closely than the mean of all priors that the tasks allow. That is
    worth less per task as tasks become more, but not as little as a constant strength would have it: with 10 for 200
    tasks, 1.2 times as many verdicts are wrong as claimed.
    """
    return max(STRENGTH, math.sqrt(2 * tasks))


def cautious_prior(band: tuple[float, float], tasks: int) -> Grid:
    """The base of a prior to be learned from so many tasks: the default mixture, and ON_EDGE tasks at each edge.

    Those count half to each side of the edge. An edge at 0 or 1 has only one side and gets none.
    """
    inner = [edge for edge in band if 0 < edge < 1]
    near = (edge + side * NEAR_EDGE * min(edge, 1 - edge) for edge in inner for side in (-1, 1))
    grid = as_grid(DEFAULT_PRIOR, (*band, *near))
    return on_edges(grid, band, ON_EDGE / base_weight(tasks))


def on_edges(grid: Grid, band: tuple[float, float], share: float) -> Grid:
    """The same grid with this share of it moved to each inner edge of the band, half to either side."""
    inner = [edge for edge in band if 0 < edge < 1]
    weights = [(1 - share * len(inner)) * weight for weight in grid.weights]
    for edge in inner:
        above = grid.edges.index(edge)
        weights[above - 1] += share / 2
        weights[above] += share / 2
    return replace(grid, weights=tuple(weights))


def learn_prior(counts: Iterable[Counts], band: tuple[float, float]) -> Grid:
    """The prior of a taskset with these counts."""
    measured = [count for count in counts if count.graded]
    return fit_prior(measured, cautious_prior(band, len(measured)), base_weight(len(measured)))


def fit_prior(counts: Iterable[Counts], base: Grid, base_tasks: float = STRENGTH) -> Grid:
    """The prior that makes the counts of a taskset likely, held towards `base` as if by `base_tasks` more tasks.

    The nonparametric maximum likelihood estimate on a fixed grid (Kiefer and Wolfowitz 1956; by EM, Laird 1978), with
    a Dirichlet penalty (Dempster, Laird, Rubin 1977, section 1 on penalised likelihoods). How each task was stopped
    does not matter to a likelihood (Berger and Wolpert 1984), so that it can be fitted in the middle of a run.
    """
    tally = sorted(Counter(count for count in counts if count.graded).items())
    tasks = sum(times for _, times in tally)
    rows = [likelihood(base.nodes, *count) for count, _ in tally]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(base.nodes)
    weights: Sequence[float] = base.weights
    for _ in range(ITERATIONS):
        shares = [times / sum(map(mul, weights, row)) for (_, times), row in zip(tally, rows, strict=True)]
        weights = [
            (weight * sum(map(mul, shares, column)) + base_tasks * start) / (tasks + base_tasks)
            for weight, column, start in zip(weights, columns, base.weights, strict=True)
        ]
    return replace(base, weights=tuple(weights))


def likelihood(nodes: Sequence[float], passed: int, graded: int) -> tuple[float, ...]:
    """p^k (1-p)^(n-k) at each node, scaled so that the largest is 1: only ratios between nodes are ever used."""
    failed = graded - passed
    logs = [passed * math.log(node) + failed * math.log1p(-node) for node in nodes]
    top = max(logs)
    return tuple(math.exp(value - top) for value in logs)
