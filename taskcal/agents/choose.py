"""From what a person writes behind `--agent` to an agent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.agents.command import CommandAgent, read_secrets
from taskcal.agents.file import load_agent
from taskcal.agents.play import Noop, Oracle, Simulated
from taskcal.agents.spec import SimulatedSpec
from taskcal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.agents import Agent

NONE_NAMED = (
    "no agent named: add --agent noop, oracle, simulated or an agent file, set TASKCAL_AGENT, or put `agent:` into "
    "taskcal.yaml or [tool.taskcal]"
)


def choose_agent(name: str | None, overrides: Mapping[str, str]) -> Agent:
    """The agent of that name or file. Raises UsageError, or InputError for a bad file."""
    if not name:
        raise UsageError(NONE_NAMED)
    built_in = _built_in(name)
    if built_in is not None:
        if overrides:
            raise UsageError(f"--set changes an agent file, and {name} has none")
        return built_in
    if not Path(name).is_file():
        raise UsageError(f"--agent {name}: no such file, and not one of noop, oracle, simulated")
    spec = load_agent(name, overrides)
    if isinstance(spec, SimulatedSpec):
        return Simulated(spec)
    read_secrets(spec.secrets, os.environ)
    return CommandAgent(spec)


def _built_in(name: str) -> Agent | None:
    if name == "noop":
        return Noop()
    if name == "oracle":
        return Oracle()
    return Simulated(SimulatedSpec("simulated")) if name == "simulated" else None
