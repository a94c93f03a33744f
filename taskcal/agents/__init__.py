"""Who attempts a task: the small protocol that every agent obeys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from taskcal.agents.transcript import Transcript
from taskcal.core.rollout import Usage

if TYPE_CHECKING:
    from taskcal.core.rollout import Stop
    from taskcal.core.task import Group, Network, Task
    from taskcal.redact import Redactor
    from taskcal.sandbox import Sandbox, Sink


@dataclass(slots=True)
class UsageSoFar:
    """What a rollout has consumed so far, as its agent reports. A lost rollout has consumed it all the same."""

    turns: int | None = None
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An agent's task besides the sandbox: its group, its own seed, its time in seconds, and its log and transcript.

    `log` gets what it prints, but for its standard error if `errors` takes it; both redact. `timeout` bounds its
    working time; `wall` (None is no bound of its own) bounds the whole, waiting included. `account` is written as soon
    as something is known.
    """

    group: Group
    seed: int
    timeout: float
    log: Sink
    transcript: Transcript = field(default_factory=Transcript)
    wall: float | None = None
    account: UsageSoFar = field(default_factory=UsageSoFar)
    errors: Sink | None = None
    remarks: Sink | None = None

    def remark(self, words: str) -> None:
        """Put a line of taskcal's own into the log, behind all that was printed."""
        (self.remarks or self.log)(f"[taskcal: {words}]\n".encode(errors="replace"))

    @property
    def seconds(self) -> float:
        """Seconds for an agent whose working time cannot be separated from its waiting time."""
        return self.timeout if self.wall is None else min(self.timeout, self.wall)


@dataclass(frozen=True, slots=True)
class AgentResult:
    """How an agent ended. Its answer is in the sandbox's answer file, what it consumed in the attempt's account.

    `transcript_digest` is set by agents whose whole conversation is in their transcript: two that are equal are
    suspicious.
    """

    stop: Stop
    transcript_digest: str | None = None


class Agent(Protocol):
    """Acts in a sandbox until it is done."""

    @property
    def name(self) -> str:
        """Its name in reports."""
        ...

    @property
    def about(self) -> str:
        """One sentence that reports show next to a name that could mislead; '' for any other name."""
        ...

    @property
    def missing(self) -> str:
        """A requirement that cannot be reached now, so that no rollout could succeed; '' if none is known."""
        ...

    @property
    def install(self) -> str:
        """A script that is baked onto each image before the first rollout; '' for none."""
        ...

    @property
    def timeout(self) -> float | None:
        """Seconds that cap the task's own timeout; None for no cap."""
        ...

    @property
    def network(self) -> Network | None:
        """The network of its sandboxes; None for the task's own."""
        ...

    @property
    def user(self) -> str | None:
        """The user that it acts as in a sandbox; None for the environment's."""
        ...

    def refusal(self, task: Task) -> str | None:
        """Why this agent cannot attempt a task at all, or None."""
        ...

    @property
    def redactor(self) -> Redactor:
        """Removes its secrets from all output. Every call returns the same object."""
        ...

    def act(self, sandbox: Sandbox, attempt: Attempt) -> AgentResult:
        """Attempt the task. Raises a LostError if our side broke; the agent's own failures are stops."""
        ...
