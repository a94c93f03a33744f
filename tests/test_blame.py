"""Whose doing it was that nothing could be graded: the agent's only where that is certain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taskcal.blame import TRIAL, fault_inside
from taskcal.core.rollout import Stop
from taskcal.core.task import Artifact, Check, FileCopy, Grader, GraderSandbox, Group, RunProbe, ScoreBy, ScriptedProbe
from taskcal.errors import EngineLost, GraderLost, SandboxLost
from taskcal.grading import grade
from taskcal.grading_driver import ABSENT, STOP_EVERYTHING
from taskcal.sandbox import Condition, Ending, ScriptResult
from tests.fake_engine import record
from tests.grading_case import ANSWER, Told, grader, group

WORKS = record(0, 0, b"fine\n") + record(1, 3) + record(2, ABSENT)
TIMED_OUT = ScriptResult(Ending.TIMED_OUT, None, b"", b"")


def test_the_trial_has_the_kinds_of_jobs_that_gradings_have() -> None:
    """What works in it is what a grading needs: a script's status and output, and a file's absence."""
    assert [type(job).__name__ for job in TRIAL] == ["ScriptJob", "ScriptJob", "FileJob"]


@pytest.mark.parametrize(
    ("condition", "stop"),
    [
        (Condition.OUT_OF_MEMORY, Stop.OUT_OF_MEMORY),
        (Condition.ENDED, Stop.CRASHED),
        (Condition.GONE, None),
    ],
)
def test_a_dead_sandbox_is_the_agents_doing_where_the_engine_says_so(condition: Condition, stop: Stop | None) -> None:
    """One that was removed or killed from outside is not, and no container is opened to find out."""
    fault = fault_inside(Told([], found=condition))
    assert (None if fault is None else fault.stop) is stop


@pytest.mark.parametrize("here", [b"", b"nonsense", TIMED_OUT, SandboxLost("no shell"), record(0, 0, b"fine\n")])
def test_a_living_sandbox_is_measured_against_its_twin(here: bytes | ScriptResult | BaseException) -> None:
    """What goes well in an untouched container and not in this one was broken by what ran in it."""
    fault = fault_inside(Told([here], untouched=[WORKS]))
    assert fault is not None
    assert fault.stop is Stop.CRASHED


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (WORKS, WORKS),
        (b"", b""),
        (b"", TIMED_OUT),
        (b"", EngineLost("busy")),
        (EngineLost("busy"), WORKS),
        (WORKS, b""),
    ],
)
def test_a_doubt_is_no_blame(here: bytes | BaseException, there: bytes | ScriptResult | BaseException) -> None:
    """Where both work, neither does, or the engine fails, it may have been us."""
    assert fault_inside(Told([here], untouched=[there])) is None


def test_memory_that_was_gone_for_a_moment_is_no_way_out() -> None:
    """A sandbox that works again, and in which the kernel has killed for memory: what ran in it had taken all of it."""
    fault = fault_inside(Told([WORKS], untouched=[WORKS], kills=b"3\n"))
    assert fault is not None
    assert fault.stop is Stop.OUT_OF_MEMORY
    assert fault_inside(Told([WORKS], untouched=[WORKS], kills=b"0\n")) is None


def test_breaking_the_judge_earns_what_can_be_checked() -> None:
    """The checks that cannot run fail and say why; those of a service still count."""
    one = grader(RunProbe("a"), RunProbe("b", service="db"))
    for broken in (b"nonsense", SandboxLost("no shell"), TIMED_OUT):
        sandbox = Told([broken, b"", record(0)], untouched=[WORKS])
        checks = grade(sandbox, group(one), Stop.FINISHED).graded.checks
        assert [check.score for check in checks] == [0.0, 1.0]
        assert "no check can run" in checks[0].note


def test_breaking_the_graders_script_is_no_way_out() -> None:
    """Every check that it would have scored fails."""
    one = group(grader(ScriptedProbe(), run="score all"))
    judgement = grade(Told([b""], found=Condition.OUT_OF_MEMORY), one, Stop.OUT_OF_MEMORY)
    assert (judgement.graded.reward, judgement.answer) == (0.0, None)


def test_a_silent_script_is_the_agents_doing_where_no_check_can_run() -> None:
    """A shell that agrees with everything says no number; where the shell works, the script is to blame."""
    by_number = group(grader(RunProbe("a", score=ScoreBy.STDOUT)))
    by_script = group(grader(ScriptedProbe(), run="score all"))
    for one in (by_number, by_script):
        silent = ANSWER + record(1)
        assert grade(Told([silent, b""], untouched=[WORKS]), one, Stop.FINISHED).graded.reward == 0.0
        with pytest.raises(GraderLost):
            grade(Told([silent, WORKS], untouched=[WORKS]), one, Stop.FINISHED)


def test_our_own_failures_stay_lost() -> None:
    """The same output, where the twin is no better, is nobody's zero."""
    with pytest.raises(GraderLost, match="could not run in the sandbox"):
        grade(Told([b"nonsense"]), group(grader(RunProbe("a"))), Stop.FINISHED)
    with pytest.raises(SandboxLost, match="gone"):
        grade(Told([SandboxLost("gone")], found=Condition.GONE), group(grader(RunProbe("a"))), Stop.FINISHED)


def test_a_sandbox_that_is_dead_before_the_graders_files_arrive_is_graded() -> None:
    """Nothing can be copied into it, and the checks say so."""
    files = (FileCopy("/grader/x", "/t/x"),)
    one = Grader((Check("a", RunProbe("a")),), files=files)
    sandbox = Told([SandboxLost("not running")], found=Condition.OUT_OF_MEMORY)
    assert grade(sandbox, group(one), Stop.OUT_OF_MEMORY).graded.reward == 0.0


def fresh(*artifacts: str) -> Group:
    made = group(grader(RunProbe("a"), RunProbe("b")), start="serve")
    wanted = tuple(Artifact(path) for path in artifacts)
    one = replace(made.task.grader, sandbox=GraderSandbox.FRESH, artifacts=wanted, files=(FileCopy("/g", "/t/g"),))
    return Group(replace(made.task, grader=one), made.variant)


def test_a_fresh_grading_runs_nothing_where_the_agent_was() -> None:
    """The artifacts and the grader's files go into the fresh container, in which nothing has to be stopped."""
    sandbox = Told([ANSWER + record(1) + record(2)])
    grade(sandbox, fresh("/app"), Stop.FINISHED)
    assert sandbox.fresh == ((Artifact("/app"),), (FileCopy("/g", "/t/g"),))
    assert sandbox.files == []
    started, _ = sandbox.scripts
    assert not any(STOP_EVERYTHING in script.source for script in sandbox.scripts)
    assert "serve" in started.source


def test_an_artifact_that_did_not_arrive_is_noted_where_a_check_fails() -> None:
    """And in the log; a check that passes without it says nothing."""
    sandbox = Told([ANSWER + record(1) + record(2, 1)])
    judgement = grade(sandbox, fresh("/app", "/missing"), Stop.FINISHED)
    assert [check.note for check in judgement.graded.checks] == ["", "exit 1; /missing was not there"]
    assert judgement.log.startswith("/missing was not there\n")
