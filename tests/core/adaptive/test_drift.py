"""A warm start: how far the agent has moved since an earlier calibration, and what that calibration says now."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskcal.core.adaptive import drift
from taskcal.core.adaptive.drift import MOVES, earlier_posteriors, warm_prior, weigh_moves
from taskcal.core.adaptive.task_state import Launch, TaskHistory
from taskcal.core.calibration.posterior_verdict import judge_counts
from taskcal.core.rollout import GroupId
from taskcal.core.settings import fixed_settings
from taskcal.core.stats.posterior import class_probabilities
from taskcal.core.stats.prior import Counts
from taskcal.core.verdict import Verdict

BAND = (0.05, 0.75)
NOTHING = Counts(0, 0)
PAIRS = st.lists(st.tuples(st.integers(0, 16), st.integers(0, 8)), min_size=1, max_size=8)


def likely(before: Counts, now: tuple[int, int], tasks: int = 40) -> set[Verdict | None]:
    """The likely verdicts of tasks that all counted the same, then and now."""
    passed, graded = now
    launches = (Launch.PASSED,) * passed + (Launch.FAILED,) * (graded - passed)
    states = [TaskHistory(GroupId(str(number), ""), launches, before) for number in range(tasks)]
    return {opinion.likely for opinion in judge_counts(states, fixed_settings(graded))}


@pytest.mark.parametrize(
    ("before", "now", "right"),
    [
        (Counts(19, 64), (0, 4), Verdict.TOO_HARD),  # was "in-band, likely", wrong of every task
        (Counts(19, 64), (0, 8), Verdict.TOO_HARD),
        (Counts(19, 64), (8, 8), Verdict.TOO_EASY),
        (Counts(0, 64), (3, 8), Verdict.IN_BAND),
        (Counts(64, 64), (4, 8), Verdict.IN_BAND),
        (Counts(19, 64), (2, 8), Verdict.IN_BAND),
        (Counts(0, 64), (0, 4), Verdict.TOO_HARD),
        (Counts(64, 64), (4, 4), Verdict.TOO_EASY),
    ],
)
def test_an_agent_that_has_changed_is_judged_by_what_it_does_now(
    before: Counts, now: tuple[int, int], right: Verdict
) -> None:
    """40 tasks with 64 old rollouts each that all have moved alike, or stayed: the verdict is that of the new rate."""
    assert likely(before, now) == {right}


def test_without_drift_the_past_is_worth_many_rollouts() -> None:
    """4 new rollouts decide what takes 19 or 7 from nothing; a single task with a past is trusted less than forty."""
    assert likely(Counts(0, 64), (0, 4)) == {Verdict.TOO_HARD}
    assert likely(Counts(0, 64), (0, 4), tasks=1) == {None}


@pytest.mark.parametrize("shift", [-3, -1, 0, 2, 4])
def test_a_common_shift_is_found(shift: int) -> None:
    """Tasks of several rates that have all moved by so many logits: the move that is most probable says so."""
    rates = [0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.98] * 4
    pairs = [(counted(rate, 64), counted(moved(rate, shift), 16)) for rate in rates]
    found = weigh_moves(earlier_posteriors([before for before, _ in pairs], BAND), pairs)
    assert math.fsum(found) == pytest.approx(1)
    expected = math.fsum(share * move for share, (move, _) in zip(found, MOVES, strict=True))
    assert expected == pytest.approx(shift, abs=0.35)
    spread = math.fsum(share * one for share, (_, one) in zip(found, MOVES, strict=True))
    assert spread < 0.8


def moved(rate: float, shift: float) -> float:
    odds = rate / (1 - rate) * math.exp(shift)
    return odds / (1 + odds)


def counted(rate: float, graded: int) -> Counts:
    return Counts(round(rate * graded), graded)


def test_tasks_that_move_apart_leave_a_wide_prior() -> None:
    """Half of the tasks up, half down by three logits: no common shift explains it, so a large spread must."""
    pairs = [(Counts(32, 64), Counts(passed, 16)) for passed in (1, 15) * 20]
    found = weigh_moves(earlier_posteriors([before for before, _ in pairs], BAND), pairs)
    wide = math.fsum(share for share, (_, spread) in zip(found, MOVES, strict=True) if spread == 2.0)
    assert wide > 0.99


def test_before_anything_is_measured_small_moves_are_expected() -> None:
    """Shifts of at most a logit have four fifths of the weight; a warm prior is between the past and the population."""
    memory = earlier_posteriors([Counts(8, 16), Counts(2, 16)], BAND)
    found = weigh_moves(memory, [])
    small = math.fsum(share for share, (shift, _) in zip(found, MOVES, strict=True) if abs(shift) <= 1)
    assert small == pytest.approx(0.80, abs=0.01)
    one = warm_prior(memory, found, Counts(8, 16))
    assert math.fsum(one.weights) == pytest.approx(1)
    population = class_probabilities(memory.population, NOTHING, BAND)[1]
    assert (
        population
        < class_probabilities(one, NOTHING, BAND)[1]
        < class_probabilities(memory.population, Counts(8, 16), BAND)[1]
    )


def test_a_kernel_keeps_every_rate() -> None:
    """From each cell all the weight goes somewhere, up for a positive shift, and hardly anywhere for a tiny one."""
    edges = earlier_posteriors([], BAND).population.edges
    for shift, spread in [(0.0, 0.01), (2.0, 0.5), (-6.0, 2.0)]:
        for row in drift.kernel(edges, shift, spread):
            assert math.fsum(row) == pytest.approx(1)
    still = drift.kernel(edges, 0.0, 1e-6)
    assert all(row[at] == pytest.approx(1) for at, row in enumerate(still))


@settings(max_examples=25, deadline=None)
@given(pairs=PAIRS, order=st.randoms())
def test_the_order_of_tasks_does_not_matter_to_the_drift(pairs: list[tuple[int, int]], order: object) -> None:
    """The moves are a function of the set of pairs, and always a distribution."""
    counts = [(Counts(before, 16), Counts(now, 8)) for before, now in pairs]
    memory = earlier_posteriors([before for before, _ in counts], BAND)
    found = weigh_moves(memory, counts)
    shuffled = counts.copy()
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert weigh_moves(earlier_posteriors([before for before, _ in shuffled], BAND), shuffled) == pytest.approx(found)
    assert min(found) >= 0
