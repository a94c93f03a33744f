"""What a group of known rate teaches: advantages of three trainers, against tables and by playing all groups."""

from __future__ import annotations

import math
import statistics
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.stats import rates
from taskcal.core.stats.advantages import (
    Trainer,
    advantages,
    expected_absolute_advantage,
    expected_squared_advantage,
    expected_std,
    group_std,
    mixed_chance,
    recommended_group_size,
    squared_advantage_unbiased,
)
from taskcal.core.stats.prior import UNIFORM

RATES = st.floats(0.01, 0.99)
REWARDS = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=7)

# rate, G: chance of a mixed group, mean std with ddof 0 and 1, mean |A| centred and standardised, mean A^2 centred
# and of RLOO. Computed with scipy.stats.binom, not with this code.
EXPECTED = {
    (0.01, 4): (0.039404, 0.017102, 0.019747, 0.014850, 0.029621, 0.007425, 0.013200),
    (0.01, 8): (0.077255, 0.025828, 0.027611, 0.017325, 0.048319, 0.008663, 0.011314),
    (0.01, 16): (0.148542, 0.036957, 0.038169, 0.018562, 0.071566, 0.009281, 0.010560),
    (0.01, 32): (0.275020, 0.050830, 0.051643, 0.019181, 0.100059, 0.009591, 0.010219),
    (0.05, 4): (0.185488, 0.081225, 0.093791, 0.071250, 0.140686, 0.035625, 0.063333),
    (0.05, 8): (0.336580, 0.117470, 0.125581, 0.083125, 0.219767, 0.041563, 0.054286),
    (0.05, 16): (0.559873, 0.155187, 0.160277, 0.089062, 0.300519, 0.044531, 0.050667),
    (0.05, 32): (0.806289, 0.187237, 0.190233, 0.092031, 0.368577, 0.046016, 0.049032),
    (0.1, 4): (0.343800, 0.152125, 0.175659, 0.135000, 0.263489, 0.067500, 0.120000),
    (0.1, 8): (0.569533, 0.209492, 0.223956, 0.157500, 0.391924, 0.078750, 0.102857),
    (0.1, 16): (0.814698, 0.256303, 0.264709, 0.168750, 0.496329, 0.084375, 0.096000),
    (0.1, 32): (0.965663, 0.282962, 0.287490, 0.174375, 0.557012, 0.087188, 0.092903),
    (0.25, 4): (0.679688, 0.308443, 0.356160, 0.281250, 0.534240, 0.140625, 0.250000),
    (0.25, 8): (0.899872, 0.379897, 0.406127, 0.328125, 0.710722, 0.164062, 0.214286),
    (0.25, 16): (0.989977, 0.412109, 0.425624, 0.351562, 0.798045, 0.175781, 0.200000),
    (0.25, 32): (0.999900, 0.423540, 0.430317, 0.363281, 0.833740, 0.181641, 0.193548),
    (0.5, 4): (0.875000, 0.404006, 0.466506, 0.375000, 0.699760, 0.187500, 0.333333),
    (0.5, 8): (0.992188, 0.463914, 0.495945, 0.437500, 0.867904, 0.218750, 0.285714),
    (0.5, 16): (0.999969, 0.483531, 0.499388, 0.468750, 0.936353, 0.234375, 0.266667),
    (0.5, 32): (1.000000, 0.491993, 0.499865, 0.484375, 0.968488, 0.242188, 0.258065),
    (0.75, 4): (0.679688, 0.308443, 0.356160, 0.281250, 0.534240, 0.140625, 0.250000),
    (0.75, 8): (0.899872, 0.379897, 0.406127, 0.328125, 0.710722, 0.164062, 0.214286),
    (0.75, 16): (0.989977, 0.412109, 0.425624, 0.351562, 0.798045, 0.175781, 0.200000),
    (0.75, 32): (0.999900, 0.423540, 0.430317, 0.363281, 0.833740, 0.181641, 0.193548),
    (0.9, 4): (0.343800, 0.152125, 0.175659, 0.135000, 0.263489, 0.067500, 0.120000),
    (0.9, 8): (0.569533, 0.209492, 0.223956, 0.157500, 0.391924, 0.078750, 0.102857),
    (0.9, 16): (0.814698, 0.256303, 0.264709, 0.168750, 0.496329, 0.084375, 0.096000),
    (0.9, 32): (0.965663, 0.282962, 0.287490, 0.174375, 0.557012, 0.087187, 0.092903),
    (0.95, 4): (0.185488, 0.081225, 0.093791, 0.071250, 0.140686, 0.035625, 0.063333),
    (0.95, 8): (0.336580, 0.117470, 0.125581, 0.083125, 0.219767, 0.041563, 0.054286),
    (0.95, 16): (0.559873, 0.155187, 0.160277, 0.089063, 0.300519, 0.044531, 0.050667),
    (0.95, 32): (0.806289, 0.187237, 0.190233, 0.092031, 0.368577, 0.046016, 0.049032),
    (0.99, 4): (0.039404, 0.017102, 0.019747, 0.014850, 0.029621, 0.007425, 0.013200),
    (0.99, 8): (0.077255, 0.025828, 0.027611, 0.017325, 0.048319, 0.008663, 0.011314),
    (0.99, 16): (0.148542, 0.036957, 0.038169, 0.018563, 0.071566, 0.009281, 0.010560),
    (0.99, 32): (0.275020, 0.050830, 0.051643, 0.019181, 0.100059, 0.009591, 0.010219),
}
# Passed of 8: std with ddof 0 and 1, variance; then GRPO passed and failed, centred passed and failed, RLOO passed.
# Where all pass the centred advantage is 0, and so is RLOO's, which is 8/7 of it.
GROUP_OF_8 = {
    0: (0.000000, 0.000000, 0.000000, None, None, None, 0.0, None),
    1: (0.330719, 0.353553, 0.125000, 2.474874, -0.353553, 0.875, -0.125, 1.000000),
    2: (0.433013, 0.462910, 0.214286, 1.620185, -0.540062, 0.75, -0.25, 0.857143),
    3: (0.484123, 0.517549, 0.267857, 1.207615, -0.724569, 0.625, -0.375, 0.714286),
    4: (0.500000, 0.534522, 0.285714, 0.935414, -0.935414, 0.5, -0.5, 0.571429),
    5: (0.484123, 0.517549, 0.267857, 0.724569, -1.207615, 0.375, -0.625, 0.428571),
    6: (0.433013, 0.462910, 0.214286, 0.540062, -1.620185, 0.25, -0.75, 0.285714),
    7: (0.330719, 0.353553, 0.125000, 0.353553, -2.474874, 0.125, -0.875, 0.142857),
    8: (0.000000, 0.000000, 0.000000, None, None, 0.0, None, 0.0),
}


