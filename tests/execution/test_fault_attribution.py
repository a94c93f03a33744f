"""Whose doing it was that nothing could be graded: the agent's only where that is certain."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from taskcal import errors
from taskcal.core.rollout import Stop
from taskcal.core.task import Artifact, Check, FileCopy, Grader, GraderSandbox, Group, RunProbe, ScoreBy, ScriptedProbe
from taskcal.errors import EngineLost, GraderLost, SandboxLost
from taskcal.execution.fault_attribution import (
    DEAD,
    STARVED,
    TRIAL,
    USELESS,
    Worked,
    attribute_fault,
    is_disputed,
    start_a_shell,
    try_in,
)
from taskcal.execution.grading import grade
from taskcal.execution.grading_driver import ABSENT, STOP_EVERYTHING
from taskcal.sandbox import Condition, ScriptEnding, ScriptResult
from tests.execution.grading_case import ANSWER, Told, grader, group
from tests.sandbox.fake_engine import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.sandbox import GradableSandbox

WORKS = record(0, 0, b"fine\n") + record(1, 3) + record(2, ABSENT)
TIMED_OUT = ScriptResult(ScriptEnding.TIMED_OUT, None, b"", b"")
FAILURES = (EngineLost("500"), SandboxLost("500"), GraderLost("nonsense"), ValueError("unforeseen"))
UNTOUCHED = (WORKS, WORKS)


@dataclass
class Tried:
    """An operation: how it goes in the sandbox, and how in a twin, one time after the other; None is well."""

    sandbox: Told
    here: list[Exception | None]
    there: list[Exception | None] = field(default_factory=list)

    def __call__(self, box: GradableSandbox) -> str:
        """Do as it is told, and go well where nothing is."""
        told = self.here if box is self.sandbox else self.there
        failure = told.pop(0) if told else None
        if failure is not None:
            raise failure
        return "done"


def test_the_trial_has_the_kinds_of_jobs_that_gradings_have() -> None:
    """What works in it is what a grading needs: a script's status and output, and a file's absence."""
    assert [type(job).__name__ for job in TRIAL] == ["ScriptJob", "ScriptJob", "FileJob"]


@pytest.mark.parametrize("condition", Condition)
@pytest.mark.parametrize("failure", FAILURES, ids=lambda one: type(one).__name__)
def test_the_whole_rule(condition: Condition, failure: Exception) -> None:
    """Every combination of evidence, for each kind of error: the condition, the second try, the twin, the kernel."""
    again = (None, failure)
    for trifles, here, first, second, kills in itertools.product((WORKS, b""), again, again, again, (b"0\n", b"3\n")):
        sandbox = Told([trifles], found=condition, untouched=list(UNTOUCHED), kills=kills)
        decided = attribute_fault(sandbox, Tried(sandbox, [here], [first, second]))
        if condition is Condition.STUCK:
            assert decided is USELESS
        elif condition is not Condition.ALIVE:
            assert decided == DEAD.get(condition)
        elif trifles and here is None:
            assert decided == Worked("done")
        elif not trifles or (first is None and second is None):
            assert decided is USELESS
        else:
            assert decided is (STARVED if kills == b"3\n" else None)


def test_a_container_that_is_gone_is_never_the_agents_doing() -> None:
    """It was removed or killed from outside, and no twin is opened to find out."""
    assert DEAD.keys() == {Condition.ENDED, Condition.OUT_OF_MEMORY}


@pytest.mark.parametrize("here", [b"", b"nonsense", TIMED_OUT, SandboxLost("no shell"), record(0, 0, b"fine\n")])
@pytest.mark.parametrize("there", [UNTOUCHED, (b"", WORKS), (WORKS, b""), (TIMED_OUT,), (EngineLost("busy"),)])
def test_a_living_sandbox_is_measured_against_its_twin(
    here: bytes | ScriptResult | Exception, there: Sequence[bytes | ScriptResult | Exception]
) -> None:
    """A small grading fails here: the agent's doing if it goes well in an untouched sandbox, twice."""
    for condition in (Condition.ALIVE, Condition.STUCK):
        sandbox = Told([here], found=condition, untouched=list(there))
        decided = attribute_fault(sandbox, Tried(sandbox, [SandboxLost("again")]))
        assert decided is (USELESS if there == UNTOUCHED else None)


def test_what_fails_once_counts_when_it_works() -> None:
    """A second try costs nobody anything, and a loop that kills all others misses once in a while."""
    sandbox = Told([WORKS])
    assert try_in(sandbox, Tried(sandbox, [SandboxLost("killed")])) == "done"


def test_no_error_of_others_is_asked_about() -> None:
    """The provider's, the host's and a stopped run's pass through, and those before an agent has begun."""
    asked = {EngineLost, SandboxLost, GraderLost}
    kinds: list[type[errors.LostError]] = [errors.LostError, *errors.LostError.__subclasses__()]
    assert {kind for kind in kinds if is_disputed(kind("x"))} == asked
    assert not any(is_disputed(error) for error in (OSError("disk full"), errors.UsageError("x"), MemoryError()))
    for error in (errors.ProviderLost("429"), OSError("disk full"), errors.CancelledLost("stopped")):
        sandbox = Told([b""], untouched=list(UNTOUCHED))
        with pytest.raises(type(error)):
            try_in(sandbox, Tried(sandbox, [error]))
        assert sandbox.scripts == []


def test_a_full_disk_of_this_host_is_no_evidence() -> None:
    """Neither the second try nor the twin's blames anybody if it fails for a reason of ours."""
    for here, there in (([OSError("full")], []), ([SandboxLost("x")], [OSError("full")])):
        sandbox = Told([WORKS])
        assert attribute_fault(sandbox, Tried(sandbox, list(here), list(there))) is None


def test_an_agent_that_cannot_act_any_more_is_measured_by_a_shell() -> None:
    """Of its own user, without its command: that may take hours and hold secrets."""

    class Shell(Told):
        def run(self, script: object, **_: object) -> ScriptResult:
            assert getattr(script, "user", "") == "agent"
            return self.outputs.pop(0)  # type: ignore[return-value]  # only results are told here

    start_a_shell("agent")(Shell([ScriptResult(ScriptEnding.EXITED, 0, b"", b"")]))
    for broken in (TIMED_OUT, ScriptResult(ScriptEnding.EXITED, 126, b"no such file", b"")):
        with pytest.raises(SandboxLost, match="no shell could be started"):
            start_a_shell("agent")(Shell([broken]))


def test_breaking_the_judge_earns_what_can_be_checked() -> None:
    """The checks that cannot run fail and say why; those of a service still count."""
    one = grader(RunProbe("a"), RunProbe("b", service="db"))
    for broken in (b"nonsense", SandboxLost("no shell"), TIMED_OUT):
        sandbox = Told([broken, b"", record(0)], untouched=list(UNTOUCHED))
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
        assert grade(Told([silent, b""], untouched=list(UNTOUCHED)), one, Stop.FINISHED).graded.reward == 0.0
        with pytest.raises(GraderLost):
            grade(Told([silent, WORKS], untouched=list(UNTOUCHED)), one, Stop.FINISHED)


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
