"""What is known of a group after its rollouts, and how sure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.adaptive.design import Design
from taskcal.core.calibration.calibrate import calibrate
from taskcal.core.calibration.doubt import Doubt
from taskcal.core.calibration.summary import summarise
from taskcal.core.rollout import CheckResult, GroupId, Lost, Rollout, RolloutId, Stop, Timing, Usage
from taskcal.core.settings import CalibrationSettings, Metric, fixed_settings
from taskcal.core.stats import rates
from taskcal.core.stats.posterior import credible_interval, posterior_mean
from taskcal.core.stats.prior import Counts, PriorSource
from taskcal.core.stats.rates import DEFAULT_PRIOR
from taskcal.core.verdict import Band, Posterior, Strength, Verdict
from taskcal.errors import Boundary
from tests.core.core_case import GROUP, calibrated, counts, graded, lost, record, rollouts

if TYPE_CHECKING:
    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.rollout import Outcome

ASK = fixed_settings(8)
OUTCOMES = st.lists(st.sampled_from([graded(1.0), graded(0.5), graded(0.0)]), min_size=1, max_size=12)
MIXED: tuple[Outcome, ...] = (graded(1.0), graded(0.5), lost(), graded(0.0), lost(Boundary.ENGINE, "no answer"))
LOSSES = st.lists(st.builds(lost, st.sampled_from(Boundary)), max_size=12)


@pytest.mark.parametrize("passed", range(9))
def test_verdicts_agree_with_the_band(passed: int) -> None:
    """At 8 rollouts, none is too hard, one to six are in the band of 5 to 75 %, seven and eight are too easy."""
    expected = [Verdict.TOO_HARD, *[Verdict.IN_BAND] * 6, *[Verdict.TOO_EASY] * 2]
    found = counts(passed, 8 - passed)
    assert found.judgement.verdict is expected[passed]
    assert found.judgement.verdict is Band().verdict(passed / 8)
    assert found.rates.success_rate == passed / 8


def test_both_ends_of_a_band_are_inside() -> None:
    """5 % and 75 % are worth training on; what lies beyond by any amount is not."""
    band = Band(0.05, 0.75)
    assert [band.verdict(rate) for rate in (0.05, 0.75)] == [Verdict.IN_BAND] * 2
    assert (band.verdict(0.0499999), band.verdict(0.7500001)) == (Verdict.TOO_HARD, Verdict.TOO_EASY)
    assert [verdict for verdict in Verdict if verdict.flagged] == [Verdict.TOO_HARD, Verdict.TOO_EASY, Verdict.BROKEN]


@pytest.mark.parametrize(
    ("passed", "graded", "strength"),
    [
        # Posterior of the verdict's class, computed with scipy:
        (0, 8, Strength.LEANING),  # .856025
        (0, 16, Strength.LEANING),  # .938923
        (0, 24, Strength.LIKELY),  # .968947
        (1, 8, Strength.LEANING),  # .742691
        (2, 8, Strength.LIKELY),  # .975106
        (4, 8, Strength.LIKELY),  # .950685
        (5, 8, Strength.LEANING),  # .831187
        (7, 8, Strength.LEANING),  # .763928
        (8, 8, Strength.LIKELY),  # .974458
        (15, 16, Strength.LIKELY),  # .972044
    ],
)
def test_likely_is_a_posterior_of_95_percent(passed: int, graded: int, strength: Strength) -> None:
    """A verdict is likely where its class has at least 95 %, and leaning below; certified takes another method."""
    found = counts(passed, graded - passed)
    sure = found.judgement.posterior.of(found.judgement.verdict) if found.judgement.posterior else None
    assert sure is not None
    assert found.judgement.strength is strength
    assert (sure >= 0.95) == (strength is Strength.LIKELY)


@pytest.mark.parametrize(
    ("passed", "failed", "losses", "strength"),
    [
        (0, 64, 1, Strength.CERTIFIED),  # as 1 of 65 still is
        (0, 64, 2, Strength.LEANING),  # 2 of 66: too hard with 88 %
        (0, 32, 1, Strength.LEANING),  # 1 of 33: too hard with 86 %
        (0, 24, 1, Strength.LEANING),  # 1 of 25 is under 5 %, but not surely
        (11, 0, 1, Strength.LEANING),  # 11 of 12 is no certificate, and too easy with 91 %
        (16, 0, 1, Strength.LIKELY),  # 16 of 17 is no certificate, but likely
        (8, 0, 2, Strength.LEANING),  # 8 of 10 are over 75 %, but not surely
        (3, 5, 2, Strength.LIKELY),  # 3 and 5 of 10 both are likely
        (3, 5, 8, Strength.LEANING),  # 11 of 16 is in the band, but not surely
        (16, 16, 4, Strength.CERTIFIED),  # 16 and 20 of 36
    ],
)
def test_what_was_lost_may_not_decide(passed: int, failed: int, losses: int, strength: Strength) -> None:
    """A verdict is as strong as the weaker of two: with the lost rollouts all failed, and with all of them passed."""
    assert counts(passed, failed, *[lost()] * losses).judgement.strength is strength


@pytest.mark.parametrize(
    ("passed", "failed", "losses", "doubts"),
    [
        (0, 8, 1, (Doubt.LOST,)),  # 1 of 9 would be in the band
        (0, 24, 1, (Doubt.LOST,)),  # 1 of 25 would still be too hard, but not surely
        (0, 18, 1, (Doubt.LOST,)),  # leaning as it is, and 1 of 19 would be in the band
        (0, 64, 1, ()),  # 1 of 65 would be as sure
        (1, 15, 5, (Doubt.LOST,)),  # 1 of 21 would be too hard
        (1, 15, 4, ()),  # 1 of 20 is just in the band, 5 of 20 are
        (7, 1, 2, (Doubt.LOST,)),  # 7 of 10 would be in the band, 9 of 10 still too easy
        (3, 5, 0, ()),
        (0, 0, 8, ()),  # nothing to doubt
    ],
)
def test_losses_are_counted_both_ways(passed: int, failed: int, losses: int, doubts: tuple[Doubt, ...]) -> None:
    """All lost rollouts as failed, and all as passed: where either is of another class, the verdict is in doubt."""
    assert counts(passed, failed, *[lost()] * losses).judgement.doubts == doubts


def test_losses_of_a_mean_reward_are_counted_both_ways() -> None:
    """Where the band is about rewards a lost one may have earned 0 or 1: 0.72 of ten could be 0.77 with two more."""
    settings = replace(ASK, metric=Metric.REWARD)
    rows = rollouts([*[graded(0.72)] * 10, lost(), lost()])
    assert calibrate([record()], rows, settings)[0].judgement.doubts == (Doubt.LOST,)
    assert calibrate([record()], rows[:10], settings)[0].judgement.doubts == ()


@pytest.mark.parametrize(("copies", "noticed"), [(1, 0), (2, 2), (3, 3), (4, 4), (11, 11)])
def test_identical_transcripts_are_no_evidence(copies: int, noticed: int) -> None:
    """Four copies among the transcripts or more, and a verdict that would be certified leans; n stays what it is."""
    rows = [
        replace(row, transcript_sha256="aa" if row.id.index < copies else f"b{row.id.index}")
        for row in rollouts([graded(1.0)] * 11)
    ]
    found = calibrate([record()], rows, ASK)[0]
    doubted = copies >= 4
    assert (found.counts.graded, found.counts.identical, found.rates.success_rate) == (11, noticed, 1.0)
    assert found.judgement.doubts == ((Doubt.IDENTICAL,) if doubted else ())
    assert found.judgement.strength is (Strength.LEANING if doubted else Strength.CERTIFIED)


def test_transcripts_that_are_not_known_are_not_equal() -> None:
    """An agent whose transcript is not its whole conversation has no digest, and none of them is a copy."""
    assert counts(11, 0).counts.identical == 0


OWN_WORD = Lost(Boundary.PROVIDER, "overloaded", own_word=True)
SURENESS = (Strength.LEANING, Strength.LIKELY, Strength.CERTIFIED)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 12), st.booleans(), st.sampled_from(Metric))
def test_a_verdict_is_no_surer_than_if_the_agents_word_were_false(
    passed: int, failed: int, said: int, retried: bool, metric: Metric
) -> None:
    """A guesser that reports an overload if it sees that it was wrong is never certified by the tries that are left."""
    outcomes: list[Outcome] = [*[graded(1.0)] * passed, *[graded(0.0)] * failed]
    tried = [replace(row, id=replace(row.id, attempt=said)) for row in rollouts(outcomes)]
    lost_tries = [Rollout(RolloutId(GROUP, 0 if retried else 99 + n, n), OWN_WORD) for n in range(said)]
    ask = replace(ASK, metric=metric)
    (judged,) = calibrate([record()], [*lost_tries, *tried], ask)
    (honest,) = calibrate([record()], rollouts([*outcomes, *[graded(0.0)] * said]), ask)
    assert judged.counts.own_word == said
    if judged.counts.graded:
        assert judged.judgement.strength is not None
        assert honest.judgement.strength is not None
        is_as_sure = SURENESS.index(judged.judgement.strength) <= SURENESS.index(honest.judgement.strength)
        assert judged.judgement.strength is Strength.LEANING or (
            is_as_sure and judged.judgement.verdict is honest.judgement.verdict
        )


def test_losses_that_others_saw_are_no_word_of_the_agents() -> None:
    """Two lost by the engine leave thirty passes likely; thirteen that the agent reported leave thirteen leaning."""
    others = calibrated([*[graded(1.0)] * 30, *[lost()] * 2])
    assert (others.judgement.strength, others.counts.own_word, others.judgement.doubts) == (Strength.LIKELY, 0, ())
    guesser = calibrate(
        [record()],
        [Rollout(RolloutId(GROUP, n, 1), graded(1.0)) for n in range(13)]
        + [Rollout(RolloutId(GROUP, n, 0), OWN_WORD) for n in range(13)],
        ASK,
    )[0]
    assert (guesser.judgement.verdict, guesser.judgement.strength) == (Verdict.TOO_EASY, Strength.LEANING)
    assert guesser.judgement.doubts == (Doubt.OWN_WORD,)


@pytest.mark.parametrize(
    ("stops", "limited"),
    [
        ([Stop.TIMEOUT, Stop.TIMEOUT, Stop.FINISHED], True),
        ([Stop.TIMEOUT, Stop.OUT_OF_MEMORY, Stop.CRASHED], True),
        ([Stop.TIMEOUT, Stop.FINISHED], False),
        ([Stop.MAX_TURNS, Stop.CONTEXT_FULL, Stop.CRASHED], False),
        ([], False),
    ],
)
def test_limits_are_not_difficulty(stops: list[Stop], limited: bool) -> None:
    """More than half of the failures out of time or memory are limits, whatever passed and however it ended."""
    passed = [graded(1.0, stop=Stop.TIMEOUT)] * 4
    assert calibrated([*passed, *(graded(0.0, stop=stop) for stop in stops)]).counts.limited is limited


@pytest.mark.parametrize(
    ("rewards", "partial"),
    [([0.7, 0.0], True), ([0.3, 0.31], False), ([0.0, 0.0], False), ([1.0, 0.0], False), ([0.7], False), ([], False)],
)
def test_partial_signal_is_of_what_never_passes(rewards: list[float], partial: bool) -> None:
    """Nothing passed and rewards vary by more than noise: too hard, and yet something to learn from."""
    assert calibrated([graded(reward) for reward in rewards]).partial_signal is partial


def test_where_the_prior_is_sure_of_another_class_that_is_the_verdict() -> None:
    """6 of 8 among 300 tasks that pass 14 of 16: too easy, likely, though the rate itself lies in the band."""
    groups = [replace(record(), id=GroupId(f"t{number}", "")) for number in range(301)]
    rows = [
        Rollout(RolloutId(group.id, index, 0), graded(0.0 if index < 2 else 1.0))
        for number, group in enumerate(groups)
        for index in range(8 if number == 0 else 16)
    ]
    found = calibrate(groups, rows, ASK)[0]
    assert (found.rates.success_rate, found.judgement.verdict, found.judgement.strength) == (
        6 / 8,
        Verdict.TOO_EASY,
        Strength.LIKELY,
    )
    assert (found.judgement.robust, found.judgement.basis.source) == (False, PriorSource.LEARNED)


def test_a_certificate_comes_before_the_posterior() -> None:
    """0 of 32 and 11 of 11 are certified, which is stronger than likely; one less is not."""
    pairs = [(0, 31), (0, 32), (10, 0), (11, 0)]
    expected = [Strength.LIKELY, Strength.CERTIFIED, Strength.LIKELY, Strength.CERTIFIED]
    assert [counts(*pair).judgement.strength for pair in pairs] == expected


def test_the_interval_is_that_of_the_design() -> None:
    """Wilson's for a fixed group; after adaptive stopping the posterior's, at the counts that decided."""
    rows = rollouts([graded(1.0)] * 9)
    plain = calibrate([record()], rows, ASK)[0]
    stopped = calibrate([record()], rows, CalibrationSettings(8, Design(learn=False)))[0]
    assert plain.rates.interval == rates.wilson(9, 9)
    assert stopped.judgement.basis.counts == (7, 7)
    assert stopped.rates.posterior_mean == posterior_mean(DEFAULT_PRIOR, Counts(7, 7))
    assert stopped.rates.interval == credible_interval(DEFAULT_PRIOR, Counts(7, 7))


def unchanged_by_losses(row: Calibration) -> list[object]:
    counts, judgement = row.counts, row.judgement
    counted = [counts.graded, counts.passed, counts.stops, row.rates, row.learning, row.cost.seconds]
    return [*counted, judgement.posterior, judgement.verdict, judgement.reason]


@given(outcomes=OUTCOMES, losses=LOSSES)
def test_lost_rollouts_count_nowhere(outcomes: list[Outcome], losses: list[Outcome]) -> None:
    """Beside their own two counts and the strength, no number changes with what was lost, however much it was."""
    without, found = calibrated(outcomes), calibrated([*outcomes, *losses])
    assert unchanged_by_losses(found) == unchanged_by_losses(without)
    assert (without.counts.lost, found.counts.lost, sum(found.counts.lost_by.values())) == (0, len(losses), len(losses))


def test_the_last_attempt_counts() -> None:
    """A retry replaces what it repeats, in whatever order the rows stand; each retry is counted once."""
    rows = [
        Rollout(RolloutId(GROUP, 0, 2), graded(1.0)),
        Rollout(RolloutId(GROUP, 1, 0), graded(0.0)),
        Rollout(RolloutId(GROUP, 0, 0), lost(Boundary.ENGINE)),
        Rollout(RolloutId(GROUP, 2, 0), lost(Boundary.PROVIDER)),
        Rollout(RolloutId(GROUP, 0, 1), lost(Boundary.ENGINE)),
        Rollout(RolloutId(GROUP, 2, 1), lost(Boundary.GRADER)),
    ]
    found = calibrate([record()], rows, ASK)[0]
    assert (found.counts.graded, found.counts.passed, found.counts.lost, found.counts.retried) == (2, 1, 1, 3)
    assert found.counts.lost_by == {"grader": 1}
    assert found.learning.rewards == (1.0, 0.0)


@given(order=st.permutations(rollouts(MIXED)))
def test_the_order_of_rows_does_not_matter(order: list[Rollout]) -> None:
    """Rollouts finish in any order: a calibration is a function of what came of them, by index."""
    assert calibrate([record()], order, ASK)[0] == calibrated(MIXED)


def test_the_largest_index_costs_nothing() -> None:
    """Memory and time follow the rows: one of index 999,999,999 is judged like one of index 1."""
    near, far = rollouts([graded(1.0), graded(0.0)]), [*rollouts([graded(1.0)])]
    far.append(Rollout(RolloutId(GROUP, 999_999_999, 0), graded(0.0)))
    for settings in (ASK, CalibrationSettings(8, Design(cap=2, first=1))):
        assert calibrate([record()], far, settings)[0].counts.graded == 2
    assert calibrate([record()], far, ASK) == calibrate([record()], near, ASK)


def test_nothing_graded_is_unmeasured_with_its_reason() -> None:
    """All undefined numbers are None, and the first loss says why; a group without rows was not run."""
    found = calibrated([lost(Boundary.IMAGE, "no such image"), lost()])
    rates_of, learning = found.rates, found.learning
    assert (rates_of.success_rate, rates_of.interval, rates_of.mean_reward) == (None,) * 3
    assert (learning.contrast, learning.contrast_unbiased, learning.signal, learning.signal_unbiased) == (None,) * 4
    assert (found.judgement.posterior, found.judgement.strength) == (None, None)
    assert (found.cost.seconds, found.cost.usd) == (None, None)
    assert (found.judgement.verdict, found.judgement.reason, found.learning.rewards) == (
        Verdict.UNMEASURED,
        "image: no such image",
        (),
    )
    assert calibrated([]).judgement.reason == "not run"
    assert calibrated([graded(0.0), lost()]).judgement.reason == ""


def test_checks_have_their_means() -> None:
    """In the record's order, over the graded rollouts only; a check that none has is None."""
    outcomes: list[Outcome] = [
        graded(0.7, CheckResult("a", 0.7, 1.0), CheckResult("b", 0.3, 0.0)),
        graded(0.0, CheckResult("b", 0.3, 0.5), CheckResult("a", 0.7, 0.0)),
        lost(),
    ]
    found = calibrate([record(("b", 0.3), ("a", 0.7), ("c", 1.0))], rollouts(outcomes), ASK)[0]
    assert [(check.name, check.weight, check.mean_score) for check in found.checks] == [
        ("b", 0.3, 0.25),
        ("a", 0.7, 0.5),
        ("c", 1.0, None),
    ]


