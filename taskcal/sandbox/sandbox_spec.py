"""What to open for a rollout: a value that `taskcal.sandbox.container` makes a sandbox of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from taskcal.core.network import NetworkAccess, network_access_of
from taskcal.core.task import GraderSandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.core.task import Artifact, Environment, Group, Network, Scalar
    from taskcal.sandbox.images.baking import PreparedImages


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """What to open: an environment, what its scripts see, and the name it goes by in labels and reports.

    `fresh` where the grading will go on in a fresh container: the agent's answer must then outlive its container.
    `artifacts` are what a fresh grading receives; None for checks that run where the agent was.
    """

    environment: Environment
    images: PreparedImages
    params: Mapping[str, Scalar]
    network: NetworkAccess
    rollout: str
    unique: str
    fresh: bool = False
    artifacts: tuple[Artifact, ...] | None = None

    @classmethod
    def of(cls, group: Group, images: PreparedImages, agent: Network | None, rollout: str, unique: str) -> Self:
        """A group's sandbox as its rollouts open it; `agent` is the network that the agent's file asks for."""
        environment, grader = group.task.environment, group.task.grader
        is_fresh = grader.sandbox is GraderSandbox.FRESH
        return cls(
            environment=environment,
            images=images,
            params=group.variant.params,
            network=network_access_of(environment.network, agent),
            rollout=rollout,
            unique=unique,
            fresh=is_fresh,
            artifacts=grader.artifacts if is_fresh else None,
        )
