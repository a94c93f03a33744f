"""The chance that a group teaches anything: from rewards, with a tolerance, under both kinds of prior."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.stats import prior as priors
from taskcal.core.stats import rates
from taskcal.core.stats.posterior import posterior_mean
from taskcal.core.stats.prior import Counts
from taskcal.core.stats.rates import DEFAULT_PRIOR
from taskcal.core.stats.signal import SignalCache, TaskSignal, levels, possible_rewards
from tests.core.forecast.population_case import seeded
from tests.core.stats.oracles import mixed_group_chance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.stats.prior import Prior

GRID = priors.as_grid(DEFAULT_PRIOR, (0.05, 0.75))
PRIORS = pytest.mark.parametrize("prior", [DEFAULT_PRIOR, GRID], ids=["mixture", "grid"])
REWARDS = st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.31, 0.5, 0.9, 1.0]), min_size=1, max_size=16)


def signal(rewards: Sequence[float], prior: Prior = DEFAULT_PRIOR, tolerance: float = 0.02) -> TaskSignal:
    return TaskSignal(rewards, 1.0, prior, tolerance)


@PRIORS
@pytest.mark.parametrize(("passed", "graded"), [(0, 8), (1, 8), (4, 8), (8, 8), (3, 64), (1, 1), (0, 128)])
def test_of_zeros_and_ones_it_is_the_chance_of_a_mixed_group(prior: Prior, passed: int, graded: int) -> None:
    """With two rewards only it is the beta-binomial chance 1 - p^G - (1-p)^G, averaged over the posterior."""
    rewards = [1.0] * passed + [0.0] * (graded - passed)
    for size in (2, 4, 8, 16, 64):
        expected = mixed_group_chance(prior, Counts(passed, graded), size)
        assert signal(rewards, prior).at(size) == pytest.approx(expected, abs=1e-9)


def test_nobody_passes_and_there_is_something_to_learn() -> None:
    """Eight rewards of 0.7 and 0 none of which passes: the success rate says 0.16, the rewards say 0.87.

    By hand: (1 - 0.158760) that none passes, times (6.5 … 13.5 + 2.5 … 9.5) / (9 … 16) = 0.156223 for one level.
    """
    found = signal([0.7] * 6 + [0.0] * 2)
    assert found.at(8) == pytest.approx(1 - (1 - 0.158760) * 0.156223, abs=1e-5)
    assert signal([0.0] * 8).at(8) == pytest.approx(0.158760, abs=1e-6)


def test_a_small_difference_is_no_contrast() -> None:
    """A judge's 0.30 and 0.31 are one level: no signal beyond that of rewards which are all 0.3, unless asked for."""
    near = [0.30, 0.31] * 4
    assert rates.contrast(levels(near, 0.02)) == 0
    assert rates.contrast(near) == pytest.approx(0.000025)
    assert signal(near).at(8) == signal([0.3] * 8).at(8)
    assert (signal(near, tolerance=0.0).at(8) or 0) > 0.9


def test_a_level_reaches_upwards_from_its_lowest_reward() -> None:
    """Rewards in steps of the tolerance do not chain into one level: three make two, and means are kept."""
    assert levels([0.04, 0.0, 0.02], 0.02) == pytest.approx((0.04, 0.01, 0.01))
    assert levels([0.1, 0.5], 0.0) == (0.1, 0.5)
    assert levels([], 0.02) == ()


@given(rewards=st.lists(st.floats(0, 1), max_size=20), tolerance=st.floats(0, 0.2))
def test_levels_keep_the_mean_and_move_nothing_far(rewards: list[float], tolerance: float) -> None:
    """Each reward is replaced by the mean of rewards within the tolerance of each other."""
    found = levels(rewards, tolerance)
    assert math.fsum(found) == pytest.approx(math.fsum(rewards))
    assert all(abs(one - level) <= tolerance + 2e-9 for one, level in zip(rewards, found, strict=True))


def test_what_is_as_good_as_passed_has_passed() -> None:
    """0.995 and 1 are one level, so that passing at 1 and almost passing do not count as a mixed group."""
    assert signal([1.0, 0.995, 1.0, 1.0]).at(8) == signal([1.0] * 4).at(8)