@pytest.mark.parametrize(("rate", "group_size"), EXPECTED)
def test_expectations_are_the_tables(rate: float, group_size: int) -> None:
    """Six digits of seven expectations over groups at a known rate."""
    found = [
        mixed_chance(rate, group_size),
        expected_std(rate, group_size, ddof=0),
        expected_std(rate, group_size, ddof=1),
        expected_absolute_advantage(rate, group_size, Trainer.DR_GRPO),
        expected_absolute_advantage(rate, group_size, Trainer.GRPO),
        expected_squared_advantage(rate, group_size, Trainer.DR_GRPO),
        expected_squared_advantage(rate, group_size, Trainer.RLOO),
    ]
    assert found == pytest.approx(EXPECTED[rate, group_size], abs=1.1e-6)


@pytest.mark.parametrize("passed", GROUP_OF_8)
def test_advantages_of_a_group_are_the_tables(passed: int) -> None:
    """Six digits of the advantages of each group of 8; what the group has none of has no advantage."""
    std0, std1, variance, *shown = GROUP_OF_8[passed]
    assert (group_std(passed, 8), group_std(passed, 8, ddof=1)) == pytest.approx((std0, std1), abs=1e-6)
    assert group_std(passed, 8, ddof=1) ** 2 == pytest.approx(variance, abs=1e-6)
    grpo, centred, rloo = (advantages(passed, 8, trainer) for trainer in Trainer)
    assert [grpo.passed, grpo.failed, centred.passed, centred.failed, rloo.passed] == [
        None if value is None else pytest.approx(value, abs=1e-6) for value in shown
    ]


