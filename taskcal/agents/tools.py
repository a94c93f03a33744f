"""The tools that a task offers beside a shell, its own scripts and those of its MCP servers, for every kind of agent.

A chat agent sees them as functions. A command, a Python function and a person find them as programs on PATH (see
`taskcal.agents.relay`). A tool's script runs in the sandbox, in the task's folder, as the agent's user: with its
arguments as variables (those that its schema names) and as one line of JSON on standard input. It never sees the
params, since its agent could.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from taskcal.agents.chat_tools import Used, cut, told
from taskcal.core.json_schema import misfit
from taskcal.core.task import as_text
from taskcal.errors import SetupLost
from taskcal.host import search_within
from taskcal.sandbox import ROOM, Script
from taskcal.sandbox.interpreters import as_shell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskcal.core.task import Task
    from taskcal.core.tool import Tool
    from taskcal.sandbox import Sandbox, ScriptResult

MOST_OUTPUT = 1024 * 1024
"""Bytes of a call's output that are kept, from its end."""
PATTERN_SECONDS = 2.0
LONGEST_VALUE = 64 * 1024
LONGEST_TOGETHER = 96 * 1024
"""Bytes of arguments that become variables; longer ones are on standard input alone."""


class TaskTool(Protocol):
    """One tool of a task, as an agent of any kind calls it; obeys `chat_tools.Tool` as well."""

    @property
    def name(self) -> str:
        """What it is called by."""
        ...

    @property
    def description(self) -> str:
        """What it does."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The JSON Schema of its arguments: an object."""
        ...

    def reply(self, sandbox: Sandbox, arguments: Mapping[str, Any], seconds: float) -> ScriptResult:
        """Carry out a call whose arguments are known to fit, for at most `seconds`."""
        ...

    def call(self, sandbox: Sandbox, arguments: Mapping[str, Any], seconds: float) -> Used:
        """Carry out a model's call; arguments that do not fit are answered with what is wrong with them."""
        ...


@dataclass(frozen=True, slots=True)
class ScriptTool:
    """A tool that is a script of the task; `bound` is how much of its output a model is told, in bytes."""

    tool: Tool
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

    def reply(self, sandbox: Sandbox, arguments: Mapping[str, Any], seconds: float) -> ScriptResult:
        """Run its script."""
        known = {name: value for name, value in arguments.items() if name in self.parameters["properties"]}
        script = Script(call_script(self.tool, arguments), seconds, user=self.user, env=as_variables(known))
        return sandbox.run(script, limit=MOST_OUTPUT)

    def call(self, sandbox: Sandbox, arguments: Mapping[str, Any], seconds: float) -> Used:
        """Run its script for a model."""
        wrong = wrong_arguments(self.parameters, arguments)
        if wrong:
            return Used(f"{self.name} was not run: {wrong}")
        used = told(self.reply(sandbox, arguments, seconds), seconds)
        return Used(cut(used.content, self.bound), used.exit_code)


def tools_of(task: Task, user: str | None, bound: int) -> tuple[ScriptTool, ...]:
    """The tools that are scripts of a task."""
    return tuple(ScriptTool(tool, user, bound) for tool in task.tools)


@contextlib.contextmanager
def offered_tools(sandbox: Sandbox, task: Task, user: str | None, bound: int) -> Iterator[tuple[TaskTool, ...]]:
    """All tools of a task; its MCP servers run as long as the context. Raises SetupLost where one does not start.

    `user` is who the agent is (None the image's own); `bound` is the bytes of a call's output that a model is told.
    """
    with contextlib.ExitStack() as servers:
        tools: list[TaskTool] = [*tools_of(task, user, bound)]
        if task.mcp:
            from taskcal.agents.mcp import connected  # noqa: PLC0415 - loads the mcp package, which takes a second

            for server in task.mcp:
                tools += servers.enter_context(connected(sandbox, server, user, bound))
        names = [tool.name for tool in tools]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise SetupLost(f"two tools of this task have the name {doubled[0]}")
        yield tuple(tools)


def missing_for_tools(task: Task) -> str | None:
    """What this installation lacks for a task's tools, and how to get it, or None."""
    if task.mcp and importlib.util.find_spec("mcp") is None:
        return "it has MCP servers, which need the mcp package; run `pip install 'taskcal[mcp]'`"
    return None


def wrong_arguments(parameters: Mapping[str, Any], arguments: object) -> str | None:
    """Why arguments do not fit a schema, or None."""
    return misfit(dict(parameters), arguments, _is_found)


def _is_found(pattern: str, text: str) -> bool:
    return search_within(pattern, text[:MOST_OUTPUT], PATTERN_SECONDS) is True


def call_script(tool: Tool, arguments: Mapping[str, Any]) -> str:
    """The script of one call.

    Output goes through files: a process that stays in the background would hold a pipe open and the call with it.
    """
    return f"""TASKCAL_CALL=$(mktemp -d 2>/dev/null) || {{ TASKCAL_CALL={ROOM}/call.$$; mkdir -p "$TASKCAL_CALL"; }}
sh -c {shlex.quote(as_shell(tool.run))} {tool.name} >"$TASKCAL_CALL/out" 2>"$TASKCAL_CALL/err" <<'TASKCAL_ARGUMENTS'
{json.dumps(arguments)}
TASKCAL_ARGUMENTS
TASKCAL_STATUS=$?
cat "$TASKCAL_CALL/out"; cat "$TASKCAL_CALL/err" >&2; rm -rf "$TASKCAL_CALL"
exit $TASKCAL_STATUS
"""


def as_variables(arguments: Mapping[str, Any]) -> dict[str, str]:
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
