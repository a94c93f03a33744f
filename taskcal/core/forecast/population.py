"""The distribution of true success rates in an assumed or measured taskset, as points with weights.

A formula describes it, such as `0.3*uniform(0,0.01)+0.7*beta(1,1.5)`: shares of all tasks, and their distributions.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

from taskcal.core.stats.prior import base_weight, cautious_prior

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskcal.core.stats.prior import Grid
    from taskcal.core.verdict import Band

POINTS = 10
CUTS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.98, 0.99, 0.995, 0.998)
"""Rates between which pieces are integrated one by one: finer where a group of a few hundred still tells them apart."""
DEVIATIONS = (-8.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 8.0)
"""Further ends, in standard deviations from the mean, for a peak between those."""

LEAST_SHAPE, LARGEST_SHAPE = 0.05, 10_000.0
MOST_PARTS = 50
LONGEST_FORMULA = 2_000
TERM = re.compile(r"(?:(?P<weight>[^*()]+)\*)?(?P<shape>[a-z]+)\((?P<numbers>[^()]*)\)")


@dataclass(frozen=True, slots=True)
class Part:
    """A share of all tasks, and what their rates follow: a beta distribution stretched over [low, high], or a point."""

    weight: float
    a: float
    b: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Preset:
    """A population that has a name."""

    about: str
    formula: str


PRESETS = MappingProxyType(
    {
        "typical": Preset(
            "a mixed taskset: 30 % hopeless, 20 % trivial, the rest anything, rather hard",
            "0.3*uniform(0,0.01)+0.2*uniform(0.98,1)+0.5*beta(1,1.5)",
        ),
        "uniform": Preset("every rate as frequent as any other", "uniform(0,1)"),
        "u-shaped": Preset("mostly far too hard or far too easy", "beta(0.5,0.5)"),
        "hard-heavy": Preset("70 % hopeless, the rest hard", "0.7*uniform(0,0.005)+0.3*beta(1,4)"),
        "middling": Preset("filtered before: nearly all in the band", "beta(4,6)"),
        "near-edge": Preset(
            "all tasks hard but just inside the band: the default prior's worst case", "uniform(0.06,0.14)"
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Population:
    """Rates in [0, 1] with weights that sum to 1; `name` is what the user called it, `about` what it is."""

    name: str
    about: str
    rates: tuple[float, ...]
    weights: tuple[float, ...]

    def average(self, values: Sequence[float]) -> float:
        """The average of a value that is given for each rate."""
        return math.fsum(map(math.prod, zip(self.weights, values, strict=True)))

    def share(self, *, above: float = -1.0, below: float = 2.0) -> float:
        """The share of rates strictly between."""
        return math.fsum(w for rate, w in zip(self.rates, self.weights, strict=True) if above < rate < below)


def from_parts(name: str, about: str, parts: Sequence[Part], marks: Sequence[float]) -> Population:
    """Points for a mixture: averages of polynomials in the rate up to degree 512, also of such that jump at the marks.

    Gauss and Legendre's 10 points a piece; averages agree with closed forms and with finer pieces to about 1e-7.
    """
    points = sorted(point for part in parts for point in _points(part, marks))
    total = math.fsum(weight for _, weight in points)
    return Population(name, about, tuple(rate for rate, _ in points), tuple(weight / total for _, weight in points))


def from_rates(name: str, about: str, rates: Sequence[float]) -> Population:
    """Each of these rates as often as it is given. Raises ValueError for none."""
    if not rates:
        raise ValueError("no rate in it")
    distinct = sorted(set(rates))
    places = [bisect_left(ordered := sorted(rates), rate) for rate in distinct] + [len(ordered)]
    weights = tuple((end - start) / len(rates) for start, end in pairwise(places))
    return Population(name, about, tuple(distinct), weights)


def from_grid(name: str, about: str, grid: Grid) -> Population:
    """A prior that was learned, as a population."""
    return Population(name, about, grid.nodes, grid.weights)


def parse_population(formula: str) -> tuple[Part, ...]:
    """The parts of a formula. Raises ValueError, whose message says which term is wrong.

    Terms `WEIGHT*SHAPE` joined by `+`, with weights that sum to 1, or a single SHAPE: uniform(low,high), beta(a,b),
    beta(a,b,low,high) or point(rate).
    """
    if len(formula) > LONGEST_FORMULA:
        raise ValueError(f"longer than {LONGEST_FORMULA:,} characters")
    terms = formula.replace(" ", "").lower().split("+")
    if len(terms) > MOST_PARTS:
        raise ValueError(f"more than {MOST_PARTS} parts")
    parts = tuple(_part(term, alone=len(terms) == 1) for term in terms)
    total = math.fsum(part.weight for part in parts)
    if abs(total - 1) > 1e-6:
        raise ValueError(f"the weights sum to {total:g}, not to 1")
    return parts


def learned_prior(population: Population, tasks: int, band: Band) -> Grid:
    """The prior that a run of so many tasks ends with if it finds this population out: the best case of learning.

    What `prior.learned` converges to where each task's rate is known: the population's share of every cell, held
    towards the base as strongly as there.
    """
    base, held = cautious_prior((band.low, band.high), tasks), base_weight(tasks)
    shares = [0.0] * len(base.nodes)
    for rate, weight in zip(population.rates, population.weights, strict=True):
        find = bisect_left if rate >= band.high else bisect_right  # both edges belong to the band
        shares[max(find(base.edges, rate), 1) - 1] += weight
    weights = ((tasks * s + held * w) / (tasks + held) for s, w in zip(shares, base.weights, strict=True))
    return replace(base, weights=tuple(weights))


def _part(term: str, *, alone: bool) -> Part:
    match = TERM.fullmatch(term)
    if match is None:
        raise ValueError(f"{term!r} is no term such as 0.3*uniform(0,0.01) or 0.7*beta(1,1.5)")
    if match["weight"] is None and not alone:
        raise ValueError(f"{term}: give each part its weight, such as 0.5*{term}")
    weight = 1.0 if match["weight"] is None else _number(match["weight"], term)
    if not 0.0 < weight <= 1.0:
        raise ValueError(f"{term}: a weight lies above 0 and is at most 1")
    return _shaped(weight, match["shape"], [_number(text, term) for text in match["numbers"].split(",")], term)


def _shaped(weight: float, shape: str, numbers: Sequence[float], term: str) -> Part:
    match shape, [*numbers]:
        case "point", [rate]:
            part = Part(weight, 1.0, 1.0, rate, rate)
        case "uniform", [low, high]:
            part = Part(weight, 1.0, 1.0, low, high)
        case "beta", [a, b]:
            part = Part(weight, a, b, 0.0, 1.0)
        case "beta", [a, b, low, high]:
            part = Part(weight, a, b, low, high)
        case _:
            raise ValueError(f"{term}: must be uniform(low,high), beta(a,b), beta(a,b,low,high) or point(rate)")
    if not 0.0 <= part.low <= part.high <= 1.0 or (shape != "point" and part.low == part.high):
        raise ValueError(f"{term}: rates lie in [0, 1], the lower end first")
    if not all(LEAST_SHAPE <= number <= LARGEST_SHAPE for number in (part.a, part.b)):
        raise ValueError(f"{term}: a and b lie between {LEAST_SHAPE:g} and {LARGEST_SHAPE:,.0f}")
    return part


def _number(text: str, term: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{term}: {text!r} is no number") from None
    if not math.isfinite(number):
        raise ValueError(f"{term}: {text!r} is no finite number")
    return number


def _points(part: Part, marks: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Rates of a part with their weights; each half is seen from its own end, where rates must be exact."""
    width = part.high - part.low
    if not width:
        yield part.low, part.weight
        return
    inner = [(mark - part.low) / width for mark in (*CUTS, *marks)]
    for u, mass in _half(part.a, part.b, inner):
        yield part.low + width * u, part.weight * mass
    for u, mass in _half(part.b, part.a, [1.0 - cut for cut in inner]):
        yield part.high - width * u, part.weight * mass


