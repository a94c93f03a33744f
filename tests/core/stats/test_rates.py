"""The numbers of the statistics, against tables made by other means and against the promises they stand for."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.stats import rates
from taskcal.core.stats.posterior import class_probabilities
from taskcal.core.stats.prior import UNIFORM, Counts
from taskcal.core.stats.rates import DEFAULT_PRIOR, Z95, Interval
from taskcal.core.stats.signal import TaskSignal

if TYPE_CHECKING:
    from taskcal.core.stats.prior import Prior

BAND = (0.05, 0.75)
REWARDS = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=8)

# The tables below were computed with scipy (intervals, beta and beta-binomial distributions), not with this code.
WILSON = {
    (0, 8): (0.000000, 0.324408),
    (1, 8): (0.022417, 0.470888),
    (4, 8): (0.215216, 0.784784),
    (6, 8): (0.409275, 0.928521),
    (7, 8): (0.529112, 0.977583),
    (8, 8): (0.675592, 1.000000),
    (0, 16): (0.000000, 0.193608),
    (1, 16): (0.011119, 0.283287),
    (12, 16): (0.505017, 0.898179),
    (0, 32): (0.000000, 0.107179),
    (0, 59): (0.000000, 0.061129),
    (3, 64): (0.016069, 0.128997),
    (48, 64): (0.631837, 0.839851),
    (11, 11): (0.741167, 1.000000),
}
UNBIASED = {  # k, n: sample variance, then the chance of a mixed group of 4, 8 and 16
    (0, 8): (0.000000, 0.000000, 0.000000, None),
    (1, 8): (0.125000, 0.500000, 1.000000, None),
    (2, 8): (0.214286, 0.785714, 1.000000, None),
    (4, 8): (0.285714, 0.971429, 1.000000, None),
    (7, 8): (0.125000, 0.500000, 1.000000, None),
    (8, 8): (0.000000, 0.000000, 0.000000, None),
    (1, 16): (0.062500, 0.250000, 0.500000, 1.000000),
    (2, 16): (0.116667, 0.450000, 0.766667, 1.000000),
    (8, 16): (0.266667, 0.923077, 0.999845, 1.000000),
    (15, 16): (0.062500, 0.250000, 0.500000, 1.000000),
    (3, 64): (0.045387, 0.178667, 0.334677, 0.584869),
}
POSTERIOR = {  # k, n: below, inside and above the band under the default prior, then the signal at G = 8
    (0, 1): (0.500272, 0.460323, 0.039405, 0.458248),
    (0, 4): (0.739131, 0.260543, 0.000326, 0.252295),
    (0, 8): (0.856025, 0.143974, 0.000001, 0.158760),
    (0, 16): (0.938923, 0.061077, 0.000000, 0.100468),
    (0, 64): (0.997755, 0.002245, 0.000000, 0.050113),
    (1, 8): (0.257224, 0.742691, 0.000085, 0.611018),
    (1, 16): (0.563166, 0.436834, 0.000000, 0.353141),
    (1, 32): (0.851365, 0.148635, 0.000000, 0.180441),
    (2, 8): (0.023573, 0.975106, 0.001322, 0.863156),
    (3, 8): (0.001419, 0.988571, 0.010010, 0.939587),
    (4, 8): (0.000063, 0.950685, 0.049252, 0.959083),
    (5, 8): (0.000002, 0.831187, 0.168811, 0.938314),
    (6, 8): (0.000000, 0.580910, 0.419090, 0.856555),
    (7, 8): (0.000000, 0.236072, 0.763928, 0.626746),
    (8, 8): (0.000000, 0.025542, 0.974458, 0.240047),
    (4, 4): (0.000000, 0.109995, 0.890004, 0.354106),
    (12, 16): (0.000000, 0.568963, 0.431037, 0.879316),
    (14, 16): (0.000000, 0.138058, 0.861942, 0.640044),
    (16, 16): (0.000000, 0.001781, 0.998219, 0.158323),
    (3, 64): (0.684037, 0.315963, 0.000000, 0.277919),
    (48, 64): (0.000000, 0.537851, 0.462149, 0.894213),
    (55, 64): (0.000000, 0.021023, 0.978977, 0.705334),
}


def close(*values: float) -> object:
    """Equal to six digits."""
    return pytest.approx(values, abs=1e-6)


def zeros_and_ones(passed: int, graded: int) -> list[float]:
    return [1.0] * passed + [0.0] * (graded - passed)


@pytest.mark.parametrize(("passed", "graded"), WILSON)
def test_wilson_is_the_tables(passed: int, graded: int) -> None:
    """Six digits of intervals computed with scipy."""
    found = rates.wilson(passed, graded)
    assert found is not None
    assert (found.low, found.high) == close(*WILSON[passed, graded])


@pytest.mark.parametrize("graded", [1, 2, 8, 64, 1000])
def test_wilson_inverts_the_score_test(graded: int) -> None:
    """Its definition: at each end the observed rate lies exactly Z95 standard errors of that end away."""
    for passed in range(graded + 1):
        found = rates.wilson(passed, graded)
        assert found is not None
        for end in {found.low, found.high} - {0.0, 1.0}:
            error = math.sqrt(end * (1 - end) / graded)
            assert abs(passed / graded - end) == pytest.approx(Z95 * error, rel=1e-9)


@pytest.mark.parametrize("graded", [4, 8, 16, 64])
def test_wilson_covers_what_it_promises(graded: int) -> None:
    """Coverage as an exact binomial sum over a grid of rates: 95 to 96 % on average, and nowhere below 83 %."""
    found = [rates.wilson(passed, graded) for passed in range(graded + 1)]
    coverage = [covered(found, step / 500) for step in range(1, 500)]
    assert sum(coverage) / len(coverage) == pytest.approx(0.95, abs=0.006)
    assert min(coverage) > 0.83


def covered(intervals: list[Interval | None], rate: float) -> float:
    """The chance that the interval of a draw from this rate holds it."""
    n = len(intervals) - 1
    return math.fsum(
        math.comb(n, k) * rate**k * (1 - rate) ** (n - k)
        for k, one in enumerate(intervals)
        if one is not None and one.low <= rate <= one.high
    )


@pytest.mark.parametrize(("passed", "graded"), UNBIASED)
def test_unbiased_estimates_are_the_tables(passed: int, graded: int) -> None:
    """Six digits of the sample variance and of the chance of a mixed group; None where n is below G."""
    rewards = zeros_and_ones(passed, graded)
    variance, *chances = UNBIASED[passed, graded]
    assert rates.contrast_unbiased(rewards) == pytest.approx(variance, abs=1e-6)
    for group_size, chance in zip((4, 8, 16), chances, strict=True):
        found = rates.signal_unbiased(rewards, group_size)
        assert found == (None if chance is None else pytest.approx(chance, abs=1e-6))


@pytest.mark.parametrize(
    ("rewards", "expected"),
    [([0, 0, 0, 0.5, 0.5, 1, 1, 1], 1.0), ([0] * 7 + [0.25], 0.5), ([0.5] * 8, 0.0)],
)
def test_partial_credit_counts_as_its_value(rewards: list[float], expected: float) -> None:
    """The chance that 4 of 8 rewards are not all equal, counted by hand for three groups with partial credit."""
    assert rates.signal_unbiased(rewards, 4) == pytest.approx(expected)


@given(rewards=REWARDS, group_size=st.integers(2, 8))
def test_signal_unbiased_counts_the_groups(rewards: list[float], group_size: int) -> None:
    """It is the share of all groups of G that one can draw from the rewards and that are not flat."""
    found = rates.signal_unbiased(rewards, group_size)
    groups = list(combinations(rewards, group_size))
    mixed = sum(len(set(group)) > 1 for group in groups)
    assert found == (pytest.approx(mixed / len(groups)) if groups else None)


def test_rewards_that_differ_by_rounding_are_equal() -> None:
    """0.7 + 0.3 and 1.0 teach nothing together."""
    assert rates.signal_unbiased([0.7 + 0.3 - 1e-12, 1.0, 1.0, 1.0], 2) == 0.0


def signal_of(passed: int, graded: int, group_size: int, prior: Prior = DEFAULT_PRIOR) -> float | None:
    """The signal of so many rewards of 1 and the rest 0."""
    return TaskSignal([1.0] * passed + [0.0] * (graded - passed), 1.0, prior, 0.02).at(group_size)


@pytest.mark.parametrize(("passed", "graded"), POSTERIOR)
def test_posterior_is_the_tables(passed: int, graded: int) -> None:
    """Six digits of the class probabilities and of the signal at G = 8 under the default prior."""
    below, inside, above, chance = POSTERIOR[passed, graded]
    assert class_probabilities(DEFAULT_PRIOR, Counts(passed, graded), BAND) == close(below, inside, above)
    assert signal_of(passed, graded, 8) == pytest.approx(chance, abs=1e-6)


def test_signal_under_a_flat_prior_is_counted_by_hand() -> None:
    """After 1 of 2 under Beta(1, 1), two more pass with chance (2/4)(3/5) and fail with the same: 4/10 are mixed."""
    assert signal_of(1, 2, 2, UNIFORM) == pytest.approx(0.4)


def test_the_prior_is_what_it_says() -> None:
    """Nothing graded: the posterior is the prior, whose weights sum to 1."""
    assert math.fsum(part.weight for part in rates.DEFAULT_PRIOR) == pytest.approx(1)
    assert [part.weight for part in rates.posterior(0, 0)] == pytest.approx([0.25, 0.60, 0.15])
    assert class_probabilities(UNIFORM, Counts(0, 0), BAND) == pytest.approx((0.05, 0.70, 0.25))


@given(graded=st.integers(1, 2000), share=st.floats(0, 1))
def test_probabilities_are_probabilities(graded: int, share: float) -> None:
    """Whatever was counted, the classes sum to 1 and each lies in [0, 1], as the signal does."""
    passed = round(share * graded)
    classes = class_probabilities(DEFAULT_PRIOR, Counts(passed, graded), BAND)
    chance = signal_of(passed, graded, 8)
    assert math.fsum(classes) == pytest.approx(1)
    assert chance is not None
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in (*classes, chance))


@given(rewards=REWARDS)
def test_contrast_is_the_variance(rewards: list[float]) -> None:
    """The mean squared difference of all pairs is twice the variance; 0 exactly for a flat group."""
    pairs = [(a - b) ** 2 for a in rewards for b in rewards]
    assert rates.contrast(rewards) == pytest.approx(sum(pairs) / len(pairs) / 2)
    assert (rates.contrast(rewards) == 0) == (len(set(rewards)) == 1)


def test_undefined_is_none() -> None:
    """Nothing graded, a single reward, a group of one, fewer rewards than a group: None, never 0."""
    assert (rates.success_rate(0, 0), rates.wilson(0, 0), rates.mean([]), signal_of(0, 0, 8)) == (None,) * 4
    assert (rates.contrast([1.0]), rates.contrast_unbiased([1.0]), rates.contrast([])) == (None,) * 3
    assert (signal_of(1, 2, 1), rates.signal_unbiased([0, 1], 1), rates.signal_unbiased([0, 1], 3)) == (None,) * 3
    assert (rates.success_rate(0, 8), rates.mean([0.0]), rates.contrast([1.0, 1.0])) == (0.0,) * 3
