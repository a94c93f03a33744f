"""From what a person writes behind `--agent` to an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskcal.agents.builtin import Noop, Oracle, Simulated
from taskcal.agents.choose import choose_agent
from taskcal.agents.command import CommandAgent
from taskcal.agents.spec import SimulatedSpec
from taskcal.errors import InputError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_built_in_agents_need_no_file() -> None:
    """Three names; the simulated one succeeds half of the time."""
    assert choose_agent("noop", {}) == Noop()
    assert choose_agent("oracle", {}) == Oracle()
    assert choose_agent("simulated", {}) == Simulated(SimulatedSpec("simulated", {"*": 0.5}))


def test_a_built_in_name_is_no_file(folder: Path) -> None:
    """A file that happens to be called oracle does not take its place."""
    (folder / "oracle").write_text("agent: x\nkind: simulated\n")
    assert choose_agent("oracle", {}) == Oracle()


@pytest.mark.parametrize("name", [None, ""])
def test_no_agent_is_never_chosen_silently(name: str | None) -> None:
    """The error lists the choices and the places where one can be named."""
    with pytest.raises(UsageError, match=r"no agent named: add --agent noop, oracle, simulated .* TASKCAL_AGENT"):
        choose_agent(name, {})


def test_a_name_that_is_nothing_is_refused(folder: Path) -> None:
    """Neither a built-in nor a file: a folder is none."""
    (folder / "agents").mkdir()
    for name in ("orcale", "agents", "absent.yaml"):
        with pytest.raises(UsageError, match=f"--agent {name}: no such file, and not one of noop, oracle, simulated"):
            choose_agent(name, {})


def test_a_file_gives_its_kind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated or command, with overrides applied; a command's secrets must be there."""
    (folder / "sim.yaml").write_text("agent: s\nkind: simulated\n")
    agent = choose_agent("sim.yaml", {"success.ship": "0.25"})
    assert isinstance(agent, Simulated)
    assert agent.spec.success == {"ship": 0.25}
    (folder / "mine.yaml").write_text("agent: mine\nkind: command\nrun: x\nsecrets: [SHOP_TEST_KEY]\n")
    monkeypatch.delenv("SHOP_TEST_KEY", raising=False)
    with pytest.raises(UsageError, match="export SHOP_TEST_KEY"):
        choose_agent("mine.yaml", {})
    monkeypatch.setenv("SHOP_TEST_KEY", "sk-1")
    agent = choose_agent("mine.yaml", {"timeout": "90s"})
    assert isinstance(agent, CommandAgent)
    assert (agent.name, agent.timeout) == ("mine", 90.0)


def test_overrides_need_a_file() -> None:
    """`--set` for an agent that has none would change nothing."""
    with pytest.raises(UsageError, match="--set changes an agent file, and noop has none"):
        choose_agent("noop", {"timeout": "5"})


def test_a_bad_file_is_named(folder: Path) -> None:
    """With its line, as a taskset's."""
    (folder / "bad.yaml").write_text("agent: a\nkind: command\n")
    with pytest.raises(InputError, match=r"bad\.yaml:1: run: missing"):
        choose_agent("bad.yaml", {})