def test_stops_and_seconds_are_of_the_graded_and_cost_of_all() -> None:
    """The time of a lost rollout is no property of the task, and yet it was paid for; an unreported cost is None."""
    ended = [(Stop.TIMEOUT, 10.0, 0.5), (Stop.CRASHED, 20.0, None), (Stop.OUT_OF_MEMORY, 30.0, 0.25)]
    rows = [
        Rollout(RolloutId(GROUP, i, 0), graded(0.0, stop=stop), usage=Usage(cost_usd=cost), timing=Timing(total=time))
        for i, (stop, time, cost) in enumerate(ended)
    ]
    rows.append(Rollout(RolloutId(GROUP, 3, 0), lost(), usage=Usage(cost_usd=9.0), timing=Timing(total=99.0)))
    found = calibrate([record()], rows, ASK)[0]
    assert (found.counts.timed_out, found.counts.crashed, found.cost.seconds, found.cost.usd) == (1, 2, 20.0, 9.75)
    assert calibrated([graded(1.0)]).cost.usd is None


def test_only_classes_have_a_probability() -> None:
    """Unmeasured and broken are no classes of a success rate."""
    posterior = Posterior(0.2, 0.5, 0.3)
    assert [posterior.of(verdict) for verdict in Verdict] == [0.5, 0.2, 0.3, None, None]


