"""The worth of another rollout: against backward induction done plainly, and what stopping by it saves."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import pytest

from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.adaptive.rollout_value import HIGHEST, LOWEST, PRICES, rollout_values
from taskcal.core.adaptive.tables import certified_table, make_tables
from taskcal.core.stats.posterior_table import PosteriorTable, StoppingTable, posterior_table
from taskcal.core.stats.prior import UNIFORM, PriorSource
from taskcal.core.stats.rates import DEFAULT_PRIOR
from taskcal.core.verdict import Band, Verdict
from tests.core.forecast.population_case import fixed_error, population
from tests.core.stats.oracles import Foresight, foresee

CORNERS = {  # n, k: where the rule with a zone of .03 and a price of .001 has come to
    (6, 2): Verdict.IN_BAND,
    (8, 3): Verdict.IN_BAND,
    (12, 12): Verdict.TOO_EASY,
    (24, 0): Verdict.TOO_HARD,
    (20, 0): None,
    (24, 22): Verdict.TOO_EASY,
    (32, 28): Verdict.TOO_EASY,
    (32, 21): Verdict.IN_BAND,
    (40, 27): Verdict.IN_BAND,
}
PARITY = {  # population, fixed n: times fewer rollouts at its error, by the default prior and by the population itself
    ("i", 64): (2.88, 3.01),
    ("i", 128): (3.82, 3.99),
    ("ii", 64): (2.58, 3.29),
    ("ii", 128): (3.27, 3.86),
    ("iii", 64): (2.58, 2.87),
    ("iii", 128): (3.29, 3.56),
    ("hardheavy", 64): (2.48, 2.63),
}
LEAST = {("i", 64): 2.7, ("i", 128): 3.5, ("ii", 64): 2.4, ("iii", 64): 2.2, ("hardheavy", 64): 2.4}
"""What a great implementation reaches at the least."""


def value_rule(posteriors: PosteriorTable, price: float, first: int = 4) -> StoppingTable:
    """Stop where another rollout is not worth its price, with the class that is then most likely right."""
    values = rollout_values(posteriors, (price,))
    return StoppingTable(
        tuple(
            tuple(posteriors.best(k, n)[0] if n >= first and not values[n][k] else None for k in range(n + 1))
            for n in range(posteriors.cap + 1)
        )
    )


def test_prices_are_the_designs() -> None:
    """36 of them from 3e-5 to .2, evenly spaced by ratio."""
    assert (len(PRICES), PRICES[0], PRICES[-1]) == (36, LOWEST, pytest.approx(HIGHEST))
    ratios = [b / a for a, b in pairwise(PRICES)]
    assert ratios == pytest.approx([ratios[0]] * 35)


@pytest.mark.parametrize("prior", [DEFAULT_PRIOR, UNIFORM])
def test_charges_are_those_of_plain_backward_induction(prior: tuple[object, ...]) -> None:
    """One induction per price, written down as the formula, gives the same largest price at which to go on."""
    posteriors = posterior_table(prior, 24, Band())  # type: ignore[arg-type] # parametrize hands on what it was given
    values = rollout_values(posteriors)
    plain = [[[0.0] * (n + 1) for n in range(25)]][0]
    for price in PRICES:
        after = [1 - max(triple) for triple in posteriors.right[24]]
        for n in range(23, -1, -1):
            stop = [1 - max(triple) for triple in posteriors.right[n]]
            chance = posteriors.passing[n]
            going = [price + chance[k] * after[k + 1] + (1 - chance[k]) * after[k] for k in range(n + 1)]
            plain[n] = [price if go < end else old for go, end, old in zip(going, stop, plain[n], strict=True)]
            after = [min(go, end) for go, end in zip(going, stop, strict=True)]
    for n in range(25):
        assert values[n] == pytest.approx(plain[n])


def test_an_open_question_is_worth_more_than_a_settled_one() -> None:
    """Half of 4 is worth less than 4 of 4 next to the edge, 0 of 40 nothing at all; at the cap nothing is."""
    values = rollout_values(posterior_table(DEFAULT_PRIOR, 64, Band()))
    assert values[4][3] > values[4][2] > values[40][0]
    assert set(values[64]) == {0.0}
    assert all(value == 0 or LOWEST <= value <= HIGHEST for row in values for value in row)


def test_the_rule_with_a_zone_is_the_tables() -> None:
    """Nine entries of its table; 20.43 rollouts and an error of .0384 over population (i), by quadrature."""
    table = value_rule(posterior_table(DEFAULT_PRIOR, 64, Band(), 0.03), 0.001)
    assert {where: table.cells[where[0]][where[1]] for where in CORNERS} == CORNERS
    found = foresee(table, posterior_table(population("i"), 64, Band()))
    # With the prior cut into points of which some lie on an edge, one cell moves and it is 20.420 rollouts.
    assert found.rollouts == pytest.approx(20.4265, abs=5e-4)
    assert found.wrong == pytest.approx(0.03840, abs=5e-6)


QUICK = {("i", 64), ("i", 128), ("hardheavy", 64)}


@pytest.mark.parametrize(
    ("name", "fixed"), [pytest.param(*one, marks=[] if one in QUICK else pytest.mark.long) for one in PARITY]
)
def test_stopping_by_worth_saves_what_can_be_saved(name: str, fixed: int) -> None:
    """Rollouts at the error of a fixed design, every task labelled, cap 256: exact, beside the limit and the target."""
    truth, error = rows(name), fixed_error(population(name), fixed)
    default, limit = (fixed / cheapest(posteriors, truth, error).rollouts for posteriors in (rows("default"), truth))
    assert (default, limit) == pytest.approx(PARITY[name, fixed], abs=0.02)
    assert default >= LEAST.get((name, fixed), 0)


@cache
def rows(name: str) -> PosteriorTable:
    return posterior_table(DEFAULT_PRIOR if name == "default" else population(name), 256, Band())


def cheapest(posteriors: PosteriorTable, truth: PosteriorTable, error: float) -> Foresight:
    """The rule of the largest price whose error is no more than this."""
    low, high = 1e-4, 1e-2
    for _ in range(12):
        price = math.sqrt(low * high)
        low, high = (low, price) if foresee(value_rule(posteriors, price), truth).wrong > error else (price, high)
    return foresee(value_rule(posteriors, low), truth)


def test_the_design_stops_by_its_price() -> None:
    """The rule "value" is the same rule, whatever prices the priorities use; a larger price stops sooner."""
    expected = []
    for price in (0.0005, 0.001, 0.004):
        design = Design(rule=Rule.VALUE, price=price)
        made = make_tables(DEFAULT_PRIOR, PriorSource.DEFAULT, design, certified_table(design))
        assert made.table.cells == value_rule(made.posteriors, price).cells
        expected.append(made.expected_left[0][0])
    assert expected == sorted(expected, reverse=True)
