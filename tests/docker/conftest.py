"""Real containers for tests, and the proof after each that none is left."""

from __future__ import annotations

import secrets
import textwrap
from typing import TYPE_CHECKING

import pytest

from taskcal.sandbox.engine.labels import RUN
from taskcal.sandbox.engine.run_resources import RunScope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from taskcal.sandbox.engine.docker import DockerEngine


@pytest.fixture
def scope(engine: DockerEngine) -> Iterator[RunScope]:
    """A run of its own; afterwards nothing of it may be on the engine."""
    made = RunScope(engine, f"test-{secrets.token_hex(6)}")
    yield made
    made.close()
    assert left_on(engine, made.run) == 0


def left_on(engine: DockerEngine, run: str) -> int:
    """How many containers and networks of a run the engine still has."""
    label = f"{RUN}={run}"
    return len(engine.containers_labelled(label)) + len(engine.networks_labelled(label))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a file below the test's folder, its text dedented."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write_file
