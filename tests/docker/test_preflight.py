"""An agent that a run has not seen is tried on one trivial task, in a real container, before anything is measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.docker.samples import TASKSET

if TYPE_CHECKING:
    from tests.conftest import CommandLine

pytestmark = pytest.mark.docker


@pytest.fixture
def user(taskcal: CommandLine) -> CommandLine:
    """Give the command line as users have it, with a taskset."""
    (taskcal.folder / "tasks.yaml").write_text(TASKSET)
    return replace(taskcal, preflight=True)


def write(user: CommandLine, script: str) -> None:
    (user.folder / "agent.yaml").write_text(f"agent: mine\nkind: command\nrun: |\n  {script}\n")


def test_an_agent_that_cannot_start_is_one_line(user: CommandLine) -> None:
    """Exit 3 and a line; no run's folder, no taskset of unmeasured or too-hard tasks."""
    write(user, "no-such-program --go")
    ended = user("run", "tasks.yaml", "-G", "2", "--agent", "agent.yaml", "--task", "easy", "-q")
    assert ended.code == 3
    assert len(ended.err.splitlines()) == 1
    assert "agent-install: the agent's command was not found" in ended.err
    assert not list(user.folder.glob("runs/*"))


def test_an_agent_is_tried_once(user: CommandLine) -> None:
    """One that works is measured, and its next run here begins at once."""
    write(user, "echo ready >/tmp/taskcal-ready; touch /tmp/easy")
    first = user("run", "tasks.yaml", "-G", "1", "--agent", "agent.yaml", "--task", "easy")
    again = user("run", "tasks.yaml", "-G", "1", "--agent", "agent.yaml", "--task", "easy")
    assert (first.code, again.code) == (0, 0)
    assert ["trying the agent" in ended.err for ended in (first, again)] == [True, False]


def test_an_agent_that_is_only_weak_is_measured(user: CommandLine) -> None:
    """It may be made for this taskset alone: what was noticed is said, and the run goes on."""
    write(user, "touch /tmp/easy")
    ended = user("run", "tasks.yaml", "-G", "1", "--agent", "agent.yaml", "--task", "easy", "--json")
    assert ended.code == 0
    assert "without having done a trivial task" in ended.err
    assert ended.json()["tasks"][0]["passed"] == 1
