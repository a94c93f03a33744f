"""The bash tool of a chat agent: one shell for all calls of a rollout, as far as folder and variables go."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taskcal.agents.tools.agent_tool import PreparedCall, command_reply, timeout_note
from taskcal.agents.tools.tool_arguments import CallError
from taskcal.sandbox import TASKCAL_FOLDER, Script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.core.task import Task

DEFAULT_SECONDS = 120.0
"""How long one command may take unless the model asks for more."""
LONGEST_COMMAND = 100 * 1024
"""Bytes; the kernel refuses an argument of 128 KiB."""
GRACE_SECONDS = 10.0
STILL_RUNNING = 124
"""What a command that was killed for its time exits with, as coreutils' timeout has it."""
STATE = f"{TASKCAL_FOLDER}/shell"


def bash_of(task: Task, bound: int) -> Bash:
    """The bash tool for a task's agent, with replies of at most about `bound` bytes."""
    return Bash(task.environment.user, bound)


@dataclass(frozen=True, slots=True)
class Bash:
    """Runs a command as the environment's user; working directory and exported variables are kept between calls."""

    user: str | None
    bound: int
    name: str = "bash"

    @property
    def description(self) -> str:
        """The description that the model reads."""
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

    def prepare(self, arguments: Mapping[str, Any], seconds: float) -> PreparedCall:
        """Make the script that runs the command."""
        command = str(arguments["command"]).replace("\0", "")
        if len(command.encode()) > LONGEST_COMMAND:
            raise CallError(f"the command is longer than {LONGEST_COMMAND // 1024} KiB; write long files in parts")
        allowed = allowed_seconds(arguments.get("timeout"), seconds)
        script = Script(shell_script(command, allowed, self.bound), allowed + GRACE_SECONDS, user=self.user)
        return PreparedCall(
            lambda sandbox: sandbox.run(script, limit=self.bound + 1024), lambda result: command_reply(result, allowed)
        )


def allowed_seconds(wanted: float | None, left: float) -> float:
    """How long a command may take: as long as the model asks, from 1 s to what is left. 0 and NaN ask for nothing."""
    is_nothing = not wanted or (isinstance(wanted, float) and math.isnan(wanted))
    return min(left, max(1.0, DEFAULT_SECONDS if is_nothing or wanted is None else wanted))


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
  [ $(($(date +%s) - TASKCAL_BEGUN)) -lt {whole} ] || {{ echo; echo '[{timeout_note(whole)}]'; exit {STILL_RUNNING}; }}
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
