"""What designs do to known populations, exactly: against published numbers, and against all paths one by one."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import pytest

from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.adaptive.tables import certified_table, make_tables
from taskcal.core.forecast.population import (
    PRESETS,
    Population,
    from_parts,
    from_rates,
    learned_prior,
    parse_population,
)
from taskcal.core.forecast.simulate import (
    ERROR_RATES,
    Forecast,
    Plan,
    Terms,
    adaptive_plan,
    fixed_plan,
    forecast,
    forecast_rates,
    frontier,
)
from taskcal.core.stats.posterior_table import CLASSES, posterior_table
from taskcal.core.stats.prior import Grid, PriorSource
from taskcal.core.stats.signal import mixed_chance
from taskcal.core.verdict import Band
from tests.core.forecast.population_case import fixed_error, population
from tests.core.stats.oracles import foresee, operating

SHORT = {"typical": "i", "uniform": "ii", "u-shaped": "iii", "hard-heavy": "hardheavy"}
MARKS = (0.02, 0.05, 0.08, 0.10, 0.70, 0.72, 0.75, 0.78, 0.80)
FIXED = {  # population: wrong verdicts at 8, 16, 32, 64, 128 rollouts a task
    "typical": (0.1074, 0.0821, 0.0488, 0.0334, 0.0228),
    "uniform": (0.1901, 0.1226, 0.0907, 0.0664, 0.0460),
    "u-shaped": (0.1767, 0.1220, 0.0880, 0.0639, 0.0448),
}
ADAPTIVE = {  # posterior to 64: rollouts, wrong verdicts, undecided
    "typical": (17.936, 0.0449, 0.0614),
    "uniform": (19.836, 0.0876, 0.1173),
    "u-shaped": (19.824, 0.0820, 0.1087),
    "hard-heavy": (20.712, 0.0322, 0.0380),
}
CERTIFY = {  # population, limit: rollouts, undecided
    ("typical", 32): (23.1, 0.222),
    ("typical", 64): (28.6, 0.104),
    ("typical", 128): (32.8, 0.039),
    ("typical", 256): (35.5, 0.011),
    ("uniform", 128): (40.3, 0.090),
    ("u-shaped", 128): (39.1, 0.077),
    ("hard-heavy", 128): (34.8, 0.016),
}
MIXED = {  # population: groups of 8 that are mixed, of all tasks and of those in the band
    "typical": (0.424, 0.870),
    "uniform": (0.778, 0.888),
    "u-shaped": (0.607, 0.855),
    "hard-heavy": (0.213, 0.776),
}
TERMS = Terms()
RULES = (Rule.POSTERIOR, Rule.VALUE, Rule.CERTIFY)


@cache
def known(name: str) -> Population:
    return from_parts(name, "", parse_population(PRESETS[name].formula), MARKS)


def told(plan: Plan, name: str, terms: Terms = TERMS) -> Forecast:
    return forecast(plan, known(name), terms)


@pytest.mark.parametrize("name", FIXED)
def test_fixed_groups_are_wrong_as_often_as_published(name: str) -> None:
    """Five sizes, four digits; and the same as another sum over another quadrature, to eight."""
    found = [told(fixed_plan(size, TERMS), name).wrong for size in (8, 16, 32, 64, 128)]
    assert found == pytest.approx(FIXED[name], abs=6e-5)
    assert found[3] == pytest.approx(fixed_error(population(SHORT[name]), 64), abs=1e-8)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_the_default_rule_does_what_is_published(name: str) -> None:
    """Rollouts, wrong verdicts and undecided of the posterior rule, over four populations."""
    found = told(adaptive_plan(Rule.POSTERIOR, TERMS), name)
    assert (found.rollouts, found.wrong, 1 - found.decided) == pytest.approx(ADAPTIVE[name], abs=6e-4)
    assert found.wrong == pytest.approx(ADAPTIVE[name][1], abs=7e-5)


def test_of_the_decided_three_in_a_hundred_are_wrong() -> None:
    """On a typical taskset 93.9 % are decided and 3.1 % of these wrong, less than the 5 % that are claimed."""
    found = told(adaptive_plan(Rule.POSTERIOR, TERMS), "typical")
    assert (found.decided, found.decided_wrong) == pytest.approx((0.939, 0.031), abs=6e-4)


@pytest.mark.parametrize(("name", "limit"), CERTIFY)
def test_certifying_takes_what_is_published(name: str, limit: int) -> None:
    """Rollouts to a tenth and undecided to a thousandth, for four limits; the undecided have no certificate."""
    found = told(adaptive_plan(Rule.CERTIFY, TERMS, limit), name)
    assert found.rollouts == pytest.approx(CERTIFY[name, limit][0], abs=0.05)
    assert 1 - found.decided == pytest.approx(CERTIFY[name, limit][1], abs=6e-4)


@pytest.mark.parametrize(("name", "shares"), MIXED.items())
def test_mixed_groups_are_as_published(name: str, shares: tuple[float, float]) -> None:
    """What keeping the band brings: of all tasks' groups and of the in-band tasks' groups, so many teach."""
    points = known(name)
    chances = [mixed_chance(rate, 8) for rate in points.rates]
    inside = [0.05 <= rate <= 0.75 for rate in points.rates]
    kept = points.average([p * here for p, here in zip(chances, inside, strict=True)]) / points.average(inside)
    assert (points.average(chances), kept) == pytest.approx(shares, abs=6e-4)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("rate", [0.0, 0.01, 0.05, 0.3, 0.75, 0.99, 1.0])
def test_counting_ways_is_following_all_paths(rule: Rule, rate: float) -> None:
    """At a rate the sum over endings is the forward recursion over every path: rollouts, and each sure verdict."""
    design = Design(rule=rule, learn=False)
    table = make_tables(TERMS.prior, PriorSource.DEFAULT, design, certified_table(design)).table
    expected = operating(table, rate)
    (found,) = forecast_rates(adaptive_plan(rule, TERMS), [rate])
    assert found.rollouts == pytest.approx(expected.expected)
    assert math.fsum(found.verdicts) == pytest.approx(1)
    if rule is not Rule.VALUE:  # which also stops where nothing is sure
        assert found.sure == pytest.approx([expected.decided[verdict] for verdict in CLASSES], abs=1e-12)


def test_averages_are_those_of_the_lattice() -> None:
    """The same forecast by way of posteriors under the population itself."""
    points = known("typical")
    grid = Grid((), points.rates, points.weights)
    design = Design()
    table = make_tables(TERMS.prior, PriorSource.DEFAULT, design, certified_table(design)).table
    expected, found = (
        foresee(table, posterior_table(grid, 64, Band())),
        told(adaptive_plan(Rule.POSTERIOR, TERMS), "typical"),
    )
    assert (found.rollouts, found.decided) == pytest.approx((expected.rollouts, expected.decided))
    assert found.decided_wrong == pytest.approx(expected.wrong / expected.decided)


def test_a_small_case_by_hand() -> None:
    """Two rollouts of rates 0, 1/2 and 1: only 1 of 2 is called in-band, a quarter of the even tasks goes each way."""
    points = from_rates("f", "", [0.0, 0.5, 0.5, 1.0])
    found = forecast(fixed_plan(2, TERMS), points, replace(TERMS, training_group_size=2))
    assert (found.rollouts, found.decided, found.decided_wrong) == (2, 0, None)
    assert (found.wrong, found.wrong_by_far, found.good_lost, found.called_in_band) == (0.25, 0.25, 0.125, 0.25)
    assert found.signal == 0.5


def test_near_an_edge_a_wrong_verdict_is_not_far_wrong() -> None:
    """A rate of .06 called too-hard is wrong, but within the certificates' zone; one of .5 is far from it."""
    near, far = (forecast(fixed_plan(1, TERMS), from_rates("f", "", [rate]), TERMS) for rate in (0.06, 0.5))
    assert (near.wrong, near.wrong_by_far) == pytest.approx((1.0, 0.06))
    assert (far.wrong, far.wrong_by_far) == (1.0, 1.0)


