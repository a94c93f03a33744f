"""The specification of a rollout's sandbox, which `taskcal.sandbox.container` opens."""

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
    """An environment and its images, the params of its scripts, its network, and the rollout's key for labels.

    `unique` differs in every attempt of every run; scripts see it as TASKCAL_ROLLOUT. `fresh` is true if a fresh
    container grades: the agent's answer must then outlive its own container. `artifacts` are the paths that a fresh
    container receives; None if checks run in the agent's container.
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
        """The specification of a group's rollout; `agent` is the network that the agent's file asks for."""
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
