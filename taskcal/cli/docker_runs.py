"""Runs on Docker: what `taskcal.runs.engine` asks for, made of images, probes and sandboxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.cli.options.connect import reach_engine
from taskcal.runs.images.probe import Probes, ready_group
from taskcal.sandbox.container import open_sandbox
from taskcal.sandbox.engine.run_resources import RunScope
from taskcal.sandbox.engine.sweep import leftovers, sweep, sweep_layers
from taskcal.sandbox.images.baking import ImageMemory, Images

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskcal.agents import Agent
    from taskcal.core.plan import OperatorBounds
    from taskcal.core.rollout import Lost
    from taskcal.core.task import Group
    from taskcal.execution.workplace import RolloutSandbox
    from taskcal.runs.images.probe import ReadyGroup
    from taskcal.sandbox.engine.docker import DockerEngine
    from taskcal.sandbox.sandbox_spec import SandboxSpec


class DockerRuns:
    """A Docker engine for runs; obeys `taskcal.runs.engine.SandboxEngine`."""

    def __init__(self, engine: DockerEngine) -> None:
        """Images that one run makes, or fails to make, are remembered for the next ones."""
        self._engine = engine
        self._memory = ImageMemory()

    @property
    def name(self) -> str:
        """Its product and version."""
        return f"{self._engine.product} {self._engine.version}"

    @property
    def data_root(self) -> str | None:
        """Where containers write to on this machine, if that can be seen."""
        return self._engine.data_root

    def answers(self) -> bool:
        """Whether it answers now."""
        return self._engine.answers()

    def image_id(self, name: str) -> str | None:
        """The id of an image."""
        found = self._engine.image(name)
        return None if found is None else found.id

    def begin(self, run: str) -> DockerRun:
        """Begin a run."""
        return DockerRun(RunScope(self._engine, run), self._memory)

    def close(self) -> None:
        """Close the connections."""
        self._engine.close()


@dataclass(frozen=True, slots=True)
class DockerRun:
    """One run on a Docker engine; obeys `taskcal.runs.engine.RunOnEngine`."""

    scope: RunScope
    memory: ImageMemory

    @property
    def run(self) -> str:
        """The run's id."""
        return self.scope.run

    def preparation(
        self, agent: Agent, bounds: OperatorBounds, log: Callable[[str], None], *, anew: bool = False
    ) -> DockerPreparation:
        """A pass over groups."""
        memory = None if anew else self.memory
        images = Images(self.scope, network=bounds.builds_have_network, log=log, memory=memory)
        return DockerPreparation(images, Probes(self.scope), agent, bounds)

    def open_sandbox(self, spec: SandboxSpec) -> RolloutSandbox:
        """A container with its services."""
        return open_sandbox(self.scope, spec)

    def close(self) -> None:
        """Remove by label."""
        self.scope.close()


@dataclass(frozen=True, slots=True)
class DockerPreparation:
    """One pass over groups; obeys `taskcal.runs.engine.Preparation`."""

    images: Images
    probes: Probes
    agent: Agent
    bounds: OperatorBounds

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know about the images."""
        return self.images.remarks

    @property
    def local_base(self) -> bool:
        """Whether the base image was built here."""
        return self.images.local_base

    def prepare(self, group: Group) -> ReadyGroup | Lost:
        """Make its images, and try its environment once."""
        return ready_group(group, self.images, self.probes, self.agent, self.bounds)


def connect(connections: int) -> DockerRuns:
    """The engine, cleaned of what dead runs left. Raises MissingError."""
    engine = reach_engine(connections)
    sweep(engine, leftovers(engine))
    sweep_layers(engine)
    return DockerRuns(engine)
