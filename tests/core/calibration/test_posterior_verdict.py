"""What the counts of a whole taskset say of each task, in fixed groups and after adaptive stopping."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.adaptive.task_state import Closed, Launch, TaskHistory
from taskcal.core.calibration.posterior_verdict import (
    PosteriorVerdict,
    agrees_across_priors,
    judge_counts,
    judge_rewards,
)
from taskcal.core.rollout import GroupId
from taskcal.core.settings import CalibrationSettings, Metric, fixed_settings
from taskcal.core.stats.prior import Counts, PriorSource
from taskcal.core.verdict import Verdict

if TYPE_CHECKING:
    import random

ASK = fixed_settings(8)
ADAPTIVE = CalibrationSettings(8, Design(learn=False))
COUNTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=20, max_size=30)


def task(passed: int, graded: int, name: str = "a", earlier: Counts | None = None) -> TaskHistory:
    launches = [Launch.PASSED] * passed + [Launch.FAILED] * (graded - passed)
    return TaskHistory(GroupId(name, ""), tuple(launches), earlier)


def alone(passed: int, graded: int, settings: CalibrationSettings = ASK) -> PosteriorVerdict:
    return judge_counts([task(passed, graded)], settings)[0]


def among(others: int, like: tuple[int, int], passed: int, graded: int) -> PosteriorVerdict:
    """One task beside so many others that are all alike."""
    rest = [task(*like, name=f"other-{number}") for number in range(others)]
    return judge_counts([task(passed, graded), *rest], ASK)[0]


@pytest.mark.parametrize(("others", "source"), [(3, PriorSource.DEFAULT), (4, PriorSource.LEARNED)])
def test_the_prior_is_learned_from_five_tasks_on(others: int, source: PriorSource) -> None:
    """Below five measured tasks the default prior judges, from there on the taskset's own, with fixed groups too."""
    assert among(others, (3, 8), 0, 8).source is source


def test_only_measured_tasks_teach() -> None:
    """Five tasks of which one was never graded are four; that one has no posterior and is sure of nothing."""
    found = judge_counts([task(0, 0), *(task(3, 8, f"t{number}") for number in range(4))], ASK)
    assert {one.source for one in found} == {PriorSource.DEFAULT}
    assert (found[0].posterior, found[0].likely, found[0].certificate) == (None, None, None)
    assert agrees_across_priors(found[0], ASK) is None


def test_what_the_other_tasks_are_like_counts() -> None:
    """0 of 19 alone is likely too hard; among thirty tasks that pass 3 of 19, under two thirds are left of it."""
    assert alone(0, 19).likely is Verdict.TOO_HARD
    found = among(30, (3, 19), 0, 19)
    assert found.likely is None
    assert found.posterior is not None
    assert found.posterior.too_hard == pytest.approx(0.627, abs=5e-4)


def test_a_learned_prior_may_be_sure_against_the_rate() -> None:
    """6 of 8 lies in the band, yet among 300 tasks that pass 14 of 16 it is too easy with more than 95 %."""
    found = among(300, (14, 16), 6, 8)
    assert found.likely is Verdict.TOO_EASY
    assert ASK.band.verdict(6 / 8) is Verdict.IN_BAND
    assert agrees_across_priors(found, ASK) is False


@pytest.mark.parametrize(
    ("passed", "graded", "likely", "same"),
    [
        # Posterior of the class under the default mixture, Jeffreys' and the uniform prior, computed with scipy:
        (0, 8, None, True),  # .856 .643 .370 (none decides)
        (0, 32, Verdict.TOO_HARD, False),  # .983 .931 .816
        (0, 64, Verdict.TOO_HARD, True),  # .998 .990 .964
        (2, 8, Verdict.IN_BAND, True),  # .975 .979 .990
        (4, 8, Verdict.IN_BAND, False),  # .951 .941 .951
        (8, 8, Verdict.TOO_EASY, False),  # .974 .971 .925
        (16, 16, Verdict.TOO_EASY, True),  # .998 .998 .992
    ],
)
def test_robust_is_the_same_decision_under_three_priors(
    passed: int, graded: int, likely: Verdict | None, same: bool
) -> None:
    """A verdict is robust where default, Jeffreys' and uniform prior all decide as it does, or all leave it open."""
    found = alone(passed, graded)
    assert (found.likely, agrees_across_priors(found, ASK)) == (likely, same)


