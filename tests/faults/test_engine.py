"""An engine that is stopped, killed or started again under a run costs what was in flight, and never a reward."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import left_on
from tests.docker.samples import run_id
from tests.faults.own_engine import OwnEngine, own_engine, use
from tests.faults.runs import start, stored, taskset, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.sandbox.engine.docker import DockerEngine
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = [pytest.mark.docker, pytest.mark.long]  # an engine is installed with an image, stopped and started again
SOLVES = "agent: solves\nkind: command\nrun: sleep 1; touch /tmp/half /tmp/whole\n"
OURS = {"engine", "sandbox", "setup"}


@pytest.fixture
def own(engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnEngine]:
    """Give an engine that nobody else uses, to every taskcal of this test."""
    with own_engine(engine) as made:
        use(made, monkeypatch)
        yield made


@pytest.mark.parametrize("end", [OwnEngine.stop, OwnEngine.kill], ids=["stopped", "killed"])
def test_a_restarted_engine_costs_what_was_in_flight(
    taskcal: CommandLine, write: Write, own: OwnEngine, end: object
) -> None:
    """The run waits, tries again what was lost, and ends with every rollout graded, none of them a 0."""
    write("tasks.yaml", taskset(4, "nothing"))
    write("agent.yaml", SOLVES)
    process = start(taskcal, "run", "tasks.yaml", "-a", "agent.yaml", "-G", "8", "-c", "4", "--json")
    try:
        wait_for(lambda: len(stored(taskcal.folder / "runs")) >= 5, process, taskcal.folder)
        assert callable(end)
        end(own)
        assert process.poll() is None
        own.start()
        assert process.wait(timeout=300) == 0, (taskcal.folder / "err").read_text()
    finally:
        process.kill()
    rows = stored(taskcal.folder / "runs")
    lost = [row for row in rows if row["outcome"] == "lost"]
    assert lost
    assert {row["boundary"] for row in lost} <= OURS
    graded = [row for row in rows if row["outcome"] == "graded"]
    assert sorted(row["key"] for row in graded) == sorted(f"task-{n}#{index}" for n in range(4) for index in range(8))
    assert {(row["stop"], row["reward"]) for row in graded} == {("finished", 1.0)}
    found = own.connect()
    assert left_on(found, run_id(taskcal.folder)) == 0
    found.close()


def test_an_engine_that_goes_while_images_are_made(taskcal: CommandLine, write: Write, own: OwnEngine) -> None:
    """No task is given up for it: the images are made once more where it answers again."""
    write("tasks.yaml", taskset(2, "nothing").replace("sleep 1;", "sleep 5;"))
    write("agent.yaml", SOLVES)
    process = start(taskcal, "run", "tasks.yaml", "-a", "agent.yaml", "-G", "2", "-c", "2")
    try:
        wait_for(lambda: "baking" in (taskcal.folder / "err").read_text(), process, taskcal.folder)
        own.kill()
        own.start()
        assert process.wait(timeout=300) == 0, (taskcal.folder / "err").read_text()
    finally:
        process.kill()
    assert [(row["outcome"], row["reward"]) for row in stored(taskcal.folder / "runs")] == [("graded", 1.0)] * 4


def test_an_engine_that_stays_away_ends_the_run(taskcal: CommandLine, write: Write, own: OwnEngine) -> None:
    """After one wait the run says why it ends, and a resume finishes it where an engine answers again."""
    write("tasks.yaml", taskset(2, "nothing"))
    write("agent.yaml", SOLVES)
    process = start(taskcal, "run", "tasks.yaml", "-a", "agent.yaml", "-G", "8", "-c", "2")
    try:
        wait_for(lambda: len(stored(taskcal.folder / "runs")) >= 3, process, taskcal.folder)
        own.kill()
        process.wait(timeout=300)
    finally:
        process.kill()
    said = (taskcal.folder / "out").read_text()
    assert "the container engine did not come back" in said
    assert "Traceback" not in (taskcal.folder / "err").read_text()
    assert taskcal("run", "--resume", "last").code == 3
    own.start()
    assert taskcal("run", "--resume", "last", "-q").code == 0
    rows = [row for row in stored(taskcal.folder / "runs") if row["outcome"] == "graded"]
    assert sorted(row["key"] for row in rows) == sorted(f"task-{n}#{index}" for n in range(2) for index in range(8))
    assert {row["reward"] for row in rows} == {1.0}
