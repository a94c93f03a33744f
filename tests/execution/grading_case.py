"""A sandbox that is told what its gradings print, and graders short enough to be read in a test."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskcal.core.shell.search_paths import CheckVariables, sift_variables
from taskcal.core.task import Check, Environment, Grader, Group, ImageSource, Task, Variant
from taskcal.sandbox import Condition, Script, ScriptEnding, ScriptResult
from taskcal.sandbox.execute import PROBE
from tests.sandbox.fake_engine import JOB, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskcal.core.task import Artifact, FileCopy, Probe
    from taskcal.sandbox import Sink

ANSWER = record(0, 0, b"42\n")


@dataclass
class Told:
    """A sandbox whose gradings print what it was told, one after the other."""

    outputs: list[bytes | ScriptResult | BaseException]
    scripts: list[Script] = field(default_factory=list)
    files: list[FileCopy] = field(default_factory=list)
    last_words: dict[str, str] = field(default_factory=dict)
    found: Condition = Condition.ALIVE
    untouched: list[bytes | ScriptResult | BaseException] = field(default_factory=list)
    kills: bytes = b""
    """What the kernel's count of out-of-memory kills says."""
    blocked: str | None = None
    """Why the grader's files cannot arrive."""
    fresh: tuple[tuple[Artifact, ...], tuple[FileCopy, ...]] | None = None

    @property
    def variables(self) -> Mapping[str, str]:
        """The params."""
        return {"order": "12"}

    def check_variables(self, service: str = "") -> CheckVariables:
        """The image's."""
        return sift_variables({"LANG": service or "C"}, None)

    def show(self, files: Sequence[FileCopy], *, readable: bool) -> None:
        """No check has a user here."""
        raise AssertionError(files, readable)

    def service_ended(self, name: str) -> str | None:
        """The last words that a service has, where this one has any."""
        return self.last_words.get(name)

    def run(
        self, script: Script, *, sink: Sink | None = None, errors: Sink | None = None, limit: int = 65536
    ) -> ScriptResult:
        """The next output; what only stops the agent prints nothing."""
        assert (sink, errors, script.hidden, script.user) == (None, None, True, "0")
        self.scripts.append(script)
        if not JOB.search(script.source.encode()):
            return ScriptResult(ScriptEnding.EXITED, 0, self.kills if script.source == PROBE else b"", b"")
        output = self.outputs.pop(0) if self.outputs else b""
        if isinstance(output, BaseException):
            raise output
        if isinstance(output, ScriptResult):
            return output
        assert len(output) <= limit
        return ScriptResult(ScriptEnding.EXITED, 0, output, b"")

    def copy_in(self, files: Sequence[FileCopy], user: str | None) -> None:
        """No solution is played here."""
        raise AssertionError(files, user)

    def deliver(self, files: Sequence[FileCopy], stop: str) -> str | None:
        """Keep them, and what was to stop the agent first."""
        self.run(Script(stop, 1.0, user="0", hidden=True))
        self.files += files
        return self.blocked

    def ended_services(self) -> tuple[str, ...]:
        """A sentence for each service that has last words."""
        return tuple(f"service {name} ended (exit 1): {words}" for name, words in self.last_words.items())

    def move_to_fresh_container(self, artifacts: Sequence[Artifact], files: Sequence[FileCopy]) -> tuple[str, ...]:
        """Keep what is asked for; everything arrives but what is called missing."""
        self.fresh = (tuple(artifacts), tuple(files))
        return tuple(f"{one.path} was not there" for one in artifacts if "missing" in one.path)

    def condition(self, service: str = "") -> Condition:
        """As it is told; a service that has last words has ended."""
        return Condition.ENDED if service in self.last_words else self.found

    @contextlib.contextmanager
    def twin(self) -> Iterator[Told]:
        """One in which every grading does as this one's twin is told."""
        yield Told(self.untouched)

    def close(self) -> None:
        """Nothing to remove."""


def grader(*probes: Probe, run: str = "") -> Grader:
    """A check for each probe, named c0, c1 and so on."""
    return Grader(tuple(Check(f"c{i}", probe) for i, probe in enumerate(probes)), run=run)


def group(one: Grader, start: str = "", ready: str = "") -> Group:
    box = Environment("box", ImageSource(image="debian:bookworm-slim"), start=start, ready=ready)
    return Group(Task("ship", (Variant("", {}, "Ship it."),), box, one), Variant("", {}, "Ship it."))
