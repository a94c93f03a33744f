"""The side containers of one rollout, each with a world of its own but for the network, which they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.errors import SandboxLost, ServiceLost
from taskcal.sandbox import ROOT_USER, Script
from taskcal.sandbox.execute import execute
from taskcal.sandbox.interpreters import as_shell
from taskcal.sandbox.scope import DROPPED, host_config
from taskcal.sandbox.scripts import READY_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.core.task import Service
    from taskcal.sandbox.docker import DockerEngine


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the services of one rollout have in common: `namespace` is the network's mode, `variables` the task's."""

    namespace: str
    labels: Mapping[str, str]
    variables: Mapping[str, str]


def create_service(engine: DockerEngine, image: str, service: Service, around: Surroundings) -> str:
    """Create a service's container and give its id."""
    command = {} if service.command is None else {"command": _argv(service.command)}
    return engine.create(
        image,
        {**host_config(service.limits, around.namespace), "cap_drop": DROPPED},
        labels=dict(around.labels),
        environment={**service.env, **around.variables},
        **command,
    )


def await_service(engine: DockerEngine, container: str, service: Service, variables: Mapping[str, str]) -> None:
    """Wait until a service's `ready` succeeds. Raises ServiceLost."""
    if not service.ready.strip():
        return
    script = Script(until(service.ready), READY_SECONDS, user=ROOT_USER, env=variables)
    try:
        result = execute(engine, container, script)
    except SandboxLost as error:
        raise ServiceLost(f"service {service.name} died: {engine.logs(container) or error}") from error
    if not result.ok:
        said = engine.logs(container) or result.tail
        raise ServiceLost(f"service {service.name} was not ready within {READY_SECONDS} s: {said[-500:]}")


def _argv(command: tuple[str, ...] | str) -> list[str]:
    return ["/bin/sh", "-c", as_shell(command)] if isinstance(command, str) else list(command)