@given(rate=RATES, group_size=st.integers(2, 6), trainer=st.sampled_from(Trainer))
def test_squares_are_those_of_all_groups(rate: float, group_size: int, trainer: Trainer) -> None:
    """The closed forms, against every group that can be, its advantages computed as the trainers' code does."""
    total = 0.0
    for group in product((0.0, 1.0), repeat=group_size):
        chance = math.prod(rate if reward else 1 - rate for reward in group)
        total += chance * statistics.fmean(a * a for a in by_hand(group, trainer))
    assert expected_squared_advantage(rate, group_size, trainer) == pytest.approx(total)


def by_hand(group: tuple[float, ...], trainer: Trainer) -> list[float]:
    centre = statistics.fmean(group)
    if trainer is Trainer.DR_GRPO:
        return [reward - centre for reward in group]
    if trainer is Trainer.RLOO:
        return [reward - (sum(group) - reward) / (len(group) - 1) for reward in group]
    spread = statistics.stdev(group)
    return [(reward - centre) / spread if spread else 0.0 for reward in group]


@given(rewards=REWARDS, group_size=st.integers(2, 7), trainer=st.sampled_from(Trainer))
def test_the_unbiased_squares_use_what_is_unbiased(rewards: list[float], group_size: int, trainer: Trainer) -> None:
    """(G-1)/G of the signal for GRPO, of the variance for Dr. GRPO, G/(G-1) of it for RLOO; None where those are."""
    found = squared_advantage_unbiased(rewards, group_size, trainer)
    shrink = (group_size - 1) / group_size
    variance, mixed = rates.contrast_unbiased(rewards), rates.signal_unbiased(rewards, group_size)
    assert variance is not None
    expected = {
        Trainer.GRPO: None if mixed is None else shrink * mixed,
        Trainer.DR_GRPO: shrink * variance,
        Trainer.RLOO: variance / shrink,
    }[trainer]
    assert found == (None if expected is None else pytest.approx(expected))


@given(graded=st.integers(1, 40), share=st.floats(0, 1), target=st.floats(0.1, 0.99))
def test_the_recommended_group_is_the_smallest(graded: int, share: float, target: float) -> None:
    """At it the signal reaches the target, one below it does not; None means that 64 do not either."""
    passed = round(share * graded)
    found = recommended_group_size(passed, graded, target)
    size = found or 65
    below, reached = rates.signal(passed, graded, size - 1), rates.signal(passed, graded, size)
    assert reached is not None
    assert (below or 0.0) < target
    assert found is None or reached >= target


def test_recommended_groups_by_hand() -> None:
    """Half passed: 6 or more of 8 differ; hopeless: none of 64 will do; a flat prior agrees with its closed form."""
    assert recommended_group_size(4, 8) == 6
    assert recommended_group_size(0, 64) is None
    assert recommended_group_size(4, 8, 0.45, UNIFORM) == 2  # Beta(5, 5): 2 * 5 * 5 / (10 * 11) are mixed
    assert recommended_group_size(0, 0) is None


def test_a_group_of_one_has_no_advantage() -> None:
    """Below two rollouts there is nothing to compare: None, never 0."""
    assert mixed_chance(0.5, 1) is None
    assert expected_std(0.5, 1) is None
    for trainer in Trainer:
        assert expected_squared_advantage(0.5, 1, trainer) is None
        assert expected_absolute_advantage(0.5, 1, trainer) is None
        assert squared_advantage_unbiased([1.0, 0.0], 1, trainer) is None
    assert squared_advantage_unbiased([1.0], 2, Trainer.RLOO) is None