@pytest.mark.parametrize(
    ("passed", "graded", "certificate"),
    [
        (0, 31, None),
        (0, 32, Verdict.TOO_HARD),
        (10, 10, None),
        (11, 11, Verdict.TOO_EASY),
        (16, 32, Verdict.IN_BAND),
        (4, 8, None),
    ],
)
def test_certificates_need_what_the_tables_say(passed: int, graded: int, certificate: Verdict | None) -> None:
    """0 of 32 and 11 of 11 are the first in a row that are certified at 5 %; no prior and no other task sways it."""
    assert alone(passed, graded).certificate is certificate
    assert among(40, (3, 8), passed, graded).certificate is certificate


def test_the_error_rate_asks_for_more() -> None:
    """At 1 % 0 of 32 and 8 of 8 are no longer sure, and at 10 % fewer are enough."""
    strict, lax = (
        CalibrationSettings(8, Design(rule=Rule.FIXED, error_rate=0.01)),
        CalibrationSettings(8, Design(rule=Rule.FIXED, error_rate=0.1)),
    )
    assert (alone(0, 32, strict).certificate, alone(8, 8, strict).likely) == (None, None)
    assert (alone(0, 16, lax).likely, alone(0, 16).likely) == (Verdict.TOO_HARD, None)


def test_an_earlier_calibration_is_a_start() -> None:
    """0 of 8 after 0 of 64 before is likely too hard; the other task is judged by the default prior as ever."""
    found = judge_counts([task(0, 8, "a", Counts(0, 64)), task(0, 8, "b")], ASK)
    assert [one.source for one in found] == [PriorSource.WARM, PriorSource.DEFAULT]
    assert [one.likely for one in found] == [Verdict.TOO_HARD, None]
    assert found[1] == alone(0, 8)


def test_an_earlier_calibration_can_be_overruled() -> None:
    """6 of 8 after 0 of 64: the agent has changed, and nothing is left of too hard."""
    found = judge_counts([task(6, 8, "a", Counts(0, 64))], ASK)[0]
    assert found.posterior is not None
    assert found.posterior.too_hard < 1e-5


@settings(max_examples=20, deadline=None)
@given(counts=COUNTS, order=st.randoms())
def test_the_order_of_tasks_does_not_matter(counts: list[tuple[int, int]], order: random.Random) -> None:
    """Each task gets the same opinion wherever it stands in the taskset, also where the prior is learned."""
    tasks = [task(passed, passed + failed, f"t{number}") for number, (passed, failed) in enumerate(counts)]
    known = {state.group: opinion for state, opinion in zip(tasks, judge_counts(tasks, ASK), strict=True)}
    order.shuffle(tasks)
    assert [known[state.group] for state in tasks] == list(judge_counts(tasks, ASK))


def test_after_stopping_the_counts_at_the_decision_are_judged() -> None:
    """7 of 7 decided: two failures that ended later change nothing, where in a fixed group all nine count."""
    late = task(7, 9)
    stopped, plain = judge_counts([late], ADAPTIVE)[0], judge_counts([late], ASK)[0]
    assert (stopped.counts, stopped.likely, stopped.closed) == (Counts(7, 7), Verdict.TOO_EASY, Closed.CONFIDENT)
    assert (plain.counts, plain.likely, plain.closed) == (Counts(7, 9), None, None)


def test_what_is_still_open_says_so() -> None:
    """Five of eight passed are not enough to close a task of an adaptive run that was cut short."""
    found = judge_counts([task(5, 8)], ADAPTIVE)[0]
    assert (found.closed, found.likely, found.counts) == (None, None, Counts(5, 8))


@pytest.mark.parametrize(
    ("rewards", "certificate"),
    [
        # Log fortunes below_a1, above_a0, below_b1, above_b0 against ln 20 = 2.996, from an independent program:
        ([0.5] * 8, Verdict.IN_BAND),  # -3.461 22.899 4.963 -1.296
        ([0.9] * 12, None),  # -5.448 42.438 -1.180 2.399
        ([1.0] * 11, Verdict.TOO_EASY),  # -5.486 39.869 -1.854 3.243
        ([0.0] * 32, Verdict.TOO_HARD),  # 3.052 -3.051 47.508 -6.534
        ([], None),
    ],
)
def test_mean_rewards_have_certificates_only(rewards: list[float], certificate: Verdict | None) -> None:
    """There is no prior over all laws of a reward: no posterior and nothing likely, only what holds without one."""
    found = judge_rewards([rewards], CalibrationSettings(8, Design(rule=Rule.FIXED), metric=Metric.REWARD))[0]
    assert (found.certificate, found.posterior, found.likely, found.source) == (
        certificate,
        None,
        None,
        PriorSource.NONE,
    )