@PRIORS
@given(rewards=REWARDS)
def test_a_larger_group_is_never_more_often_flat(prior: Prior, rewards: list[float]) -> None:
    """The signal grows with G, whatever the rewards, and stays a chance."""
    found = [signal(rewards, prior).at(size) or 0.0 for size in range(2, 65)]
    assert all(after >= before - 1e-12 for before, after in itertools.pairwise(found))
    assert 0.0 <= found[0] <= found[-1] <= 1.0


@PRIORS
@pytest.mark.parametrize("rewards", [[0.0, 0.5, 0.5, 1.0], [0.0, 0.25, 0.5], [1.0, 1.0, 0.5], [0.5, 0.5]])
def test_it_is_what_predicting_one_rollout_after_another_says(prior: Prior, rewards: list[float]) -> None:
    """Coherent: over all sequences of four, each rollout predicted from those before, the mixed sum to the signal."""
    known = {*rewards} | sides(rewards)
    chances = {sequence: predicted(rewards, sequence, prior) for sequence in itertools.product(known, repeat=4)}
    mixed = math.fsum(chance for sequence, chance in chances.items() if len({*sequence}) > 1)
    assert math.fsum(chances.values()) == pytest.approx(1, abs=1e-9)
    assert signal(rewards, prior).at(4) == pytest.approx(mixed, abs=1e-9)


def sides(rewards: Sequence[float]) -> set[float]:
    """A reward for a side that none of them is on."""
    return ({1.0} if max(rewards) < 1.0 else set()) | ({0.0} if min(rewards) >= 1.0 else set())


def predicted(
    rewards: Sequence[float], sequence: Sequence[float], prior: Prior, possible: Sequence[float] = ()
) -> float:
    """The chance of a sequence: pass or fail by the posterior mean, then a level by how often each was seen."""
    seen, known, chance = list(rewards), {*rewards} | sides(rewards) | {*possible}, 1.0
    for reward in sequence:
        side = [level for level in known if (level >= 1.0) == (reward >= 1.0)]
        counts = Counter(one for one in seen if (one >= 1.0) == (reward >= 1.0))
        passed = posterior_mean(prior, Counts(sum(one >= 1.0 for one in seen), len(seen))) or 0.0
        chance *= passed if reward >= 1.0 else 1 - passed
        chance *= (counts[reward] + 1 / len(side)) / (counts.total() + 1)
        seen.append(reward)
    return chance


@PRIORS
@given(rewards=REWARDS)
def test_the_recommended_size_is_the_smallest(prior: Prior, rewards: list[float]) -> None:
    """Its signal reaches 0.9 and that of one rollout less does not; none is recommended where 64 are not enough."""
    found = signal(rewards, prior)
    size = found.recommended_group_size()
    if size is None:
        assert (found.at(64) or 0.0) < 0.9
    else:
        assert (found.at(size) or 0.0) >= 0.9
        assert size == 2 or (found.at(size - 1) or 0.0) < 0.9


def test_sizes_of_known_tasks() -> None:
    """Half of them passing needs groups of 6, one of eight ten times that, and none of eight no size up to 64."""
    sizes = [signal([1.0] * k + [0.0] * (8 - k)).recommended_group_size() for k in (4, 1, 0)]
    assert sizes == [6, 58, None]


def test_undefined_is_none() -> None:
    """Nothing graded has no signal and no recommended size, a group of one has no signal."""
    assert (signal([]).at(8), signal([]).recommended_group_size(), signal([1.0, 0.0]).at(1)) == (None, None, None)


@pytest.mark.parametrize(
    ("weights", "rewards"),
    [
        ((), ()),
        ((0.0,), ()),
        ((3.0,), (0.0, 1.0)),
        ((0.7, 0.3), (0.0, 0.3, 0.7, 1.0)),
        ((1.0, 1.0, 0.0, 2.0), (0.0, 0.25, 0.5, 0.75, 1.0)),
    ],
)
def test_checks_that_are_met_or_not_give_these_rewards(weights: tuple[float, ...], rewards: tuple[float, ...]) -> None:
    """Every sum of weights; those of no weight change nothing, and without a check nothing is known."""
    assert possible_rewards(weights) == pytest.approx(rewards)


