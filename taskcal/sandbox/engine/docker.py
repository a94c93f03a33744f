"""The container engine: a thin typed layer over the docker SDK, which nothing else imports but its neighbours.

Every error of the SDK is translated in `taskcal.sandbox.engine.error_translation`.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import docker
import docker.errors
import docker.utils

from taskcal.errors import EngineLost, ImageLost, LostError, MissingError, SandboxLost, SetupLost
from taskcal.machine.engine_endpoint import find_endpoint
from taskcal.sandbox.engine.building import ImageBuilder
from taskcal.sandbox.engine.connection import (
    ANSWER_SECONDS,
    CALL_SECONDS,
    EngineClient,
    client_settings,
    explain_no_connection,
    fetch_engine_facts,
    send_with_credentials,
)
from taskcal.sandbox.engine.container_files import ContainerFiles
from taskcal.sandbox.engine.docker_types import (
    ContainerState,
    ExecResult,
    ImageInfo,
    LabelledResource,
    StoredImage,
    follow_progress,
    label_changes,
    unshared_bytes,
)
from taskcal.sandbox.engine.error_translation import (
    FOREIGN_ERRORS,
    explanation,
    translate_container_errors,
    translate_errors,
    translate_refusal,
)
from taskcal.sandbox.engine.stream import AttachedExec, pump

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from taskcal.machine.engine_endpoint import EngineEndpoint
    from taskcal.sandbox.engine.stream import ExecCall

NO_HEALTHCHECK = {"test": ["NONE"]}
LIST_SECONDS = 20.0


class DockerEngine:
    """One connection to an engine, safe to share between threads."""

    def __init__(self, client: docker.APIClient, endpoint: EngineEndpoint, facts: Mapping[str, Any]) -> None:
        """Wrap a client of an engine that has answered; use `connect`."""
        self._client = EngineClient(client, endpoint)
        self._api = self._client.api
        self.files = ContainerFiles(self._client)
        self.builder = ImageBuilder(self._client)
        self._data_root = str(facts.get("DockerRootDir") or "")
        self.version = str(facts.get("Version", "unknown"))
        self.api_version = str(facts.get("ApiVersion", "unknown"))
        self.architecture = str(facts.get("Arch", "unknown"))
        self.endpoint = endpoint.url
        self.warning = endpoint.warning
        """What of Docker's settings could not be read, or ''."""
        named = str((facts.get("Components") or [{}])[0].get("Name", "Engine"))
        self.product = "Docker" if named == "Engine" else named.split(maxsplit=1)[0]

    @classmethod
    def connect(cls, *, connections: int = 16) -> Self:
        """Reach the engine that DOCKER_HOST, a Docker context or the default socket names.

        Raises MissingError if none answers, or if it does not answer every question of `fetch_engine_facts` in time.
        """
        endpoint = find_endpoint(os.environ)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"docker\.credentials")
        try:
            facts = fetch_engine_facts(endpoint)
            options = {"version": facts["ApiVersion"], "timeout": CALL_SECONDS, "max_pool_size": connections}
            return cls(docker.APIClient(**options, **client_settings(endpoint)), endpoint, facts)
        except (*FOREIGN_ERRORS, ValueError) as error:  # the SDK passes on what Python raises for a port of 99999
            raise MissingError(explain_no_connection(endpoint, error)) from error

    @property
    def data_root(self) -> str | None:
        """The engine's storage folder on its host, if it reports one."""
        return self._data_root or None

    def answers(self) -> bool:
        """Whether the engine is there now."""
        try:
            with translate_errors("asking the engine"), self._client.with_timeout(ANSWER_SECONDS) as client:
                return bool(client.ping())
        except LostError:
            return False

    def close(self) -> None:
        """Give the sockets back."""
        self._api.close()

    def image(self, name: str) -> ImageInfo | None:
        """The image of that name or id, or None where the engine has none."""
        try:
            with translate_errors(f"inspecting image {name}", ImageLost, ImageLost):
                return ImageInfo.of(self._api.inspect_image(name))
        except ImageLost:
            return None

    def pull(self, name: str, timeout: int) -> None:
        """Pull an image, at most `timeout` seconds of silence long. Raises ImageLost."""
        repository, tag = docker.utils.parse_repository_tag(name)
        options = {"tag": tag or "latest", "stream": True, "decode": True}
        try:
            with (
                translate_errors(f"pulling {name}", ImageLost, ImageLost),
                self._client.with_timeout(timeout) as client,
            ):
                events = send_with_credentials(client, lambda: client.pull(repository, **options))
                follow_progress(events, lambda _: None)
        except EngineLost as error:
            raise ImageLost(str(error)) from error

    def import_image(self, tar: BinaryIO, tag: str, *, labels: Mapping[str, str], command: Sequence[str]) -> None:
        """Make a one-layer image of a root file system. Raises EngineLost."""
        changes = [f"CMD {json.dumps(list(command))}", *label_changes(labels)]
        repository, name = docker.utils.parse_repository_tag(tag)
        with translate_errors(f"importing {tag}", ImageLost):
            answer = self._api.import_image_from_data(tar, repository=repository, tag=name, changes=changes)
            follow_progress((json.loads(line) for line in str(answer).splitlines() if line), lambda _: None)

    def commit(self, container: str, tag: str, info: ImageInfo, labels: Mapping[str, str]) -> str:
        """Freeze a container as an image with the entrypoint and command of `info`, and give its id."""
        changes = [
            f"ENTRYPOINT {json.dumps(list(info.entrypoint))}",
            f"CMD {json.dumps(list(info.command))}",
            *label_changes(labels),
        ]
        repository, name = docker.utils.parse_repository_tag(tag)
        with translate_errors(f"committing {tag}"):
            return str(self._api.commit(container, repository=repository, tag=name, changes=changes)["Id"])

    def name_image(self, image: str, name: str) -> None:
        """Give an image a name, which may be one that it has: the engine remembers when that was."""
        repository, tag = docker.utils.parse_repository_tag(name)
        with translate_errors(f"naming image {name}", ImageLost):
            self._api.tag(image, repository, tag)

    def images_labelled(self, label: str) -> tuple[StoredImage, ...]:
        """Every image that carries a label."""
        with translate_errors("listing images"):
            listed = {row["Id"]: row for row in self._api.images(all=True)}
            ids = {row["Id"] for row in self._api.images(filters={"label": label})} & set(listed)
        found = [info for info in map(self.image, ids) if info is not None]
        return tuple(StoredImage(info.id, unshared_bytes(info.id, listed), info.used) for info in found)

    def remove_image(self, name: str) -> bool:
        """Remove an image and say whether it is gone now; one in use, also by another image, is left as it is."""
        with contextlib.suppress(LostError), translate_errors(f"removing image {name}", ImageLost):
            self._api.remove_image(name)
        return self.image(name) is None

    def create(self, image: str, host_config: Mapping[str, Any], **config: Any) -> str:
        """Create a container and return its id. No HEALTHCHECK of its image runs in it: that would be root's.

        Raises ImageLost if the image is gone, SetupLost if the engine refuses what the container asks for (limits,
        workdir), EngineLost otherwise.
        """
        with translate_errors(f"creating a container of {image}", ImageLost), translate_refusal():
            host = self._api.create_host_config(**host_config)
            made = self._api.create_container(image, host_config=host, healthcheck=NO_HEALTHCHECK, **config)
            return str(made["Id"])

    def start(self, container: str) -> None:
        """Start a created container. Raises SetupLost if its command cannot run."""
        with translate_errors("starting a container", refused=SetupLost):
            self._api.start(container)

    def state(self, container: str, seconds: float | None = None) -> ContainerState | None:
        """How the container is; None for one that is gone. Raises EngineLost, soon after `seconds` if given."""
        try:
            with translate_errors("inspecting a container"), self._patient(seconds) as client:
                return ContainerState.of(client.inspect_container(container))
        except SandboxLost:
            return None

    def lists(self, container: str) -> bool:
        """Whether the engine lists a container as running, for which it need not get at it. Raises EngineLost."""
        with translate_errors("listing containers"), self._patient(LIST_SECONDS) as client:
            return bool(client.containers(filters={"id": container}))

    def _patient(self, seconds: float | None) -> AbstractContextManager[Any]:
        """The client, or one of its own for a call that may take so many seconds without a byte."""
        return contextlib.nullcontext(self._api) if seconds is None else self._client.with_timeout(seconds)

    def is_running(self, container: str) -> bool | None:
        """Whether the engine believes that the container runs; None for one that is gone."""
        state = self.state(container)
        return None if state is None else state.running

    def logs(self, container: str, lines: int = 20) -> str:
        """The last lines of what a container's first process printed, a mark before them if there may be more.

        Empty where there is nothing to read.
        """
        try:
            with translate_errors("reading a container's log"):
                said: str = self._api.logs(container, tail=lines).decode(errors="replace")
        except LostError:
            return ""
        return f"…{said.strip()}" if said.count("\n") >= lines and said.strip() else said.strip()

    def ended_unaided(self, container: str, state: ContainerState) -> bool:
        """Whether the engine remembers how a container ended, and that nobody had asked it to kill anything there."""
        window = {"since": int(state.started), "until": math.ceil(state.finished) + 1}
        with translate_errors("asking what happened to a container"):
            events = self._api.events(**window, filters={"container": container, "event": ["kill", "die"]}, decode=True)
            seen = [(str(event.get("Action")), _exit_code_of(event)) for event in events]
        # Where the engine's helper of a container was killed, the event and the state tell of different statuses.
        return seen == [("die", str(state.exit_code))]

    def kill(self, container: str) -> None:
        """End every process of a container and keep its files; one that has ended already is a success."""
        with contextlib.suppress(SandboxLost), translate_errors("stopping a container"):
            self._api.kill(container)

    def remove(self, container: str) -> None:
        """Remove a container at once with its volumes; one that is already gone or going is a success."""
        with translate_errors("removing a container"):
            try:
                self._api.remove_container(container, force=True, v=True)
            except docker.errors.APIError as error:
                if error.status_code not in {404, 409}:
                    raise

    def containers_labelled(self, label: str) -> tuple[LabelledResource, ...]:
        """Every container, running or not, that carries a label (`name` or `name=value`)."""
        with translate_errors("listing containers"):
            return tuple(map(LabelledResource.of, self._api.containers(all=True, filters={"label": label})))

    def allow_pids(self, container: str, count: int) -> None:
        """Change how many processes a running container may have; the SDK's `update_container` cannot say this."""
        with translate_container_errors("raising a pids limit"):
            url = self._api._url("/containers/{0}/update", container)  # noqa: SLF001 - see above
            self._api._raise_for_status(self._api._post_json(url, data={"PidsLimit": count}))  # noqa: SLF001

    def rename(self, container: str, name: str) -> None:
        """Give a container another name."""
        with translate_errors("renaming a container"):
            self._api.rename(container, name)

    def create_network(self, name: str, labels: Mapping[str, str]) -> str:
        """A bridge of its own on which containers cannot reach each other; gives its id."""
        options = {"com.docker.network.bridge.enable_icc": "false"}
        with translate_errors(f"creating network {name}", EngineLost):
            return str(self._api.create_network(name, driver="bridge", options=options, labels=dict(labels))["Id"])

    def networks_labelled(self, label: str) -> tuple[LabelledResource, ...]:
        """Every network that carries a label."""
        with translate_errors("listing networks"):
            return tuple(map(LabelledResource.of, self._api.networks(filters={"label": label})))

    def remove_network(self, network: str) -> None:
        """Remove a network; one that is gone is a success, one that is in use stays for a later sweep."""
        with translate_errors("removing a network", EngineLost):
            try:
                self._api.remove_network(network)
            except docker.errors.APIError as error:
                if error.status_code != 404 and "active endpoints" not in explanation(error):
                    raise

    def exec(self, container: str, argv: Sequence[str], call: ExecCall) -> ExecResult:
        """Run a command in a running container until it ends or the deadline passes; the process itself is not killed.

        The exit status alone does not tell a dead container from a failing command (137, 126): ask `is_running` and try
        again before believing a non-zero one.
        """
        with translate_container_errors("running a command in a container"):
            name = self._api.exec_create(
                container,
                list(argv),
                stdin=call.stdin is not None,
                user=call.user or "",
                environment=dict(call.env),
                workdir=call.workdir,
            )["Id"]
            with self._attached(name, tty=False) as (sock, early):
                finished = pump(sock, early, call)
            facts = self._api.exec_inspect(name) if finished else {}
        return ExecResult(facts.get("ExitCode"), call.stdout.value(), call.stderr.value(), self._has_started(facts))

    def _has_started(self, facts: Mapping[str, Any]) -> bool:
        """Whether a command's process ever ran, by the process number that Docker keeps.

        The output is not evidence: a command can print the engine's own words for a failed start. Another engine may
        forget the number when the process ends, so there every command counts as started.
        """
        return self.product != "Docker" or facts.get("Pid") != 0

    @contextlib.contextmanager
    def line(
        self, container: str, argv: Sequence[str], user: str | None, env: Mapping[str, str], *, tty: bool = True
    ) -> Iterator[AttachedExec]:
        """Start a command with a line to it: raw bytes in; out of it raw ones of a terminal, else framed by stream."""
        with translate_container_errors("opening a line to a container"):
            options = {"tty": tty, "stdin": True, "user": user or "", "environment": dict(env)}
            name = self._api.exec_create(container, list(argv), **options)["Id"]
            with self._attached(name, tty=tty) as (sock, early):
                resize = partial(self._api.exec_resize, name)
                yield AttachedExec(sock, early, resize, lambda: self._api.exec_inspect(name)["ExitCode"])

    @contextlib.contextmanager
    def _attached(self, exec_id: str, *, tty: bool) -> Iterator[tuple[socket.socket, bytes]]:
        """Start an exec: its socket, and the bytes that came right behind the HTTP headers.

        The SDK's own `exec_start(socket=True)` drops those bytes, so this makes the same request and looks first.
        """
        headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
        url = self._api._url("/exec/{0}/start", exec_id)  # noqa: SLF001 - see above
        answer = self._api._post_json(url, headers=headers, data={"Tty": tty, "Detach": False}, stream=True)  # noqa: SLF001
        try:
            self._api._raise_for_status(answer)  # noqa: SLF001
            reader = answer.raw._fp.fp  # noqa: SLF001
            sock = reader.raw._sock  # noqa: SLF001
            sock.setblocking(False)
            yield sock, reader.peek()  # what is there, without waiting
        finally:
            answer.close()


def _exit_code_of(event: Mapping[str, Any]) -> str:
    return str(((event.get("Actor") or {}).get("Attributes") or {}).get("exitCode", ""))
