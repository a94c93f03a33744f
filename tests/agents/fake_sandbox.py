"""A sandbox without a container: keeps what it is given, prints what it is told to."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taskcal.agents import Attempt
from taskcal.agents.tools.agent_tool import call_tool
from taskcal.agents.usage import READ
from taskcal.core.task import Check, Environment, FileProbe, Grader, Group, ImageSource, Solution, Task, Variant
from taskcal.sandbox import Script, ScriptEnding, ScriptResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskcal.agents.tools.agent_tool import AgentTool, ToolReply
    from taskcal.core.task import FileCopy, WrongAnswer
    from taskcal.sandbox import Sandbox, Sink

SOLVED = Solution("sql", run="solve")


@dataclass
class FakeSandbox:
    """Obeys `taskcal.sandbox.Sandbox`: every script ends as `result` says, its output sent in small pieces.

    `usage` is what lies in the usage file; reading it is no script of the agent's.
    """

    result: ScriptResult = field(default_factory=lambda: ScriptResult(ScriptEnding.EXITED, 0, b"", b""))
    scripts: list[Script] = field(default_factory=list)
    files: list[FileCopy] = field(default_factory=list)
    owners: list[str | None] = field(default_factory=list)
    piece: int = 3
    usage: ScriptResult = field(default_factory=lambda: ScriptResult(ScriptEnding.EXITED, 0, b"", b""))
    untouched: bytes = b""

    @property
    def variables(self) -> Mapping[str, str]:
        """What the task's scripts see."""
        return {"order": "12", "TASKCAL_ROLLOUT": "run-1"}

    def run(
        self, script: Script, *, sink: Sink | None = None, errors: Sink | None = None, limit: int = 65536
    ) -> ScriptResult:
        """Keep the script, send the output, give the result."""
        assert limit > 0
        if script.source == READ:
            return self.usage
        self.scripts.append(script)
        for said, heard in ((self.result.stdout, sink), (self.result.stderr, errors or sink)):
            pieces = [said[start : start + self.piece] for start in range(0, len(said), self.piece)]
            if heard is not None:
                for piece in pieces:
                    heard(piece)
        return self.result

    def service_ended(self, name: str) -> str | None:
        """It has no services."""
        raise LookupError(name)

    def copy_in(self, files: Sequence[FileCopy], user: str | None) -> None:
        """Keep the files, and whose they are."""
        self.files += files
        self.owners.append(user)

    @contextlib.contextmanager
    def twin(self) -> Iterator[FakeSandbox]:
        """One in which every script prints what `untouched` says."""
        yield FakeSandbox(ScriptResult(ScriptEnding.EXITED, 0, self.untouched, b""))

    def close(self) -> None:
        """Forget nothing."""


def ending(code: int | None, stdout: bytes = b"", stderr: bytes = b"") -> FakeSandbox:
    """A sandbox in which everything ends with this status; None is a timeout."""
    kind = ScriptEnding.TIMED_OUT if code is None else ScriptEnding.EXITED
    return FakeSandbox(ScriptResult(kind, code, stdout, stderr))


def as_sandbox(fake: FakeSandbox) -> Sandbox:
    """The fake as what it obeys, for the type checker to see that it does."""
    return fake


def task(
    name: str = "ship",
    solutions: Sequence[Solution] = (SOLVED,),
    wrong: Sequence[WrongAnswer] = (),
    user: str | None = "agent",
) -> Task:
    box = Environment("box", ImageSource(image="debian:bookworm-slim"), user=user)
    grader = Grader((Check("a", FileProbe("/a", exists=True)),))
    return Task(name, (Variant("", {}, "Ship it."),), box, grader, solutions=tuple(solutions), wrong=tuple(wrong))


def attempt(one: Task, log: list[bytes] | None = None, seed: int = 7, prompt: str = "Ship it.") -> Attempt:
    group = Group(one, Variant("", {"order": 12}, prompt))
    return Attempt(group, seed, timeout=60.0, log=([] if log is None else log).append)


def carried_out(tool: AgentTool, sandbox: Sandbox, arguments: Mapping[str, Any], seconds: float = 30.0) -> ToolReply:
    """A model's call with these arguments, whatever they are."""
    return call_tool((tool,), sandbox, tool.name, json.dumps(arguments), seconds)
