"""The agent that is a Python function, for people whose harness is a library.

    def solve(prompt: str, sandbox: SandboxHandle, seed: int) -> str | None: ...

It runs in taskcal's own process, outside the sandbox and with all that this process may do, so only an agent file (or
an installed package, by the name of its entry point) can name it, and never a taskset. What it returns is its answer.
An exception is its own failure: the rollout is graded as it stands, with the traceback in `agent.log`. `ProviderLost`
alone reports a failure of the model's endpoint, as a command does with status 75.

A thread cannot be killed. If the function has not returned when its time is over, its handle refuses everything
from then on, the rollout is graded as a timeout, and the thread is left to end by itself.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import inspect
import os
import sys
import threading
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.agents import AgentResult
from taskcal.agents.answer import write_answer
from taskcal.agents.file_agent import FileAgent, read_secrets, report_usage
from taskcal.agents.sandbox_handle import SandboxHandle, TimeUp
from taskcal.agents.spec import PythonSpec
from taskcal.agents.tools.path_programs import tools_on_path
from taskcal.agents.transcript import Message, Note
from taskcal.core.rollout import Stop
from taskcal.core.text.foreign_text import sound
from taskcal.errors import ProviderLost, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from taskcal.agents import Attempt
    from taskcal.sandbox import Sandbox

    Solve = Callable[[str, SandboxHandle, int], Any]

ENTRY_POINTS = "taskcal.agents"


@dataclass(frozen=True)
class PythonAgent(FileAgent):
    """Calls the function of an agent file once a rollout. `code` is a digest of the file that it is written in."""

    spec: PythonSpec
    code: str
    solve: Solve = field(repr=False)

    def act(self, sandbox: Sandbox, attempt: Attempt) -> AgentResult:
        """Call the function, and wait for it as long as the attempt lasts."""
        attempt.transcript.add(Message("user", attempt.group.variant.prompt))
        user = attempt.group.task.environment.user
        with tools_on_path(sandbox, attempt, user) as variables:
            call = self._call(SandboxHandle(sandbox, attempt, attempt.log, variables), attempt)
        attempt.log(call.complaint.encode(errors="replace"))
        if call.stop is Stop.FINISHED and call.answer is not None:
            attempt.transcript.add(Message("assistant", call.answer))
            remark = write_answer(sandbox, call.answer, user)
            if remark:
                attempt.transcript.add(Note(remark))
        report_usage(sandbox, attempt, self.spec.price)
        if call.provider is not None:
            raise type(call.provider)(f"the agent reports a failure of its provider: {call.provider}")
        return AgentResult(call.stop)

    def _call(self, handle: SandboxHandle, attempt: Attempt) -> _Call:
        """Call the function in a thread of its own. Raises the LostError of a sandbox that broke under it."""
        call = _Call(self.solve, handle, attempt)
        thread = threading.Thread(target=call, name=f"agent {self.name}", daemon=True)
        thread.start()
        thread.join(handle.seconds_left)
        late = thread.is_alive() or handle.seconds_left <= 0
        handle.close()
        if handle.lost is not None:
            raise handle.lost
        return replace(call, stop=Stop.TIMEOUT) if late else call


@dataclass
class _Call:
    """One call of the function, and what came of it."""

    solve: Solve
    handle: SandboxHandle
    attempt: Attempt
    stop: Stop = Stop.CRASHED
    answer: str | None = None
    complaint: str = ""
    provider: ProviderLost | None = None
    """What failed at the model's endpoint, if the function raised that."""

    def __call__(self) -> None:
        try:
            answer = self.solve(self.attempt.group.variant.prompt, self.handle, self.attempt.seed)
            self.answer, self.stop = _answer(answer), Stop.FINISHED
        except TimeUp:
            self.stop = Stop.TIMEOUT
        except ProviderLost as error:
            self.provider = error
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the agent's own failure
            self.complaint = _complaint(error)


def _complaint(error: BaseException) -> str:
    """The traceback without our own frame; an exception may also break what prints it."""
    own = error.__traceback__.tb_next if error.__traceback__ else None
    try:
        return "".join(traceback.format_exception(type(error), error, own))
    except Exception as worse:  # noqa: BLE001 - see above
        return f"{type(error).__name__}, which cannot be printed: {type(worse).__name__}\n"


def _answer(answer: object) -> str | None:
    if answer is None or isinstance(answer, str):
        return None if answer is None else sound(answer)
    raise TypeError(f"the agent returned {type(answer).__name__}, and must return its answer as text, or None")


def load_python(spec: PythonSpec) -> PythonAgent:
    """The agent of a file. Raises UsageError if its function or one of its secrets is missing.

    The module is looked for beside the agent file first, then where Python finds modules: the file's folder is put at
    the front of `sys.path`, as Python does for a script.
    """
    read_secrets(spec.secrets, os.environ)
    if spec.folder and spec.folder not in sys.path:
        sys.path.insert(0, spec.folder)
    solve = _import_function(spec.call)
    if inspect.iscoroutinefunction(solve):
        raise UsageError(f"call: {spec.call} is async, and nothing would await it; give a plain function")
    try:
        inspect.signature(solve).bind("prompt", None, 0)
    except (TypeError, ValueError) as error:
        raise UsageError(f"call: {spec.call} must take (prompt, sandbox, seed): {error}") from error
    return PythonAgent(spec, _digest(solve), solve)


def _import_function(call: str) -> Solve:
    module_name, _, path = call.partition(":")
    try:
        member: Any = importlib.import_module(module_name)
        for part in path.split("."):
            member = getattr(member, part)
    except Exception as error:  # a person's module may raise anything while it is imported
        raise UsageError(f"call: {call} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(member):
        raise UsageError(f"call: {call} is no function; write module:function")
    return member  # type: ignore[no-any-return]  # what a person's module holds has no type here


def _digest(solve: Solve) -> str:
    """SHA-256 of the file that holds the function, '' if there is none. Its imports are not covered."""
    try:
        return hashlib.sha256(Path(inspect.getfile(inspect.unwrap(solve))).read_bytes()).hexdigest()
    except (TypeError, OSError):
        return ""


def plugin_names() -> tuple[str, ...]:
    """The agents that installed packages offer."""
    return tuple(sorted({point.name for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}))


def plugin(name: str) -> PythonSpec | None:
    """The agent that an installed package offers under that name, or None."""
    points = importlib.metadata.entry_points(group=ENTRY_POINTS, name=name)
    return next((PythonSpec(name, call=f"{point.module}:{point.attr}") for point in points), None)
