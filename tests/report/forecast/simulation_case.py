"""Simulations for the tests of every format: a typical one, an adverse one, and one in which nothing is defined."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from taskcal.core.adaptive.design import Rule
from taskcal.core.forecast.compare_designs import Scale, Simulation, compare_designs
from taskcal.core.forecast.population import PRESETS, Population, from_parts, from_rates, parse_population
from taskcal.core.forecast.simulate import Terms, adaptive_plan, fixed_plan

TERMS = Terms()
RULES = (Rule.POSTERIOR, Rule.VALUE, Rule.CERTIFY)
HOSTILE = "<script>alert(1)</script> \"&' \x1b[31m{{ 7*7 }}"


@cache
def simulation(name: str = "typical", cost: float | None = None) -> Simulation:
    points = from_parts(
        name, PRESETS[name].about, parse_population(PRESETS[name].formula), (0.02, 0.05, 0.1, 0.7, 0.75, 0.8)
    )
    plans = [*(fixed_plan(size, TERMS) for size in (8, 64)), *(adaptive_plan(rule, TERMS) for rule in RULES)]
    return compare_designs(points, plans, TERMS, Scale(200, 60.0, 8, cost))


@cache
def empty() -> Simulation:
    """A taskset that nobody ever passes, and a design that decides nothing: no share of anything exists."""
    return compare_designs(from_rates("never", "one rate", [0.0]), [fixed_plan(1, TERMS)], TERMS, Scale(1, 1.0, 1))


def hostile() -> Simulation:
    found = simulation()
    return replace(found, population=_named(found.population))


def _named(points: Population) -> Population:
    return replace(points, name=HOSTILE, about=HOSTILE)
