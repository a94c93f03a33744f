"""Where a rollout lives: the protocol that agents and graders see, so that neither knows what a container is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from taskcal.core.text.excerpt import excerpts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from taskcal.core.shell.search_paths import CheckVariables
    from taskcal.core.task import Artifact, FileCopy

    Sink = Callable[[bytes], None]
    """Receives a script's output, standard output and standard error together, as it appears."""

TASKCAL_FOLDER = "/run/taskcal"
"""Where taskcal's own files are inside a sandbox: prompt, answer, usage.json and bin/."""

PROMPT_FILE = f"{TASKCAL_FOLDER}/prompt"
ANSWER_FILE = f"{TASKCAL_FOLDER}/answer"
USAGE_FILE = f"{TASKCAL_FOLDER}/usage.json"

TAIL = 500
ROOT_USER = "0"
"""Who runs setup, start and checks."""


class ScriptEnding(StrEnum):
    """How a script ended. A sandbox that died is no ending: that raises `SandboxLost`."""

    EXITED = "exited"
    TIMED_OUT = "timed-out"
    OUT_OF_MEMORY = "out-of-memory"


class Condition(StrEnum):
    """How a sandbox is, as far as it is certain."""

    ALIVE = "alive"
    ENDED = "ended by what ran in it"
    OUT_OF_MEMORY = "ended by its memory limit"
    GONE = "ended or removed from outside"
    STUCK = "running, and the engine cannot get at it"


@dataclass(frozen=True, slots=True)
class Script:
    """What to run in a sandbox with `/bin/sh`, and how.

    `source` goes in as an argument (visible to everything in the sandbox) or, with `hidden`, through standard input.
    `user` None is the image's own, `workdir` None the environment's; `timeout` is in seconds. Beside `env` it has the
    container's variables, with `clean` none of them and a PATH that leads to nothing of the agent's.
    """

    source: str
    timeout: float
    user: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    hidden: bool = False
    service: str = ""
    workdir: str | None = None
    clean: bool = False
    own: Mapping[str, str | None] = field(default_factory=dict)
    """What makes a script clean, where the sandbox knows it; None takes a variable away."""


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """How a script ended and what it printed: standard output and error apart, each at most `limit` bytes from the end.

    `exit_code` is None unless `ending` is exited. `started` is False if the engine could not start it: nothing of it
    has run.
    """

    ending: ScriptEnding
    exit_code: int | None
    stdout: bytes
    stderr: bytes
    started: bool = True

    @property
    def ok(self) -> bool:
        """It exited with status 0."""
        return self.exit_code == 0

    @property
    def how(self) -> str:
        """How it ended, in words: its exit status, or what kept it from one."""
        return self.ending.value if self.exit_code is None else f"exit {self.exit_code}"

    @property
    def tail(self) -> str:
        """First and last lines of what it printed, for a reason or a note; at most 500 characters on one line."""
        errors, output = self.stderr.decode(errors="replace"), self.stdout.decode(errors="replace")
        return " | ".join(part for part in reversed(excerpts(errors, output, TAIL)) if part)


class Sandbox(Protocol):
    """One container, with its services, for one rollout."""

    @property
    def variables(self) -> Mapping[str, str]:
        """What the task's own scripts see beside the environment's variables; never given to the agent's process."""
        ...

    def run(
        self, script: Script, *, sink: Sink | None = None, errors: Sink | None = None, limit: int = 65536
    ) -> ScriptResult:
        """Run a script and wait for it; `sink` gets what it prints, `errors` (where given) its standard error.

        Raises SandboxLost or EngineLost where our side broke, never for its status.
        """
        ...

    def service_ended(self, name: str) -> str | None:
        """The last words of a service that has ended by itself; None for one that runs or was removed."""
        ...

    def copy_in(self, files: Sequence[FileCopy], user: str | None) -> None:
        """Copy files of the taskset into the sandbox, modes kept, as this user's own (None is the image's)."""
        ...

    def twin(self) -> AbstractContextManager[Sandbox]:
        """Another sandbox of the same environment, services and `start` included, in which no agent has acted."""
        ...

    def close(self) -> None:
        """Remove the container and its services; closing twice is harmless."""
        ...


class GradableSandbox(Sandbox, Protocol):
    """A sandbox as graders see it: it can go on without the agent, and tell what became of it."""

    def ended_services(self) -> tuple[str, ...]:
        """A sentence for each service that has ended with an error."""
        ...

    def move_to_fresh_container(self, artifacts: Sequence[Artifact], files: Sequence[FileCopy]) -> tuple[str, ...]:
        """End every process of the agent and go on in a fresh container of the image, for the grader.

        It receives the artifacts, the agent's answer, and the grader's files; the services stay up. Gives a note for
        each artifact that did not arrive whole. Raises EngineLost or SandboxLost.
        """
        ...

    def deliver(self, files: Sequence[FileCopy], stop: str) -> str | None:
        """Bring the grader's files, for root's eyes only, after `stop`, a script that stops the agent, has run.

        What the image has where they arrive is put back, what the agent left in their way is removed. Gives why no
        check can be run, if that is certainly the agent's doing. Raises GraderLost, EngineLost or SandboxLost.
        """
        ...

    def check_variables(self, service: str = "") -> CheckVariables:
        """The image's and the environment's variables as checks get them there. Raises a LostError."""
        ...

    def show(self, files: Sequence[FileCopy], *, readable: bool) -> None:
        """Let every user read these files of the grader, or root alone again. Raises a LostError."""
        ...

    def condition(self, service: str = "") -> Condition:
        """Whether the sandbox, or a service, still lives, and if not, whose doing that is. Raises EngineLost."""
        ...

    def twin(self) -> AbstractContextManager[GradableSandbox]:
        """As a sandbox's, to grade in."""
        ...
