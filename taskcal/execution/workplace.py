"""A rollout as a value that can be sent to another process, and what a worker there must have to carry it out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from taskcal.core.plan import rollout_seed
from taskcal.sandbox import GradableSandbox

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from taskcal.agents import Agent
    from taskcal.core.plan import PlannedRollout
    from taskcal.core.rollout import Graded, RolloutId
    from taskcal.execution.logs import LogSink
    from taskcal.sandbox.engine.stream import AttachedExec
    from taskcal.sandbox.images.baking import PreparedImages
    from taskcal.sandbox.sandbox_spec import SandboxSpec


@dataclass(frozen=True, slots=True)
class RolloutJob:
    """One rollout to carry out, in this process or in another one: it can be pickled and holds no secret.

    `run` is the run's id, `seed` the run's seed. The recipe of its images is in the planned rollout (environment and
    params) and its agent (install): `images` are what the driver made of it, with the origins that images made from
    the same recipe elsewhere must have. Its agent is the name that `planned.agent` gives.
    """

    run: str
    planned: PlannedRollout
    images: PreparedImages
    seed: int

    @property
    def rollout_seed(self) -> int:
        """The seed of this rollout, the same for each attempt at it."""
        return rollout_seed(self.seed, self.planned.id)


class NetworkWatch(Protocol):
    """How the allowed hosts of a sandbox were reached."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What could not be reached, and why."""
        ...

    def check(self) -> None:
        """Raise ServiceLost if a way to a host has ended by itself."""
        ...


class RolloutSandbox(GradableSandbox, Protocol):
    """A sandbox as a whole rollout uses it."""

    @property
    def egress(self) -> NetworkWatch:
        """The way to the hosts that its network allows."""
        ...

    def terminal(self, env: Mapping[str, str]) -> AbstractContextManager[AttachedExec]:
        """A shell on a terminal, as the agent's user."""
        ...

    def finish(self) -> None:
        """Run the environment's `finish`; how it goes changes no outcome."""
        ...

    def keep(self) -> str:
        """Leave the container for a person when it is closed, and give its name."""
        ...

    def twin(self) -> AbstractContextManager[GradableSandbox]:
        """As a gradable sandbox's."""
        ...


def as_prepared(job: RolloutJob) -> PreparedImages:
    """The images that the driver made: right for a worker that uses the same engine."""
    return job.images


@dataclass(frozen=True, slots=True)
class Workplace:
    """What one worker has for all its rollouts; it stays where it is.

    `agents` has the agent for each name that a planned rollout may carry ('' is the run's own): agents hold secrets and
    connections, so that a job names its agent and each worker builds it once. `images` gives the images of a job on
    this worker's engine. `keep` chooses the failures whose containers are left, and `kept` collects their names.
    """

    open_sandbox: Callable[[SandboxSpec], RolloutSandbox]
    agents: Mapping[str, Agent]
    logs: LogSink
    cancelled: threading.Event
    images: Callable[[RolloutJob], PreparedImages] = as_prepared
    keep: Callable[[RolloutId, Graded], bool] = lambda *_: False
    kept: list[str] = field(default_factory=list)
