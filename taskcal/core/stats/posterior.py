"""The posterior of one task's success rate after k of n: its classes, mean, variance and interval.

Each function takes either kind of prior: a mixture of beta distributions, in closed form, or a grid, as sums over it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from operator import mul
from typing import TYPE_CHECKING

from taskcal.core.stats import rates
from taskcal.core.stats.prior import Grid, likelihood
from taskcal.core.stats.rates import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.stats.prior import Counts, Prior
    from taskcal.core.stats.rates import BetaPart


def update_grid(grid: Grid, counts: Counts) -> Grid:
    """The posterior on the same grid (Bayes 1763)."""
    masses = list(map(mul, grid.weights, likelihood(grid.nodes, *counts)))
    total = math.fsum(masses)
    return replace(grid, weights=tuple(mass / total for mass in masses))


def class_probabilities(prior: Prior, counts: Counts, band: tuple[float, float]) -> tuple[float, float, float]:
    """Posterior probability that the rate lies below, inside and above the band; without counts the prior's."""
    if isinstance(prior, Grid):
        posterior = update_grid(prior, counts)
        inside, below = posterior.chance(*band), posterior.chance(0.0, band[0])
        return below, inside, max(0.0, 1.0 - below - inside)
    parts = rates.posterior(*counts, prior)
    below, not_above = rates.chance_below(parts, band[0]), rates.chance_below(parts, band[1])
    return below, not_above - below, 1.0 - not_above


def posterior_mean(prior: Prior, counts: Counts) -> float | None:
    """The expected success rate given k of n; None if nothing was graded.

    For a mixture it is sum of w (a+k)/(a+b+n), w the components' posterior weights. Unlike k/n it may be read after
    adaptive stopping.
    """
    if not counts.graded:
        return None
    if isinstance(prior, Grid):
        return math.fsum(map(mul, update_grid(prior, counts).weights, prior.nodes))
    return math.fsum(part.weight * part.a / (part.a + part.b) for part in rates.posterior(*counts, prior))


def posterior_variance(prior: Prior, counts: Counts) -> float | None:
    """The variance of the success rate; None if nothing was graded."""
    if not counts.graded:
        return None
    if isinstance(prior, Grid):
        weighted = list(zip(update_grid(prior, counts).weights, prior.nodes, strict=True))
        square = math.fsum(weight * node * node for weight, node in weighted)
    else:
        parts = rates.posterior(*counts, prior)
        square = math.fsum(p.weight * p.a * (p.a + 1) / ((p.a + p.b) * (p.a + p.b + 1)) for p in parts)
    return max(0.0, square - (posterior_mean(prior, counts) or 0.0) ** 2)


def credible_interval(prior: Prior, counts: Counts, level: float = 0.95) -> Interval | None:
    """The equal-tailed credible interval: as much of the posterior below its low as above its high end.

    On a grid each cell's weight is spread evenly. Stopping when the interval looks narrow does not break its promise on
    average over the prior. None if nothing was graded.
    """
    if not counts.graded:
        return None
    tail = (1 - level) / 2
    if isinstance(prior, Grid):
        posterior = update_grid(prior, counts)
        return Interval(_grid_quantile(posterior, tail), _grid_quantile(posterior, 1 - tail))
    parts = rates.posterior(*counts, prior)
    return Interval(_mixture_quantile(parts, tail), _mixture_quantile(parts, 1 - tail))


def _grid_quantile(grid: Grid, chance: float) -> float:
    below = 0.0
    for weight, (low, high) in zip(grid.weights, pairwise(grid.edges), strict=True):
        if weight and below + weight >= chance:
            return low + (high - low) * (chance - below) / weight
        below += weight
    return 1.0


def _mixture_quantile(parts: Sequence[BetaPart], chance: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(50):  # halves the unit to less than a float's grain at 1
        middle = (low + high) / 2
        low, high = (middle, high) if rates.chance_below(parts, middle) < chance else (low, middle)
    return (low + high) / 2
