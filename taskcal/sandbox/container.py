"""One rollout's sandbox on the engine: opened with its services up, run in, and removed without waiting."""

from __future__ import annotations

import contextlib
import shlex
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from taskcal.core.network import NetworkAccess, network_access_of
from taskcal.core.shell.sandbox_paths import parent_folders, plain_path
from taskcal.core.shell.search_paths import ROOTS_HOME, CheckVariables, sift_variables
from taskcal.core.text.excerpt import excerpt
from taskcal.errors import LostError, SandboxLost, SetupLost
from taskcal.sandbox import ANSWER_FILE, ROOT_USER, TASKCAL_FOLDER, Condition, Script, ScriptEnding, ScriptResult
from taskcal.sandbox.archive import folder
from taskcal.sandbox.artifacts.collect import ArtifactSource
from taskcal.sandbox.artifacts.fresh_container import fill_fresh_container
from taskcal.sandbox.check_variables import check_variables
from taskcal.sandbox.condition import condition_of
from taskcal.sandbox.delivery import Destination, copy_as_user, deliver, user_ids
from taskcal.sandbox.egress.allowed_hosts import SandboxEgress
from taskcal.sandbox.egress.connect_host import addresses
from taskcal.sandbox.engine.labels import KEPT_PREFIX
from taskcal.sandbox.engine.run_resources import DROPPED, FIRST_PROCESS, RunScope, host_config
from taskcal.sandbox.execute import conclude, execute, script_command, script_to_retry
from taskcal.sandbox.images.baking import named_params, param_variables, start_idle
from taskcal.sandbox.scripts import READY_SECONDS, finish_script, make_folder, ready_script, start_script
from taskcal.sandbox.services import (
    ServiceOptions,
    await_service,
    create_service,
    ended_services,
    last_lines,
    require_for_checks,
    require_running,
    start_service,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from taskcal.core.task import Artifact, FileCopy
    from taskcal.sandbox import Sink
    from taskcal.sandbox.engine.docker_types import ExecResult
    from taskcal.sandbox.engine.stream import AttachedExec
    from taskcal.sandbox.sandbox_spec import SandboxSpec

ROOM_OPTIONS = "rw,exec,nosuid,nodev,mode=1777,size=16m"
SPARE_PIDS = 128
NAME_FILES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
"""Containers of one network namespace share these files, so that an agent that is root could change all of them."""


class DockerSandbox:
    """A running container with its services; obeys `taskcal.sandbox.Sandbox`."""

    def __init__(self, scope: RunScope, spec: SandboxSpec) -> None:
        """Nothing is made yet; use `open_sandbox`."""
        self._scope = scope
        self._engine = scope.engine
        self._spec = spec
        self._container = ""
        self._fresh = ""
        self._agents = ""
        self._names: dict[str, bytes] = {}
        self._services: dict[str, str] = {}
        self._made: list[str] = []
        self._variables: dict[str, CheckVariables] = {}
        self._kept = False
        self.egress = SandboxEgress(scope.engine, spec.images.gateway, scope.labels(spec.rollout))

    @property
    def container(self) -> str:
        """The container's id."""
        return self._container

    @property
    def workdir(self) -> str:
        """The folder in which scripts start. Raises SandboxLost."""
        state = self._engine.state(self._container)
        if state is None:
            raise SandboxLost("the container is gone")
        return state.workdir

    def file_above(self, path: str) -> str | None:
        """The first part of a path that is neither a folder nor a link, or None."""
        for above in parent_folders(plain_path(path)):
            found = self._engine.files.path_stat(self._container, above)
            if found is not None and not found.is_folder and not found.leads_to:
                return above
        return None

    @property
    def variables(self) -> dict[str, str]:
        """What the task's own scripts see beside the environment's variables; never given to the agent's process."""
        return {**param_variables(self._spec.params), "TASKCAL_ROLLOUT": self._spec.unique}

    def open(self) -> None:
        """Create and start the container, then its services, each waited for; then `start` and `ready`."""
        namespace = self._open_namespace()
        options = ServiceOptions(namespace, self._scope.labels(self._spec.rollout), self.variables)
        services = self._spec.environment.services
        for service in services:
            image = self._spec.images.services[service.name]
            self._services[service.name] = create_service(self._engine, image, service, options)
            self._made.append(self._services[service.name])
        for service in services:
            start_service(self._engine, self._services[service.name], service)
        for service in services:
            await_service(self._engine, self._services[service.name], service, self.variables)
        self.start()
        self.require_services()

    def _open_namespace(self) -> str:
        """Open the agent's container and say where its services belong.

        The container that holds the network namespace must live as long as the services. Where the agent's own will
        be killed before the grading, that is the fresh one, opened at once.
        """
        access = self._spec.network
        if not (self._spec.fresh and self._spec.environment.services):
            self._container = self._create(access, self._spec.images.sandbox)
            return f"container:{self._container}"
        self._fresh = self._create(access, self._spec.images.fresh)
        self._names = {path: self._engine.files.read_small(self._fresh, path) for path in NAME_FILES}
        self._container = self._create(access, self._spec.images.sandbox, beside=self._fresh)
        return f"container:{self._fresh}"

    def start(self) -> None:
        """Run the environment's `start`, then wait until `ready` succeeds. Raises SetupLost.

        As with setup, each sees those params that its text names: an agent that is root can read what processes see.
        Their texts are in no command line, which every agent can read.
        """
        environment = self._spec.environment
        if environment.start.strip():
            seconds, result = self._run_phase(environment.start, start_script(environment.start))
            if not result.ok:
                raise SetupLost(self._why_start_failed(result, seconds))
        if environment.ready.strip():
            seconds, result = self._run_phase(environment.ready, ready_script(environment.ready))
            if not result.ok:
                said = excerpt((result.stdout + result.stderr).decode(errors="replace")) or "it printed nothing"
                raise SetupLost(f"ready did not succeed within {seconds:.0f} s: {said}{self._services_say()}")

    def _run_phase(self, text: str, source: str) -> tuple[float, ScriptResult]:
        """Run `start` or `ready`, with the params that its text names; return the seconds that it took as well."""
        env = {**named_params(text, self._spec.params), "TASKCAL_ROLLOUT": self._spec.unique}
        begun = time.monotonic()
        result = self.run(Script(source, READY_SECONDS, user=ROOT_USER, env=env, hidden=True))
        return time.monotonic() - begun, result

    def _why_start_failed(self, result: ScriptResult, seconds: float) -> str:
        if result.ending is not ScriptEnding.TIMED_OUT:
            said = excerpt(result.stderr.decode(errors="replace")) or "it printed nothing"
            return f"start failed after {seconds:.1f} s ({result.how}): {said}{self._services_say()}"
        log = shlex.quote(result.stdout.decode(errors="replace").partition("\n")[0])
        printed = self.run(Script(f"tail -n 20 -- {log}", 20.0, user=ROOT_USER)).tail or "it printed nothing"
        hint = "a program that is to stay belongs in the background, with &"
        return f"start did not end within {seconds:.0f} s ({hint}): {printed}{self._services_say()}"

    def _services_say(self) -> str:
        services = self._spec.environment.services
        return "".join(last_lines(self._engine, self._services[one.name], one) for one in services)

    def require_services(self) -> None:
        """Raise ServiceLost if a service has ended with an error."""
        require_running(self._engine, self._services, self._spec.environment.services)

    def require_service(self, name: str) -> None:
        """Raise ServiceLost if a service that checks run in has ended."""
        require_for_checks(self._engine, self._services[name], name)

    def ended_services(self) -> tuple[str, ...]:
        """A sentence for each service that has ended with an error."""
        return ended_services(self._engine, self._services, self._spec.environment.services)

    def run(
        self, script: Script, *, sink: Sink | None = None, errors: Sink | None = None, limit: int = 65536
    ) -> ScriptResult:
        """Run a script in the sandbox, or in the service that it names.

        Where the agent has taken every pid or removed the workdir, even the engine cannot start a process: a script of
        root gets room then. A script that has started never runs again, whatever it printed and however it ended.
        """
        container = self._services[script.service] if script.service else self._container
        if script.user is None and not script.service:
            script = replace(script, user=self._spec.images.user or ROOT_USER)
        script = replace(script, own=self._own_variables(script))
        prepared = partial(script_command, sink=sink, errors=errors, limit=limit)
        try:
            done = self._engine.exec(container, *prepared(script))
            again = script_to_retry(script, done)
        except SandboxLost:
            if script.user != ROOT_USER or not self._engine.is_running(container):
                raise
            again = script
        if again is not None:
            if again.user == ROOT_USER:
                self._make_room(container, again)
            done = self._engine.exec(container, *prepared(again))
        return self._conclude(container, done, script.own)

    def _conclude(self, container: str, done: ExecResult, env: Mapping[str, str | None]) -> ScriptResult:
        """How a script ended. The look that this takes needs a process too, for which there may be no room."""
        try:
            return conclude(self._engine, container, done, env)
        except SandboxLost:
            if not self._engine.is_running(container):
                raise
        self._allow_pids(container)
        return conclude(self._engine, container, done, env)

    def check_variables(self, service: str = "") -> CheckVariables:
        """The image's and the environment's variables as checks get them, see `taskcal.sandbox.check_variables`."""
        container = self._services[service] if service else self._container
        if container not in self._variables:
            state = self._engine.state(container)
            if state is None:
                return sift_variables({}, None)
            self._variables[container] = self._sifted(state.variables, service)
        return self._variables[container]

    def _sifted(self, variables: Mapping[str, str], service: str) -> CheckVariables:
        if service:
            return sift_variables(variables, None)
        spec, image_files = self._spec, self._scope.image_files
        is_fresh = spec.artifacts is not None
        image = spec.images.fresh if is_fresh else spec.images.sandbox
        user = spec.environment.user or spec.images.user
        return check_variables(image_files, image, variables, spec.artifacts, user)

    def _own_variables(self, script: Script) -> dict[str, str | None]:
        """The environment of a clean script: a PATH that leads to nothing of the agent's, and no other variable."""
        found = self.check_variables(script.service)
        names = dict.fromkeys((*found.kept, *(one.variable for one in found.gone)))
        return {**names, "PATH": found.own_path, "HOME": ROOTS_HOME if script.user == ROOT_USER else None}

    def service_ended(self, name: str) -> str | None:
        """The last words of a service that has ended by itself; None for one that runs or was removed."""
        container = self._services[name]
        return self._engine.logs(container) if self._engine.is_running(container) is False else None

    def terminal(self, env: Mapping[str, str]) -> AbstractContextManager[AttachedExec]:
        """A shell on a terminal, as the agent's user."""
        user = self._spec.environment.user or self._spec.images.user
        return self._engine.line(self._container, ("/bin/sh",), user, env)

    def copy_in(self, files: Sequence[FileCopy], user: str | None) -> None:
        """Copy files of the taskset into the sandbox as a user's own, modes kept."""
        if files:
            copy_as_user(self._engine, self._container, files, user_ids(self.run, user))

    def deliver(self, files: Sequence[FileCopy], stop: str) -> str | None:
        """Bring the grader's files, see `taskcal.sandbox.delivery`."""
        return deliver(self._destination(self._container), files, self.run, stop)

    def show(self, files: Sequence[FileCopy], *, readable: bool) -> None:
        """Let every user read these files of the grader, or root alone again."""
        if files:
            artifacts = [plain_path(one.path) for one in self._spec.artifacts or ()]
            source = self._destination(self._container).shown(files, artifacts, readable=readable)
            self.run(Script(source, READY_SECONDS, user=ROOT_USER, hidden=True, workdir="/", clean=True))

    def finish(self) -> None:
        """Run the environment's `finish`; it hands back what is outside, so how it goes changes no outcome."""
        if self._spec.environment.finish.strip():
            with contextlib.suppress(LostError):
                env = {**self.check_variables().kept, **self.variables}
                self.run(replace(finish_script(self._spec.environment.finish, env), clean=True))

    def move_to_fresh_container(self, artifacts: Sequence[Artifact], files: Sequence[FileCopy]) -> tuple[str, ...]:
        """End every process of the agent and go on in a fresh container; see `taskcal.sandbox.Sandbox`."""
        agent = self._agents = self._agents or self._container
        self._engine.kill(agent)
        if not self._fresh:
            self._fresh = self._create(network_access_of(self._spec.environment.network), self._spec.images.fresh)
        self._container = self._fresh
        return fill_fresh_container(
            self._destination(self._fresh), self._sources(agent, artifacts), files, self.run, self._names
        )

    def condition(self, service: str = "") -> Condition:
        """Whether the sandbox, or a service, still lives, and if not, whose doing that is; doubts favour the agent."""
        return condition_of(self._engine, self._services[service] if service else self._container)

    @contextlib.contextmanager
    def twin(self) -> Iterator[DockerSandbox]:
        """Another sandbox of the same environment, services and `start` included, in which no agent has acted."""
        access = network_access_of(self._spec.environment.network)
        sandbox = open_sandbox(self._scope, replace(self._spec, network=access, unique=f"{self._spec.unique}-twin"))
        try:
            yield sandbox
        finally:
            sandbox.finish()
            sandbox.close()

    def keep(self) -> str:
        """Leave the containers for a person, under names that cleaning spares; gives that of the one that was graded.

        With a fresh grading the agent's own is left too, which has ended.
        """
        name = f"{KEPT_PREFIX}{self._spec.unique}"
        names = {container: f"{name}-{service}" for service, container in self._services.items()}
        for container in self._made:
            self._engine.rename(
                container, name if container == self._container else names.get(container, f"{name}-agent")
            )
        self._kept = True
        return name

    def close(self) -> None:
        """Remove services and container at once; an engine that does not answer is left to the sweep by label."""
        self.egress.close()
        if self._kept:
            return
        for container in reversed(self._made):
            with contextlib.suppress(LostError):
                self._engine.remove(container)

    def _destination(self, container: str) -> Destination:
        state = self._engine.state(container)
        images = self._spec.images
        image = images.fresh if container == self._fresh else images.sandbox
        return Destination(self._engine, self._scope.image_files, image, container, state.workdir if state else "/")

    def _sources(self, agent: str, artifacts: Sequence[Artifact]) -> tuple[ArtifactSource, ...]:
        """The answer and the artifacts, and nothing else of the agent."""
        return (
            ArtifactSource(agent, ANSWER_FILE, silent=True),
            *(
                ArtifactSource(self._services[one.service], one.path, one.exclude, foreign=True)
                if one.service
                else ArtifactSource(agent, one.path, one.exclude)
                for one in artifacts
            ),
        )

    def _make_room(self, container: str, script: Script) -> None:
        """Give what the engine may lack to start a process: pids, and the folder that it is to start in."""
        self._allow_pids(container)
        state = self._engine.state(container)
        if state is not None and not script.service and script.workdir is None:
            with contextlib.suppress(SandboxLost):
                made = replace(script, source=make_folder(state.workdir), timeout=20.0, workdir="/", clean=True)
                execute(self._engine, container, made)

    def _allow_pids(self, container: str) -> None:
        self._engine.allow_pids(container, self._spec.environment.limits.pids + SPARE_PIDS)

    def _create(self, access: NetworkAccess, image: str, beside: str = "") -> str:
        """Create and start a container with a network of its own, or in that of the one `beside` it."""
        environment = self._spec.environment
        mode = f"container:{beside}" if beside else self._scope.network_mode(access.mode)
        host: dict[str, Any] = {**host_config(environment.limits, mode), "cap_drop": DROPPED}
        if not beside:
            named = {service.name: "127.0.0.1" for service in environment.services}
            host["extra_hosts"] = addresses(access.ways) | named
        if not self._spec.fresh:
            host["tmpfs"] = {TASKCAL_FOLDER: ROOM_OPTIONS}
        container = self._engine.create(
            image,
            host,
            entrypoint=list(FIRST_PROCESS),
            command=[],
            user=ROOT_USER,  # a first process of the image's USER could be patched by an agent that is the same user
            labels=self._scope.labels(self._spec.rollout),
            environment=dict(environment.env),
            working_dir=environment.workdir,
        )
        self._made.append(container)
        if self._spec.fresh:
            self._engine.files.put_archive(container, folder(TASKCAL_FOLDER, 0o1777))
        start_idle(self._engine, container)
        if not beside:
            self.egress.open(container, access)
        return container


def open_sandbox(scope: RunScope, spec: SandboxSpec) -> DockerSandbox:
    """A sandbox that is ready for the agent, or nothing: whatever fails on the way is removed before it is raised."""
    sandbox = DockerSandbox(scope, spec)
    try:
        sandbox.open()
    except BaseException:
        sandbox.close()
        raise
    return sandbox
