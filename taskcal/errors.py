"""Every error that taskcal raises on purpose, with the exit code it earns.

    TaskcalError                       known to us: one line on stderr, no traceback
    ├── UsageError              (2)    the command line or the configuration asks for something that cannot be
    ├── InputError              (2)    a file that a person wrote is wrong; carries every Problem found in it
    ├── MissingError            (3)    something that every task needs is not there (no engine, no rights)
    │   └── DockerSettingsError        Docker's config.json cannot be used, so that no engine can be asked
    ├── RunFolderError          (2)    a run's folder cannot be read, written or is another process's
    └── LostError               (-)    our side broke during one rollout; becomes a `Lost` outcome, never an exit
        ├── EngineLost                 the container engine did not answer, or refused
        ├── ImageLost                  an image is missing, or cannot be built or pulled
        ├── SetupLost                  the environment's setup, start or ready failed
        ├── ServiceLost                a side container died or never became ready
        ├── SandboxLost                the container vanished or died under us
        ├── AgentInstallLost           the agent's program could not be installed or found
        ├── ProviderLost               the model's endpoint failed
        │   └── ReportedLost           the same, by the word of a command that ran where the agent acts
        ├── GraderLost                 the grader could not run or printed nonsense
        └── CancelledLost              the run was stopped while this rollout was in flight

The subclasses of `LostError` are the boundaries of a lost rollout, one each, so that an exception can only become a
lost rollout by naming whose fault it was. Anything else that escapes a rollout is lost at the boundary `unknown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Boundary(StrEnum):
    """Which part of our side broke, for a lost rollout."""

    ENGINE = "engine"
    IMAGE = "image"
    SETUP = "setup"
    SERVICE = "service"
    SANDBOX = "sandbox"
    AGENT_INSTALL = "agent-install"
    PROVIDER = "provider"
    GRADER = "grader"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class TaskcalError(Exception):
    """Base of all known errors; `exit_code` is what the command line ends with."""

    exit_code: ClassVar[int] = 2


class UsageError(TaskcalError):
    """Wrong usage: options that contradict, a selection that matches nothing, a missing file."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file: where it is and what to do about it."""

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        """`file:line: key: message`, without the parts that are not known."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)


class InputError(TaskcalError):
    """A taskset, agent or configuration file is wrong; `problems` holds all mistakes, in file order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Keep the problems; the message is one line for each."""
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class RunFolderError(TaskcalError):
    """A run's folder is missing, unreadable, damaged or in use."""


class MissingError(TaskcalError):
    """Something without which no task can run is missing; the message says how to get it."""

    exit_code = 3


class DockerSettingsError(MissingError):
    """Docker's own settings cannot be used, so that no engine can be asked; a new engine does not help."""


class LostError(TaskcalError):
    """Our side broke during a rollout; `boundary` says which part of it."""

    boundary: ClassVar[Boundary] = Boundary.UNKNOWN


class EngineLost(LostError):
    """The container engine did not answer, or refused."""

    boundary = Boundary.ENGINE


class ImageLost(LostError):
    """An image is missing or cannot be built."""

    boundary = Boundary.IMAGE


class SetupLost(LostError):
    """`setup`, `start` or `ready` of the environment failed."""

    boundary = Boundary.SETUP


class ServiceLost(LostError):
    """A service of the environment failed."""

    boundary = Boundary.SERVICE


class SandboxLost(LostError):
    """The sandbox died under the agent or the grader."""

    boundary = Boundary.SANDBOX


class AgentInstallLost(LostError):
    """The agent's program is not there."""

    boundary = Boundary.AGENT_INSTALL


class ProviderLost(LostError):
    """The model's endpoint failed."""

    boundary = Boundary.PROVIDER


class ReportedLost(ProviderLost):
    """An agent's command reports a failure of its provider, which nobody else has seen."""


class GraderLost(LostError):
    """The grader could not run, or what it printed is not a score; `log` is what is known of it."""

    boundary = Boundary.GRADER
    log: str = ""


class CancelledLost(LostError):
    """The run was stopped."""

    boundary = Boundary.CANCELLED