def _half(a: float, b: float, marks: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Points and masses of Beta(a, b) on [0, 1/2].

    Integrated over v with u = v^(j/a), j a whole number: the density's power of u at 0 becomes the polynomial v^(j-1).
    """
    steps = max(1, math.ceil(2 * a))
    power = steps / a
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    ends = sorted({0.0, 0.5, *(cut for cut in (*marks, *_around_peak(a, b)) if 0.0 < cut < 0.5)})
    for low, high in pairwise(end ** (1 / power) for end in ends):
        for x, weight in _legendre(POINTS):
            v = low + (high - low) * x
            u = v**power
            log_density = math.log(power) + (steps - 1) * math.log(v) + (b - 1) * math.log1p(-u) - log_beta
            yield u, weight * (high - low) * math.exp(log_density)


def _around_peak(a: float, b: float) -> list[float]:
    deviation = math.sqrt(a * b / (a + b + 1)) / (a + b)
    return [a / (a + b) + times * deviation for times in DEVIATIONS]


@cache
def _legendre(points: int) -> tuple[tuple[float, float], ...]:
    """Nodes and weights on [0, 1], the roots of Legendre's polynomial by Newton's method (Press et al. 2007, 4.6)."""
    found = []
    for i in range(points):
        x, slope = math.cos(math.pi * (i + 0.75) / (points + 0.5)), 1.0
        for _ in range(8):
            before, value = 1.0, x
            for n in range(2, points + 1):
                before, value = value, ((2 * n - 1) * x * value - (n - 1) * before) / n
            slope = points * (x * value - before) / (x * x - 1)
            x -= value / slope
        found.append(((1 + x) / 2, 1 / ((1 - x * x) * slope * slope)))
    return tuple(found)
