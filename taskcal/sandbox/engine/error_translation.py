"""Errors of the docker SDK, of its HTTP library and of the socket below, as errors of taskcal's.

What callers see is `EngineLost` (the engine did not answer, or is in trouble itself), `SandboxLost` (the container is
not there any more), `ImageLost`, or for a request that the engine refuses whatever state it is in, the error that the
caller names: a task that asks for 8 of 2 CPUs must not look like a broken engine.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import docker
import docker.credentials.errors
import docker.errors
import requests.exceptions
import urllib3.exceptions

from taskcal.errors import EngineLost, LostError, SandboxLost, SetupLost

if TYPE_CHECKING:
    from collections.abc import Iterator

FOREIGN_ERRORS = (
    docker.errors.DockerException,
    docker.errors.StreamParseError,
    docker.credentials.errors.StoreError,
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
)
"""Everything that the SDK is known to raise; a test holds this against the SDK's own list."""


REFUSED_ANYWAY = (
    *("is not a directory", "not a directory", "no such file or directory", "executable file not found"),
    *("permission denied", "exec format error", "unable to find user", "unable to find group", "uids and gids must be"),
    *("cannot locate specified dockerfile", "is a directory"),
)
"""Words of a 500 that are about the image or the request; an engine's status for them depends on its version."""


@contextlib.contextmanager
def translate_errors(
    what: str, missing: type[LostError] = SandboxLost, refused: type[LostError] = EngineLost
) -> Iterator[None]:
    """Turn any foreign error into ours: `missing` if a thing is gone, `refused` if the request can never work."""
    try:
        yield
    except docker.errors.APIError as error:
        raise _kind_of(error, missing, refused)(f"{what}: {explanation(error)}") from error
    except FOREIGN_ERRORS as error:
        raise EngineLost(f"{what}: {error}") from error


@contextlib.contextmanager
def translate_container_errors(what: str) -> Iterator[None]:
    """Turn any foreign error of work in a container into ours: SandboxLost for whatever an engine answers.

    What lies in a container is the agent's, and an engine fails in ever new words at odd paths, users and processes: an
    engine that answers is not lost. Whose doing it was is decided elsewhere (`taskcal.execution.fault_attribution`).
    """
    try:
        yield
    except docker.errors.APIError as error:
        raise SandboxLost(f"{what}: {explanation(error)}") from error
    except FOREIGN_ERRORS as error:
        raise EngineLost(f"{what}: {error}") from error


REFUSED_KEYS = (("CPU", "cpus"), ("memory", "memory"), ("not a directory", "workdir"), ("Cannot mkdir", "workdir"))
"""Words of an engine that refuses a container, and the key of an environment or service that asked for it."""


@contextlib.contextmanager
def translate_refusal() -> Iterator[None]:
    """Raise SetupLost, with the key to correct, if the engine refuses what a container asks for."""
    try:
        yield
    except docker.errors.APIError as error:
        if is_gone(error) or not is_refused_request(error):
            raise
        words = explanation(error)
        key = next((key for word, key in REFUSED_KEYS if word in words), None)
        advice = f"; correct `{key}`" if key else ""
        raise SetupLost(f"the engine refuses the container: {words}{advice}") from error


def _kind_of(error: docker.errors.APIError, missing: type[LostError], refused: type[LostError]) -> type[LostError]:
    if is_gone(error):
        return missing
    return refused if is_refused_request(error) else EngineLost


def is_refused_request(error: docker.errors.APIError) -> bool:
    """Whether the engine works and refuses this request for good: a limit, a name, a program that is not there."""
    if error.status_code in {400, 403, 405, 406, 413, 422}:
        return True
    return any(word in explanation(error).lower() for word in REFUSED_ANYWAY)


def is_gone(error: docker.errors.APIError) -> bool:
    """Whether the engine says that the thing asked for is not there any more; its status codes for that vary."""
    words = ("is not running", "removal in progress", "marked for removal", "no such container", "no such exec")
    return isinstance(error, docker.errors.NotFound) or any(word in explanation(error).lower() for word in words)


def explanation(error: docker.errors.APIError) -> str:
    """An engine's reason, on one line."""
    return without_layers(" ".join(str(error.explanation or error).split()))


RUNTIME_LAYERS = re.compile(
    r"(failed to create (shim )?task( for container)?|OCI runtime create failed|runc create failed"
    r"|unable to start container process|container_linux\.go:\d+|starting container process caused): "
)


def without_layers(words: str) -> str:
    """An engine's reason without the names of the runtime's layers that passed it on."""
    return RUNTIME_LAYERS.sub("", words).removesuffix(": unknown")
