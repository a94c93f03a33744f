"""Certificates: the e-values against tables, their guarantee as exact sums over all paths, and what they must cost."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskcal.core.stats.certificate import (
    Bet,
    Bets,
    Zone,
    certificate_table,
    e_values,
    e_values_of_counts,
    log_e_value,
    log_e_value_of_counts,
    make_bet,
    recommended_bets,
)
from taskcal.core.stats.posterior_table import posterior_table
from taskcal.core.verdict import Band, Verdict
from tests.core.forecast.population_case import average, binomial, population
from tests.core.stats.oracles import foresee, least_rollouts, operating

if TYPE_CHECKING:
    from taskcal.core.stats.certificate import LogEValues
    from taskcal.core.stats.posterior_table import StoppingTable

# k, n: the four logarithms with the uniform part in closed form (incomplete beta functions), by another program.
CLOSED_FORM = {
    (0, 8): (0.747929, -1.175889, 10.208747, -3.686292),
    (1, 8): (-1.540870, 0.576704, 6.751300, -3.219076),
    (2, 8): (-2.935306, 2.580929, 4.172728, -2.729103),
    (4, 8): (-4.431076, 8.649947, 1.087854, -1.704132),
    (6, 8): (-4.908757, 17.310370, -0.386401, -0.637324),
    (8, 8): (-5.192726, 28.426015, -1.481221, 2.258571),
    (10, 10): (-5.393616, 36.049390, -1.731649, 2.910009),
    (11, 11): (-5.480636, 39.874402, -1.853025, 3.243482),
    (12, 13): (-5.552776, 41.087528, -1.606874, 0.623264),
    (0, 31): (2.954714, -2.969880, 45.956836, -6.460356),
    (0, 32): (3.052192, -3.038160, 47.535502, -6.491475),
    (16, 32): (-5.726252, 38.531920, 5.345089, -4.506160),
    (30, 32): (-6.422776, 107.025068, -3.190943, 2.846099),
}
BETTING = (  # rewards, then the four logarithms with 32 nodes
    ([0] * 8, (0.747928, -1.176416, 10.206872, -3.686941)),
    ([0] * 32, (3.052183, -3.051481, 47.508090, -6.534197)),
    ([1] * 11, (-5.486008, 39.869243, -1.854450, 3.243469)),
    ([1, 0, 1, 1, 0, 0, 1, 0], (-4.431684, 8.649947, 1.087937, -1.704157)),
    ([0.2, 0, 0.6, 1], (-2.584280, 6.062392, 1.106721, -1.214500)),
    ([0.5] * 8, (-3.461321, 22.898757, 4.963379, -1.296432)),
    ([1 / 3, 2 / 3, 1 / 3, 1, 0, 1 / 3], (-3.142982, 11.524457, 2.274255, -1.482216)),
    ([0.9] * 12, (-5.447875, 42.438257, -1.180036, 2.398930)),
)
PLUGGED_IN = {  # the sum of the rewards, n: weaker than betting on the rewards themselves
    (1.8, 4): (-2.9505, 3.3379, 0.6967, -1.2756),
    (4.0, 8): (-4.4317, 8.6499, 1.0879, -1.7042),
}
SINGLE = {  # k, n: one bet on each side of the exact edges .05 and .75, half on the far end where that is 0 or 1
    (0, 8): (0.316952, -2.197225, 9.180809, -2.890372),
    (0, 16): (0.649052, -2.833213, 19.635179, -3.526361),
    (0, 59): (2.609255, -4.094345, 77.984705, -4.787492),
    (0, 72): (3.237011, -4.290459, 95.810417, -4.983607),
    (1, 8): (-1.261398, -0.944462, 6.002652, -2.736221),
    (2, 8): (-1.711792, 0.812692, 3.650040, -2.556170),
    (4, 8): (-2.267324, 5.793643, 0.487703, -2.074087),
    (6, 8): (-2.625909, 12.598844, -1.252763, -1.255587),
    (8, 8): (-2.890372, 21.819927, -2.197225, 1.952660),
    (11, 11): (-3.178054, 30.519442, -2.484907, 2.751087),
    (14, 14): (-3.401197, 39.283495, -2.708050, 3.567973),
    (3, 64): (-1.284736, -3.172010, 70.902904, -4.804370),
    (8, 32): (-2.757870, 5.583031, 16.195069, -3.805774),
    (16, 32): (-3.478712, 25.092956, 3.359607, -3.192015),
}
ZONES = {  # zone: worst error at caps 64 and 256, failures and passes in a row that certify
    Zone(0.02, 0.08, 0.72, 0.78): (0.0328, 0.0461, 41, 12),
    Zone(0.02, 0.10, 0.70, 0.80): (0.0390, 0.0460, 32, 11),
    Zone(0.01, 0.12, 0.65, 0.85): (0.0444, 0.0461, 25, 9),
}
FINE = 32_000
"""So many nodes that they are the closed form to six digits."""


def logs(found: LogEValues) -> tuple[float, ...]:
    return found.below_a1, found.above_a0, found.below_b1, found.above_b0


@pytest.mark.parametrize(("passed", "graded"), CLOSED_FORM)
def test_e_values_of_counts_are_the_tables(passed: int, graded: int) -> None:
    """Six digits of the recommended four, the uniform part by a rule fine enough to stand for its closed form."""
    assert logs(e_values_of_counts(FINE_BETS, passed, graded)) == pytest.approx(CLOSED_FORM[passed, graded], abs=2e-6)


FINE_BETS = recommended_bets(nodes=FINE)


@pytest.mark.parametrize(("rewards", "expected"), BETTING)
def test_e_values_of_rewards_are_the_tables(rewards: list[float], expected: tuple[float, ...]) -> None:
    """Six digits of the four with 32 nodes, for zeros and ones and for partial credit."""
    assert logs(e_values(recommended_bets(), rewards)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("total", "graded"), PLUGGED_IN)
def test_fractional_counts_are_a_weaker_bet(total: float, graded: int) -> None:
    """Four digits of what comes of a sum of rewards taken for a number of passes."""
    assert logs(e_values_of_counts(recommended_bets(), total, graded)) == pytest.approx(
        PLUGGED_IN[total, graded], abs=1e-4
    )


@pytest.mark.parametrize(("passed", "graded"), SINGLE)
def test_single_bets_are_the_tables(passed: int, graded: int) -> None:
    """Six digits of bets on the exact edges."""
    found = logs(e_values_of_counts(exact_edges(0.5, FINE), passed, graded))
    assert found == pytest.approx(SINGLE[passed, graded], abs=2e-6)


def exact_edges(spike: float, nodes: int = 32) -> Bets:
    return Bets(
        below_a1=make_bet(0.05, ((spike, 0.0),), 1 - spike, 0.0, nodes),
        above_a0=make_bet(0.05, (), 1.0, 1.0, nodes),
        below_b1=make_bet(0.75, (), 1.0, 0.0, nodes),
        above_b0=make_bet(0.75, ((spike, 1.0),), 1 - spike, 1.0, nodes),
    )


def test_runs_of_equal_outcomes_are_certified_when_the_design_says() -> None:
    """0 of 31 is not enough and 0 of 32 is, 10 of 10 is not and 11 of 11 is."""
    found = [
        e_values_of_counts(recommended_bets(), k, n).certified_class(0.05)
        for k, n in [(0, 31), (0, 32), (10, 10), (11, 11)]
    ]
    assert found == [None, Verdict.TOO_HARD, None, Verdict.TOO_EASY]
    assert e_values_of_counts(recommended_bets(), 16, 32).certified_class(0.05) is Verdict.IN_BAND


def test_claims_over_many_tasks_take_longer_runs() -> None:
    """At delta/T, 62 failures or 19 passes in a row for T = 20, and 85 or 26 for T = 200."""
    for tasks, expected in [(20, (62, 19)), (200, (85, 26))]:
        assert runs(certificate_table(recommended_bets(), 96, 0.05 / tasks)) == expected


@given(
    rewards=st.lists(st.sampled_from([0.0, 1.0]), max_size=40),
    zone=st.sampled_from(list(ZONES)),
)
def test_order_cannot_matter_for_zeros_and_ones(rewards: list[float], zone: Zone) -> None:
    """Betting reward by reward is the ratio of likelihoods of the counts."""
    by_counts = e_values_of_counts(recommended_bets(zone), sum(rewards), len(rewards))
    assert logs(e_values(recommended_bets(zone), rewards)) == pytest.approx(logs(by_counts), abs=1e-9)


@pytest.mark.parametrize("values", [(0.0, 1.0), (0.0, 0.25, 1.0), (0.1, 0.4, 0.9)])
@pytest.mark.parametrize("tau", [0.3, 0.5])
def test_a_bet_is_fair(values: tuple[float, ...], tau: float) -> None:
    """Under a law on [0, 1] with mean tau the expected fortune is exactly 1, whatever values the rewards take."""
    chances = law(values, tau)
    one = make_bet(tau, ((0.5, 0.05),), 0.5, 0.0)
    total = math.fsum(
        math.prod(chances[x] for x in rewards) * math.exp(log_e_value(one, rewards))
        for rewards in product(values, repeat=5)
    )
    assert total == pytest.approx(1.0)


def law(values: tuple[float, ...], mean: float) -> dict[float, float]:
    """Chances of the outermost values that have this mean, a third of them given to the middle where there is one."""
    low, *middle, high = values
    share = 1 / 3 if middle else 0.0
    rest = (mean - share * sum(middle)) / (1 - share)
    up = (1 - share) * (rest - low) / (high - low)
    return {low: 1 - share - up, high: up, **dict.fromkeys(middle, share)}


def test_a_bet_takes_no_reward_beyond_its_bounds() -> None:
    """The guarantee rests on [0, 1]: anything else is refused."""
    for reward in (-0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match="rescale"):
            log_e_value(Bet(0.5, ((1.0, 0.1),)), [reward])


def test_the_table_is_the_rule() -> None:
    """Stepping along the four boundaries finds the verdict of every k of n up to 80 that the e-values give there."""
    for zone in ZONES:
        table = certificate_table(recommended_bets(zone), 80, 0.05)
        for n in range(81):
            for k in range(n + 1):
                assert table.cells[n][k] is e_values_of_counts(recommended_bets(zone), k, n).certified_class(0.05), (
                    zone,
                    k,
                    n,
                )


@pytest.mark.parametrize("zone", ZONES)
def test_certificates_are_wrong_as_seldom_as_they_say(zone: Zone) -> None:
    """Exact worst error over 101 rates and the zone's ends: the tables' four digits, and under 5 % everywhere."""
    at_64, at_256, failures, passes = ZONES[zone]
    assert worst_error(certificate_table(recommended_bets(zone), 64, 0.05), zone) == pytest.approx(at_64, abs=6e-5)
    table = certificate_table(recommended_bets(zone), 256, 0.05)
    assert worst_error(table, zone) == pytest.approx(at_256, abs=6e-5)
    assert worst_error(table, zone) <= 0.05
    assert runs(table) == (failures, passes)


def worst_error(table: StoppingTable, zone: Zone) -> float:
    rates = [*(step / 100 for step in range(101)), zone.a0, zone.a1, zone.b0, zone.b1]
    return max(wrong(table, zone, rate) for rate in rates)


def wrong(table: StoppingTable, zone: Zone, rate: float) -> float:
    decided = operating(table, rate).decided
    return (
        (decided[Verdict.TOO_HARD] if rate >= zone.a1 else 0.0)
        + (decided[Verdict.IN_BAND] if not zone.a0 < rate < zone.b1 else 0.0)
        + (decided[Verdict.TOO_EASY] if rate <= zone.b0 else 0.0)
    )


def runs(table: StoppingTable) -> tuple[int | None, int | None]:
    """After how many failures, and passes, in a row it stops."""
    failures = next((n for n in range(table.cap + 1) if table.cells[n][0]), None)
    return failures, next((n for n in range(table.cap + 1) if table.cells[n][n]), None)


def test_certificates_need_a_fifth_of_a_fixed_design() -> None:
    """Over population (i) 36.0 rollouts where the smallest fixed n with the same guarantee is 204: 5.7 times fewer."""
    zone = Zone()
    fixed = next(n for n in range(20, 300) if guaranteed(n, zone))
    found = foresee(certificate_table(recommended_bets(zone), 320, 0.05), posterior_table(population("i"), 320, Band()))
    assert fixed == 204
    assert found.rollouts == pytest.approx(36.0, abs=0.06)
    assert 1 - found.decided == pytest.approx(0.0065, abs=1e-4)


def guaranteed(n: int, zone: Zone) -> bool:
    """Whether there are two cut-offs with at most 5 % error at all four ends of the zone."""
    hard, easy = (tails(n, high, low) for low, high in ((zone.a0, zone.a1), (1 - zone.b1, 1 - zone.b0)))
    return hard and easy


def tails(n: int, wrong_at: float, right_at: float) -> bool:
    """Whether some cut-off has at most 5 % below it at one rate and at most 5 % above it at the smaller other."""
    below = right = 0.0
    for k in range(n + 1):
        below += binomial(k, n, wrong_at)
        if below > 0.05:
            break
        right += binomial(k, n, right_at)
    return right >= 0.95


def test_certificates_cost_what_nobody_can_avoid() -> None:
    """On the exact edges, cap 64, population (i): 1.04 times the bound of any such rule, and half stay undecided."""
    grid = population("i")
    found = foresee(certificate_table(exact_edges(0.5), 64, 0.05), posterior_table(grid, 64, Band()))
    bound = average(grid, lambda rate: min(64.0, least_rollouts(rate, Band(), 0.05) or 64.0))
    assert bound == pytest.approx(40.7, abs=0.05)
    assert found.rollouts / bound == pytest.approx(1.04, abs=0.005)
    assert 1 - found.decided == pytest.approx(0.51, abs=0.005)


def test_a_zone_stands_around_any_band() -> None:
    """The default zone is that of the default band; a band that begins at 0 has no task that is too hard."""
    around = Zone.around(Band())
    assert (around.a0, around.a1, around.b0, around.b1) == pytest.approx((0.02, 0.10, 0.70, 0.80))
    table = certificate_table(recommended_bets(Zone.around(Band(0.0, 0.9))), 64, 0.05)
    assert Verdict.TOO_HARD not in {cell for row in table.cells for cell in row}
    assert table.cells[64][0] is Verdict.IN_BAND
    open_above = certificate_table(recommended_bets(Zone.around(Band(0.1, 1.0))), 64, 0.05)
    assert open_above.cells[64][64] is Verdict.IN_BAND


BANDS = {  # band: failures and passes in a row that are certified first, worst error to four digits
    Band(0.05, 0.75): (32, 11, 0.0460),
    Band(0.99, 1.0): (1, 92, 0.0332),
    Band(0.0, 0.01): (59, 1, 0.0349),
    Band(0.95, 1.0): (1, 51, 0.0360),
    Band(0.0, 0.05): (39, 1, 0.0362),
    Band(0.1, 0.9): (22, 22, 0.0463),
    Band(0.9, 0.95): (2, 33, 0.0432),
    Band(0.2, 0.3): (13, 3, 0.0391),
    Band(0.05, 0.15): (29, 2, 0.0451),
    Band(0.7, 0.9): (3, 22, 0.0477),
}
"""A zone that left [0, 1] certified .99-1 after 46 passes, wrong 15.4 % of the time at .96, and divided by 0 at .95-1.
With 0.05 on each side of a band of width 0.1, "too hard" and "too easy" together were wrong up to 8.5 %."""


@pytest.mark.parametrize("band", BANDS)
def test_certificates_of_any_band_are_wrong_as_seldom_as_they_say(band: Band) -> None:
    """Exact recursion up to 256 rollouts, at the ends of the zone, where the error is largest: under 5 %."""
    failures, passes, error = BANDS[band]
    zone = Zone.around(band)
    table = certificate_table(recommended_bets(zone), 256, 0.05)
    assert runs(table) == (failures, passes)
    assert worst_at_ends(table, zone) == pytest.approx(error, abs=6e-5)


def worst_at_ends(table: StoppingTable, zone: Zone) -> float:
    """The error at the ends of the zone that lie between 0 and 1; a class beyond another end does not exist."""
    ends = (rate for rate in (zone.a0, zone.a1, zone.b0, zone.b1) if 0 < rate < 1)
    return max((wrong(table, zone, rate) for rate in ends), default=0.0)


@settings(max_examples=15, deadline=None)
@given(low=st.integers(0, 999), width=st.integers(1, 250) | st.integers(1, 1000))
def test_a_zone_stays_where_rates_are(low: int, width: int) -> None:
    """Whatever the band, each edge lies inside its zone, no zone reaches 0 or 1, and 5 % holds up to 64 rollouts."""
    band = Band(low / 1000, min(1000, low + width) / 1000)
    zone = Zone.around(band)
    assert (0 < zone.a0 < band.low < zone.a1 < 1) if low else zone.a0 == zone.a1 == 0
    assert (0 < zone.b0 < band.high < zone.b1 < 1) if band.high < 1 else zone.b0 == zone.b1 == 1
    assert worst_at_ends(certificate_table(recommended_bets(zone), 64, 0.05), zone) <= 0.05


def test_an_e_value_of_nothing_is_one() -> None:
    """Before the first reward nobody has won: the logarithm is 0."""
    assert log_e_value(recommended_bets().below_a1, []) == pytest.approx(0)
    assert log_e_value_of_counts(recommended_bets().above_b0, 0, 0) == pytest.approx(0)
