"""`kill -9` at any moment loses what was in flight, and what it leaves on the engine goes with the next call."""

from __future__ import annotations

import json
import random
import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.sandbox.engine.labels import BUILDING, RunOwner
from tests.docker.conftest import left_on
from tests.faults.runs import stable, start, stored, taskset, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.sandbox.engine.docker import DockerEngine
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker
AGENT = 'agent: simulated\nkind: simulated\nsuccess: {"*": 0.5, task-1: 0.1, task-2: 0.9}\n'


@pytest.mark.parametrize(
    ("tasks", "size", "kills"),
    [(2, 2, 2), pytest.param(10, 8, 20, marks=pytest.mark.long)],  # twenty starts of a run of eighty rollouts
)
def test_a_killed_run_loses_nothing_that_finished(
    taskcal: CommandLine, write: Write, engine: DockerEngine, tasks: int, size: int, kills: int
) -> None:
    """Killed again and again: each rollout once, none lost, and the calibration of a run that nobody touched."""
    write("tasks.yaml", taskset(tasks, secrets.token_hex(8)).replace("setup:", "network: bridge, setup:"))
    write("agent.yaml", AGENT)
    asked = ("run", "tasks.yaml", "-a", "agent.yaml", "-G", str(size), "--seed", "3", "-c", "3", "-q", "--json", "-o")
    cut = taskcal.folder / "cut"
    dice = random.Random(kills)  # noqa: S311 - a moment is no secret
    seen: list[Any] = []
    for number in range(kills):
        seen = killed(taskcal, asked, dice.uniform(0.2, 3.0), seen)
        if number % 3 == 1:
            assert taskcal("clean").code == 0
            assert left_of(cut, engine) == 0
    resumed = taskcal("run", "--resume", "last", "-q", "--json", "-o", "cut")
    assert resumed.code == 0, resumed.err
    rows = stored(cut)
    assert rows[: len(seen)] == seen
    assert sorted(row["key"] for row in rows) == sorted(
        f"task-{n}#{index}" for n in range(tasks) for index in range(size)
    )
    assert {(row["outcome"], row["attempt"]) for row in rows} == {("graded", 0)}
    assert stable(resumed.json()) == stable(taskcal(*asked, "whole").json())
    assert left_of(cut, engine) == 0


def left_of(runs: Path, engine: DockerEngine) -> int:
    """What the engine still has of the runs below a folder."""
    return sum(left_on(engine, file.parent.name) for file in runs.glob("*/run.json"))


def killed(taskcal: CommandLine, asked: tuple[str, ...], seconds: float, seen: list[Any]) -> list[Any]:
    """Start the run, or go on with it, and kill it so long after it has begun; gives the rows that it has then."""
    cut = taskcal.folder / "cut"
    goes_on = ("run", "--resume", "last", "-q", "--json", "-o", "cut")
    process = start(taskcal, *(goes_on if any(cut.glob("*/run.json")) else (*asked, "cut")))
    try:
        wait_for(lambda: any(cut.glob("*/run.json")), process, taskcal.folder)
        time.sleep(seconds)  # the moment itself is what is tested
    finally:
        process.kill()
        process.wait()
    rows = stored(cut)
    assert rows[: len(seen)] == seen
    return rows


def test_what_was_asked_survives_every_moment(taskcal: CommandLine, write: Write) -> None:
    """A folder without rollouts yet can be gone on with: it holds what was asked, whole."""
    write("tasks.yaml", taskset(1, "nothing"))
    process = start(taskcal, "run", "tasks.yaml", "-a", "oracle", "-G", "1", "-q", "-o", "cut")
    try:
        while not any((taskcal.folder / "cut").glob("*/run.json")):
            assert process.poll() is None
            time.sleep(0.01)  # it is another process that is waited for
    finally:
        process.kill()
        process.wait()
    for name in ("run.json", "taskset.json"):
        assert json.loads(next((taskcal.folder / "cut").glob(f"*/{name}")).read_text())
    assert taskcal("run", "--resume", "last", "-q", "-o", "cut").code == 0
    assert len(stored(taskcal.folder / "cut")) == 1


def test_a_second_process_is_refused(taskcal: CommandLine, write: Write) -> None:
    """Whoever goes on with a run that goes on is told so, and harms nothing of it; nor does a clean-up."""
    write("tasks.yaml", taskset(1, "nothing"))
    process = start(taskcal, "run", "tasks.yaml", "-a", "oracle", "-G", "8", "-c", "2", "-q")
    try:
        wait_for(lambda: bool(stored(taskcal.folder / "runs")), process, taskcal.folder)
        second = taskcal("run", "--resume", "last", "-q")
        assert (second.code, second.err.count("\n")) == (2, 1)
        assert "another process is writing this run" in second.err
        assert taskcal("clean").code == 0
        assert process.wait(timeout=120) == 0
    finally:
        process.kill()
    assert [row["outcome"] for row in stored(taskcal.folder / "runs")] == ["graded"] * 8


def test_a_killed_build_leaves_nothing(
    taskcal: CommandLine, write: Write, engine: DockerEngine, tmp_path: Path
) -> None:
    """Killed in the middle of a Dockerfile: the engine gives up the build, and `taskcal clean` removes its layers."""
    token = secrets.token_hex(8)
    write("tasks.yaml", taskset(1, "nothing").replace('image: "debian:bookworm-slim"', "build: box"))
    write("box/Dockerfile", f"FROM debian:bookworm-slim\nLABEL token={token}\nRUN : {token} && sleep 60\n")
    process = start(taskcal, "run", "tasks.yaml", "-a", "oracle", "-G", "1")
    try:
        while not building(engine, token):
            assert process.poll() is None, (tmp_path / "err").read_text()
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 30
    while building(engine, token):
        assert time.monotonic() < deadline
        time.sleep(0.1)  # the engine notices that nobody listens any more
    assert engine.builder.unnamed_images(f"token={token}")
    while engine.builder.unnamed_images(f"token={token}"):  # another test's build may be under way
        assert time.monotonic() < deadline + 60
        assert taskcal("clean").code == 0
    assert not [mark for mark in engine.builder.marks_labelled(BUILDING) if RunOwner.of(mark.labels).is_dead()]


def building(engine: DockerEngine, token: str) -> bool:
    """Whether a container of a build with this word is there; the engine's own, without a label of ours."""
    rows = engine._api.containers(all=True)
    return any(token in row["Command"] for row in rows)
