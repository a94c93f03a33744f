"""What a chat agent can do in the sandbox: the bash tool, how tool calls are checked, and how their output is cut."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from taskcal.sandbox import ROOM, Ending, Script

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.core.task import Task
    from taskcal.sandbox import Sandbox, ScriptResult

DEFAULT_SECONDS = 120.0
"""How long one command may take unless the model asks for more."""
LONGEST_COMMAND = 100 * 1024
"""Bytes; the kernel refuses an argument of 128 KiB."""
GRACE_SECONDS = 10.0
LONGEST_QUOTE = 200
STILL_RUNNING = 124
"""What a command that was killed for its time exits with, as coreutils' timeout has it."""
STATE = f"{ROOM}/shell"


@dataclass(frozen=True, slots=True)
class Used:
    """What a tool call came to: what the model is told, and the status where a process exited."""

    content: str
    exit_code: int | None = None


class Tool(Protocol):
    """Something that the model may call."""

    @property
    def name(self) -> str:
        """What it is called by: letters, digits, `_` and `-`."""
        ...

    @property
    def description(self) -> str:
        """What the model is told about it."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The JSON Schema of its arguments: an object."""
        ...

    def call(self, sandbox: Sandbox, arguments: Mapping[str, Any], seconds: float) -> Used:
        """Act, for at most `seconds`. `arguments` fit the schema, as far as `complaint` looks."""
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

    def call(self, sandbox: Sandbox, arguments: Mapping[str, Any], seconds: float) -> Used:
        """Run the command."""
        command = str(arguments["command"]).replace("\0", "")
        if len(command.encode()) > LONGEST_COMMAND:
            return Used(f"the command is longer than {LONGEST_COMMAND // 1024} KiB; write long files in parts")
        allowed = min(seconds, max(1.0, float(arguments.get("timeout") or DEFAULT_SECONDS)))
        script = Script(shell_script(command, allowed, self.bound), allowed + GRACE_SECONDS, user=self.user)
        return told(sandbox.run(script, limit=self.bound + 1024), allowed)


def shell_script(command: str, seconds: float, bound: int) -> str:
    """The script of one call.

    Output goes through a file without a name: a process that stays in the background would hold a pipe open and the
    call with it, and a name would be there for the command to see. Bash where there is one, as models expect it.
    `timeout` kills what the command started as well; its status alone does not tell (137 is any killed command's), so
    the clock is asked. The inner parentheses keep this shell's own word about a killed command out of the output.
    """
    whole, half = max(1, round(seconds)), bound // 2
    return f"""umask 022
TASKCAL_OUT=$(mktemp 2>/dev/null) || TASKCAL_OUT={ROOM}/output.$$
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


def told(result: ScriptResult, allowed: float) -> Used:
    """What the model is told about a command that was given `allowed` seconds."""
    output = (result.stdout + result.stderr).decode(errors="replace").rstrip("\n")
    return Used(
        "\n".join(part for part in (output, remark(result, allowed)) if part) or "(no output)", result.exit_code
    )


def remark(result: ScriptResult, allowed: float) -> str:
    """How a command ended, where that is worth a word."""
    if result.ending is Ending.TIMED_OUT:
        return f"[{late(allowed)}]"
    if result.ending is Ending.OUT_OF_MEMORY:
        return "[killed: out of memory]"
    return f"[exit status {result.exit_code}]" if result.exit_code else ""


def use(tools: Sequence[Tool], sandbox: Sandbox, name: str, arguments: str, seconds: float) -> Used:
    """Carry out a call as the model wrote it; one that cannot be is answered with what is wrong with it."""
    tool = next((tool for tool in tools if tool.name == name), None)
    if tool is None:
        return Used(f"there is no tool {name[:LONGEST_QUOTE]!r}; the tools are {', '.join(t.name for t in tools)}")
    try:
        given = json.loads(arguments)
    except (ValueError, RecursionError) as error:
        return Used(f"the arguments are not JSON ({error}): {arguments[:LONGEST_QUOTE]}")
    wrong = complaint(tool.parameters, given)
    return tool.call(sandbox, given, seconds) if wrong is None else Used(f"{tool.name} was not run: {wrong}")


TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def complaint(schema: Mapping[str, Any], arguments: object) -> str | None:
    """What is wrong with a call's arguments by the outer level of a JSON Schema object, or None."""
    if not isinstance(arguments, dict):
        return "its arguments must be a JSON object"
    properties = schema.get("properties", {})
    missing = [name for name in schema.get("required", ()) if name not in arguments]
    if missing:
        return f"the argument {missing[0]} is missing; it takes {', '.join(properties)}"
    wrong = (_misfit(name, properties[name], value) for name, value in arguments.items() if name in properties)
    return next((found for found in wrong if found), None)


def _misfit(name: str, schema: Mapping[str, Any], value: object) -> str | None:
    wanted = schema.get("type")
    kinds = wanted if isinstance(wanted, list) else [wanted]
    known = [str(kind) for kind in kinds if kind in TYPES]
    if known and not any(_is(value, kind) for kind in known):
        return f"the argument {name} must be of type {' or '.join(known)}"
    if "enum" in schema and value not in schema["enum"]:
        return f"the argument {name} must be one of {', '.join(map(str, schema['enum']))}"
    return None


def _is(value: object, kind: str) -> bool:
    """Whether a JSON value is of a type; true and false are no numbers, whatever Python says."""
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, TYPES[kind]) or (kind == "integer" and isinstance(value, float) and value.is_integer())


def cut(text: str, bound: int) -> str:
    """A text of at most about `bound` characters: the beginning and the end, with a word about what is missing."""
    if len(text) <= bound:
        return text
    half = bound // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[len(text) - half :]}"
