"""Tools as programs on PATH in the sandbox: each call comes out to the host, is checked there, and is carried out.

The programs are a few lines of shell, so they need nothing in the image, and what they call may be anything: a script
of the task in the same sandbox, or an MCP server. A call is a folder with the words of the call and a pipe for its
exit status; its name goes through one more pipe, the bell, to a listener whose output this module reads:

    agent       mktemp /run/taskcal/calls/XXXXXXXX, writes `call`, rings the bell, waits on `status`
    listener    prints `call NAME-OF-THE-FOLDER BASE64`
    host        checks, carries out, writes `out` and `err`, then the status

The programs are root's: a folder on PATH that the agent could write to would let it replace what its own harness calls
afterwards. The rest belongs to the agent's user, who could do as much without it: whatever is forged there forges the
agent's own calls. When the agent has ended, the listener is stopped, and no call begins.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shlex
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskcal.agents.tools.agent_tool import MOST_OUTPUT, prepare_call
from taskcal.agents.tools.command_line import arguments_of, manual
from taskcal.agents.tools.task_tools import open_tools
from taskcal.agents.tools.tool_arguments import CallError, as_call_errors
from taskcal.agents.transcript import ToolCall, ToolResult
from taskcal.errors import LostError, SetupLost
from taskcal.sandbox import ROOT_USER, TASKCAL_FOLDER, Script, ScriptEnding, ScriptResult
from taskcal.sandbox.processes import END_AGENT, RESUME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskcal.agents import Attempt
    from taskcal.agents.tools.agent_tool import AgentTool
    from taskcal.sandbox import Sandbox

AT_ONCE = 8
"""Calls that are carried out at a time; one tool's script may call another tool."""
MOST_WAITING = 64
"""Calls that are carried out or wait for it; an agent that rings the bell for ever fills this process no further."""
GRACE_SECONDS = 1.0
MOST_CALL = 1024 * 1024
READY_SECONDS = 60.0
REPLY_SECONDS = 20.0
WRONG_USAGE, NOT_ANSWERED = 2, 125
BELL = f"{TASKCAL_FOLDER}/calls/bell"
READY = re.compile(rb"ready ([0-9]{1,10})")
HEARD = re.compile(rb"call ([A-Za-z0-9]{8}) ((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)")
ON_PATH = f'[ -z "${{TASKCAL_TOOLS+x}}" ] || {{ PATH={TASKCAL_FOLDER}/bin:$PATH; export PATH; }}\n'

PROGRAM = f"""#!/bin/sh
# A tool of this task; try --help.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
[ -p {BELL} ] || {{ echo "@: no one answers" >&2; exit {NOT_ANSWERED}; }}
[ $# = 1 ] && [ "$1" = - ] && set -- "$(cat)"
d=$(mktemp -d {TASKCAL_FOLDER}/calls/XXXXXXXX) && mkfifo "$d/status" || exit {NOT_ANSWERED}
exec 3<>"$d/status"
printf '%s\\0' @ "$@" >"$d/call"
echo "${{d##*/}}" >{BELL}
read -r status <&3
[ -f "$d/out" ] && cat "$d/out"
[ -f "$d/err" ] && cat "$d/err" >&2
rm -rf "$d"
exit "${{status:-{NOT_ANSWERED}}}"
"""
PROGRAMS = f"""umask 022; rm -rf {TASKCAL_FOLDER}/bin && mkdir {TASKCAL_FOLDER}/bin || exit 1
@programs
"""
LISTENER = f"""mkdir -p {TASKCAL_FOLDER}/calls && rm -f {BELL} && mkfifo {BELL} || exit 1
exec 3<>{BELL}
echo "ready $$"
while read -r name <&3; do
  case $name in *[!A-Za-z0-9]*|'') continue ;; esac
  words=$(head -c {MOST_CALL} {TASKCAL_FOLDER}/calls/$name/call | base64 | tr -d '\\n') && echo "call $name $words"
done
"""
REPLY = f"""cd {TASKCAL_FOLDER}/calls/@name || exit 0
base64 -d >out <<'TASKCAL_OUT'
@out
TASKCAL_OUT
base64 -d >err <<'TASKCAL_ERR'
@err
TASKCAL_ERR
exec 3<>status; echo @status >&3
"""


