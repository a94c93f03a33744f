"""One rollout's sandbox on the engine: opened with its services up, run in, and removed without waiting."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taskcal.errors import LostError, SandboxLost, ServiceLost, SetupLost
from taskcal.sandbox import ROOM, ROOT_USER, Script, ScriptResult
from taskcal.sandbox.archive import pack
from taskcal.sandbox.execute import could_not_start, execute
from taskcal.sandbox.images import as_variables
from taskcal.sandbox.labels import KEPT_PREFIX
from taskcal.sandbox.scope import FIRST_PROCESS, RunScope, host_config
from taskcal.sandbox.scripts import READY_SECONDS, started, until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from taskcal.core.task import Environment, FileCopy, Network, Scalar, Service
    from taskcal.sandbox import Sink
    from taskcal.sandbox.images import PreparedImages
    from taskcal.sandbox.stream import Line

ROOM_OPTIONS = "rw,exec,nosuid,nodev,mode=1777,size=16m"
SPARE_PIDS = 128
DROPPED = ["NET_RAW", "MKNOD"]


@dataclass(frozen=True, slots=True)
class Order:
    """What to open: an environment, what its scripts see, and the name it goes by in labels and reports."""

    environment: Environment
    images: PreparedImages
    params: Mapping[str, Scalar]
    network: Network
    rollout: str
    unique: str


class DockerSandbox:
    """A running container with its services; obeys `taskcal.sandbox.Sandbox`."""

    def __init__(self, scope: RunScope, order: Order) -> None:
        """Nothing is made yet; use `open_sandbox`."""
        self._scope = scope
        self._engine = scope.engine
        self._order = order
        self._container = ""
        self._services: dict[str, str] = {}
        self._kept = False

    @property
    def container(self) -> str:
        """The container's id."""
        return self._container

    @property
    def variables(self) -> dict[str, str]:
        """What the task's own scripts see beside the environment's variables; never given to the agent's process."""
        return {**as_variables(self._order.params), "TASKCAL_ROLLOUT": self._order.unique}

    def open(self) -> None:
        """Create and start the container, then its services, each waited for; then `start` and `ready`."""
        self._create()
        for service in self._order.environment.services:
            self._services[service.name] = self._create_service(service)
        for name in self._services:
            self._engine.start(self._services[name])
        for service in self._order.environment.services:
            self._await_service(service)
        self.start()

    def start(self) -> None:
        """Run the environment's `start` and wait until `ready` succeeds. Raises SetupLost."""
        environment = self._order.environment
        if not environment.start.strip() and not environment.ready.strip():
            return
        source = started(environment.start, environment.ready)
        result = self.run(Script(source, READY_SECONDS, user=ROOT_USER, env=self.variables))
        if not result.ok:
            raise SetupLost(f"start or ready did not succeed within {READY_SECONDS} s: {result.tail}")

    def run(self, script: Script, *, sink: Sink | None = None, limit: int = 65536) -> ScriptResult:
        """Run a script in the sandbox, or in the service that it names.

        Where the agent has taken every pid, even the engine cannot start a process: a script of root gets room then.
        """
        container = self._services[script.service] if script.service else self._container
        try:
            result = execute(self._engine, container, script, sink=sink, limit=limit)
            if script.user != ROOT_USER or not could_not_start(result):
                return result
        except SandboxLost:
            if script.user != ROOT_USER or not self._engine.is_running(container):
                raise
        self._engine.allow_pids(container, self._order.environment.limits.pids + SPARE_PIDS)
        return execute(self._engine, container, script, sink=sink, limit=limit)

    def service_ended(self, name: str) -> str | None:
        """The last words of a service that has ended by itself; None for one that runs or was removed."""
        container = self._services[name]
        return self._engine.logs(container) if self._engine.is_running(container) is False else None

    def terminal(self, env: Mapping[str, str]) -> AbstractContextManager[Line]:
        """A shell on a terminal, as the agent's user."""
        return self._engine.terminal(self._container, ("/bin/sh",), self._order.environment.user, env)

    def put(self, files: Sequence[FileCopy]) -> None:
        """Copy files of the taskset into the sandbox, owned by root, modes kept."""
        if files:
            self._engine.put_archive(self._container, pack(files))

    def finish(self) -> None:
        """Run the environment's `finish`; it hands back what is outside, so how it goes changes no outcome."""
        if self._order.environment.finish.strip():
            with contextlib.suppress(LostError):
                self.run(Script(self._order.environment.finish, READY_SECONDS, user=ROOT_USER, env=self.variables))

    def keep(self) -> str:
        """Leave the containers running for a person, under names that cleaning spares; gives the sandbox's."""
        name = f"{KEPT_PREFIX}{self._order.unique}"
        for service, container in self._services.items():
            self._engine.rename(container, f"{name}-{service}")
        self._engine.rename(self._container, name)
        self._kept = True
        return name

    def close(self) -> None:
        """Remove services and container at once; an engine that does not answer is left to the sweep by label."""
        if self._kept:
            return
        for container in (*self._services.values(), self._container):
            if container:
                with contextlib.suppress(LostError):
                    self._engine.remove(container)

    def _create(self) -> None:
        environment = self._order.environment
        host: dict[str, Any] = {
            **host_config(environment.limits, self._scope.network_mode(self._order.network.mode)),
            "tmpfs": {ROOM: ROOM_OPTIONS},
            "cap_drop": DROPPED,
            "extra_hosts": {service.name: "127.0.0.1" for service in environment.services},
        }
        self._container = self._engine.create(
            self._order.images.sandbox,
            host,
            entrypoint=list(FIRST_PROCESS),
            command=[],
            labels=self._scope.labels(self._order.rollout),
            environment=dict(environment.env),
            working_dir=environment.workdir,
        )
        self._engine.start(self._container)

    def _create_service(self, service: Service) -> str:
        command = {} if service.command is None else {"command": _argv(service.command)}
        host = {**host_config(service.limits, f"container:{self._container}"), "cap_drop": DROPPED}
        return self._engine.create(
            self._order.images.services[service.name],
            host,
            labels=self._scope.labels(self._order.rollout),
            environment={**service.env, **self.variables},
            **command,
        )

    def _await_service(self, service: Service) -> None:
        if not service.ready.strip():
            return
        container = self._services[service.name]
        script = Script(until(service.ready), READY_SECONDS, user=ROOT_USER, env=self.variables)
        try:
            result = execute(self._engine, container, script)
        except SandboxLost as error:
            raise ServiceLost(f"service {service.name} died: {self._engine.logs(container) or error}") from error
        if not result.ok:
            said = self._engine.logs(container) or result.tail
            raise ServiceLost(f"service {service.name} was not ready within {READY_SECONDS} s: {said[-500:]}")


def open_sandbox(scope: RunScope, order: Order) -> DockerSandbox:
    """A sandbox that is ready for the agent, or nothing: whatever fails on the way is removed before it is raised."""
    sandbox = DockerSandbox(scope, order)
    try:
        sandbox.open()
    except BaseException:
        sandbox.close()
        raise
    return sandbox


def _argv(command: tuple[str, ...] | str) -> list[str]:
    return ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
