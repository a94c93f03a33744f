"""What came of one attempt: graded, or lost, and nothing in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from taskcal.errors import Boundary


class Stop(StrEnum):
    """Why the agent ended. Every one of these is graded."""

    FINISHED = "finished"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out-of-memory"
    MAX_TURNS = "max-turns"
    CONTEXT_FULL = "context-full"
    REFUSED = "refused"


class GroupId(NamedTuple):
    """The name of one group: a task and one of its variants ('' where the task has none)."""

    task: str
    variant: str

    def __str__(self) -> str:
        """`task` or `task/variant`, as selections and tables write it."""
        return f"{self.task}/{self.variant}" if self.variant else self.task


@dataclass(frozen=True, slots=True, order=True)
class RolloutId:
    """The name of one rollout; `attempt` counts retries of the same `index`, both from 0."""

    group: GroupId
    index: int
    attempt: int

    @property
    def key(self) -> str:
        """`task/variant#index`: the same for every attempt at it."""
        return f"{self.group}#{self.index}"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check said: a score in [0, 1] and, where it is not full, why."""

    name: str
    weight: float
    score: float
    note: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Graded:
    """The rollout counts: the agent ended for `stop`, and its end state earned `reward` in [0, 1].

    `ended_services` has a sentence for each service that failed while the agent worked, by whatever cause.
    """

    stop: Stop
    reward: float
    passed: bool
    checks: tuple[CheckResult, ...]
    ended_services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lost:
    """The rollout does not count: our side broke at `boundary`. There is no reward, not even 0.

    `own_word` if only the agent's command says so, which an agent may have made it say.
    """

    boundary: Boundary
    reason: str
    own_word: bool = False


Outcome = Graded | Lost


@dataclass(frozen=True, slots=True)
class Usage:
    """What a rollout consumed at a model's endpoint; None where the agent does not report it."""

    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds spent in each part of a rollout; `queue` is the wait for a free slot."""

    queue: float = 0.0
    start: float = 0.0
    setup: float = 0.0
    agent: float = 0.0
    grade: float = 0.0
    close: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Rollout:
    """One attempt of one agent at one task, finished. `started_at` is ISO 8601 in UTC.

    `transcript_sha256` is over what was said and done, where the agent's transcript holds all of it.
    """

    id: RolloutId
    outcome: Outcome
    answer: str | None = None
    turns: int | None = None
    usage: Usage = field(default_factory=Usage)
    timing: Timing = field(default_factory=Timing)
    started_at: str = ""
    transcript_sha256: str | None = None
