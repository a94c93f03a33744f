"""Populations: what a formula means, that its points stand for it, and which mistakes are told."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from taskcal.core.forecast.population import (
    PRESETS,
    Population,
    from_parts,
    from_rates,
    learned_prior,
    parse_population,
)
from taskcal.core.stats.prior import EDGES, cautious_prior
from taskcal.core.stats.rates import BetaPart, chance_below
from taskcal.core.verdict import Band
from tests.core.forecast.population_case import average, population

if TYPE_CHECKING:
    from collections.abc import Sequence

SAME = {
    "typical": "i",
    "uniform": "ii",
    "u-shaped": "iii",
    "hard-heavy": "hardheavy",
    "middling": "nospike",
    "near-edge": "near",
}
SHAPES = [(0.05, 0.05), (0.3, 0.7), (0.49, 3.3), (1, 100), (50, 1), (500, 500), (10_000, 10_000), (9999.5, 3.2)]


def made(formula: str, *marks: float) -> Population:
    return from_parts("p", "", parse_population(formula), marks or (0.05, 0.75))


def mixed(rate: float, size: int) -> float:
    return 1 - rate**size - (1 - rate) ** size


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_points_stand_for_a_beta_distribution(a: float, b: float) -> None:
    """Mean, share below an edge, and chance of a mixed group of 200 agree with closed forms to 1e-6, for any shape."""
    points = made(f"beta({a},{b})")
    all_pass, none_pass = (math.exp(_rising(x, 200) - _rising(a + b, 200)) for x in (a, b))
    assert math.fsum(points.weights) == pytest.approx(1)
    assert points.average(points.rates) == pytest.approx(a / (a + b), abs=1e-8)
    assert points.share(below=0.05) == pytest.approx(chance_below([BetaPart(1, a, b)], 0.05), abs=1e-8)
    assert points.average([mixed(p, 200) for p in points.rates]) == pytest.approx(1 - all_pass - none_pass, abs=1e-6)


def _rising(start: float, steps: int) -> float:
    return math.lgamma(start + steps) - math.lgamma(start)


@pytest.mark.parametrize("name", SAME)
def test_presets_are_the_populations_of_the_other_tests(name: str) -> None:
    """Another quadrature of the same six: the same mean, classes, and mixed groups of 8 and 64."""
    preset, same = made(PRESETS[name].formula, 0.05, 0.75), population(SAME[name])
    assert preset.average(preset.rates) == pytest.approx(average(same, lambda p: p), abs=1e-9)
    assert preset.share(below=0.05) == pytest.approx(same.chance(0, 0.05), abs=1e-9)
    assert preset.share(above=0.75) == pytest.approx(same.chance(0.75, 1), abs=1e-9)
    for size in (8, 64):
        assert _mixed(preset.rates, preset.weights, size) == pytest.approx(
            _mixed(same.nodes, same.weights, size), abs=1e-9
        )


def _mixed(rates: Sequence[float], weights: Sequence[float], size: int) -> float:
    return math.fsum(weight * mixed(rate, size) for rate, weight in zip(rates, weights, strict=True))


def test_stretched_and_single_points() -> None:
    """`beta(a,b,low,high)` stays in its interval; a point is one rate with its weight, 0 and 1 included."""
    stretched = made("beta(0.5,0.5,0.2,0.4)")
    assert (min(stretched.rates) > 0.2, max(stretched.rates) < 0.4) == (True, True)
    assert stretched.average(stretched.rates) == pytest.approx(0.3)
    ends = made("0.25*point(0) + 0.75*point(1)")
    assert (ends.rates, ends.weights) == ((0.0, 1.0), (0.25, 0.75))


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("0.3*uniform(0,1)", "the weights sum to 0.3, not to 1"),
        ("0.6*uniform(0,1)+0.6*beta(1,1)", "the weights sum to 1.2"),
        ("uniform(0,1)+0.5*beta(1,1)", "give each part its weight, such as 0.5*uniform(0,1)"),
        ("0.5*uniform(0,1)+", "'' is no term"),
        ("gauss(0,1)", "must be uniform(low,high), beta(a,b)"),
        ("beta(1)", "must be uniform(low,high), beta(a,b)"),
        ("beta(0,1)", "a and b lie between 0.05 and 10,000"),
        ("beta(1,1e9)", "a and b lie between"),
        ("uniform(0.5,0.2)", "rates lie in [0, 1], the lower end first"),
        ("uniform(0.5,0.5)", "the lower end first"),
        ("point(1.5)", "rates lie in [0, 1]"),
        ("uniform(nan,1)", "'nan' is no finite number"),
        ("uniform(a,b)", "'a' is no number"),
        ("-1*uniform(0,1)+2*beta(1,1)", "a weight lies above 0"),
        ("+".join(["0.01*point(0)"] * 60), "more than 50 parts"),
    ],
)
def test_mistakes_in_a_formula_are_told(formula: str, said: str) -> None:
    """Each names the term and what is wrong with it, and none is taken for something else."""
    with pytest.raises(ValueError, match=r".") as told:
        parse_population(formula)
    assert said in str(told.value)


def test_given_rates_keep_their_frequencies() -> None:
    """Equal rates are one point; none at all is a mistake."""
    found = from_rates("f", "", [0.5, 0.0, 0.5, 1.0])
    assert (found.rates, found.weights) == ((0.0, 0.5, 1.0), (0.25, 0.5, 0.25))
    with pytest.raises(ValueError, match="no rate"):
        from_rates("f", "", [])


def test_a_learned_prior_is_the_population_held_towards_the_base() -> None:
    """Of 50 tasks the share 50/60 is the population's, class by class; rates on an edge of the band are inside."""
    band = Band()
    points = from_rates("f", "", [0.0, 0.05, 0.75, 0.75, 1.0])
    found, base = learned_prior(points, 50, band), cautious_prior((band.low, band.high), 50)
    assert set(EDGES) <= set(found.edges)
    assert math.fsum(found.weights) == pytest.approx(1)
    inside = 50 / 60 * 3 / 5 + 10 / 60 * base.chance(0.05, 0.75)
    assert found.chance(0.05, 0.75) == pytest.approx(inside)
