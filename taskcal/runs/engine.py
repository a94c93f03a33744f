"""The container engine as a whole run needs it: small protocols, so that a run can be tested without an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskcal.agents import Agent
    from taskcal.core.plan import OperatorBounds
    from taskcal.core.rollout import Lost
    from taskcal.core.task import Group
    from taskcal.execution.workplace import RolloutSandbox
    from taskcal.runs.images.probe import ReadyGroup
    from taskcal.sandbox.sandbox_spec import SandboxSpec


class SandboxEngine(Protocol):
    """What images are made on and sandboxes are opened on."""

    @property
    def name(self) -> str:
        """Its product and version, for the record of a run."""
        ...

    @property
    def data_root(self) -> str | None:
        """The folder of this machine that containers write to; None if that cannot be seen from here."""
        ...

    def answers(self) -> bool:
        """Whether it answers now."""
        ...

    def image_id(self, name: str) -> str | None:
        """The id of the image with that name or id; None if the engine does not have it."""
        ...

    def begin(self, run: str) -> RunOnEngine:
        """Begin a run, whose id will be on all that it makes; nothing is made yet."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class RunOnEngine(Protocol):
    """What one run, or one trial, has on the engine."""

    @property
    def run(self) -> str:
        """The run's id."""
        ...

    def preparation(
        self, agent: Agent, bounds: OperatorBounds, log: Callable[[str], None], *, anew: bool = False
    ) -> Preparation:
        """A pass over groups whose images this agent needs; `log` gets a line about each step that takes time.

        Images and failures of earlier passes on this engine are remembered, but not with `anew`, as after a restart.
        """
        ...

    def open_sandbox(self, spec: SandboxSpec) -> RolloutSandbox:
        """A sandbox that is ready for the agent. Raises LostError."""
        ...

    def close(self) -> None:
        """Remove everything that is left of the run. Raises LostError."""
        ...


class Preparation(Protocol):
    """Makes the images of groups and tries their environments; safe to use from many threads."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know about the images, each sentence once."""
        ...

    @property
    def local_base(self) -> bool:
        """Whether an image goes back to a base image that was built on this machine, not pulled."""
        ...

    def prepare(self, group: Group) -> ReadyGroup | Lost:
        """The images of a group and what the trial of its environment found, or why no rollout of it can run.

        Raises UsageError for a mistake that a person must mend.
        """
        ...
