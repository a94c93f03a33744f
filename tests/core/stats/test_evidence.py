"""What any verdict must cost: distances between rates, the fewest rollouts, and the shortest runs that tell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from taskcal.core.stats.certificate import log_e_value_of_counts, make_bet
from taskcal.core.stats.posterior_table import posterior_table
from taskcal.core.stats.prior import JEFFREYS, UNIFORM
from taskcal.core.stats.rates import DEFAULT_PRIOR
from taskcal.core.verdict import Band
from tests.core.forecast.population_case import population
from tests.core.stats.oracles import divergence, least_rollouts

if TYPE_CHECKING:
    from taskcal.core.stats.prior import Prior

RUNS = {  # prior, zone: failures in a row that make "too hard" as probable as .95, and passes for "too easy"
    ("jeffreys", 0.0): (38, 7),
    ("jeffreys", 0.03): (23, 6),
    ("uniform", 0.0): (58, 10),
    ("uniform", 0.03): (35, 9),
    ("default", 0.0): (19, 7),
    ("default", 0.03): (14, 6),
    ("i", 0.0): (17, 6),  # .95039 by its integral; a population cut into points may need 18
    ("i", 0.03): (13, 5),
}
BETS = {  # weight of the far end, zone: failures and passes in a row at which a bet has grown twentyfold
    (0.0, 0.0): (88, 16),
    (0.5, 0.0): (68, 12),
    (0.9, 0.0): (60, 11),
    (0.0, 0.03): (54, 14),
    (0.5, 0.03): (42, 11),
    (0.9, 0.03): (37, 10),
}
KL = {  # rate: divergence from .05 and .75, then ln 20 over the nearest without and with a zone of .03
    0: (0.051293, 1.386294, 58.4, 35.9),
    0.001: (0.046330, 1.377288, 64.7, 38.4),
    0.01: (0.024736, 1.319307, 121.1, 57.8),
    0.02: (0.012143, 1.266283, 246.7, 87.6),
    0.03: (0.004884, 1.218594, 613.3, 136.7),
    0.04: (0.001127, 1.174406, 2658.8, 228.1),
    0.06: (0.000992, 1.093410, 3019.6, 112.0),
    0.08: (0.008079, 1.019636, 370.8, 56.8),
    0.1: (0.020654, 0.951350, 145.0, 35.5),
    0.15: (0.070250, 0.798793, 42.6, 16.5),
    0.2: (0.139779, 0.666169, 21.4, 10.0),
    0.3: (0.323761, 0.445846, 9.3, 5.7),
    0.4: (0.556057, 0.273838, 10.9, 8.9),
    0.5: (0.830366, 0.143841, 20.8, 15.9),
    0.6: (1.144945, 0.054115, 55.4, 36.7),
    0.7: (1.501536, 0.006401, 468.0, 173.2),
    0.8: (1.906442, 0.007002, 427.8, 176.3),
    0.85: (2.131357, 0.029765, 100.6, 63.1),
    0.9: (2.376205, 0.072460, 41.3, 30.6),
    0.95: (2.649995, 0.144097, 20.8, 16.9),
    0.99: (2.910286, 0.242667, 12.3, 10.6),
    1.0: (2.995732, 0.287682, 10.4, 9.1),
}

PRIORS: dict[str, Prior] = {"jeffreys": JEFFREYS, "uniform": UNIFORM, "default": DEFAULT_PRIOR, "i": population("i")}


@pytest.mark.parametrize(("name", "zone"), RUNS)
def test_runs_that_make_a_class_likely(name: str, zone: float) -> None:
    """Failures and passes in a row until a class has .95, under four priors, with and without a zone."""
    rows = posterior_table(PRIORS[name], 64, Band(), zone)
    failures = next(n for n in range(1, 65) if rows.right[n][0][0] >= 0.95)
    assert (failures, next(n for n in range(1, 65) if rows.right[n][n][2] >= 0.95)) == RUNS[name, zone]


@pytest.mark.parametrize(("spike", "zone"), BETS)
def test_runs_that_make_a_bet_certain(spike: float, zone: float) -> None:
    """Failures and passes in a row until the fortune is 20, betting in part on 0 and 1 themselves."""
    low, high = 0.05 + zone, 0.75 - zone
    failing = make_bet(low, ((spike, 0.0),) if spike else (), 1 - spike, 0.0, 4000)
    passing = make_bet(high, ((spike, 1.0),) if spike else (), 1 - spike, 1.0, 4000)
    failures = next(n for n in range(1, 200) if log_e_value_of_counts(failing, 0, n) >= math.log(20))
    passes = next(n for n in range(1, 200) if log_e_value_of_counts(passing, n, n) >= math.log(20))
    assert (failures, passes) == BETS[spike, zone]


def test_runs_that_no_test_can_shorten() -> None:
    """With 5 % error whatever the rate: 59 and 11 on the edges, 36 and 10 with a zone; Wald's test takes 48 and 38."""
    for zone, expected in [(0.0, (59, 11)), (0.03, (36, 10))]:
        low, high = 0.05 + zone, 0.75 - zone
        assert (math.ceil(math.log(0.05) / math.log(1 - low)), math.ceil(math.log(0.05) / math.log(high))) == expected
    failing, passing = make_bet(0.08, ((1.0, 0.02),), 0.0, 0.0), make_bet(0.72, ((1.0, 0.78),), 0.0, 1.0)
    assert next(n for n in range(99) if log_e_value_of_counts(failing, 0, n) >= math.log(20)) == 48
    assert next(n for n in range(99) if log_e_value_of_counts(passing, n, n) >= math.log(20)) == 38


@pytest.mark.parametrize("rate", KL)
def test_divergences_and_bounds_are_the_tables(rate: float) -> None:
    """Six digits of both divergences, one of the fewest rollouts without and with a zone of .03."""
    low, high, exact, zoned = KL[rate]
    assert (divergence(rate, 0.05), divergence(rate, 0.75)) == pytest.approx((low, high), abs=1e-6)
    assert least_rollouts(rate, Band(), 0.05) == pytest.approx(exact, abs=0.051)
    assert least_rollouts(rate, Band(), 0.05, 0.03) == pytest.approx(zoned, abs=0.051)


def test_no_number_of_rollouts_decides_an_edge() -> None:
    """Exactly on an edge there is no bound without a zone; rates that a law rules out diverge without limit."""
    assert least_rollouts(0.05, Band(), 0.05) is None
    assert least_rollouts(0.75, Band(), 0.05) is None
    assert divergence(0.5, 0.0) == math.inf
    assert divergence(0.3, 0.3) == 0
