"""Baked images may go at any time: a run that goes on keeps its own, and makes again what is gone all the same."""

from __future__ import annotations

import json
import re
import secrets
import signal
from typing import TYPE_CHECKING

import pytest

from taskcal.sandbox.engine.labels import BAKE
from taskcal.sandbox.engine.sweep import sweep_images
from tests.docker.conftest import left_on
from tests.docker.samples import run_id
from tests.faults.own_engine import own_engine, use
from tests.faults.runs import an_agent_spoke, start, stored, taskset, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.sandbox.engine.docker import DockerEngine
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = [pytest.mark.docker, pytest.mark.long]  # an engine of its own is started for each test
INSTALLS = (
    "agent: a\nkind: command\ninstall: touch /opt/agent\nrun: test -e /opt/agent; echo up; sleep 1; touch /tmp/half\n"
)


@pytest.fixture
def own(engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerEngine]:
    """Give a connection to an engine that nobody else uses, and that every taskcal of this test uses."""
    with own_engine(engine) as made:
        use(made, monkeypatch)
        found = made.connect()
        yield found
        found.close()


def baked(engine: DockerEngine) -> set[str]:
    return {image.id for image in engine.images_labelled(BAKE)}


def test_cleaning_removes_what_no_run_uses(taskcal: CommandLine, write: Write, own: DockerEngine) -> None:
    """All of the images of a run that is over, those that others are based on too, and none of one that goes on."""
    write("agent.yaml", INSTALLS)
    write("old.yaml", taskset(1, secrets.token_hex(4)))
    assert taskcal("run", "old.yaml", "-a", "agent.yaml", "-G", "1", "-q", "-o", "old").code == 0
    old = baked(own)
    write("new.yaml", taskset(1, secrets.token_hex(4)))
    process = start(taskcal, "run", "new.yaml", "-a", "agent.yaml", "-G", "4", "-c", "1")
    try:
        wait_for(lambda: an_agent_spoke(taskcal.folder / "runs"), process, taskcal.folder)
        said = taskcal("clean", "--images").out
        assert (len(old), baked(own) & old) == (2, set())
        assert re.search(r"^removed 2 baked images; 2 of \S+ MiB left$", said, re.MULTILINE)
        assert process.wait(timeout=120) == 0
    finally:
        process.kill()
    assert {row["outcome"] for row in stored(taskcal.folder / "runs")} == {"graded"}
    assert "removed 2 baked images\n" in taskcal("clean", "--images").out
    assert baked(own) == set()


def test_a_cap_spares_what_was_used_lately(taskcal: CommandLine, write: Write, own: DockerEngine) -> None:
    """Of two images the one goes that was used longer ago, also where the other one is the older; then both fit."""
    eight = f"head -c 8m /dev/zero >/zeros; {secrets.token_hex(4)}"
    for name in ("old", "new"):
        write(f"{name}.yaml", taskset(1, f"x; {eight} || : {name}"))
    kept: set[str] = set()
    for name in ("old", "new", "old"):
        assert taskcal("run", f"{name}.yaml", "-a", "oracle", "-G", "1", "-q", "-o", name).code == 0
        kept = kept or baked(own)
    assert (len(kept), len(baked(own))) == (1, 2)
    assert "removed 1 baked image; 1 of 8 MiB left\n" in taskcal("clean", "--images-over", "12m").out
    assert baked(own) == kept
    assert "removed 0 baked images; 1 of 8 MiB left\n" in taskcal("clean", "--images-over", "12m").out
    assert taskcal("clean", "--images-over", "all").code == 2


def test_an_image_that_goes_under_a_run_is_made_again(taskcal: CommandLine, write: Write, own: DockerEngine) -> None:
    """Somebody else's clean-up costs at worst a loss that is tried again: every rollout is graded in the end."""
    write("agent.yaml", INSTALLS)
    write("tasks.yaml", taskset(2, secrets.token_hex(4)))
    process = start(taskcal, "run", "tasks.yaml", "-a", "agent.yaml", "-G", "4", "-c", "2")
    try:
        wait_for(lambda: an_agent_spoke(taskcal.folder / "runs"), process, taskcal.folder)
        process.send_signal(signal.SIGSTOP)  # so that nothing is opened between the two
        for container in own.containers_labelled(f"taskcal.run={run_id(taskcal.folder)}"):
            own.remove(container.id)
        assert sweep_images(own, ()).left == ()
        process.send_signal(signal.SIGCONT)
        assert process.wait(timeout=120) == 0, (taskcal.folder / "err").read_text()
    finally:
        process.kill()
    rows = stored(taskcal.folder / "runs")
    lost = [row for row in rows if row["outcome"] == "lost"]
    assert {"image"} <= {row["boundary"] for row in lost} <= {"image", "sandbox"}, "also what was open then"
    assert sorted(row["key"] for row in rows if row["outcome"] == "graded") == [
        f"task-{n}#{index}" for n in range(2) for index in range(4)
    ]
    assert left_on(own, run_id(taskcal.folder)) == 0
    record = json.loads(next((taskcal.folder / "runs").glob("*/run.json")).read_text())
    first, *again = record["groups"]["task-0"]["ids"][""]
    assert (record["images"]["task-0"], len(again)) == (first, 1), "what ran is on record, in its order"
