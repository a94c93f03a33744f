"""What a stranger's Dockerfile may take from elsewhere is decided before the engine hears of it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from taskcal.agents.builtin import Noop
from taskcal.core.plan import OperatorBounds
from taskcal.core.rollout import Lost
from taskcal.core.task import Group, ImageSource, NetworkMode, Service
from taskcal.errors import Boundary
from taskcal.machine.base_image import BASE_IMAGE
from taskcal.runs.images.prepare_group import forbidden, prepare_group
from taskcal.sandbox.engine.building import BuildBounds
from taskcal.sandbox.images.baking import PreparedImages
from tests.core.core_case import BOX, task

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.core.task import Task
    from taskcal.sandbox.images.baking import Images

CLOSED = OperatorBounds(NetworkMode.NONE)
LISTED = OperatorBounds(images=("build", "ours/*"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder, which is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def built(folder: Path, text: str) -> Task:
    """A task whose environment is built from a folder with that Dockerfile."""
    (folder / "Dockerfile").write_text(text)
    return task("a", environment=replace(BOX, source=ImageSource(build=str(folder))))


@pytest.mark.parametrize(
    ("bounds", "text", "reason"),
    [
        (CLOSED, "FROM $ANY\nADD Dockerfile ./Docker* *ile /\n", None),
        (
            CLOSED,
            "FROM any\nADD github.com/us/x /\n",
            "Dockerfile:2: ADD takes github.com/us/x, which is not in the folder",
        ),
        (CLOSED, "FROM any\nADD no*/x /\nADD no/*/x /\n", "Dockerfile:3: ADD takes no/*/x, which is not in the folder"),
        (CLOSED, "FROM any\nADD ../x /\n", "Dockerfile:2: ADD takes ../x, which is not in the folder"),
        (
            CLOSED,
            'FROM any\nADD ["http://x/","/y"]z\n',
            'Dockerfile:2: ADD takes ["http://x/","/y"]z, which the engine',
        ),
        (OperatorBounds(), "FROM any\nADD x /\n", None),
        (
            CLOSED,
            "FROM any\nADD http://127.0.0.1/x /\n",
            "Dockerfile:2: ADD takes http://127.0.0.1/x, which the engine",
        ),
        (CLOSED, "FROM any\nADD $X /\n", "put it into the folder"),
        (CLOSED, "FROM any\nRUN --mount=from=x true\n", "Dockerfile:2: what this takes from elsewhere cannot be told"),
        (LISTED, f"FROM {BASE_IMAGE} AS x\nFROM ours/a:1\nCOPY --from=x / /\nADD http://x /\n", None),
        (LISTED, "FROM private\n", "Dockerfile:1: it builds on the image private, and --allow-image does not allow it"),
        (LISTED, "FROM ours/a\nCOPY --from=private / /\n", "Dockerfile:2: it builds on the image private"),
        (LISTED, "FROM ours/$A\n", "the image ours/$A is no plain name"),
        (
            OperatorBounds(images=("ours/*",)),
            "FROM ours/a\n",
            "an image that is built from a folder, and --allow-image",
        ),
        (OperatorBounds(), "FROM $ANY\nADD http://x /\n", None),
        (CLOSED, "FROM " + "x" * 2**20, "larger than 1 MiB"),
    ],
)
def test_what_a_dockerfile_may_not_take(here: Path, bounds: OperatorBounds, text: str, reason: str | None) -> None:
    """The reason names the line and what to do; without bounds nothing is refused."""
    found = forbidden(built(here, text), bounds, None)
    assert found is None if reason is None else reason in str(found)


def test_a_services_dockerfile_counts_too(here: Path) -> None:
    """Every folder that would be built is read."""
    (here / "Dockerfile").write_text("FROM a\nADD http://x /\n")
    service = Service("db", ImageSource(build=str(here)))
    assert "ADD takes http://x" in str(
        forbidden(task("a", environment=replace(BOX, services=(service,))), CLOSED, None)
    )


@pytest.mark.parametrize("name", ["Dockerfile", ".dockerignore"])
@pytest.mark.parametrize("what", ["link", "pipe", "folder"])
def test_what_the_engine_would_read_otherwise_is_refused(here: Path, name: str, what: str) -> None:
    """A link leads elsewhere inside the engine, and a pipe would be waited for."""
    made, path = built(here, "FROM a\n"), here / name
    path.unlink(missing_ok=True)
    (here / "other").write_text("FROM a\n")
    if what == "link":
        path.symlink_to("other")
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert f"{name} is not there, or no regular file" in str(forbidden(made, CLOSED, None))


def test_a_dockerfile_that_is_missing_or_no_text(here: Path) -> None:
    """An engine would take a file `dockerfile` instead, which was not read."""
    made = built(here, "")
    (here / "Dockerfile").write_bytes(b"FROM \xff\n")
    assert "Dockerfile: cannot be read" in str(forbidden(made, CLOSED, None))
    (here / "Dockerfile").rename(here / "dockerfile")
    assert "Dockerfile is not there" in str(forbidden(made, CLOSED, None))


def test_nothing_is_built_for_the_answer(here: Path) -> None:
    """The task is lost at setup before any image is asked for."""
    made = built(here, "FROM private\n")
    found = prepare_group(Group(made, made.variants[0]), cast("Images", None), Noop(), LISTED)
    assert isinstance(found, Lost)
    assert found.boundary is Boundary.SETUP
    assert "private" in found.reason


class _Asked:
    """Images that keep how a build is bounded, and make nothing."""

    def __init__(self) -> None:
        self.bounds: list[BuildBounds] = []

    def prepare(self, _: object, __: object, timeout: float, most: BuildBounds) -> PreparedImages:
        self.bounds.append(replace(most, seconds=timeout))
        return PreparedImages("made", {})


def test_the_operators_bounds_are_those_of_a_build() -> None:
    """Memory, CPUs and the setup's timeout reach whoever builds; without bounds a build has none."""
    images, one = _Asked(), task("a")
    for bounds in (OperatorBounds(memory=2**32, cpus=1.5), OperatorBounds()):
        prepare_group(Group(one, one.variants[0]), cast("Images", images), Noop(), bounds)
    seconds = one.timeouts.setup
    assert images.bounds == [BuildBounds(memory=2**32, cpus=1.5, seconds=seconds), BuildBounds(seconds=seconds)]
    assert images.bounds[0].query() == {"memory": 2**32, "memswap": 2**32, "cpuperiod": 100_000, "cpuquota": 150_000}
    assert images.bounds[1].query() == {}
