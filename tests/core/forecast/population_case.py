"""Tasksets of known true rates: what a rule does to them is an integral, computed here by quadrature."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import TYPE_CHECKING

from numpy.polynomial.legendre import leggauss
from scipy.stats import beta

from taskcal.core.stats.prior import Grid
from taskcal.core.verdict import Band, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BAND = Band()
CUTS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.06, 0.08, 0.10, 0.14, 0.25, 0.50, 0.70, 0.72, 0.75, 0.78, 0.80, 0.90, 0.98, 1.0)
"""Every rate at which a class, a zone or a density has an edge, and some more."""

Part = tuple[float, float, float, float, float]
"""A weight, the a and b of a beta distribution, and the interval that it is stretched over."""

POPULATIONS: dict[str, tuple[Part, ...]] = {
    "i": ((0.3, 1, 1, 0, 0.01), (0.2, 1, 1, 0.98, 1), (0.5, 1, 1.5, 0, 1)),
    "ii": ((1, 1, 1, 0, 1),),
    "iii": ((1, 0.5, 0.5, 0, 1),),
    "hardheavy": ((0.7, 1, 1, 0, 0.005), (0.3, 1, 4, 0, 1)),
    "nospike": ((1, 4, 6, 0, 1),),
    "near": ((1, 1, 1, 0.06, 0.14),),
}


def population(name: str, points: int = 12) -> Grid:
    """A population as a distribution on quadrature nodes: Gauss-Legendre between CUTS in the angle of sqrt(p)."""
    at, weight = leggauss(points)
    nodes, weights = [], []
    for low, high in pairwise(math.asin(math.sqrt(cut)) for cut in CUTS):
        for x, w in zip(at, weight, strict=True):
            angle = (low + high) / 2 + (high - low) / 2 * float(x)
            rate = math.sin(angle) ** 2
            mass = float(w) * (high - low) / 2 * 2 * math.sin(angle) * math.cos(angle) * density(name, rate)
            nodes.append(rate)
            weights.append(mass)
    total = math.fsum(weights)
    assert abs(total - 1) < 1e-9
    return Grid((), tuple(nodes), tuple(w / total for w in weights))


def density(name: str, rate: float) -> float:
    return math.fsum(
        weight * float(beta.pdf((rate - low) / (high - low), a, b)) / (high - low)
        for weight, a, b, low, high in POPULATIONS[name]
        if low < rate < high
    )


def seeded(seed: object) -> random.Random:
    """The same chance every time."""
    return random.Random(str(seed))  # noqa: S311 - a simulation, no secret


def draw(name: str, count: int, seed: int) -> list[float]:
    """The true rates of so many tasks."""
    parts, chance = POPULATIONS[name], seeded(f"{name}/{seed}")
    chosen = chance.choices(parts, [part[0] for part in parts], k=count)
    return [low + (high - low) * chance.betavariate(a, b) for _, a, b, low, high in chosen]


def average(grid: Grid, value: Callable[[float], float]) -> float:
    return math.fsum(weight * value(node) for node, weight in zip(grid.nodes, grid.weights, strict=True))


def true_class(rate: float) -> Verdict:
    return BAND.verdict(rate)


def binomial(passed: int, graded: int, rate: float) -> float:
    return math.comb(graded, passed) * rate**passed * (1 - rate) ** (graded - passed)


def fixed_error(grid: Grid, graded: int) -> float:
    """How often the class of k/n is not the true one, at a fixed n."""
    classes = [BAND.verdict(passed / graded) for passed in range(graded + 1)]
    return average(grid, lambda p: _wrong(classes, p))


def _wrong(classes: Sequence[Verdict], rate: float) -> float:
    here, n = true_class(rate), len(classes) - 1
    return math.fsum(binomial(k, n, rate) for k, verdict in enumerate(classes) if verdict is not here)
