"""Priors from an earlier calibration, moved by how much the agent has changed since.

Between two checkpoints every task's rate moves, in logits, by one common shift and by a normal step of its own. Both
are estimated from the tasks that were measured twice, so that an agent that got much better or worse is not judged by
its old results.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise, product
from operator import mul
from typing import TYPE_CHECKING

from taskcal.core.stats import prior as priors
from taskcal.core.stats.posterior import update_grid
from taskcal.core.stats.prior import FEWEST_TASKS, Counts, Grid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SHIFTS = tuple(float(step) for step in range(-6, 7))
SPREADS = (0.25, 0.5, 1.0, 2.0)
"""Logits. From a rate of .3, a shift of 6 leads to .001 or .994."""

MOVES = tuple(product(SHIFTS, SPREADS))
"""Every shift with every spread (a standard deviation)."""

SHIFT_SCALE = 1.0
"""The mean size of a shift in logits that is expected before anything is measured, in a Laplace distribution."""

SURPRISE = 0.05
"""The chance that an earlier calibration says nothing about a task any more: it may have been replaced or repaired."""

ON_EDGE = 0.03
"""The chance, in a warm prior, that a rate now lies on an edge of the band: so close that no rollouts tell its side.

Hopeless tasks that all gain two logits end there, and their past does not order them: without this share 1.8 times as
many verdicts were wrong as claimed."""

NEGLIGIBLE = 1e-6
"""Weights below this are left out of sums that are far larger."""

Kernel = tuple[tuple[float, ...], ...]
"""`[i][j]`: the chance that a rate at node i moves into cell j."""


@dataclass(frozen=True, slots=True)
class EarlierPosteriors:
    """The posteriors of an earlier calibration, before the agent's move is estimated.

    `known` has the posterior after each earlier count, `moved` the same after each of MOVES.
    """

    band: tuple[float, float]
    population: Grid
    known: Mapping[Counts, Sequence[float]]
    moved: Mapping[Counts, Sequence[Sequence[float]]]


def earlier_posteriors(earlier: Iterable[Counts], band: tuple[float, float]) -> EarlierPosteriors:
    """The posteriors of tasks with these earlier counts, one for each task. From five tasks on the prior is learned."""
    tasks = [count for count in earlier if count.graded]
    population = priors.cautious_prior(band, len(tasks))
    if len(tasks) >= FEWEST_TASKS:
        population = priors.learn_prior(tasks, band)
    known = {count: update_grid(population, count).weights for count in {*tasks}}
    moved = {
        count: [_through(weights, kernel(population.edges, *move)) for move in MOVES]
        for count, weights in known.items()
    }
    return EarlierPosteriors(band, population, known, moved)


def weigh_moves(memory: EarlierPosteriors, pairs: Iterable[tuple[Counts, Counts]]) -> tuple[float, ...]:
    """The posterior of each of MOVES from the earlier and the new counts of tasks, by their marginal likelihood.

    Averaging over moves rather than choosing one keeps what a few tasks leave open (Hoeting et al. 1999).
    """
    logs = [-abs(shift) / SHIFT_SCALE for shift, _ in MOVES]
    nodes, population = memory.population.nodes, memory.population.weights
    for (before, now), times in Counter(pair for pair in pairs if pair[1].graded).items():
        row = priors.likelihood(nodes, *now)
        surprised = SURPRISE * math.fsum(map(mul, population, row))
        for at, weights in enumerate(memory.moved[before]):
            logs[at] += times * math.log((1 - SURPRISE) * sum(map(mul, weights, row)) + surprised)
    top = max(logs)
    masses = [math.exp(value - top) for value in logs]
    total = math.fsum(masses)
    return tuple(mass / total for mass in masses)


def warm_prior(memory: EarlierPosteriors, moves: Sequence[float], earlier: Counts) -> Grid:
    """The prior of a task that was calibrated before: its posterior then, moved.

    SURPRISE of it is the population, and ON_EDGE of it lies on each edge of the band.
    """
    weights = [SURPRISE * weight for weight in memory.population.weights]
    for share, moved in zip(moves, memory.moved[earlier], strict=True):
        if share > NEGLIGIBLE:
            weights = [sofar + (1 - SURPRISE) * share * weight for sofar, weight in zip(weights, moved, strict=True)]
    total = math.fsum(weights)
    grid = replace(memory.population, weights=tuple(weight / total for weight in weights))
    return priors.on_edges(grid, memory.band, ON_EDGE)


@cache
def kernel(edges: tuple[float, ...], shift: float, spread: float) -> Kernel:
    """Where a rate in the middle of each cell goes: a normal step in logits (a random walk, as in Glickman 1999)."""
    ends = [_logit(edge) for edge in edges]
    rows = []
    for low, high in pairwise(edges):
        here = _logit((low + high) / 2) + shift
        below = [0.5 * math.erfc((here - end) / (spread * math.sqrt(2))) for end in ends]
        rows.append(tuple(after - before for before, after in pairwise(below)))
    return tuple(rows)


def _through(weights: Sequence[float], moves: Kernel) -> tuple[float, ...]:
    here = [(weight, row) for weight, row in zip(weights, moves, strict=True) if weight > NEGLIGIBLE]
    shares = [weight for weight, _ in here]
    return tuple(sum(map(mul, shares, column)) for column in zip(*(row for _, row in here), strict=True))


def _logit(rate: float) -> float:
    if rate in {0.0, 1.0}:
        return math.copysign(math.inf, rate - 0.5)
    return math.log(rate / (1 - rate))
