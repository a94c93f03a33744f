"""From what a person writes behind `--agent` to an agent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.agents.agent_file import load_agent
from taskcal.agents.builtin import Noop, Oracle, Simulated
from taskcal.agents.chat.agent import open_chat
from taskcal.agents.command import CommandAgent
from taskcal.agents.file_agent import read_secrets
from taskcal.agents.python import load_python, plugin, plugin_names
from taskcal.agents.spec import ChatSpec, PythonSpec, SimulatedSpec
from taskcal.errors import UsageError
from taskcal.yamlfile.problems import suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.agents import Agent

NONE_NAMED = (
    "no agent named: add --agent noop, oracle, simulated or an agent file, set TASKCAL_AGENT, or put `agent:` into "
    "taskcal.yaml or [tool.taskcal]"
)


def choose_agent(name: str | None, overrides: Mapping[str, str], named_by: str = "") -> Agent:
    """The agent of that name or file. Raises UsageError, or InputError for a bad file.

    `named_by` is the file that names it, '' if a person did: a Python function runs outside any sandbox, so a file that
    came with a repository or a run must not start one.
    """
    if not name:
        raise UsageError(NONE_NAMED)
    built_in = _built_in(name) or _plugin(name, named_by)
    if built_in is not None:
        if overrides:
            raise UsageError(f"--set changes an agent file, and {name} has none")
        return built_in
    if not Path(name).is_file():
        known = tuple(dict.fromkeys(("noop", "oracle", "simulated", *plugin_names())))
        raise UsageError(f"--agent {name}: no such file, and not one of {', '.join(known)}{suggest(name, known)}")
    spec = load_agent(name, overrides)
    if isinstance(spec, SimulatedSpec):
        return Simulated(spec)
    if isinstance(spec, PythonSpec):
        return _load_named(spec, name, name, named_by)
    if isinstance(spec, ChatSpec):
        return open_chat(spec)
    read_secrets(spec.secrets, os.environ)
    return CommandAgent(spec)


def _plugin(name: str, named_by: str) -> Agent | None:
    """An installed package's agent; a file of that name comes first."""
    spec = None if Path(name).exists() else plugin(name)
    return None if spec is None else _load_named(spec, f"--agent {name}", name, named_by)


def _load_named(spec: PythonSpec, place: str, name: str, named_by: str) -> Agent:
    """The agent whose function is named at a place. Raises UsageError that begins with it."""
    if named_by:
        raise UsageError(
            f"{named_by} names the agent {name}, a Python function that runs on this machine outside any sandbox; "
            f"if you trust it, name it yourself: --agent {name}"
        )
    try:
        return load_python(spec)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error


def _built_in(name: str) -> Agent | None:
    if name == "noop":
        return Noop()
    if name == "oracle":
        return Oracle()
    return Simulated(SimulatedSpec("simulated")) if name == "simulated" else None
