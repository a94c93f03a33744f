"""What is left behind, and whose: a run that may be alive is spared, also one of another machine."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import pytest

from taskcal.core.task import Limits
from taskcal.sandbox.engine.labels import BOOT, STARTED, RunOwner
from taskcal.sandbox.engine.run_resources import host_config
from taskcal.sandbox.engine.sweep import leftovers
from tests.docker.rooms import IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskcal.sandbox.engine.docker import DockerEngine
    from tests.conftest import CommandLine

pytestmark = [pytest.mark.docker, pytest.mark.long]  # `make test-faults`; the table, tampering and one kill are quick
HOUR = 3600.0


@pytest.fixture
def made(engine: DockerEngine) -> Iterator[Callable[..., str]]:
    """Give a maker of containers with a run's labels, some of them changed; afterwards they are gone."""
    ids: list[str] = []

    def make(**changed: str) -> str:
        labels = {**RunOwner.here().labels(f"left-{secrets.token_hex(4)}"), **changed}
        ids.append(engine.create(IMAGE, host_config(Limits(), "none"), command=["true"], labels=labels))
        return ids[-1]

    yield make
    for container in ids:
        engine.remove(container)


def found(engine: DockerEngine, before: float | None = None) -> set[str]:
    return set(leftovers(engine, before=before).containers)


def test_only_what_is_certainly_dead_is_left(engine: DockerEngine, made: Callable[..., str]) -> None:
    """A process of ours that is gone; not one that is there, and none of which this machine knows nothing."""
    dead, alive, strange = made(**{STARTED: "1"}), made(), made(**{BOOT: "another"})
    assert {dead, alive, strange} & found(engine) == {dead}


def test_a_person_may_say_that_it_is_long_ago(engine: DockerEngine, made: Callable[..., str]) -> None:
    """What a stranger left before a moment goes too; what is alive here stays, however old it is."""
    alive, strange = made(), made(**{BOOT: "another"})
    now = time.time()
    assert {alive, strange} & found(engine, now - HOUR) == set()
    assert {alive, strange} & found(engine, now + HOUR) == {strange}


def test_the_option_takes_a_duration(taskcal: CommandLine) -> None:
    """Anything else is wrong usage, before anything is removed."""
    refused = taskcal("clean", "--older-than", "yesterday")
    assert (refused.code, refused.err.startswith("--older-than yesterday: ")) == (2, True)
    assert taskcal("clean", "--older-than", "168h").code == 0
