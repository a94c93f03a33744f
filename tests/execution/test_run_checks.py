"""Checks beside the processes that an agent left; without them only if they are certainly to blame."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taskcal.core.rollout import Stop
from taskcal.core.task import FileCopy, Group, Processes, RunProbe
from taskcal.errors import GraderLost
from taskcal.execution.grading import grade
from taskcal.execution.grading_driver import ABSENT, STOP_EVERYTHING
from taskcal.execution.run_checks import ENDED_ALL
from taskcal.sandbox import ScriptEnding, ScriptResult
from taskcal.sandbox.processes import END_AGENT, RESUME
from tests.execution.grading_case import ANSWER, Told, grader, group
from tests.sandbox.fake_engine import record

FINE = record(0, 0, b"fine\n") + record(1, 3) + record(2, ABSENT)
CANNOT_FORK = ScriptResult(ScriptEnding.EXITED, 2, b"", b"sh: 0: Cannot fork")


def keeping(*probes: RunProbe, files: tuple[FileCopy, ...] = ()) -> Group:
    """A group whose grader keeps processes and brings files."""
    return group(replace(grader(*probes), processes=Processes.KEEP, files=files), start="serve")


def test_only_the_agents_own_is_ended() -> None:
    """Nothing else is killed, `start` does not run again, and all that stands goes on before the first script."""
    sandbox = Told([ANSWER + record(1), record(0)])
    files = (FileCopy("/grader/x", "/t/x"),)
    graded = grade(sandbox, keeping(RunProbe("a"), RunProbe("b", alone=True), files=files), Stop.FINISHED).graded
    assert graded.passed
    deliver, first, alone = (script.source for script in sandbox.scripts)
    assert deliver == END_AGENT
    assert first.startswith(END_AGENT)
    assert first.index("file 0 ") < first.index(RESUME) < first.index("check 1 ")
    assert END_AGENT not in alone
    assert not any(STOP_EVERYTHING in script.source or "serve" in script.source for script in sandbox.scripts)


def test_processes_that_prevent_the_checks_are_ended() -> None:
    """If a small grading fails beside them and works in an untouched sandbox, all runs as without the key, noted."""
    sandbox = Told([CANNOT_FORK, CANNOT_FORK, ANSWER + record(1, 1)], untouched=[FINE, FINE])
    (check,) = grade(sandbox, keeping(RunProbe("a")), Stop.FINISHED).graded.checks
    assert (check.score, check.note) == (0.0, f"exit 1; {ENDED_ALL}")
    assert sandbox.scripts[-2].source.startswith(STOP_EVERYTHING)
    assert "serve" in sandbox.scripts[-2].source


def test_a_failure_that_is_not_certainly_theirs_is_lost() -> None:
    """A grading that fails once and works the next time costs no right solution its server."""
    sandbox = Told([CANNOT_FORK, FINE], untouched=[FINE, FINE])
    with pytest.raises(GraderLost):
        grade(sandbox, keeping(RunProbe("a")), Stop.FINISHED)


def test_files_that_cannot_arrive_fail_every_check() -> None:
    """By the agent's doing: each check has the reason, and no script runs."""
    sandbox = Told([], blocked="the agent left too much")
    files = (FileCopy("/grader/x", "/t/x"),)
    graded = grade(sandbox, keeping(RunProbe("a"), RunProbe("b", alone=True), files=files), Stop.FINISHED).graded
    assert [check.note for check in graded.checks] == ["exit 137: the agent left too much"] * 2
    assert len(sandbox.scripts) == 1
