"""What a chat agent can do in the sandbox: the bash tool, how tool calls are answered, and how their output is cut."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from taskcal.agents.tools.tool_arguments import LONGEST_QUOTE, CallError, fit, read_object, understanding
from taskcal.core.text.foreign_text import clipped
from taskcal.sandbox import TASKCAL_FOLDER, Script, ScriptEnding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskcal.core.task import Task
    from taskcal.sandbox import Sandbox, ScriptResult

DEFAULT_SECONDS = 120.0
"""How long one command may take unless the model asks for more."""
LONGEST_COMMAND = 100 * 1024
"""Bytes; the kernel refuses an argument of 128 KiB."""
GRACE_SECONDS = 10.0
STILL_RUNNING = 124
"""What a command that was killed for its time exits with, as coreutils' timeout has it."""
STATE = f"{TASKCAL_FOLDER}/shell"


@dataclass(frozen=True, slots=True)
class ToolReply:
    """What a tool call came to: what the model is told, and the status where a process exited."""

    content: str
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call that was understood. `run` carries it out: what it raises is our side's failure, whatever the call holds.

    `show` makes of its result what the model is told.
    """

    run: Callable[[Sandbox], ScriptResult]
    show: Callable[[ScriptResult], ToolReply]


class Tool(Protocol):
    """Something that an agent may call: a chat agent as a function, others as a program on PATH."""

    @property
    def name(self) -> str:
        """What it is called by: letters, digits, `_` and `-`."""
        ...

    @property
    def description(self) -> str:
        """What it does."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The JSON Schema of its arguments: an object."""
        ...

    def prepare(self, arguments: Mapping[str, Any], seconds: float) -> Prepared:
        """Understand a call of at most `seconds`, whose arguments fit the schema. Touches nothing.

        Raises CallError, or whatever `understanding` makes one of, for a call that cannot be carried out.
        """
        ...


def offered(task: Task, bound: int) -> tuple[Tool, ...]:
    """The tools of a task's agent; each answers with at most about `bound` bytes."""
    return (Bash(task.environment.user, bound),)


def described(tool: Tool) -> dict[str, Any]:
    """A tool as it stands in a request."""
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class Bash:
    """Runs a command as the environment's user; working directory and exported variables are kept between calls."""

    user: str | None
    bound: int
    name: str = "bash"

    @property
    def description(self) -> str:
        """What the model is told."""
        return (
            "Run a command in the sandbox's shell and get its standard output and error, with the exit status where it "
            "is not 0. The working directory and exported variables are kept between calls. There is no terminal and "
            f"no standard input. A command is killed after `timeout` seconds ({DEFAULT_SECONDS:.0f} if not given); of "
            f"more than {self.bound} bytes of output the middle is left out."
        )

    @property
    def parameters(self) -> Mapping[str, Any]:
        """A command, and how long it may take."""
        timeout = {"type": "number", "description": f"Seconds; {DEFAULT_SECONDS:.0f} if not given."}
        command = {"type": "string", "description": "What to run."}
        return {"type": "object", "properties": {"command": command, "timeout": timeout}, "required": ["command"]}

    def prepare(self, arguments: Mapping[str, Any], seconds: float) -> Prepared:
        """Make the script that runs the command."""
        command = str(arguments["command"]).replace("\0", "")
        if len(command.encode()) > LONGEST_COMMAND:
            raise CallError(f"the command is longer than {LONGEST_COMMAND // 1024} KiB; write long files in parts")
        allowed = allowed_seconds(arguments.get("timeout"), seconds)
        script = Script(shell_script(command, allowed, self.bound), allowed + GRACE_SECONDS, user=self.user)
        return Prepared(
            lambda sandbox: sandbox.run(script, limit=self.bound + 1024), lambda result: told(result, allowed)
        )


def allowed_seconds(asked: float | None, left: float) -> float:
    """How long a command may take: as long as the model asks, from 1 s to what is left. 0 and NaN ask for nothing."""
    is_nothing = not asked or (isinstance(asked, float) and math.isnan(asked))
    return min(left, max(1.0, DEFAULT_SECONDS if is_nothing or asked is None else asked))


