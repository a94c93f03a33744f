"""A verdict is as sure as it is in the worst case of what is not known: what was lost, and what has not finished."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskcal.core.adaptive.design import Design
from taskcal.core.adaptive.task_state import Launch, TaskHistory
from taskcal.core.calibration.calibrate import calibrate
from taskcal.core.calibration.doubt import ORDER, Doubt, losses_before
from taskcal.core.calibration.posterior_verdict import judge_counts
from taskcal.core.rollout import Rollout, RolloutId
from taskcal.core.settings import CalibrationSettings, Metric, fixed_settings
from taskcal.core.verdict import Strength, Verdict
from tests.core.core_case import GROUP, counts, graded, lost, record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.rollout import Outcome

ADAPTIVE = CalibrationSettings(8, Design(learn=False))
TEN = fixed_settings(10)
COUNTS = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 6)).filter(lambda known: sum(known[:2]) > 0)


def placed(
    outcomes: Sequence[Outcome | None], settings: CalibrationSettings = TEN, planned: int | None = 10
) -> Calibration:
    """A group with these outcomes by index; None has no row."""
    rows = [Rollout(RolloutId(GROUP, index, 0), outcome) for index, outcome in enumerate(outcomes) if outcome]
    return calibrate([record()], rows, settings, planned)[0]


P, F = graded(1.0), graded(0.0)


@settings(max_examples=60, deadline=None)
@given(known=COUNTS)
def test_no_outcome_of_the_lost_makes_a_verdict_less_sure(known: tuple[int, int, int]) -> None:
    """However many of the lost had passed, the class would be the same and at least as sure as it is called."""
    passed, failed, losses = known
    found = counts(passed, failed, *[lost()] * losses)
    if found.judgement.strength is Strength.LEANING:
        return
    for more in range(losses + 1):
        other = counts(passed + more, failed + losses - more)
        assert other.judgement.verdict is found.judgement.verdict
        assert ORDER.index(other.judgement.strength or Strength.LEANING) >= ORDER.index(
            found.judgement.strength or Strength.LEANING
        )


def test_a_certificate_that_the_lost_may_undo_is_not_reported() -> None:
    """11 of 11 with one lost leans, and no guarantee stands beside it."""
    shaken, whole = counts(11, 0, lost()), counts(11, 0)
    assert (shaken.judgement.strength, shaken.judgement.certificate, shaken.judgement.robust) == (
        Strength.LEANING,
        None,
        None,
    )
    assert (whole.judgement.strength, whole.judgement.certificate) == (Strength.CERTIFIED, Verdict.TOO_EASY)


def test_lost_rewards_may_undo_a_certificate() -> None:
    """Where the band is about rewards, each lost one may have earned 0 or 1: 11 of 11 leans, 30 of 30 does not."""
    rewards = replace(TEN, metric=Metric.REWARD)
    assert placed([P] * 11 + [lost()], rewards, None).judgement.strength is Strength.LEANING
    assert placed([P] * 30 + [lost()], rewards, None).judgement.strength is Strength.CERTIFIED


@pytest.mark.parametrize(
    ("outcomes", "before"),
    [
        ([P] * 7 + [lost()], 0),  # decided at 7 of 7, lost behind it
        ([P] * 3 + [lost()] + [P] * 4, 1),
        ([P] * 3 + [lost(), None] + [P] * 4, 1),  # the gap is never passed
        ([lost(), None, lost(), P], 1),
        ([lost()] * 2 + [P, F, lost()], 3),  # undecided: all of the prefix
    ],
)
def test_only_losses_before_the_decision_matter(outcomes: list[Outcome | None], before: int) -> None:
    """After adaptive stopping a loss behind the decision, or behind a launch that never finished, changes nothing."""
    found = placed(outcomes, ADAPTIVE, None)
    rows = [Rollout(RolloutId(GROUP, index, 0), outcome) for index, outcome in enumerate(outcomes) if outcome]
    assert losses_before(found.judgement.basis, rows, ADAPTIVE) == before


def test_a_loss_before_an_adaptive_decision_counts_both_ways() -> None:
    """7 of 7 with one lost among them could be 7 of 8, which is not likely; lost behind the decision it cannot."""
    assert placed([P] * 3 + [lost()] + [P] * 4, ADAPTIVE, None).judgement.doubts == (Doubt.LOST,)
    assert placed([P] * 7 + [lost()], ADAPTIVE, None).judgement.strength is Strength.LIKELY


@pytest.mark.parametrize(
    ("outcomes", "verdict", "strength"),
    [
        ([P] * 7 + [None] * 3, Verdict.TOO_EASY, Strength.LEANING),  # 7 of 8 is not likely
        ([P, None, P, P, None, P, P, None, P, P], Verdict.TOO_EASY, Strength.LEANING),
        ([None] + [P] * 9, Verdict.TOO_EASY, Strength.LEANING),  # nothing before the gap
        ([F] * 9 + [None], Verdict.TOO_HARD, Strength.LEANING),
        ([P] * 10, Verdict.TOO_EASY, Strength.LIKELY),
        ([P, F, F] * 3 + [None], Verdict.IN_BAND, Strength.LIKELY),  # 3 and 4 of 10 both are
    ],
)
def test_an_incomplete_group_is_as_sure_as_its_first_launches(
    outcomes: list[Outcome | None], verdict: Verdict, strength: Strength
) -> None:
    """Seven fast passes say little while three slow rollouts run: only the launches before the first gap count.

    That one is counted both ways, as how it ends may be why it has not.
    """
    found = placed(outcomes)
    assert (found.judgement.verdict, found.judgement.strength) == (verdict, strength)
    assert found.counts.missing == outcomes.count(None)
    assert (Doubt.MISSING in found.judgement.doubts) == (strength is Strength.LEANING)


def test_a_long_run_of_first_launches_is_enough() -> None:
    """Cut short at 64 of 100 failures, the one behind them changes nothing; without a plan nothing is missing."""
    assert placed([F] * 64, fixed_settings(100), 100).judgement.strength is Strength.CERTIFIED
    unplanned = placed([P] * 7, TEN, None)
    assert (unplanned.judgement.strength, unplanned.counts.missing) == (Strength.LIKELY, 0)


def test_an_incomplete_group_of_rewards_leans_too() -> None:
    """A certificate about the mean reward needs the launches in their order as well."""
    rewards = replace(fixed_settings(12), metric=Metric.REWARD)
    assert placed([P] * 11 + [None], rewards, 12).judgement.doubts == (Doubt.MISSING,)
    assert placed([P] * 12, rewards, 12).judgement.strength is Strength.CERTIFIED


@pytest.mark.parametrize(("passed", "graded_"), [(2205, 3000), (168, 3000), (2240, 3000), (2260, 3000), (140, 3000)])
def test_a_certificate_is_of_the_verdicts_class(passed: int, graded_: int) -> None:
    """At a rate of .735 both p > 0.70 and p < 0.80 are proved: the verdict is in band, and so is its certificate."""
    launches = [Launch.PASSED] * passed + [Launch.FAILED] * (graded_ - passed)
    found = judge_counts([TaskHistory(GROUP, tuple(launches))], fixed_settings(8))[0]
    assert found.certificate is (found.likely or fixed_settings(8).band.verdict(passed / graded_))
