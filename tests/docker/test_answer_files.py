"""What an agent leaves in the files that taskcal reads is graded, whatever it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.agents.command import CommandAgent
from taskcal.agents.python import PythonAgent
from taskcal.agents.spec import CommandSpec, PythonSpec
from taskcal.core.rollout import Graded, Stop
from taskcal.core.task import AnswerProbe
from tests.conftest import mostly_long
from tests.docker.rooms import PLAIN, fresh, rolled_out, task

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.core.task import Group
    from taskcal.sandbox.engine.run_resources import RunScope

pytestmark = pytest.mark.docker

LEFT = {
    "17 MiB": 'head -c 17825792 /dev/zero | tr "\\0" x >"$F"; true',
    "every byte": 'head -c 65536 /dev/urandom >"$F"',
    "a folder": 'mkdir -p "$F/a/b"; touch "$F/c"',
    "a pipe": 'mkfifo "$F"',
    "a socket": "perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => $ENV{F}, Listen => 1)'",
    "a link to itself": 'ln -s "$F" "$F"',
    "a long link": 'ln -s "$(head -c 300 /dev/zero | tr "\\0" x)" "$F"',
    "a very long link": 'ln -s "$(head -c 4000 /dev/zero | tr "\\0" x)" "$F"',
    "a long path": 'ln -s "$(yes x/ | head -n 1900 | tr -d "\\n")" "$F"',
    "a link to a device": 'ln -s /dev/zero "$F"',
    "a link to the grader's": 'ln -s /etc/shadow "$F"',
    "unreadable": 'echo 42 >"$F"; chmod 0 "$F"',
    "a full room": 'head -c 20m /dev/zero >/run/taskcal/full; echo 42 >"$F"; true',
    "no room": "rm -rf /run/taskcal/*; true",
}


def graded(scope: RunScope, folder: Path, left: str, group: Group) -> Graded:
    """How an agent is graded that leaves this as its answer and as its usage."""
    run = "\n".join(f"F={name}; export F; {left}" for name in ("$TASKCAL_ANSWER_FILE", "$TASKCAL_USAGE_FILE"))
    outcome = rolled_out(scope, folder, group, CommandAgent(CommandSpec("a", run)))
    assert isinstance(outcome, Graded), outcome
    return outcome


def group() -> Group:
    """A task with a check on the answer and one that an agent meets by doing nothing, for an agent without rights."""
    return task("true", AnswerProbe(equals="41"), environment=replace(PLAIN, user="1000"))


@pytest.mark.parametrize("kind", mostly_long(LEFT, *list(LEFT)[:3]))
def test_any_answer_file_is_graded_where_the_agent_worked(scope: RunScope, tmp_path: Path, kind: str) -> None:
    """It has no answer, or another one; the rest of its work counts."""
    assert [check.score for check in graded(scope, tmp_path, LEFT[kind], group()).checks] == [1.0, 0.0]


@pytest.mark.long
@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
def test_any_answer_file_is_graded_in_a_fresh_sandbox(scope: RunScope, tmp_path: Path, left: str) -> None:
    """What cannot be carried over is no answer."""
    assert [check.score for check in graded(scope, tmp_path, left, fresh(group())).checks] == [1.0, 0.0]


def test_an_answer_longer_than_its_room_is_handed_in(scope: RunScope, tmp_path: Path) -> None:
    """As much of it as a grader reads; half of a surrogate pair in it is a question mark."""
    answer = "\ud83d 42" + "x" * 17 * 1024**2
    one = task(AnswerProbe(contains="? 42xxx"))
    outcome = rolled_out(scope, tmp_path, one, PythonAgent(PythonSpec("a", "m:f"), "", lambda *_: answer))
    assert isinstance(outcome, Graded), outcome
    assert (outcome.stop, outcome.reward) == (Stop.FINISHED, 1.0)
