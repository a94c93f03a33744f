"""What makes a verdict less than it looks, beside its row and in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.core.calibration.calibrate import calibrate
from taskcal.core.calibration.doubt import Doubt
from taskcal.core.rollout import CheckResult, Graded, Lost, Outcome, Stop
from taskcal.core.settings import Metric
from taskcal.core.user_override import UserOverride
from taskcal.core.verdict import Verdict
from taskcal.errors import Boundary
from taskcal.report.wording import explain, formatting, ordering
from taskcal.report.wording.caveats import full_note, needs_words, note, remarks
from taskcal.report.wording.claims import CONDITIONS, claim
from tests.report.sample_run import (
    CHECKS,
    QUESTION,
    adaptive,
    calibration,
    copied,
    counted,
    graded,
    lost,
    record,
    result_of,
    rollouts,
    run_record,
)

if TYPE_CHECKING:
    from taskcal.core.calibration.calibration import Calibration

NOT_ALL = "the default, Jeffreys' and the uniform one are not all as sure"
FULL, HALF, NONE = graded(1, 1), graded(1, 0), graded(0, 0)
LATE, FAT = graded(0, 0, stop=Stop.TIMEOUT), graded(0, 0, stop=Stop.OUT_OF_MEMORY)


def found(*outcomes: Outcome) -> Calibration:
    return calibration(record("a-task"), outcomes)


def test_another_user_than_the_tasks_is_remarked_on() -> None:
    """Beside the numbers of the task and in its reasons, in the band too."""
    for outcomes, verdict in (([FULL, *[NONE] * 7], Verdict.IN_BAND), ([NONE] * 8, Verdict.TOO_HARD)):
        row = calibration(replace(record("a-task"), override=UserOverride("root", "nobody")), outcomes)
        assert (row.judgement.verdict, note(row, QUESTION)) == (verdict, "as root")
        assert "the agent's file makes it act as root instead of nobody" in explain.why(row, QUESTION)


def test_another_class_may_be_more_probable_than_that_of_the_rate() -> None:
    """1 of 16 lies in the band, and its row says that too-hard is more probable; it is looked into as a flagged one."""
    row = counted(1, 15)
    assert (row.judgement.verdict, note(row, QUESTION)) == (Verdict.IN_BAND, "rather too-hard")
    assert explain.why(row, QUESTION) == "1 of 16 lies in the band, but too-hard is more probable (56 %)"
    assert explain.advise(row, QUESTION) == "measure it with a larger --group-size before acting on this"
    assert ordering.needing_a_look(result_of(run_record(), [counted(2, 6), row])) == [row]


def test_a_learned_prior_may_decide_against_the_rate() -> None:
    """Among tasks that pass 14 of 16, 6 of 8 is too easy: the row says that k/n says otherwise, and what decided."""
    groups = [record(f"t{number}") for number in range(301)]
    rows = [
        row for group in groups for row in rollouts(group, [NONE, NONE, *[FULL] * (6 if group is groups[0] else 14)])
    ]
    row = calibrate(groups, rows, QUESTION)[0]
    assert (row.judgement.verdict, note(row, QUESTION)) == (Verdict.TOO_EASY, "against k/n")
    why = explain.why(row, QUESTION)
    assert why.startswith("passed 6 of 8, in the band; ")
    assert "6 of 8 lies in the band, but the learned prior is sure that it is too-easy (9" in why
    assert "it rests on the prior (learned)" in why


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (found(*[NONE] * 8, lost()), "counting the 1 lost rollout as passed would make it in-band"),
        (
            found(FULL, *[NONE] * 9, *[lost()] * 30),
            "counting the 30 lost rollouts as failed would make it too-hard and as passed would make it too-easy",
        ),
        (copied([FULL] * 8, 5), "5 of 8 transcripts are identical: a cache or temperature 0?"),
        (found(*[NONE] * 2, *[LATE] * 3, FAT), "limits, not difficulty: 4 of 6 failures ran out of time or memory"),
        (
            found(*[FULL] * 4, *[LATE] * 2, NONE),
            "limits, not difficulty: 2 of 7 rollouts ran out of time or memory, over half of the 3 failures",
        ),
        (
            counted(8, 0),
            "it rests on the prior (default): the default, Jeffreys' and the uniform one are not all as sure",
        ),
    ],
    ids=["lost as passed", "lost both ways", "identical", "limits", "limits among passes", "prior"],
)
def test_each_remark_has_its_sentence(row: Calibration, words: str) -> None:
    """What could change the verdict, and why it may not be the task's difficulty."""
    assert words in remarks(row, QUESTION)
    assert words in explain.why(row, QUESTION)


