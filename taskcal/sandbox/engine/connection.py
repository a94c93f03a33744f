"""A connection to a container engine: the SDK's client and its settings, and the first questions to an engine."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

import docker
import docker.auth
import docker.constants
import docker.credentials.errors
import docker.errors
import docker.tls
import requests

from taskcal.errors import DockerSettingsError
from taskcal.machine.engine_endpoint import config_file
from taskcal.sandbox.engine.docker_types import innermost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskcal.machine.engine_endpoint import EngineEndpoint

Answer = TypeVar("Answer")

ANSWER_SECONDS = 8
"""In which an engine must answer four small questions at the start: one that hangs is reported within ten seconds."""

CALL_SECONDS = 120
"""Seconds without a byte after which any other call is given up; builds and pulls have limits of their own."""

HANGS = (
    "the container engine at {endpoint} did not answer within {seconds} s; restart it, or set DOCKER_HOST to another"
)
UNUSABLE = (
    "{file}: Docker's settings cannot be used ({error}); correct the file, or name another folder in DOCKER_CONFIG"
)
SDK_STUMBLES = (
    AttributeError,
    TypeError,
    RecursionError,
    docker.errors.InvalidConfigFile,
    requests.exceptions.InvalidHeader,
)
"""The SDK's errors for a config.json whose values are not of the type that it expects."""

NO_ENGINE = "no container engine answers at {endpoint}: {error}; run `taskcal doctor --fix`, or start Docker"


class NoCredentials(docker.auth.AuthConfig):
    """Credentials for no registry, which the SDK does not replace by reading the configuration again."""

    is_empty = False


class EngineClient:
    """The SDK's client of one engine, shared by threads, and clients with a limit of their own for long requests."""

    def __init__(self, api: docker.APIClient, endpoint: EngineEndpoint) -> None:
        """`api` is a client of an engine that has answered at `endpoint`."""
        self.api: Any = api  # the SDK's stubs miss what is used here
        self._endpoint = endpoint

    @contextlib.contextmanager
    def with_timeout(self, seconds: float) -> Iterator[Any]:
        """A client for one request that may take long; `seconds` are of silence."""
        settings = {"version": self.api.api_version, "timeout": seconds, **client_settings(self._endpoint)}
        with contextlib.closing(docker.APIClient(**settings)) as client:
            yield client


def send_with_credentials(client: Any, request: Callable[[], Answer]) -> Answer:
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


def client_settings(endpoint: EngineEndpoint) -> dict[str, Any]:
    """The SDK's arguments for an endpoint. Raises DockerException if a certificate is not there."""
    files = endpoint.certificates
    if files is None:
        return {"base_url": endpoint.url}
    pair = (files.cert, files.key) if files.cert and files.key else None
    return {"base_url": endpoint.url, "tls": docker.tls.TLSConfig(pair, files.ca, verify=files.verify)}


def fetch_engine_facts(endpoint: EngineEndpoint) -> dict[str, Any]:
    """What an engine reports of itself: its /version and /info in one.

    Raises any error of the SDK, DockerSettingsError for a config.json that it cannot use, and TimeoutError soon after
    `ANSWER_SECONDS`. A thread asks, because no limit of a
    socket ends a name server that is silent, or a server that sends a byte now and then.
    """
    answers: list[dict[str, Any] | BaseException] = []

    def ask() -> None:
        try:
            answers.append(_ask(endpoint))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            answers.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS + 1)
    answer = answers[0] if answers else TimeoutError("timed out")
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _ask(endpoint: EngineEndpoint) -> dict[str, Any]:
    """Ask the first questions, one after the other.

    An engine whose storage or networks are stuck answers /version and hangs on the rest, so the lists that every
    command begins with are asked for too. These clients are closed: a pooled connection would keep its short limit.
    """
    deadline = time.monotonic() + ANSWER_SECONDS
    try:
        with contextlib.closing(_client(endpoint, docker.constants.DEFAULT_DOCKER_API_VERSION)) as client:
            version = client.version(api_version=False)
    except SDK_STUMBLES as error:  # every client of the SDK reads that file, whatever DOCKER_HOST is
        reason = " ".join(str(error).split())
        raise DockerSettingsError(UNUSABLE.format(file=config_file(os.environ), error=reason)) from error
    try:
        facts = {**version, "ApiVersion": str(version["ApiVersion"])}
        client = _client(endpoint, facts["ApiVersion"])
    except (KeyError, TypeError, ValueError) as error:
        raise docker.errors.DockerException("it reports no API version, so it is not an engine") from error
    with contextlib.closing(client):
        for ask in (client.info, lambda: client.containers(all=True, limit=1), client.networks):
            client.timeout = max(0.1, deadline - time.monotonic())
            with contextlib.suppress(docker.errors.APIError):  # an engine that refuses a question does not hang
                found = ask()
                facts = found | facts if isinstance(found, dict) else facts
    return facts


def _client(endpoint: EngineEndpoint, version: str) -> Any:
    """A client that waits briefly; the SDK's own search for the version would leave its socket open when it fails."""
    return docker.APIClient(version=version, timeout=ANSWER_SECONDS, **client_settings(endpoint))


def explain_no_connection(endpoint: EngineEndpoint, error: BaseException) -> str:
    """Why an engine cannot be used, with its address and what to do."""
    reason = innermost(error)
    if reason.endswith("timed out"):  # a socket's own words, those of TLS, and those of an address without a machine
        return HANGS.format(endpoint=endpoint, seconds=ANSWER_SECONDS)
    warning = f" ({endpoint.warning})" if endpoint.warning else ""
    return NO_ENGINE.format(endpoint=f"{endpoint}{warning}", error=reason)