@contextlib.contextmanager
def tools_on_path(sandbox: Sandbox, attempt: Attempt, user: str | None) -> Iterator[dict[str, str]]:
    """Put a task's tools on PATH as programs for `user` (None is the image's own) while the context lasts.

    Yields the variables that name them to the agent. Raises SetupLost if they cannot be put there, and at the end any
    error of our side during a call.
    """
    with open_tools(sandbox, attempt.group.task, user, MOST_OUTPUT) as tools:
        if not tools:
            yield {}
            return
        server = ToolServer(sandbox, attempt, tools, user)
        server.open()
        try:
            yield {"TASKCAL_TOOLS": " ".join(tool.name for tool in tools)}
        finally:
            server.close()
        if server.failure is not None:
            raise server.failure


@dataclass
class ToolServer:
    """Serves the tools of one sandbox: receives the calls of their programs, carries them out, and writes replies."""

    sandbox: Sandbox
    attempt: Attempt
    tools: Sequence[AgentTool]
    user: str | None
    _ends: float = field(init=False)
    _heard: bytes = b""
    _listener: int | None = None
    _ready: threading.Event = field(default_factory=threading.Event)
    _closed: threading.Event = field(default_factory=threading.Event)
    _calls: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(AT_ONCE, "tool"))
    _under_way: set[Future[None]] = field(default_factory=set)
    _thread: threading.Thread = field(init=False)
    failure: Exception | None = None
    """What our side failed with while the agent was at work."""
    _last_words: str = ""

    def __post_init__(self) -> None:
        self._ends = time.monotonic() + (self.attempt.wall or self.attempt.timeout)
        self._thread = threading.Thread(target=self._listen, name="tools", daemon=True)

    @property
    def seconds_left(self) -> float:
        """The rest of the attempt's time."""
        return max(0.0, self._ends - time.monotonic())

    def open(self) -> None:
        """Put the programs in place and listen. Raises SetupLost if the image lacks a program that they need."""
        self.sandbox.run(Script(install_script(self.tools), REPLY_SECONDS, user=ROOT_USER, hidden=True, clean=True))
        self._thread.start()
        self._ready.wait(READY_SECONDS)
        if self._listener is None:
            self.close()
            words = self._last_words or "no answer"
            raise self.failure or SetupLost(f"the task's tools could not be put on PATH: {words}")

    def close(self) -> None:
        """Begin no further call, stop the listener, and wait for the calls under way; a slow one is killed.

        The grader kills everything as well, but a call that begins while it does would meet the checks.
        """
        self._closed.set()
        self._calls.shutdown(wait=False, cancel_futures=True)
        if self._listener is not None:
            self._run_as_root(f"kill {self._listener} 2>/dev/null; exit 0")
        if wait(set(self._under_way), GRACE_SECONDS).not_done:
            self._run_as_root(f"{END_AGENT}{RESUME}exit 0")
        self._thread.join(REPLY_SECONDS)
        self._calls.shutdown(wait=True)

    def _run_as_root(self, source: str) -> None:
        with contextlib.suppress(LostError):
            self.sandbox.run(Script(source, REPLY_SECONDS, user=ROOT_USER, clean=True))

    def _listen(self) -> None:
        """Run the listener until it is stopped."""
        try:
            script = Script(LISTENER, self.seconds_left, user=self.user)
            self._last_words = self.sandbox.run(script, sink=self._hear).tail
        except Exception as error:  # noqa: BLE001 - this thread's failure is the rollout's
            self._fail(error)
        self._ready.set()

    def _fail(self, error: Exception) -> None:
        """Keep what our side failed with, and end the agent, which would wait for an answer until its time is over."""
        if self._closed.is_set():
            return
        self.failure = self.failure or error
        if self._ready.is_set():
            self._run_as_root("kill -9 -1 2>/dev/null; exit 0")

    def _hear(self, chunk: bytes) -> None:
        *lines, self._heard = (self._heard + chunk)[-2 * MOST_CALL :].split(b"\n")
        for line in lines:
            if self._listener is None and (ready := READY.fullmatch(line)):
                self._listener = int(ready[1])
                self._ready.set()
            elif (call := HEARD.fullmatch(line)) and not self._closed.is_set() and len(self._under_way) < MOST_WAITING:
                with contextlib.suppress(RuntimeError):  # closed in the meantime
                    under_way = self._calls.submit(self._answer, call[1].decode(), call[2])
                    self._under_way.add(under_way)
                    under_way.add_done_callback(self._under_way.discard)

    def _answer(self, call: str, words: bytes) -> None:
        """Answer one call. It runs in a thread of its own, whose exception would go unseen."""
        try:
            result = self._carry_out(call, base64.b64decode(words))
            if not self._closed.is_set():
                self.sandbox.run(reply_script(call, result, self.user))
        except Exception as error:  # noqa: BLE001 - whatever the call holds, what is raised here is ours
            self._fail(error)

    def _carry_out(self, call: str, data: bytes) -> ScriptResult:
        name, *words = data.decode(errors="replace").split("\0")[:-1] or [""]
        tool = next((tool for tool in self.tools if tool.name == name), None)
        if tool is None:
            return usage_error(f"there is no tool {name!r}")
        if words == ["--help"]:
            return ScriptResult(
                ScriptEnding.EXITED, 0, manual(tool.name, tool.description, tool.parameters).encode(), b""
            )
        try:
            with as_call_errors():
                arguments = arguments_of(tool.parameters, words)
        except CallError as error:
            return usage_error(f"{name}: {error}; try {name} --help")
        return self._call(call, tool, arguments)

    def _call(self, call: str, tool: AgentTool, arguments: dict[str, object]) -> ScriptResult:
        self.attempt.transcript.add(ToolCall(call, tool.name, json.dumps(arguments)))
        begun = time.monotonic()
        try:
            prepared = prepare_call(tool, arguments, self.seconds_left)
        except CallError as error:
            result = usage_error(f"{tool.name}: {error}; try {tool.name} --help")
        else:
            result = prepared.run(self.sandbox)
        output = (result.stdout + result.stderr).decode(errors="replace")
        self.attempt.transcript.add(ToolResult(call, output, round(time.monotonic() - begun, 3), result.exit_code))
        return result


def usage_error(reason: str) -> ScriptResult:
    """The result of a call that is not carried out: the exit status and message of wrong usage."""
    return ScriptResult(ScriptEnding.EXITED, WRONG_USAGE, b"", reason.encode(errors="replace") + b"\n")


def install_script(tools: Sequence[AgentTool]) -> str:
    """The script of root's that puts the programs in place."""
    lines = (
        f"printf %s {shlex.quote(PROGRAM.replace('@', tool.name, 2))} >{TASKCAL_FOLDER}/bin/{tool.name} && "
        f"chmod 755 {TASKCAL_FOLDER}/bin/{tool.name}"
        for tool in tools
    )
    return PROGRAMS.replace("@programs", "\n".join(lines))


def reply_script(name: str, result: ScriptResult, user: str | None) -> Script:
    """The script that writes the reply to a call."""
    status = NOT_ANSWERED if result.exit_code is None else result.exit_code
    source = REPLY.replace("@name", name).replace("@status", str(status))
    source = source.replace("@out", _encode(result.stdout)).replace("@err", _encode(result.stderr))
    return Script(source, REPLY_SECONDS, user=user, hidden=True)


def _encode(data: bytes) -> str:
    return base64.encodebytes(data).decode().rstrip("\n")