def test_many_checks_stay_cheap() -> None:
    """Forty different weights have a trillion sums: an even grid stands for them."""
    assert len(possible_rewards(tuple(1 + number / 100 for number in range(40)))) == 51


@PRIORS
@pytest.mark.parametrize("rewards", [[0.0] * 8, [0.75] * 8, [1.0] * 8, [0.5, 0.5, 1.0]])
def test_a_reward_that_was_not_seen_can_come(prior: Prior, rewards: list[float]) -> None:
    """Predicting one rollout after another with all five rewards of four checks gives the same chance."""
    found = TaskSignal(rewards, 1.0, prior, 0.02, possible_rewards((1.0,) * 4))
    known = [0.0, 0.25, 0.5, 0.75, 1.0]
    sequences = itertools.product(known, repeat=3)
    mixed = math.fsum(predicted(rewards, one, prior, known) for one in sequences if len({*one}) > 1)
    assert found.at(3) == pytest.approx(mixed, abs=1e-9)


def test_with_one_check_nothing_else_can_come() -> None:
    """Eight failures of a task with a single check are what they were: another failure earns 0 again."""
    readings = SignalCache(8, 0.02, [0.0, 1.0])
    assert readings.of([0.0] * 8, 1.0, DEFAULT_PRIOR, [2.0]).signal == pytest.approx(0.158760, abs=1e-6)
    assert readings.of([0.0] * 8, 1.0, DEFAULT_PRIOR).signal == pytest.approx(0.158760, abs=1e-6)
    assert (readings.of([0.0] * 8, 1.0, DEFAULT_PRIOR, [1.0, 1.0]).signal or 0) > 0.4


def test_rewards_of_no_check_are_learned_from_the_other_tasks() -> None:
    """An imported table has no checks: what another task got, this one can get too."""
    alone, among = SignalCache(8, 0.02, [0.0, 1.0]), SignalCache(8, 0.02, [0.0, 0.2, 0.4, 1.0])
    flat = [0.0] * 8
    assert (among.of(flat, 1.0, DEFAULT_PRIOR).signal or 0) > (alone.of(flat, 1.0, DEFAULT_PRIOR).signal or 1) + 0.2


def test_groups_that_were_flat_have_the_signal_that_is_predicted() -> None:
    """Four checks of unlike difficulty: groups flat after 8 are mixed 44 % of the time, where .20 was predicted.

    A seeded draw of 3,000 tasks (42 % in an independent one); the true signal of each is exact.
    """
    chance, readings = seeded("four checks"), SignalCache(8, 0.02, [0.0, 0.25, 0.5, 0.75, 1.0])
    flat: list[tuple[float, float]] = []
    everywhere: list[tuple[float, float]] = []
    for _ in range(3000):
        ease = chance.gauss(0, 2.5)
        rates = [1 / (1 + math.exp(-ease - chance.gauss(0, 1.5))) for _ in range(4)]
        rewards = [sum(chance.random() < rate for rate in rates) / 4 for _ in range(8)]
        pair = true_signal(rates), readings.of(rewards, 1.0, DEFAULT_PRIOR, [1.0] * 4).signal or 0.0
        everywhere.append(pair)
        if len({*rewards}) == 1:
            flat.append(pair)
    assert means(flat)[0] == pytest.approx(0.44, abs=0.03)
    assert means(flat)[1] == pytest.approx(means(flat)[0], abs=0.1)
    assert means(everywhere)[1] == pytest.approx(means(everywhere)[0], abs=0.03)


def true_signal(rates: Sequence[float], size: int = 8) -> float:
    """1 - the chance that a group has the same number of met checks in every rollout."""
    chances = [1.0]
    for rate in rates:
        chances = [
            (1 - rate) * same + rate * fewer for same, fewer in zip([*chances, 0.0], [0.0, *chances], strict=True)
        ]
    return 1 - math.fsum(one**size for one in chances)


def means(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return math.fsum(a for a, _ in pairs) / len(pairs), math.fsum(b for _, b in pairs) / len(pairs)
