"""A container engine without containers, for what is decided around one: it does as it is told and counts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

from taskcal.execution.grading_driver import ABSENT, MARK
from taskcal.sandbox.engine.docker_types import ContainerState, ExecResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.sandbox.engine.docker import DockerEngine
    from taskcal.sandbox.engine.stream import ExecCall

JOB = re.compile(rb"^(?:file|check) (\d+) ", re.MULTILINE)


def record(index: int, status: int = 0, stdout: bytes = b"", stderr: bytes = b"", *, late: bool = False) -> bytes:
    """What the driver prints about one job."""
    head = f"{MARK} {index} {status} {int(late)} {len(stdout)} {len(stdout)} {len(stderr)}\n"
    return head.encode() + stdout + stderr + b"\n"


@dataclass
class FakeEngine:
    """Has what `RunScope` and `DockerSandbox` ask of an engine.

    `raises` names the calls that fail; `agent` is how the agent's script ends, and `checks` how each check does: the
    first job of a grading is the agent's answer, which is absent where `answer` is None.
    """

    raises: Mapping[str, BaseException] = field(default_factory=dict)
    agent: ExecResult = field(default_factory=lambda: ExecResult(0, b"working\n", b""))
    answer: bytes | None = b"42"
    checks: Sequence[int] = ()
    grading: ExecResult | None = None
    calls: list[str] = field(default_factory=list)
    environments: list[Mapping[str, str | None]] = field(default_factory=list)
    gradings: list[str] = field(default_factory=list)
    containers: set[str] = field(default_factory=set)

    def create(self, image: str, host_config: Mapping[str, Any], **config: Any) -> str:
        """A new container."""
        self._call("create")
        assert host_config["mem_limit"]
        assert config["labels"]
        self.containers.add(f"{image}-{len(self.calls)}")
        return f"{image}-{len(self.calls)}"

    def state(self, container: str, seconds: float | None = None) -> ContainerState | None:  # noqa: ARG002 - the protocol's
        """Gone, as in `is_running`."""
        return None

    def is_running(self, container: str) -> bool | None:  # noqa: ARG002 - the protocol's
        """Gone: what raises here raises for good."""
        return None

    def start(self, container: str) -> None:
        """Start it."""
        assert container in self.containers
        self._call("start")

    @property
    def files(self) -> Self:
        """Where files are copied to."""
        return self

    def put_archive(self, container: str, archive: bytes) -> None:
        """Copy into it."""
        assert container in self.containers
        assert archive
        self._call("put")

    def exec(self, container: str, argv: Sequence[str], call: ExecCall) -> ExecResult:
        """Run in it: what comes through standard input is a script of the task, or the grading."""
        assert container in self.containers
        self.environments.append(call.env)
        if call.stdin is None:
            self._call(f"exec {argv[-1].splitlines()[-1]}")
            return self._sent(self.agent, call)
        self.gradings.append(call.stdin.decode())
        jobs = len(set(JOB.findall(call.stdin)))
        if not jobs:
            self._call(f"task's {call.stdin.decode().strip()}")
            return ExecResult(0, b"", b"")
        self._call("grade")
        return self.grading or ExecResult(0, self._records(jobs), b"")

    def rename(self, container: str, name: str) -> None:
        """Call it something else."""
        assert container in self.containers
        self._call(f"rename {name}")

    def logs(self, container: str) -> str:
        """What it printed."""
        return f"log of {container}"

    def remove(self, container: str) -> None:
        """Remove it."""
        self.containers.discard(container)
        self._call("remove")

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name.split(maxsplit=1)[0] in self.raises:
            raise self.raises[name.split(maxsplit=1)[0]]

    def _records(self, jobs: int) -> bytes:
        first = record(0, ABSENT) if self.answer is None else record(0, 0, self.answer)
        statuses = [*self.checks, *[0] * jobs][: jobs - 1]
        return first + b"".join(record(index, status) for index, status in enumerate(statuses, start=1))

    @staticmethod
    def _sent(result: ExecResult, call: ExecCall) -> ExecResult:
        if call.sink is not None:
            call.sink(result.stdout + result.stderr)
        return result


def as_engine(fake: FakeEngine) -> DockerEngine:
    """The fake where the real one is asked for; the real one is a class, not a protocol."""
    return cast("DockerEngine", fake)
