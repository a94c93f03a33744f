"""The container engine: a thin typed layer over the docker SDK, which nothing else imports but its neighbours.

Every error of the SDK is translated in `taskcal.sandbox.engine.error_translation`.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import docker
import docker.auth
import docker.credentials.errors
import docker.errors
import docker.utils

from taskcal.errors import EngineLost, ImageLost, LostError, MissingError, SetupLost
from taskcal.machine.engine_endpoint import find_endpoint
from taskcal.sandbox.engine.building import Building
from taskcal.sandbox.engine.connection import ANSWER_SECONDS, CALL_SECONDS, introduce, settings_of, why_not
from taskcal.sandbox.engine.container_files import Contents
from taskcal.sandbox.engine.docker_types import (
    ExecResult,
    ImageInfo,
    Labelled,
    StoredImage,
    follow,
    label_changes,
    own_bytes,
)
from taskcal.sandbox.engine.error_translation import (
    FOREIGN_ERRORS,
    explanation,
    of_container,
    refused_container,
    translated,
)
from taskcal.sandbox.engine.stream import Line, pump

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from taskcal.machine.engine_endpoint import Endpoint
    from taskcal.sandbox.engine.building import Events
    from taskcal.sandbox.engine.stream import ExecCall

NO_HEALTHCHECK = {"test": ["NONE"]}


class NoCredentials(docker.auth.AuthConfig):
    """Credentials for no registry, which the SDK does not replace by reading the configuration again."""

    is_empty = False


class DockerEngine(Building, Contents):
    """One connection to an engine, safe to share between threads."""

    _translated = staticmethod(translated)
    _of_container = staticmethod(of_container)

    def __init__(self, client: docker.APIClient, endpoint: Endpoint, facts: Mapping[str, Any]) -> None:
        """Wrap a client of an engine that has answered; use `connect`."""
        self._client: Any = client  # the SDK's stubs miss what is used here
        self._endpoint = endpoint
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

        Raises MissingError if none answers, or if it does not answer every question of `introduce` in time.
        """
        endpoint = find_endpoint(os.environ)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"docker\.credentials")
        try:
            facts = introduce(endpoint)
            options = {"version": facts["ApiVersion"], "timeout": CALL_SECONDS, "max_pool_size": connections}
            return cls(docker.APIClient(**options, **settings_of(endpoint)), endpoint, facts)
        except (*FOREIGN_ERRORS, ValueError) as error:  # the SDK passes on what Python raises for a port of 99999
            raise MissingError(why_not(endpoint, error)) from error

    @property
    def data_root(self) -> str | None:
        """The engine's storage folder on its host, if it reports one."""
        return self._data_root or None

    def answers(self) -> bool:
        """Whether the engine is there now."""
        try:
            with translated("asking the engine"), self._own_client(ANSWER_SECONDS) as client:
                return bool(client.ping())
        except LostError:
            return False

    def close(self) -> None:
        """Give the sockets back."""
        self._client.close()

    def image(self, name: str) -> ImageInfo | None:
        """The image of that name or id, or None where the engine has none."""
        try:
            with translated(f"inspecting image {name}", ImageLost, ImageLost):
                return ImageInfo.of(self._client.inspect_image(name))
        except ImageLost:
            return None

    def pull(self, name: str, timeout: int) -> None:
        """Pull an image, at most `timeout` seconds of silence long. Raises ImageLost."""
        repository, tag = docker.utils.parse_repository_tag(name)
        options = {"tag": tag or "latest", "stream": True, "decode": True}
        try:
            with translated(f"pulling {name}", ImageLost, ImageLost), self._own_client(timeout) as client:
                events = self._request(client, lambda: client.pull(repository, **options))
                follow(events, lambda _: None)
        except EngineLost as error:
            raise ImageLost(str(error)) from error

    @staticmethod
    def _request(client: Any, request: Callable[[], Events]) -> Events:
        """Make a request that may send registry credentials, without them if the helper that keeps them fails.

        An image that is here, or a build on one, needs no credentials; a registry that needs some refuses the request.
        """
        try:
            return request()
        except (docker.credentials.errors.StoreError, docker.errors.DockerException) as error:
            if type(error) not in {docker.credentials.errors.StoreError, docker.errors.DockerException}:
                raise
            client._auth_configs = NoCredentials({})  # noqa: SLF001 - the SDK asks its helper whatever it is given
            return request()

    @contextlib.contextmanager
    def _own_client(self, timeout: float) -> Iterator[Any]:
        """A client for one request that may take long; `timeout` is in seconds of silence."""
        settings = {"version": self._client.api_version, "timeout": timeout, **settings_of(self._endpoint)}
        with contextlib.closing(docker.APIClient(**settings)) as client:
            yield client

    def import_image(self, tar: BinaryIO, tag: str, *, labels: Mapping[str, str], command: Sequence[str]) -> None:
        """Make a one-layer image of a root file system. Raises EngineLost."""
        changes = [f"CMD {json.dumps(list(command))}", *label_changes(labels)]
        repository, name = docker.utils.parse_repository_tag(tag)
        with translated(f"importing {tag}", ImageLost):
            answer = self._client.import_image_from_data(tar, repository=repository, tag=name, changes=changes)
            follow((json.loads(line) for line in str(answer).splitlines() if line), lambda _: None)

    def commit(self, container: str, tag: str, info: ImageInfo, labels: Mapping[str, str]) -> str:
        """Freeze a container as an image with the entrypoint and command of `info`, and give its id."""
        changes = [
            f"ENTRYPOINT {json.dumps(list(info.entrypoint))}",
            f"CMD {json.dumps(list(info.command))}",
            *label_changes(labels),
        ]
        repository, name = docker.utils.parse_repository_tag(tag)
        with translated(f"committing {tag}"):
            return str(self._client.commit(container, repository=repository, tag=name, changes=changes)["Id"])

    def name_image(self, image: str, name: str) -> None:
        """Give an image a name, which may be one that it has: the engine remembers when that was."""
        repository, tag = docker.utils.parse_repository_tag(name)
        with translated(f"naming image {name}", ImageLost):
            self._client.tag(image, repository, tag)

    def images_labelled(self, label: str) -> tuple[StoredImage, ...]:
        """Every image that carries a label."""
        with translated("listing images"):
            listed = {row["Id"]: row for row in self._client.images(all=True)}
            ids = {row["Id"] for row in self._client.images(filters={"label": label})} & set(listed)
        found = [info for info in map(self.image, ids) if info is not None]
        return tuple(StoredImage(info.id, own_bytes(info.id, listed), info.used) for info in found)

    def remove_image(self, name: str) -> bool:
        """Remove an image and say whether it is gone now; one in use, also by another image, is left as it is."""
        with contextlib.suppress(LostError), translated(f"removing image {name}", ImageLost):
            self._client.remove_image(name)
        return self.image(name) is None

    def create(self, image: str, host_config: Mapping[str, Any], **config: Any) -> str:
        """Create a container and return its id. No HEALTHCHECK of its image runs in it: that would be root's.

        Raises ImageLost if the image is gone, SetupLost if the engine refuses what the container asks for (limits,
        workdir), EngineLost otherwise.
        """
        with translated(f"creating a container of {image}", ImageLost), refused_container():
            host = self._client.create_host_config(**host_config)
            made = self._client.create_container(image, host_config=host, healthcheck=NO_HEALTHCHECK, **config)
            return str(made["Id"])

    def start(self, container: str) -> None:
        """Start a created container. Raises SetupLost if its command cannot run."""
        with translated("starting a container", refused=SetupLost):
            self._client.start(container)

    def remove(self, container: str) -> None:
        """Remove a container at once with its volumes; one that is already gone or going is a success."""
        with translated("removing a container"):
            try:
                self._client.remove_container(container, force=True, v=True)
            except docker.errors.APIError as error:
                if error.status_code not in {404, 409}:
                    raise

    def containers_labelled(self, label: str) -> tuple[Labelled, ...]:
        """Every container, running or not, that carries a label (`name` or `name=value`)."""
        with translated("listing containers"):
            return tuple(map(Labelled.of, self._client.containers(all=True, filters={"label": label})))

    def allow_pids(self, container: str, count: int) -> None:
        """Change how many processes a running container may have; the SDK's `update_container` cannot say this."""
        with of_container("raising a pids limit"):
            url = self._client._url("/containers/{0}/update", container)  # noqa: SLF001 - see above
            self._client._raise_for_status(self._client._post_json(url, data={"PidsLimit": count}))  # noqa: SLF001

    def rename(self, container: str, name: str) -> None:
        """Give a container another name."""
        with translated("renaming a container"):
            self._client.rename(container, name)

    def create_network(self, name: str, labels: Mapping[str, str]) -> str:
        """A bridge of its own on which containers cannot reach each other; gives its id."""
        options = {"com.docker.network.bridge.enable_icc": "false"}
        with translated(f"creating network {name}", EngineLost):
            return str(self._client.create_network(name, driver="bridge", options=options, labels=dict(labels))["Id"])

    def networks_labelled(self, label: str) -> tuple[Labelled, ...]:
        """Every network that carries a label."""
        with translated("listing networks"):
            return tuple(map(Labelled.of, self._client.networks(filters={"label": label})))

    def remove_network(self, network: str) -> None:
        """Remove a network; one that is gone is a success, one that is in use stays for a later sweep."""
        with translated("removing a network", EngineLost):
            try:
                self._client.remove_network(network)
            except docker.errors.APIError as error:
                if error.status_code != 404 and "active endpoints" not in explanation(error):
                    raise

    def exec(self, container: str, argv: Sequence[str], call: ExecCall) -> ExecResult:
        """Run a command in a running container until it ends or the deadline passes; the process itself is not killed.

        The exit status alone does not tell a dead container from a failing command (137, 126): ask `is_running` and try
        again before believing a non-zero one.
        """
        with of_container("running a command in a container"):
            name = self._client.exec_create(
                container,
                list(argv),
                stdin=call.stdin is not None,
                user=call.user or "",
                environment=dict(call.env),
                workdir=call.workdir,
            )["Id"]
            with self._attached(name, tty=False) as (sock, early):
                finished = pump(sock, early, call)
            facts = self._client.exec_inspect(name) if finished else {}
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
    ) -> Iterator[Line]:
        """Start a command with a line to it: raw bytes in; out of it raw ones of a terminal, else framed by stream."""
        with of_container("opening a line to a container"):
            options = {"tty": tty, "stdin": True, "user": user or "", "environment": dict(env)}
            name = self._client.exec_create(container, list(argv), **options)["Id"]
            with self._attached(name, tty=tty) as (sock, early):
                resize = partial(self._client.exec_resize, name)
                yield Line(sock, early, resize, lambda: self._client.exec_inspect(name)["ExitCode"])

    @contextlib.contextmanager
    def _attached(self, exec_id: str, *, tty: bool) -> Iterator[tuple[socket.socket, bytes]]:
        """Start an exec: its socket, and the bytes that came right behind the HTTP headers.

        The SDK's own `exec_start(socket=True)` drops those bytes, so this makes the same request and looks first.
        """
        headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
        url = self._client._url("/exec/{0}/start", exec_id)  # noqa: SLF001 - see above
        answer = self._client._post_json(url, headers=headers, data={"Tty": tty, "Detach": False}, stream=True)  # noqa: SLF001
        try:
            self._client._raise_for_status(answer)  # noqa: SLF001
            reader = answer.raw._fp.fp  # noqa: SLF001
            sock = reader.raw._sock  # noqa: SLF001
            sock.setblocking(False)
            yield sock, reader.peek()  # what is there, without waiting
        finally:
            answer.close()
