"""What a verdict claims."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.book import Design, Rule
from taskcal.core.calibrate import calibrate
from taskcal.core.certificate import Zone
from taskcal.core.prior import Counts
from taskcal.core.question import Metric, Question, fixed
from taskcal.core.verdict import Band, Strength, Verdict
from taskcal.report.claims import claim, number, robust, sure_claims
from tests.report.sample_run import QUESTION, calibration, copied, counted, graded, lost, record, rollouts

REWARDS = replace(QUESTION, metric=Metric.REWARD)


def claimed(passed: int, failed: int, question: Question = QUESTION) -> str:
    return claim(counted(passed, failed, question), question)


@pytest.mark.parametrize(
    ("passed", "failed", "words"),
    [
        (0, 32, "p < 0.10, at most 5 % wrong"),
        (16, 16, "0.02 < p < 0.80, at most 5 % wrong"),
        (11, 0, "p > 0.70, at most 5 % wrong"),
        (0, 24, "p < 0.05, at most 5 % wrong on average over the default prior"),
        (2, 6, "0.05 <= p <= 0.75, at most 5 % wrong on average over the default prior"),
        (8, 0, "p > 0.75, at most 5 % wrong on average over the default prior"),
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
    other = fixed(8, Band(0.2, 0.6))
    zone = Zone.around(other.band)
    assert (zone.a0, zone.a1, zone.b0, zone.b1) == pytest.approx((0.17, 0.25, 0.55, 0.65))
    assert claimed(0, 32, other) == "p < 0.25, at most 5 % wrong"
    assert claimed(64, 64, fixed(8, Band(0.3, 0.9))) == "0.27 < p < 0.95, at most 5 % wrong"
    assert claimed(32, 0, other) == "p > 0.55, at most 5 % wrong"
    assert claimed(0, 64, fixed(8, Band(0.0, 0.5))) == "p < 0.55, at most 5 % wrong"
    assert claimed(64, 0, fixed(8, Band(0.5, 1.0))) == "p > 0.47, at most 5 % wrong"
    assert claimed(4, 4, fixed(8, Band(0.0, 1.0))).startswith("any p")


def test_the_error_rate_is_said() -> None:
    """Who asks for 1 % is told 1 %."""
    strict = Question(8, Design(rule=Rule.FIXED, error_rate=0.01))
    assert claimed(0, 64, strict) == "p < 0.10, at most 1 % wrong"
    assert claimed(12, 0, strict) == "p > 0.75, at most 1 % wrong on average over the default prior"


def test_the_prior_is_named() -> None:
    """What was learned from the taskset, or brought from an earlier run, is not called the default."""
    groups = [record(f"t{number}") for number in range(20)]
    rows = [row for group in groups for row in rollouts(group, [graded(1, 1)] * 8)]
    learned = calibrate(groups, rows, QUESTION)[0]
    assert claim(learned, QUESTION).endswith("on average over the learned prior")
    warmed = replace(QUESTION, earlier={record("a-task").id: Counts(8, 8)})
    assert claimed(6, 0, warmed).endswith("on average over the warm prior")


def test_a_doubted_verdict_claims_under_a_condition() -> None:
    """The probability of a verdict that lost or identical rollouts put in doubt holds only if these say nothing."""
    shaken = calibration(record("a"), [graded(0, 0)] * 20 + [lost()] * 6)
    assert claim(shaken, QUESTION) == (
        "p < 0.05 with probability 96 %, if rollouts were lost whatever their outcome would have been"
    )
    assert claim(copied([graded(1, 1)] * 11, 4), QUESTION) == (
        "p > 0.75 with probability 99 %, if the rollouts were independent"
    )


def test_mean_rewards_are_called_so() -> None:
    """A certificate of mean rewards is none of the success rate; without one nothing is claimed."""
    rewards = calibration(record("a"), [graded(1, 0)] * 6 + [graded(0, 0)] * 2, question=REWARDS)
    assert claim(rewards, REWARDS) == "0.02 < mean reward < 0.80, at most 5 % wrong"
    assert claimed(1, 3, REWARDS).startswith("nothing yet")


def test_without_a_class_there_is_no_claim() -> None:
    """Unmeasured and broken tasks claim nothing."""
    unmeasured = calibration(record("a"), [lost()])
    broken = replace(counted(8, 0), verdict=Verdict.BROKEN)
    assert [claim(one, QUESTION) for one in (unmeasured, broken)] == ["", ""]


@given(rate=st.floats(0.001, 0.999))
def test_a_claim_does_not_round_itself_stronger(rate: float) -> None:
    """The number that is written is the bound to six digits, and has two where these are all."""
    assert float(number(rate)) == pytest.approx(rate, rel=1e-5)
    assert number(0.1) == "0.10"
    assert number(0.012) == "0.012"


def test_each_claim_is_told_once() -> None:
    """The sure verdicts of a taskset make few different claims: told with how many share each, the leaning left out."""
    rows = [counted(0, 32), counted(0, 40), counted(2, 6), counted(0, 8)]
    assert sure_claims(rows, QUESTION) == [
        "too-hard, certified (2): p < 0.10, at most 5 % wrong",
        "in-band, likely (1): 0.05 <= p <= 0.75, at most 5 % wrong on average over the default prior",
    ]


def test_a_certificate_rests_on_no_prior() -> None:
    """0 of 32 is not likely under a uniform prior and certified all the same; 0 of 24 does rest on the prior."""
    certified, likely = counted(0, 32), counted(0, 24)
    assert (certified.strength, certified.robust, robust(certified)) == (Strength.CERTIFIED, False, True)
    assert (likely.strength, robust(likely)) == (Strength.LIKELY, False)
    assert robust(calibration(record("a"), [])) is None
