"""Choosing a design: every fixed size counted out, and what it says of the adaptive ones."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from taskcal.core.adaptive.design import Rule
from taskcal.core.forecast.compare_designs import Goal, Match, Scale, Simulation, compare_designs
from taskcal.core.forecast.fixed_sizes import Size, count_sizes, smallest_with_guarantee
from taskcal.core.forecast.population import PRESETS, Population, from_parts, from_rates, parse_population
from taskcal.core.forecast.simulate import Terms, adaptive_plan, fixed_plan, forecast
from taskcal.core.stats.certificate import Zone
from taskcal.core.verdict import Band

TERMS = Terms()
NEEDED = {  # population: the smallest fixed group with at most 10, 5, 3 % wrong
    "typical": (10, 31, 75),
    "uniform": (28, 110, 298),
    "u-shaped": (26, 104, 287),
}
ZONES = {Zone(): 204, Zone(0.02, 0.08, 0.72, 0.78): 564, Zone(0.01, 0.12, 0.65, 0.85): 52}


@cache
def known(name: str) -> Population:
    return from_parts(name, "", parse_population(PRESETS[name].formula), (0.02, 0.05, 0.1, 0.7, 0.75, 0.8))


@cache
def sizes(name: str) -> tuple[Size, ...]:
    return count_sizes(known(name), TERMS)


@cache
def simulated(name: str) -> Simulation:
    plans = [fixed_plan(64, TERMS), *(adaptive_plan(rule, TERMS) for rule in (Rule.POSTERIOR, Rule.CERTIFY))]
    return compare_designs(known(name), plans, TERMS, Scale(200, 60.0, 8))


@pytest.mark.parametrize("name", NEEDED)
def test_the_smallest_group_for_an_error_is_as_published(name: str) -> None:
    """Fixed groups for three error rates on three populations."""
    found = [next(size for size in sizes(name) if size.wrong <= most).group_size for most in (0.1, 0.05, 0.03)]
    assert tuple(found) == NEEDED[name]


@pytest.mark.parametrize("size", [1, 8, 19, 64, 512])
def test_every_size_is_what_its_plan_does(size: int) -> None:
    """Counted backwards from 512 or summed up for itself: the same shares."""
    found, alone = sizes("typical")[size - 1], forecast(fixed_plan(size, TERMS), known("typical"), TERMS)
    assert found.group_size == size
    assert (found.wrong, found.decided) == pytest.approx((alone.wrong, alone.decided), abs=1e-12)


def test_a_larger_group_can_be_worse() -> None:
    """1 of 20 lies on the band's edge, 1 of 21 below: with rates just inside, one rollout more doubles the errors."""
    found = sizes("near-edge")
    assert found[20].wrong > 2 * found[19].wrong


@pytest.mark.parametrize(("zone", "size"), ZONES.items(), ids=str)
def test_the_smallest_group_with_a_guarantee_is_as_published(zone: Zone, size: int) -> None:
    """For three zones; None where the largest counted is smaller, and an edge at 0 or 1 asks for nothing."""
    assert smallest_with_guarantee(zone, 0.05, 600) == size
    assert smallest_with_guarantee(zone, 0.05, size - 1) is None


def test_an_edge_at_the_end_asks_for_nothing() -> None:
    """A band with one edge needs the test at that edge alone."""
    low, both = (smallest_with_guarantee(Zone.around(Band(0.05, high)), 0.05) for high in (1.0, 0.75))
    assert (low, both) == (89, 204)


def test_what_the_default_design_equals() -> None:
    """As many decided take fixed groups of 254, fourteen times the rollouts; as few wrong take 42."""
    (posterior, certify) = simulated("typical").adaptive
    assert simulated("typical").matches(posterior) == (Match(Goal.WRONG, 42), Match(Goal.DECIDED, 254))
    assert 254 / posterior.rollouts == pytest.approx(14.2, abs=0.05)
    assert simulated("typical").matches(certify)[1] == Match(Goal.GUARANTEE, 204)


def test_the_choice_for_an_error_rate() -> None:
    """At most 5 % wrong: fixed groups of 31, or the cheapest adaptive design that gets there; none may."""
    typical, adverse = simulated("typical"), simulated("near-edge")
    assert typical.enough == 31
    assert typical.cheapest is not None
    assert typical.cheapest.plan.rule is Rule.POSTERIOR
    assert (adverse.enough, adverse.cheapest) == (137, None)


def test_a_prior_that_does_not_fit_is_noticed() -> None:
    """The worst design is named where its sure verdicts are wrong clearly more often than they say; else none."""
    assert simulated("typical").misjudged is None
    worst = simulated("near-edge").misjudged
    assert worst is not None
    assert worst.plan.rule is Rule.POSTERIOR


def test_what_nothing_reaches_is_none() -> None:
    """No group among 40 sizes equals the default design, and none at all is right about a rate on the edge."""
    few = replace(simulated("typical"), sizes=sizes("typical")[:40])
    assert few.matches(few.adaptive[0]) == (Match(Goal.WRONG, None), Match(Goal.DECIDED, None))
    edge = from_rates("edge", "", [0.05])
    assert compare_designs(edge, [fixed_plan(8, TERMS)], TERMS, Scale(1, 1.0, 1)).enough is None


def test_scale() -> None:
    """Rollouts, seconds and dollars of 200 tasks; without a price there is no cost, not even 0."""
    scale = Scale(200, 60.0, 8, 0.02)
    assert (scale.rollouts(17.5), scale.duration(17.5), scale.cost(17.5)) == (3500, 26250, 70)
    assert Scale(200, 60.0, 8).cost(17.5) is None
