"""Every error that the SDK, its HTTP library or the socket below can raise is one of ours when it arrives."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import docker.errors
import pytest
import requests
import requests.exceptions
import urllib3
import urllib3.exceptions

from taskcal.errors import EngineLost, ImageLost, LostError, SandboxLost
from taskcal.sandbox.engine.error_translation import translate_errors

if TYPE_CHECKING:
    from types import ModuleType

NOT_RUNNING = "Container 3f is not running"
SPECIAL: dict[str, tuple[Any, ...]] = {
    "ContainerError": (object(), 1, "sh", "image", b"words"),
    "BuildError": ("reason", []),
    "JSONDecodeError": ("words", "{", 1),
    "IncompleteRead": (1, 2),
    "InvalidChunkLength": (urllib3.HTTPResponse(), b"xyz"),
}
"""What a class needs to be made, where it is not one text."""


def errors_of(module: ModuleType) -> list[type[Exception]]:
    """Every exception class that a module defines, but for warnings, which are no errors."""
    classes = [found for _, found in inspect.getmembers(module, inspect.isclass) if found.__module__ == module.__name__]
    return [found for found in classes if issubclass(found, Exception) and not issubclass(found, Warning)]


def made(kind: type[Exception]) -> Exception:
    """An instance; most of urllib3's classes want pools and urls, which no translation looks at."""
    if kind.__module__.startswith("urllib3") and kind.__name__ not in SPECIAL:
        return kind.__new__(kind)
    return kind(*SPECIAL.get(kind.__name__, ("words",)))


def answer(status: int) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    return response


def refused(status: int, words: str) -> Exception:
    """What the SDK raises for an HTTP status of the engine."""
    kind = docker.errors.NotFound if status == 404 else docker.errors.APIError
    return kind("request failed", response=answer(status), explanation=words)


def translation(error: BaseException, missing: type[LostError] = SandboxLost) -> LostError:
    with pytest.raises(LostError) as caught, translate_errors("doing it", missing):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


FOREIGN = [
    *errors_of(docker.errors),
    *errors_of(requests.exceptions),
    *(kind for kind in errors_of(urllib3.exceptions) if issubclass(kind, urllib3.exceptions.HTTPError)),
]


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_foreign_error_is_translated(kind: type[Exception]) -> None:
    """The libraries' own lists, class by class: one that is not mapped fails here, also in a later version."""
    expected = SandboxLost if issubclass(kind, docker.errors.NotFound) else EngineLost
    assert type(translation(made(kind))) is expected


def test_the_lists_are_not_empty() -> None:
    """The enumeration found what is known to be there."""
    assert {docker.errors.APIError, docker.errors.StreamParseError, requests.exceptions.ReadTimeout} <= set(FOREIGN)
    assert {urllib3.exceptions.ProtocolError, urllib3.exceptions.ReadTimeoutError} <= set(FOREIGN)


@pytest.mark.parametrize("kind", [ConnectionRefusedError, ConnectionResetError, BrokenPipeError, TimeoutError, OSError])
def test_the_sockets_errors_are_the_engines(kind: type[OSError]) -> None:
    """A socket that breaks is an engine that did not answer."""
    assert str(translation(kind("gone"))) == "doing it: gone"


@pytest.mark.parametrize(
    ("status", "words", "missing", "expected"),
    [
        (404, "No such container: 3f", SandboxLost, SandboxLost),
        (404, "no such image", ImageLost, ImageLost),
        (409, NOT_RUNNING, SandboxLost, SandboxLost),
        (409, "name is already in use", SandboxLost, EngineLost),
        (500, f"{NOT_RUNNING}: Removal In Progress", SandboxLost, SandboxLost),
        (500, "no space left on device", ImageLost, EngineLost),
        (400, "bad parameter", SandboxLost, EngineLost),
    ],
)
def test_a_status_says_who_is_missing(
    status: int, words: str, missing: type[LostError], expected: type[LostError]
) -> None:
    """404, and any status for a container that no longer runs, are what the caller says; the rest is the engine's."""
    found = translation(refused(status, words), missing)
    assert (type(found), str(found)) == (expected, f"doing it: {words}")


def test_the_engines_words_are_one_line() -> None:
    """Reasons stand in tables."""
    assert str(translation(refused(500, "first\n  second\t third\n"))) == "doing it: first second third"


def test_our_own_errors_pass() -> None:
    """What is one of ours already, or a bug, or Ctrl-C, is not wrapped."""
    for error in (ImageLost("x"), KeyError("bug"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, translate_errors("doing it"):
            raise error
        assert caught.value is error
