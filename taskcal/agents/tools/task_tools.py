"""The tools that a task offers beside a shell, its own scripts and those of its MCP servers, for every kind of agent.

A chat agent sees them as functions. A command, a Python function and a person find them as programs on PATH (see
`path_programs`). A tool's script runs in the sandbox, in the task's folder, as the agent's user: with its arguments as
variables (those that its schema names) and as one line of JSON on standard input. It never sees the params, since its
agent could.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taskcal.agents.tools.agent_tool import MOST_OUTPUT, PreparedCall, command_reply, cut_reply
from taskcal.core.task import as_text
from taskcal.errors import SetupLost
from taskcal.sandbox import TASKCAL_FOLDER, Script
from taskcal.sandbox.interpreters import as_shell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskcal.agents.tools.agent_tool import AgentTool
    from taskcal.core import tool as declared
    from taskcal.core.task import Task
    from taskcal.sandbox import Sandbox

LONGEST_VALUE = 64 * 1024
LONGEST_TOGETHER = 96 * 1024
"""Bytes of arguments that become variables; longer ones are on standard input alone."""


@dataclass(frozen=True, slots=True)
class ScriptTool:
    """A tool that is a script of the task; `bound` is the largest reply to a model, in bytes."""

    tool: declared.Tool
    user: str | None
    bound: int

    @property
    def name(self) -> str:
        """Its name in the taskset."""
        return self.tool.name

    @property
    def description(self) -> str:
        """Its description in the taskset."""
        return self.tool.description

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Its parameters in the taskset."""
        return {"type": "object", "properties": {}, **self.tool.parameters}

    def prepare(self, arguments: Mapping[str, Any], seconds: float) -> PreparedCall:
        """Make the script that runs its script."""
        known = {name: value for name, value in arguments.items() if name in self.parameters["properties"]}
        # Hidden: a call's arguments may hold a secret, and command lines are for everybody to read.
        script = Script(call_script(self.tool, arguments), seconds, self.user, argument_variables(known), hidden=True)
        return PreparedCall(
            lambda sandbox: sandbox.run(script, limit=MOST_OUTPUT),
            lambda result: cut_reply(command_reply(result, seconds), self.bound),
        )


def tools_of(task: Task, user: str | None, bound: int) -> tuple[ScriptTool, ...]:
    """The tools that are scripts of a task."""
    return tuple(ScriptTool(tool, user, bound) for tool in task.tools)


@contextlib.contextmanager
def open_tools(sandbox: Sandbox, task: Task, user: str | None, bound: int) -> Iterator[tuple[AgentTool, ...]]:
    """All tools of a task; its MCP servers run while the context lasts. Raises SetupLost if a server does not start.

    `user` runs them (None is the image's own); `bound` is the largest reply to a model, in bytes.
    """
    with contextlib.ExitStack() as servers:
        tools: list[AgentTool] = [*tools_of(task, user, bound)]
        if task.mcp:
            from taskcal.agents.tools.mcp import connect_server  # noqa: PLC0415 - loads the mcp package, which takes a second

            for server in task.mcp:
                tools += servers.enter_context(connect_server(sandbox, server, user, bound))
        names = [tool.name for tool in tools]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise SetupLost(f"two tools of this task have the name {doubled[0]}")
        yield tuple(tools)


def missing_for_tools(task: Task) -> str | None:
    """A package that a task's tools need and this installation lacks, with how to get it, or None."""
    if task.mcp and importlib.util.find_spec("mcp") is None:
        return "it has MCP servers, which need the mcp package; run `pip install 'taskcal[mcp]'`"
    return None


def call_script(tool: declared.Tool, arguments: Mapping[str, Any]) -> str:
    """The script of one call.

    Output goes through files: a process that stays in the background would hold a pipe open and the call with it.
    Raises ValueError for a number that JSON cannot hold.
    """
    fallback = f"{TASKCAL_FOLDER}/call.$$"
    return f"""TASKCAL_CALL=$(mktemp -d 2>/dev/null) || {{ TASKCAL_CALL={fallback}; mkdir -p "$TASKCAL_CALL"; }}
sh -c {shlex.quote(as_shell(tool.run))} {tool.name} >"$TASKCAL_CALL/out" 2>"$TASKCAL_CALL/err" <<'TASKCAL_ARGUMENTS'
{json.dumps(arguments, allow_nan=False)}
TASKCAL_ARGUMENTS
TASKCAL_STATUS=$?
cat "$TASKCAL_CALL/out"; cat "$TASKCAL_CALL/err" >&2; rm -rf "$TASKCAL_CALL"
exit $TASKCAL_STATUS
"""


def argument_variables(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Arguments as their script sees them: lists and objects as JSON, and without those that are too long."""
    texts = {name: _as_text(value).replace("\0", "") for name, value in arguments.items()}
    left = LONGEST_TOGETHER
    kept: dict[str, str] = {}
    for name, text in texts.items():
        size = len(text.encode(errors="replace"))
        if size <= min(left, LONGEST_VALUE):
            kept[name] = text
            left -= size
    return kept


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | dict) else as_text(value)
