"""What a verdict claims."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.calibration.calibrate import calibrate
from taskcal.core.settings import CalibrationSettings, Metric, fixed_settings
from taskcal.core.stats.certificate import Zone
from taskcal.core.stats.prior import Counts
from taskcal.core.verdict import Band, Strength, Verdict
from taskcal.report.wording import formatting
from taskcal.report.wording.claims import claim, exact_rate, is_robust, sure_claims
from taskcal.report.wording.formatting import DASH
from tests.report.sample_run import (
    QUESTION,
    calibration,
    copied,
    counted,
    graded,
    lost,
    record,
    result_of,
    rollouts,
    run_record,
    with_judgement,
)

REWARDS = replace(QUESTION, metric=Metric.REWARD)
CERTIFIED = "wrong at most 5 % of the time; per task, if rollouts are independent and the agent does not change"
LIKELY = "right 95 times in 100 only if tasks are distributed as the default prior says"


def claimed(passed: int, failed: int, settings: CalibrationSettings = QUESTION) -> str:
    return claim(counted(passed, failed, settings), settings, 1)


@pytest.mark.parametrize(
    ("passed", "failed", "words"),
    [
        (0, 32, f"p < 0.10, {CERTIFIED}"),
        (16, 16, f"0.02 < p < 0.80, {CERTIFIED}"),
        (11, 0, f"p > 0.70, {CERTIFIED}"),
        (0, 24, f"p < 0.05, posterior probability 97 %; {LIKELY}"),
        (2, 6, f"0.05 <= p <= 0.75, posterior probability 98 %; {LIKELY}"),
        (8, 0, f"p > 0.75, posterior probability 97 %; {LIKELY}"),
        (0, 8, "p < 0.05 with probability 86 %"),
        (1, 7, "0.05 <= p <= 0.75 with probability 74 %"),
        (7, 1, "p > 0.75 with probability 76 %"),
    ],
)
def test_each_strength_claims_its_own(passed: int, failed: int, words: str) -> None:
    """Certified up to the zone, likely the class at the edge on average over its prior, leaning a probability alone."""
    assert claimed(passed, failed) == words


def test_the_zone_is_that_of_the_band() -> None:
    """Another band has other claims, whose numbers are those of its certificate; a band without an edge claims none."""
    other = fixed_settings(8, Band(0.2, 0.6))
    zone = Zone.around(other.band)
    assert (zone.a0, zone.a1, zone.b0, zone.b1) == pytest.approx((0.17, 0.25, 0.55, 0.65))
    assert claimed(0, 32, other) == f"p < 0.25, {CERTIFIED}"
    assert claimed(64, 64, fixed_settings(8, Band(0.3, 0.9))) == f"0.27 < p < 0.95, {CERTIFIED}"
    assert claimed(32, 0, other) == f"p > 0.55, {CERTIFIED}"
    assert claimed(0, 64, fixed_settings(8, Band(0.0, 0.5))) == f"p < 0.55, {CERTIFIED}"
    assert claimed(64, 0, fixed_settings(8, Band(0.5, 1.0))) == f"p > 0.47, {CERTIFIED}"
    assert claimed(4, 4, fixed_settings(8, Band(0.0, 1.0))).startswith("any p")


def test_the_error_rate_is_said() -> None:
    """Who asks for 1 % is told 1 %."""
    strict = CalibrationSettings(8, Design(rule=Rule.FIXED, error_rate=0.01))
    assert claimed(0, 64, strict).startswith("p < 0.10, wrong at most 1 % of the time; ")
    assert "; right 99 times in 100 only if " in claimed(12, 0, strict)


def test_the_prior_is_named() -> None:
    """What was learned from the taskset, or brought from an earlier run, is not called the default."""
    groups = [record(f"t{number}") for number in range(20)]
    rows = [row for group in groups for row in rollouts(group, [graded(1, 1)] * 8)]
    learned = calibrate(groups, rows, QUESTION)[0]
    assert claim(learned, QUESTION, 20).endswith(" as the learned prior says, estimated from 20 tasks")
    warmed = replace(QUESTION, earlier={record("a-task").id: Counts(8, 8)})
    assert claimed(6, 0, warmed).endswith(" as the warm prior says")


def test_a_doubted_verdict_claims_under_a_condition() -> None:
    """The probability of a verdict that lost or identical rollouts put in doubt holds only if these say nothing."""
    shaken = calibration(record("a"), [graded(0, 0)] * 20 + [lost()] * 6)
    assert claim(shaken, QUESTION, 1) == (
        "p < 0.05 with probability 96 %, if rollouts were lost whatever their outcome would have been"
    )
    assert claim(copied([graded(1, 1)] * 11, 4), QUESTION, 1) == (
        "p > 0.75 with probability 99 %, if the rollouts were independent"
    )


def test_mean_rewards_are_called_so() -> None:
    """A certificate of mean rewards is none of the success rate; without one nothing is claimed."""
    rewards = calibration(record("a"), [graded(1, 0)] * 6 + [graded(0, 0)] * 2, settings=REWARDS)
    assert claim(rewards, REWARDS, 1) == f"0.02 < mean reward < 0.80, {CERTIFIED}"
    assert claimed(1, 3, REWARDS).startswith("nothing yet")


def test_without_a_class_there_is_no_claim() -> None:
    """Unmeasured and broken tasks claim nothing."""
    unmeasured = calibration(record("a"), [lost()])
    broken = with_judgement(counted(8, 0), verdict=Verdict.BROKEN)
    assert [claim(one, QUESTION, 1) for one in (unmeasured, broken)] == ["", ""]


@given(rate=st.floats(0.001, 0.999))
def test_a_claim_does_not_round_itself_stronger(rate: float) -> None:
    """The number that is written is the bound to six digits, and has two where these are all."""
    assert float(exact_rate(rate)) == pytest.approx(rate, rel=1e-5)
    assert exact_rate(0.1) == "0.10"
    assert exact_rate(0.012) == "0.012"


def test_each_claim_is_told_once() -> None:
    """The sure verdicts of a taskset make few different claims: told with how many share each, the leaning left out."""
    rows = [counted(0, 32), counted(0, 40), counted(2, 6), counted(0, 8)]
    assert sure_claims(result_of(run_record(), rows)) == [
        "too-hard, certified (2): p < 0.10, wrong at most 5 % of the time",
        "in-band, likely (1): 0.05 <= p <= 0.75, posterior probability at least 95 %",
    ]


def test_a_certificate_rests_on_no_prior() -> None:
    """0 of 32 is not likely under a uniform prior and certified all the same; 0 of 24 does rest on the prior."""
    certified, likely = counted(0, 32), counted(0, 24)
    assert (certified.judgement.strength, certified.judgement.robust, is_robust(certified)) == (
        Strength.CERTIFIED,
        False,
        True,
    )
    assert (likely.judgement.strength, is_robust(likely)) == (Strength.LIKELY, False)
    assert is_robust(calibration(record("a"), [])) is None


def test_a_certificate_is_not_adjusted_for_the_other_tasks() -> None:
    """Of 200 certified verdicts ten may be wrong: each says so, and how many were measured."""
    rows = [counted(0, 32), counted(2, 6), calibration(record("a"), [])]
    assert result_of(run_record(), rows).measured == 2
    assert "; per task, not adjusted for 200 tasks, if " in claim(rows[0], QUESTION, 200)


def test_nothing_leaning_is_robust() -> None:
    """Whether other priors decide the same is a question only where something was decided."""
    leaning = counted(0, 8)
    assert (leaning.judgement.strength, leaning.judgement.robust, is_robust(leaning)) == (Strength.LEANING, None, None)


def test_no_probability_is_certain() -> None:
    """5,000 of 5,000: the float is 1, the probability is not, in the table as in the claim."""
    sure = counted(5_000, 0)
    assert sure.judgement.posterior is not None
    assert sure.judgement.posterior.too_easy == 1.0
    assert formatting.sure(sure) == ">99 %"
    leaning = with_judgement(sure, strength=Strength.LEANING)
    assert claim(leaning, QUESTION, 1) == "p > 0.75 with probability >99 %"
    assert [formatting.chance(one) for one in (None, 0.0, 1e-17, 0.5, 1 - 1e-17)] == [
        DASH,
        "<1 %",
        "<1 %",
        "50 %",
        ">99 %",
    ]