def test_where_nothing_is_called_in_band_no_signal_is_made_up() -> None:
    """One rollout says all or nothing: no task is kept, and the signal of none is None."""
    found = told(fixed_plan(1, TERMS), "typical")
    assert (found.called_in_band, found.signal) == (0, None)


def test_a_learned_prior_does_not_fall_for_an_adverse_taskset() -> None:
    """Rates just inside the band: 21 % of the sure verdicts wrong under the default prior, under .5 % once learned."""
    points = known("near-edge")
    learned = replace(TERMS, prior=learned_prior(points, 200, Band()))
    by_default, by_learning = (
        told(adaptive_plan(Rule.POSTERIOR, terms), "near-edge", terms) for terms in (TERMS, learned)
    )
    assert by_default.decided_wrong == pytest.approx(0.21, abs=0.005)
    assert by_learning.decided_wrong is not None
    assert by_learning.decided_wrong <= 0.005
    assert by_learning.rollouts < by_default.rollouts / 4


@pytest.mark.parametrize("rule", RULES)
def test_asking_for_more_takes_more_and_errs_less(rule: Rule) -> None:
    """Along a frontier rollouts rise and wrong verdicts fall; the design itself is on it; fixed groups have none."""
    plan = adaptive_plan(rule, TERMS, 64)
    line = frontier(plan, known("typical"), TERMS)
    assert len(line) == len(ERROR_RATES)
    takes, errs = [one.rollouts for one in line], [one.wrong for one in line]
    assert takes == sorted(takes)
    assert errs == sorted(errs, reverse=True)
    assert told(plan, "typical").rollouts in takes
    assert frontier(fixed_plan(8, TERMS), known("typical"), TERMS) == ()


def test_names_say_what_a_design_is() -> None:
    """The rule and its limit, which certifying has twice as high."""
    names = [fixed_plan(8, TERMS).name, *(adaptive_plan(rule, TERMS).name for rule in RULES)]
    assert names == ["fixed 8", "posterior up to 64", "value up to 64", "certify up to 128"]