def test_the_agents_own_word_is_shown_in_every_case() -> None:
    """Beside the row and in a sentence; with a reason and an advice if the verdict hangs on it."""
    said = Lost(Boundary.PROVIDER, "overloaded", own_word=True)
    sentence = "attempts lost on the agent's own word (exit 75 or lost_pattern)"
    for outcomes, doubted in (([NONE] * 30, False), ([FULL] * 13, True)):
        row = found(*outcomes, *[said] * 13)
        assert "agent's word" in note(row, QUESTION)
        assert any(f"13 {sentence}" in one for one in remarks(row, QUESTION))
        assert (Doubt.OWN_WORD in row.judgement.doubts) is doubted
        assert ("the failures that the agent reported were its provider's" in claim(row, QUESTION, 1)) is doubted
        assert ("read agent.log of the lost attempts" in explain.advise(row, QUESTION)) is doubted


def test_every_doubt_has_its_words() -> None:
    """In a claim and in an advice, or a report of it would fail."""
    assert set(CONDITIONS) == set(explain.DOUBT_ADVICE) == set(Doubt)


def test_lost_rewards_are_counted_both_ways() -> None:
    """Where the band is about mean rewards, a lost rollout may have earned anything from 0 to 1."""
    settings = replace(QUESTION, metric=Metric.REWARD)
    row = calibration(record("a"), [HALF] * 10 + [lost()] * 4, settings=settings)
    assert "counting the 4 lost rollouts as passed would make it too-easy" in remarks(row, settings)


def test_notes_are_few_words() -> None:
    """Beside the row: what it is, in words that fit a narrow column; nothing where there is nothing to say."""
    assert full_note(found(*[HALF] * 6, *[NONE] * 2), QUESTION) == "partial signal 0.89"
    assert full_note(found(*[HALF] * 6, LATE, LATE, lost()), QUESTION) == "partial signal 0.89, losses"
    assert note(copied([LATE] * 8, 4), QUESTION) == "limits, identical"
    assert note(counted(2, 6), QUESTION) == ""
    assert note(found(lost()), QUESTION) == ""
    assert remarks(found(lost()), QUESTION) == []


def test_what_is_in_the_band_is_looked_into_only_for_a_reason() -> None:
    """Doubts, limits and a more probable class are reasons; resting on the prior alone is none."""
    reasons = [counted(1, 15), found(*[FULL] * 2, *[LATE] * 4, *[NONE] * 2), copied([FULL] * 4 + [NONE] * 4, 4)]
    assert all(needs_words(row, QUESTION) for row in reasons)
    resting = counted(4, 4)
    assert resting.judgement.robust is False
    assert not needs_words(resting, QUESTION)
    assert (explain.why(resting, QUESTION), explain.advise(resting, QUESTION)) == ("", "")


def test_advice_begins_with_the_doubt() -> None:
    """More rollouts do not help against a cache, nor where those that were lost would decide."""
    assert explain.advise(copied([FULL] * 8, 8), QUESTION).startswith("give the agent a temperature above 0 and switch")
    assert explain.advise(found(*[NONE] * 8, lost()), QUESTION).startswith("resume the run")
    in_band = found(*[FULL] * 4, *[LATE] * 2, NONE)
    assert "2 of 7 ran out of time: raise timeouts.agent" in explain.advise(in_band, QUESTION)


def test_partial_signal_is_said_with_the_verdict() -> None:
    """Too hard, and yet the rewards vary: not to be thrown away. A judge's noise is no such signal."""
    assert formatting.full_verdict(found(*[HALF] * 6, *[NONE] * 2)) == "too-hard, leaning, partial signal 0.89"
    assert formatting.full_verdict(counted(0, 32)) == "too-hard, certified"
    noise = found(*[graded(0.43, 0), graded(0.44, 0)] * 4)
    assert formatting.full_verdict(noise) == "too-hard, leaning"
    assert "has a signal" not in explain.advise(noise, QUESTION)
    alone = calibration(record("a"), [HALF, NONE], settings=replace(QUESTION, group_size=1))
    assert formatting.full_verdict(alone) == "too-hard, leaning, partial signal"


@pytest.mark.parametrize(
    ("passed", "failed", "counted_as", "interval"),
    [
        (0, 19, "passed 0 of 19", "<1 % and 8 %"),
        (7, 0, "all 7 passed: such a group is flat", "72 % and >99 %"),
        (19, 2, "passed 19 of 21, above the band", "72 % and 99 %"),
    ],
)
def test_after_adaptive_stopping_the_interval_is_a_probability(
    passed: int, failed: int, counted_as: str, interval: str
) -> None:
    """The posterior's interval is told as what it is: the true rate lies in it with a probability of 95 %."""
    rest = passed - failed
    outcomes = [*[FULL, NONE] * min(passed, failed), *[FULL] * rest, *[NONE] * -rest]
    why = explain.why(calibration(record("a"), outcomes, settings=adaptive()), adaptive())
    assert why.startswith(f"{counted_as}; with a probability of 95 % the true rate lies between {interval}")


