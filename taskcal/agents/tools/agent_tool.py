"""The protocol of a tool that an agent may call, and the one rule by which its calls are checked.

A chat agent calls a tool as a function (`call_tool`), other agents call it as a program on PATH (`path_programs`). Both
have their arguments checked by `prepare_call`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from taskcal.agents.tools.tool_arguments import LONGEST_QUOTE, CallError, as_call_errors, fit_arguments, read_object
from taskcal.core.text.foreign_text import clip, cut
from taskcal.sandbox import ScriptEnding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskcal.sandbox import Sandbox, ScriptResult

MOST_OUTPUT = 1024 * 1024
"""Bytes of a call's output that are kept, from its end."""


@dataclass(frozen=True, slots=True)
class ToolReply:
    """The reply to a tool call: the text for the model, and the exit status if a process exited."""

    content: str
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """A checked call. `run` carries it out: an error that it raises is our side's failure, whatever the call holds.

    `show` turns its result into the reply for the model.
    """

    run: Callable[[Sandbox], ScriptResult]
    show: Callable[[ScriptResult], ToolReply]


class AgentTool(Protocol):
    """Something that an agent may call: a chat agent as a function, others as a program on PATH."""

    @property
    def name(self) -> str:
        """Its name: letters, digits, `_` and `-`."""
        ...

    @property
    def description(self) -> str:
        """What it does."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The JSON Schema of its arguments: an object."""
        ...

    def prepare(self, arguments: Mapping[str, Any], seconds: float) -> PreparedCall:
        """Check a call of at most `seconds`, whose arguments fit the schema. It has no effect on the sandbox.

        Raises CallError for a call that cannot be carried out; `as_call_errors` turns other errors into one.
        """
        ...


def prepare_call(tool: AgentTool, arguments: Mapping[str, Any], seconds: float) -> PreparedCall:
    """Check a call of at most `seconds` by the tool's schema. Raises CallError if it cannot be carried out."""
    with as_call_errors():
        return tool.prepare(fit_arguments(tool.parameters, arguments), seconds)


def call_tool(tools: Sequence[AgentTool], sandbox: Sandbox, name: str, arguments: str, seconds: float) -> ToolReply:
    """Carry out a call as the model wrote it. The reply to a call that cannot be carried out is its mistake."""
    tool = next((tool for tool in tools if tool.name == name), None)
    if tool is None:
        known = ", ".join(tool.name for tool in tools)
        return ToolReply(f"there is no tool {clip(name, LONGEST_QUOTE)!r}; the tools are {known}")
    try:
        with as_call_errors():
            values = read_object(arguments)
        prepared = prepare_call(tool, values, seconds)
    except CallError as error:
        return ToolReply(f"{name} was not run: {error}")
    return prepared.show(prepared.run(sandbox))


def cut_reply(reply: ToolReply, bound: int) -> ToolReply:
    """A reply of at most about `bound` characters."""
    return ToolReply(cut(reply.content, bound), reply.exit_code)


def command_reply(result: ScriptResult, allowed: float) -> ToolReply:
    """The reply for a command that was given `allowed` seconds: its output, and its ending unless it succeeded."""
    output = (result.stdout + result.stderr).decode(errors="replace").rstrip("\n")
    parts = [part for part in (output, describe_ending(result, allowed)) if part]
    return ToolReply("\n".join(parts) or "(no output)", result.exit_code)


def describe_ending(result: ScriptResult, allowed: float) -> str:
    """How a command ended, for the model; '' if it exited with 0."""
    if result.ending is ScriptEnding.TIMED_OUT:
        return f"[{timeout_note(allowed)}]"
    if result.ending is ScriptEnding.OUT_OF_MEMORY:
        return "[killed: out of memory]"
    return f"[exit status {result.exit_code}]" if result.exit_code else ""


def timeout_note(seconds: float) -> str:
    """The note about a command that was killed at its timeout."""
    return f"killed: still running after {seconds:.0f} s"
