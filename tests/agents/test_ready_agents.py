"""The agent files that come with taskcal: they load, they are shell, they are pinned, and they say what they need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from taskcal.agents.agent_file import load_agent
from taskcal.agents.spec import CommandSpec
from taskcal.core.task import NetworkMode
from taskcal.machine import host

FOLDER = Path(__file__).parents[2] / "tasksets" / "agents"
FILES = sorted(FOLDER.glob("*.yaml"))
PROGRAMS = ("aider", "claude-code", "codex", "mini-swe-agent")


def program(name: str) -> CommandSpec:
    spec = load_agent(FOLDER / f"{name}.yaml")
    assert isinstance(spec, CommandSpec)
    return spec


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_loads(path: Path) -> None:
    """And begins with what it is and what it needs, for a person."""
    assert load_agent(path).name
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_a_file_runs_is_shell(name: str) -> None:
    """For `sh`, its install step as well."""
    spec = program(name)
    for source in (spec.run, spec.install):
        assert host.run_program(["sh", "-n"], seconds=30, stdin=source).output == ""


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_pinned_and_its_needs_are_named(name: str) -> None:
    """One version, so that two calibrations are of one agent; the key by its name; a network, since it needs one."""
    spec, text = program(name), (FOLDER / f"{name}.yaml").read_text()
    assert re.search(r"(@|==)\d+\.\d+\.\d+", spec.install)
    assert all(f"# Needs   {secret} " in text for secret in spec.secrets)
    assert len(spec.secrets) == 1
    assert spec.network is not None
    assert spec.network.mode is NetworkMode.BRIDGE
    assert f"taskcal doctor --agent tasksets/agents/{name}.yaml" in text
    assert "MODEL" in spec.env


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_providers_failure_is_not_the_agents(name: str) -> None:
    """Each file tells it apart and ends with 75, and says what was consumed."""
    spec = program(name)
    assert "75" in spec.run
    assert "TASKCAL_USAGE_FILE" in spec.run