def shell_script(command: str, seconds: float, bound: int) -> str:
    """The script of one call.

    Output goes through a file without a name: a process that stays in the background would hold a pipe open and the
    call with it, and a name would be there for the command to see. Bash where there is one, as models expect it.
    `timeout` kills what the command started as well; its status alone does not tell (137 is any killed command's), so
    the clock is asked. Seconds are rounded up: a command that was given all the time left must not end before it, or
    the agent would go on. The inner parentheses keep this shell's own word about a killed command out of the output.
    """
    whole, half = max(1, math.ceil(seconds)), bound // 2
    return f"""umask 022
TASKCAL_OUT=$(mktemp 2>/dev/null) || TASKCAL_OUT={TASKCAL_FOLDER}/output.$$
exec 3<>"$TASKCAL_OUT"
rm -f "$TASKCAL_OUT"
TASKCAL_BEGUN=$(date +%s)
set -- "$(command -v bash || echo sh)" -c {shlex.quote(KEEPING)} sh {shlex.quote(command)}
command -v timeout >/dev/null && set -- timeout -s KILL {whole} "$@"
exec 2>/dev/null
("$@" >&3 2>&3 3>&- </dev/null)
TASKCAL_STATUS=$?
TASKCAL_SIZE=$(wc -c </proc/self/fd/3)
if [ "$TASKCAL_SIZE" -le {bound} ]; then cat /proc/self/fd/3; else
  head -c {half} /proc/self/fd/3
  echo; echo "[… $((TASKCAL_SIZE - {2 * half})) bytes left out …]"
  tail -c {half} /proc/self/fd/3
fi
case $TASKCAL_STATUS in 124|137|143)
  [ $(($(date +%s) - TASKCAL_BEGUN)) -lt {whole} ] || {{ echo; echo '[{late(whole)}]'; exit {STILL_RUNNING}; }}
esac
exit $TASKCAL_STATUS
"""


KEEPING = f"""TASKCAL_COMMAND=$1; shift
[ ! -r {STATE} ] || . {STATE}
[ -z "$TASKCAL_FOLDER" ] || cd "$TASKCAL_FOLDER" 2>/dev/null
trap 'TASKCAL_STATUS=$?; export TASKCAL_FOLDER="$PWD"; (export -p >{STATE}.new && mv {STATE}.new {STATE}) 2>/dev/null
exit $TASKCAL_STATUS' EXIT
eval "$TASKCAL_COMMAND"
"""
"""Puts folder and variables back before a command and keeps them after it, except where it is killed."""


def late(seconds: float) -> str:
    """What is said of a command that was killed for its time."""
    return f"killed: still running after {seconds:.0f} s"


def told(result: ScriptResult, allowed: float) -> ToolReply:
    """What the model is told about a command that was given `allowed` seconds."""
    output = (result.stdout + result.stderr).decode(errors="replace").rstrip("\n")
    return ToolReply(
        "\n".join(part for part in (output, remark(result, allowed)) if part) or "(no output)", result.exit_code
    )


def remark(result: ScriptResult, allowed: float) -> str:
    """How a command ended, where that is worth a word."""
    if result.ending is ScriptEnding.TIMED_OUT:
        return f"[{late(allowed)}]"
    if result.ending is ScriptEnding.OUT_OF_MEMORY:
        return "[killed: out of memory]"
    return f"[exit status {result.exit_code}]" if result.exit_code else ""


def use(tools: Sequence[Tool], sandbox: Sandbox, name: str, arguments: str, seconds: float) -> ToolReply:
    """Carry out a call as the model wrote it; one that cannot be is answered with what is wrong with it."""
    tool = next((tool for tool in tools if tool.name == name), None)
    if tool is None:
        known = ", ".join(tool.name for tool in tools)
        return ToolReply(f"there is no tool {clipped(name, LONGEST_QUOTE)!r}; the tools are {known}")
    try:
        with understanding():
            prepared = tool.prepare(fit(tool.parameters, read_object(arguments)), seconds)
    except CallError as error:
        return ToolReply(f"{name} was not run: {error}")
    return prepared.show(prepared.run(sandbox))