def test_what_came_after_the_decision_is_told_apart() -> None:
    """Two that ended late are in n, and the verdict rests on the seven before them."""
    row = counted(9, 0, adaptive())
    assert explain.why(row, adaptive()).startswith("all 9 passed (7 of 7 when it was decided)")
    assert formatting.fraction(row) == "7/7 +2 late"


def test_a_mean_reward_is_told_as_one() -> None:
    """Where the band is about rewards, the reason is the mean reward, not a success rate."""
    settings = replace(QUESTION, metric=Metric.REWARD)
    row = calibration(record("a"), [graded(1, 0.5)] * 8, settings=settings)
    assert explain.why(row, settings).startswith("a mean reward of 0.85 over 8, above the band")


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (None, "resume the run (`taskcal run --resume RUN`) before acting on this"),
        (8, "measure it with a larger --budget before acting on this"),
    ],
)
def test_an_adaptive_run_is_told_how_to_go_on(budget: int | None, words: str) -> None:
    """A leaning verdict says what would make it sure: going on, or more of what ran out."""
    settings = adaptive(budget=budget)
    assert explain.advise(counted(0, 8, settings), settings).startswith(words)


def noted(*notes: str) -> Calibration:
    """A task with one check, which is never met and says this."""
    name = CHECKS[0][0]
    outcomes = [Graded(Stop.FINISHED, 0.0, False, (CheckResult(name, 1.0, 0.0, note),)) for note in notes]
    return calibration(record("a-task", checks=[(name, 1.0)]), outcomes)


def test_a_check_whose_program_is_missing_does_not_look_like_a_hard_task() -> None:
    """Its row, the sentences below and the advice name it, with what it said."""
    row = noted("exit 127: sh: 1: jq: not found", "exit 127: sh: 1: jq: not found", "exit 1")
    assert note(row, QUESTION) == "check cannot run"
    assert "check 'order is shipped' cannot run: exit 127: sh: 1: jq: not found" in explain.why(row, QUESTION)
    assert explain.advise(row, QUESTION).startswith("bring what check 'order is shipped' needs into the image")


def test_a_check_that_is_never_met_says_why() -> None:
    """With the commonest of its notes; a status of 127 among others is not the rule."""
    row = noted("exit 1: no such order", "exit 1: no such order", "exit 127: sh: 1: jq: not found")
    assert note(row, QUESTION) == ""
    assert "check 'order is shipped' was never met (exit 1: no such order)" in explain.why(row, QUESTION)


def test_a_check_that_scored_once_can_run() -> None:
    """What it lacked then was the agent's to bring."""
    name = CHECKS[0][0]
    one = CheckResult(name, 1.0, 0.0, "exit 127: sh: 1: ./solve: not found")
    passed = Graded(Stop.FINISHED, 1.0, True, (CheckResult(name, 1.0, 1.0),))
    failed = Graded(Stop.FINISHED, 0.0, False, (one,))
    row = calibration(record("a-task", checks=[(name, 1.0)]), [passed, failed, failed, failed])
    assert note(row, QUESTION) == ""


def test_rewards_that_count_as_equal_are_said_beside_a_rate_in_the_band() -> None:
    """0.98 does not pass and 1.0 does: the rate is in band, and contrast 0 for a trainer that filters on spread."""
    near = [replace(NONE, reward=0.98), FULL] * 4
    row = calibration(record("near"), near)
    assert row.judgement.verdict is Verdict.IN_BAND
    assert row.learning.contrast == pytest.approx(0.0, abs=1e-12)
    assert full_note(row, QUESTION) == "one reward"
    assert explain.why(row, QUESTION).startswith(
        "4 of 8 passed, but all rewards lie between 0.98 and 1, which count as equal (within 0.02): "
        "a trainer that drops groups without spread sees no signal here"
    )
    apart = calibration(record("apart"), [replace(NONE, reward=0.9), FULL] * 4)
    assert (full_note(apart, QUESTION), explain.why(apart, QUESTION)) == ("", "")


def test_an_incomplete_group_says_how_many_are_missing() -> None:
    """Seven fast passes of ten rollouts lean, and the report says what to do about it."""
    rows = rollouts(record("slow"), [FULL] * 7)
    row = calibrate([record("slow")], rows, QUESTION, 10)[0]
    assert full_note(row, QUESTION) == "incomplete"
    assert "3 of 10 rollouts have not finished, and slow ones may end differently" in explain.why(row, QUESTION)
    assert "for the rollouts that have not finished" in explain.advise(row, QUESTION)
    assert claim(row, QUESTION, 1).endswith(
        "if the rollouts that have not finished end as often in success as the others"
    )


def test_losses_that_only_weaken_say_so() -> None:
    """11 of 12 would still be too easy, but not certified."""
    row = calibration(record("lost"), [FULL] * 11 + [lost()])
    assert "counting the 1 lost rollout as failed or as passed would leave it less sure" in explain.why(row, QUESTION)
