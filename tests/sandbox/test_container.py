"""How a sandbox runs scripts that the engine could not start at first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from taskcal.core.network import NetworkAccess
from taskcal.core.task import Environment, ImageSource, NetworkMode
from taskcal.sandbox import Script
from taskcal.sandbox.container import open_sandbox
from taskcal.sandbox.engine.docker_types import ExecResult
from taskcal.sandbox.engine.run_resources import RunScope
from taskcal.sandbox.images.baking import PreparedImages
from taskcal.sandbox.sandbox_spec import SandboxSpec
from tests.sandbox.fake_engine import FakeEngine, as_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.sandbox.engine.stream import ExecCall

NO_FOLDER = ExecResult(126, b"chdir to cwd failed", b"", started=False)


@dataclass
class WithoutFolder(FakeEngine):
    """An engine that starts nothing in the container's own folder until it may have more pids, as root."""

    seen: list[tuple[str | None, str | None]] = field(default_factory=list)
    pids: int = 0

    def exec(self, container: str, argv: Sequence[str], call: ExecCall) -> ExecResult:  # noqa: ARG002 - the protocol's
        """Fail, or not."""
        self.seen.append((call.user, call.workdir))
        fails = call.workdir is None and not self.pids and argv[-1] == "ls"
        return NO_FOLDER if fails else ExecResult(0, b"", b"")

    def allow_pids(self, container: str, count: int) -> None:  # noqa: ARG002 - the protocol's
        """Remember it."""
        self.pids = count


@pytest.mark.parametrize(
    ("script", "status", "seen"),
    [
        (Script("ls", 60, user="agent"), 0, [("agent", None), ("agent", "/")]),
        (Script("ls", 60, user="0"), 0, [("0", None), ("0", None)]),
        (Script("pwd", 60, user="agent"), 0, [("agent", None)]),
    ],
    ids=["agent", "root", "neither"],
)
def test_a_script_that_could_not_start_is_run_again(
    script: Script, status: int, seen: list[tuple[str | None, str | None]]
) -> None:
    """The agent's in the top folder, root's with room for it; what has started is never run twice."""
    engine = WithoutFolder()
    environment = Environment(name="box", source=ImageSource(image="box"))
    images, network = PreparedImages("image", {}), NetworkAccess(NetworkMode.NONE)
    spec = SandboxSpec(environment, images, {}, network, rollout="a#0", unique="a-0")
    sandbox = open_sandbox(RunScope(as_engine(engine), "run"), spec)
    assert sandbox.run(script).exit_code == status
    assert engine.seen == seen
