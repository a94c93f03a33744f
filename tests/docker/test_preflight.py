"""Agents tried in real containers before they are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskcal.agents.command import CommandAgent
from taskcal.agents.spec import CommandSpec
from taskcal.cli.preflight import preflight
from taskcal.core.plan import Bounds
from taskcal.errors import MissingError
from taskcal.sandbox.labels import RUN
from tests.docker.rooms import task

if TYPE_CHECKING:
    from taskcal.sandbox.docker import DockerEngine
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

WORKS = "echo ready >/tmp/taskcal-ready"


def tried(engine: DockerEngine, spec: CommandSpec) -> list[str]:
    """What is said while an agent is tried; nothing may be left of it."""
    said: list[str] = []
    before = {one.id for one in engine.containers_labelled(RUN)}
    try:
        preflight(engine, CommandAgent(spec), Bounds(), task(), said.append)
    finally:
        left = [one for one in engine.containers_labelled(RUN) if "preflight" in one.labels[RUN]]
        assert not {one.id for one in left} - before
    return said


def test_an_agent_that_works_is_passed_in_silence(engine: DockerEngine) -> None:
    """Nothing is printed, and nothing is left."""
    assert tried(engine, CommandSpec("good", WORKS)) == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (CommandSpec("a", "no-such-program"), "agent a does not work: agent-install: .*no-such-program: not found"),
        (CommandSpec("a", "echo 'Invalid API key' >&2; exit 1"), "crashed at a trivial task; its last words: Invalid"),
        (CommandSpec("a", "exit 75"), "agent a does not work: provider: "),
        (CommandSpec("a", WORKS, install="exit 3"), "agent a does not work: agent-install: the agent's install failed"),
    ],
)
def test_an_agent_that_does_not_work_is_one_line(engine: DockerEngine, spec: CommandSpec, message: str) -> None:
    """Said before anything is measured, with the agent's own words."""
    with pytest.raises(MissingError, match=message) as caught:
        tried(engine, spec)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_an_agent_for_something_else_is_only_told_of(engine: DockerEngine) -> None:
    """It ended in order: it may be made for this taskset alone."""
    (said,) = tried(engine, CommandSpec("clerk", "echo 'I only know how to ship orders.'"))
    assert "clerk finished without having done a trivial task; its last words: I only know" in said


def test_doctor_tries_an_agent(taskcal: CommandLine, write: Write) -> None:
    """One more line: what it took, or what is wrong with it and exit 3."""
    write("good.yaml", f"agent: good\nkind: command\nrun: {WORKS}\n")
    ended = taskcal("doctor", "--agent", "good.yaml")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1].startswith("agent       ok       good did one trivial task: ")
    ended = taskcal("doctor", "--agent", "good.yaml", "--set", "run=echo no key; exit 1", "--json")
    sign = ended.json()["signs"][-1]
    assert (ended.code, sign["mark"]) == (3, "failed")
    assert sign["detail"] == "good: crashed at a trivial task; its last words: no key"
    assert ended.err == "mend the agent good, and try it again\n"
    assert taskcal("doctor", "--agent", "absent.yaml").code == 2
