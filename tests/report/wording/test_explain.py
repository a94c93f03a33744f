"""Why a task is flagged, and what to try."""

from __future__ import annotations

import pytest

from taskcal.core.rollout import Outcome, Stop
from taskcal.core.verdict import Strength, Verdict
from taskcal.errors import Boundary
from taskcal.report.wording import explain
from tests.report.sample_run import QUESTION, calibration, graded, lost, record, with_judgement

FULL, HALF, NONE = graded(1, 1), graded(1, 0), graded(0, 0)


def told(*outcomes: Outcome) -> tuple[str, str]:
    found = calibration(record("a-task"), outcomes)
    return explain.why(found, QUESTION), explain.advise(found, QUESTION)


def test_none_of_eight() -> None:
    """Nobody passing is told with how high the true rate may still be: Wilson's upper end for 0 of 8 is 32.4 %."""
    why, advice = told(*[NONE] * 8)
    assert why == "passed 0 of 8; a true rate up to 32 % would still look like this; no check was ever met"
    assert "can be solved at all" in advice


def test_a_check_that_is_never_met_is_named() -> None:
    """Where some of a task works, the part that never does is what to work on; the rewards' spread is signal."""
    why, advice = told(*[HALF] * 6, *[NONE] * 2)
    assert why.endswith("check 'tracking code is set' was never met")
    assert "rewards vary from 0.00 to 0.70 although none passed" in advice
    assert "begin with check 'tracking code is set' (mean score 0.00)" in advice


def test_many_checks_that_are_never_met_are_counted() -> None:
    """A sentence stays one: three names and a number."""
    checks = [(f"c{number}", 1.0) for number in range(6)]
    found = calibration(record("a", checks=checks), [graded(1, 0, 0, 0, 0, 0, checks=checks)] * 8)
    assert explain.why(found, QUESTION).endswith("checks 'c1', 'c2', 'c3' and 2 more were never met")


def test_few_passes_below_the_band() -> None:
    """A rate below the band that is not zero is told with its interval: 1 of 31 is 0.6 % to 16.2 %."""
    why, _ = told(FULL, *[NONE] * 30)
    assert why == "passed 1 of 31, below the band; the true rate may lie between 1 % and 16 %"


def test_all_of_eight() -> None:
    """All passing is flat; 8 of 8 is still compatible with 68 %."""
    why, advice = told(*[FULL] * 8)
    assert why.startswith("all 8 passed: such a group is flat; a true rate down to 68 % would still look like this")
    assert "harder variant" in advice


def test_most_pass() -> None:
    """A rate above the band is told with its interval, and a leaning verdict asks for more rollouts first."""
    why, advice = told(*[FULL] * 7, HALF)
    assert why == "passed 7 of 8, above the band; the true rate may lie between 53 % and 98 %"
    assert advice.startswith("measure it with a larger --group-size before acting on this; ")


def test_lost_rollouts_that_could_change_a_verdict_are_said() -> None:
    """A verdict that would be likely but for what was lost says so, and asks for the lost ones first."""
    found = calibration(record("a"), [NONE] * 60 + [lost()] * 20)
    assert found.judgement.strength is Strength.LEANING
    assert "counting the 20 lost rollouts as passed would make it in-band" in explain.why(found, QUESTION)
    assert explain.advise(found, QUESTION).startswith(
        "resume the run (`taskcal run --resume RUN`) for the lost rollouts before"
    )


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        (Stop.TIMEOUT, "5 of 8 ran out of time: raise timeouts.agent"),
        (Stop.CRASHED, "the agent crashed in 5 of 8: read its agent.log"),
        (Stop.OUT_OF_MEMORY, "5 of 8 ran out of memory: raise the environment's memory"),
        (Stop.MAX_TURNS, "5 of 8 ran out of turns: raise the agent's max_turns"),
        (Stop.CONTEXT_FULL, "5 of 8 filled the model's context: shorten the prompt"),
        (Stop.REFUSED, "the model refused in 5 of 8: reword the prompt"),
    ],
)
def test_an_ending_that_dominates_is_a_suspect(stop: Stop, words: str) -> None:
    """Where most rollouts were cut short, that is what to change; an ending of a minority is not spoken of."""
    cut = [graded(0, 0, stop=stop)] * 5
    assert words in told(*cut, *[NONE] * 3)[1]
    assert words.partition(": ")[2] not in told(*cut[:3], *[NONE] * 5)[1]


@pytest.mark.parametrize("boundary", list(Boundary))
def test_every_boundary_has_its_advice(boundary: Boundary) -> None:
    """An unmeasured task says what broke and what to do about it, whichever part of ours it was."""
    why, advice = told(lost(boundary, "it broke"), lost(boundary, "it broke"))
    assert why == f"{boundary.value}: it broke"
    assert advice == explain.LOST_ADVICE[boundary]


def test_resuming_is_advised_where_it_can_help() -> None:
    """It runs again what our side lost; what only a change of the taskset or the agent mends is a new run."""
    helps = {boundary for boundary in Boundary if explain.RESUME in explain.LOST_ADVICE[boundary]}
    ours = {Boundary.ENGINE, Boundary.PROVIDER, Boundary.CANCELLED, Boundary.UNKNOWN}
    assert helps == {*ours, Boundary.IMAGE}


def test_a_task_that_was_not_run() -> None:
    """No rollouts at all are unmeasured, with a reason and a way on."""
    why, advice = told()
    assert why == "not run"
    assert "resume" in advice


def test_broken_and_in_band() -> None:
    """A broken task is told by its reason; a task in the band needs no words."""
    found = calibration(record("a"), [FULL] * 4 + [NONE] * 4)
    assert (explain.why(found, QUESTION), explain.advise(found, QUESTION)) == ("", "")
    broken = with_judgement(found, verdict=Verdict.BROKEN, reason="its solution\x1b[2J fails")
    assert explain.why(broken, QUESTION) == "its solution fails"
    assert "mend the task" in explain.advise(broken, QUESTION)
