"""The side containers of one rollout, each with a world of its own but for the network, which they share."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core.shell.script import names_in_script
from taskcal.core.text.excerpt import excerpt
from taskcal.errors import SandboxLost, ServiceLost, SetupLost
from taskcal.sandbox import ROOT_USER, Script
from taskcal.sandbox.engine.run_resources import DROPPED, host_config
from taskcal.sandbox.execute import execute
from taskcal.sandbox.interpreters import as_shell
from taskcal.sandbox.scripts import READY_SECONDS, ready_script

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.core.task import Service
    from taskcal.sandbox.engine.docker import DockerEngine


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What the services of one rollout have in common: `namespace` is the network's mode, `variables` the task's."""

    namespace: str
    labels: Mapping[str, str]
    variables: Mapping[str, str]


def create_service(engine: DockerEngine, image: str, service: Service, options: ServiceOptions) -> str:
    """Create a service's container and give its id."""
    command = {} if service.command is None else {"command": _argv(service.command)}
    return engine.create(
        image,
        {**host_config(service.limits, options.namespace), "cap_drop": DROPPED},
        labels=dict(options.labels),
        environment={**service.env, **_seen(service, command_text(service), options.variables)},
        **command,
    )


def start_service(engine: DockerEngine, container: str, service: Service) -> None:
    """Start a service's container. Raises ServiceLost if its command cannot run."""
    try:
        engine.start(container)
    except SetupLost as error:
        raise ServiceLost(f"service {service.name} could not be started: {error}") from error


def await_service(engine: DockerEngine, container: str, service: Service, variables: Mapping[str, str]) -> None:
    """Wait until a service's `ready` succeeds. Raises ServiceLost."""
    if not service.ready.strip():
        return
    seen = _seen(service, service.ready, variables)
    script = Script(ready_script(service.ready), READY_SECONDS, user=ROOT_USER, env=seen, hidden=True)
    begun = time.monotonic()
    try:
        result = execute(engine, container, script)
    except SandboxLost as error:
        raise ServiceLost(_why_never_ready(engine, container, service, error)) from error
    if not result.ok:
        seconds = time.monotonic() - begun
        raise ServiceLost(
            f"the ready script of service {service.name} did not succeed within {seconds:.0f} s: "
            f"{result.tail or 'it printed nothing'}{last_lines(engine, container, service)}"
        )


def require_running(engine: DockerEngine, containers: Mapping[str, str], services: Sequence[Service]) -> None:
    """Raise ServiceLost for the first service that has ended with an error; one that ended with 0 has done its work."""
    for service in services:
        words = _ended_words(engine, containers[service.name], service, " before the agent began")
        if words:
            raise ServiceLost(words)


def ended_services(engine: DockerEngine, containers: Mapping[str, str], services: Sequence[Service]) -> tuple[str, ...]:
    """A sentence for each service that has ended with an error."""
    words = (_ended_words(engine, containers[service.name], service) for service in services)
    return tuple(one for one in words if one)


def _why_never_ready(engine: DockerEngine, container: str, service: Service, error: SandboxLost) -> str:
    words = _ended_words(engine, container, service)
    if words:
        return words
    if '"sh"' in str(error):
        return f"the image of service {service.name} has no `sh`, which its ready script needs"
    if engine.is_running(container) is False:
        return (
            f"service {service.name} ended (exit 0) before its ready script succeeded; keep its command in the "
            f"foreground, or remove `ready`{last_lines(engine, container, service)}"
        )
    return f"service {service.name} died: {error}"


def require_for_checks(engine: DockerEngine, container: str, name: str) -> None:
    """Raise ServiceLost if a service that checks run in has ended, with whatever status."""
    if engine.is_running(container) is False:
        printed = excerpt(engine.logs(container))
        raise ServiceLost(
            f"service {name} ended before the agent began, and checks run in it (`in: {name}`); keep its command in "
            f"the foreground{f'; it printed last: {printed}' if printed else ''}"
        )


def last_lines(engine: DockerEngine, container: str, service: Service) -> str:
    """`; service NAME printed last: …`, or '' for a service that has printed nothing."""
    printed = excerpt(engine.logs(container))
    return f"; service {service.name} printed last: {printed}" if printed else ""


def _ended_words(engine: DockerEngine, container: str, service: Service, when: str = "") -> str:
    """`service NAME ended (exit 1)`, when, and its last lines; '' if it still runs or ended with 0."""
    state = engine.state(container)
    if state is None:
        return f"service {service.name} was removed from outside"
    if state.running or state.exit_code == 0:
        return ""
    printed = excerpt(engine.logs(container))
    how = "out of memory" if state.out_of_memory else f"exit {state.exit_code}"
    return f"service {service.name} ended ({how}){when}{f': {printed}' if printed else ''}"


def _seen(service: Service, text: str, variables: Mapping[str, str]) -> dict[str, str]:
    """The task's variables that a script of a service or its first process sees: those that text or `params` names.

    A service answers the agent, perhaps with its own environment.
    """
    names = (*names_in_script(text, variables), *service.params, "TASKCAL_ROLLOUT")
    return {name: variables[name] for name in names if name in variables}


def command_text(service: Service) -> str:
    """The text of a service's command, whose words may be params."""
    command = service.command or ""
    return command if isinstance(command, str) else " ".join(command)


def _argv(command: tuple[str, ...] | str) -> list[str]:
    return ["/bin/sh", "-c", as_shell(command)] if isinstance(command, str) else list(command)
