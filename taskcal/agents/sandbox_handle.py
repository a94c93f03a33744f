"""The sandbox as a person's Python code gets it: run, read and write, within the attempt's time and on its record."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskcal.agents.tools.path_programs import ON_PATH
from taskcal.agents.transcript import ToolCall, ToolResult
from taskcal.core.text.foreign_text import sound
from taskcal.errors import LostError
from taskcal.sandbox import Script

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskcal.agents import Attempt
    from taskcal.sandbox import Sandbox, ScriptResult, Sink

MOST_BYTES = 16 * 1024 * 1024
"""The largest file that is read or written in one call."""
ONLY_OUTPUT = 64 * 1024
LONGEST_VARIABLE = 100 * 1024
MOST_VARIABLES = 1024 * 1024
"""Bytes; the kernel refuses a variable of 128 KiB, and about 2 MiB of them together."""
NOT_A_FILE = 44
READ = f'[ -f "$TASKCAL_PATH" ] || exit {NOT_A_FILE}; exec head -c {MOST_BYTES + 1} -- "$TASKCAL_PATH"'
WRITE = """mkdir -p -- "$(dirname -- "$TASKCAL_PATH")" && base64 -d >"$TASKCAL_PATH" <<'TASKCAL_DATA'
{data}
TASKCAL_DATA"""


class TimeUp(TimeoutError):
    """The attempt's time is over; nothing more happens in its sandbox."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: `exit_code` is None if it ran out of time or memory, output is its last 64 KiB."""

    exit_code: int | None
    stdout: str
    stderr: str
    timed_out: bool = False


@dataclass
class SandboxHandle:
    """One rollout's sandbox: commands run in the task's folder as the task's user, its tools on PATH.

    Every method raises TimeUp when the attempt's time is over, and LostError if our side broke: let both pass.
    """

    _sandbox: Sandbox
    _attempt: Attempt
    _log: Sink
    _variables: Mapping[str, str] = field(default_factory=dict)
    """The variables that tell of the task's tools."""
    _ends: float = field(init=False)
    _state: threading.Condition = field(default_factory=threading.Condition)
    _running: int = 0
    _calls: int = 0
    _closed: bool = False
    lost: LostError | None = None

    def __post_init__(self) -> None:
        self._ends = time.monotonic() + self._attempt.seconds

    @property
    def seconds_left(self) -> float:
        """The rest of the attempt's time."""
        return max(0.0, self._ends - time.monotonic())

    def run(self, command: str, *, timeout: float | None = None, env: Mapping[str, str] | None = None) -> Ran:
        """Run a shell command and wait for it, at most `timeout` seconds and never beyond the attempt's time.

        What has not ended by then goes on in the sandbox, until the rollout is graded.
        """
        with self._operation("run", {"command": command}) as answer:
            limit = self.seconds_left if timeout is None else min(timeout, self.seconds_left)
            result = self._script(Script(ON_PATH + command, limit, env={**self._variables, **(env or {})}), self._log)
            ran = Ran(result.exit_code, _text(result.stdout), _text(result.stderr), result.ending.value == "timed-out")
            answer(ran.stdout + ran.stderr, ran.exit_code)
        return ran

    def read(self, path: str) -> bytes:
        """A file's content. Raises FileNotFoundError if there is no such file, OSError if it cannot be read."""
        with self._operation("read", {"path": path}) as answer:
            script = Script(READ, self.seconds_left, env={"TASKCAL_PATH": path})
            result = self._script(script, limit=MOST_BYTES + 1)
            answer(f"{len(result.stdout)} bytes" if result.ok else _text(result.stderr), result.exit_code)
        if result.exit_code == NOT_A_FILE:
            raise FileNotFoundError(f"{path}: no such file in the sandbox")
        if not result.ok or len(result.stdout) > MOST_BYTES:
            raise OSError(f"{path}: {result.tail if not result.ok else 'longer than 16 MiB'}")
        return result.stdout

    def write(self, path: str, content: bytes | str) -> None:
        """Replace a file, and make the folders above it. Raises ValueError beyond 16 MiB, OSError if it cannot."""
        with self._operation("write", {"path": path}) as answer:
            result = self._script(write_script(path, content, self.seconds_left))
            answer(_text(result.stderr), result.exit_code)
        if not result.ok:
            raise OSError(f"{path}: {result.tail}")

    def close(self) -> None:
        """Refuse whatever comes from now on, and wait for what has begun; the attempt's deadline ends that."""
        with self._state:
            self._closed = True
            self._state.wait_for(lambda: self._running == 0)

    @contextlib.contextmanager
    def _operation(self, name: str, arguments: Mapping[str, str]) -> Iterator[_Answer]:
        """Count an operation and record it; what our side broke is kept, since the code may swallow the error."""
        with self._state:
            if self._closed or self.seconds_left <= 0:
                raise TimeUp("the attempt's time is over")
            self._running += 1
            self._calls += 1
            answer = _Answer(self._attempt, f"call_{self._calls}")
        try:
            self._attempt.transcript.add(ToolCall(answer.id, name, json.dumps(arguments)))
            yield answer
        except LostError as error:
            self.lost = error
            raise
        finally:
            with self._state:
                self._running -= 1
                self._state.notify_all()

    def _script(self, script: Script, sink: Sink | None = None, limit: int = ONLY_OUTPUT) -> ScriptResult:
        check_runnable(script)
        user = self._attempt.group.task.environment.user
        env = {name: sound(value) for name, value in script.env.items()}
        whole = Script(sound(script.source), script.timeout, user=user, env=env, hidden=script.hidden)
        try:
            return self._sandbox.run(whole, sink=sink, limit=limit)
        except LostError:
            raise
        except Exception as error:  # the script can be run, so whatever this is, the agent's code has not caused it
            raise LostError(f"a sandbox's script failed: {type(error).__name__}: {error}") from error


@dataclass
class _Answer:
    """Records the result of one operation."""

    attempt: Attempt
    id: str
    begun: float = field(default_factory=time.monotonic)

    def __call__(self, content: str, exit_code: int | None) -> None:
        self.attempt.transcript.add(ToolResult(self.id, content, round(time.monotonic() - self.begun, 3), exit_code))


def check_runnable(script: Script) -> None:
    """Raise ValueError for a script that no process can be started with, or at which an engine would fail.

    Half of a surrogate pair is no reason: models write it, and it becomes `?`.
    """
    if "\0" in script.source:
        raise ValueError("a command cannot hold a NUL character")
    for name, value in script.env.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"the variable {name!r} must be a text with a text for a value")
        if not name or "=" in name or "\0" in name + value:
            raise ValueError(f"a process cannot have the variable {name!r}, or not with this value")
        if len(value.encode(errors="replace")) > LONGEST_VARIABLE:
            raise ValueError(f"the variable {name!r} is longer than {LONGEST_VARIABLE // 1024} KiB")
    if sum(len(name) + len(value) for name, value in script.env.items()) > MOST_VARIABLES:
        raise ValueError(f"the variables take more than {MOST_VARIABLES // 1024} KiB together")


def write_script(path: str, content: bytes | str, timeout: float) -> Script:
    """A script that writes a file, its content on standard input. Raises ValueError for one beyond 16 MiB."""
    data = content.encode(errors="replace") if isinstance(content, str) else bytes(content)
    if len(data) > MOST_BYTES:
        raise ValueError(f"{path}: longer than 16 MiB")
    source = WRITE.format(data=base64.encodebytes(data).decode().rstrip("\n"))
    return Script(source, timeout, env={"TASKCAL_PATH": path}, hidden=True)


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