def test_a_group_size_above_n_has_a_signal_all_the_same() -> None:
    """The posterior's expectation needs no G rollouts, the counting estimate does."""
    found = calibrated([graded(1.0), graded(0.0)], group_size=8)
    assert found.learning.signal is not None
    assert found.learning.signal_unbiased is None


def test_a_summary_counts_each_group_once() -> None:
    """Means are over the measured groups, and the flat share is what the mean signal leaves."""
    found = summarise([counts(8, 0), counts(2, 6), counts(0, 8, lost()), calibrated([lost()])], ASK)
    assert found.verdicts == {Verdict.TOO_EASY: 1, Verdict.IN_BAND: 1, Verdict.TOO_HARD: 1, Verdict.UNMEASURED: 1}
    assert (found.tasks, found.graded, found.lost, found.leaning) == (4, 24, 2, 1)
    assert found.success_rate is not None
    assert found.success_rate.mean == pytest.approx((1 + 0.25 + 0) / 3)
    assert found.mean_signal == pytest.approx((0.240047 + 0.863156 + 0.158760) / 3, abs=1e-6)
    assert found.flat_share == pytest.approx(1 - (0.240047 + 0.863156 + 0.158760) / 3, abs=1e-6)
    nothing = summarise([], ASK)
    assert (nothing.tasks, nothing.success_rate, nothing.mean_signal, nothing.flat_share) == (0, None, None, None)
