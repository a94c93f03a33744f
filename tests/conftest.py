"""What the tests share: a real engine that is there or fails them, and the command line as a person calls it."""

from __future__ import annotations

import atexit
import functools
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.fork_server import ForkServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskcal.sandbox.engine.docker import DockerEngine

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True)
class CommandLine:
    """`taskcal` as a process of its own, in a folder of its own."""

    folder: Path
    preflight: bool = False
    """Whether a new agent is tried first, as it is for users; most tests use agents that are broken on purpose."""

    def command(self, *arguments: str) -> list[str]:
        """The argument vector of a call."""
        return [sys.executable, "-m", "taskcal", *arguments]

    def __call__(self, *arguments: str, stdin: str = "", seconds: float = 240) -> Ended:
        """Run it to its end."""
        env = environment(preflight=self.preflight)
        done = fork_server().run(arguments, self.folder, env, stdin, seconds)
        return Ended(done.returncode, done.stdout, done.stderr)


def environment(*, preflight: bool = False) -> dict[str, str]:
    """The host's environment without what would change output or choose an agent; new agents are not tried first."""
    kept = {name: value for name, value in os.environ.items() if name not in {"TASKCAL_AGENT", "FORCE_COLOR", "CI"}}
    return kept if preflight else kept | {"TASKCAL_NO_PREFLIGHT": "1"}


def mostly_long(cases: Iterable[str], *quick: str) -> list[Any]:
    """Cases for `parametrize`, of which those that are not named run only in `make test-all`."""
    return [case if case in quick else pytest.param(case, marks=pytest.mark.long) for case in cases]


@functools.cache
def fork_server() -> ForkServer:
    """The process that commands are forked from; it ends with the tests."""
    server = ForkServer()
    atexit.register(server.close)
    return server


@pytest.fixture
def taskcal(tmp_path: Path) -> CommandLine:
    """The command line, in an empty folder."""
    return CommandLine(tmp_path)


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    """The machine's engine. No engine is an error, never a skip: `taskcal doctor --fix` brings one."""
    from taskcal.sandbox.engine.docker import DockerEngine

    found = DockerEngine.connect()
    yield found
    found.close()
