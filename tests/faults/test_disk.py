"""Full disks, of the machine that records and of the engine that runs: an error that says what to do, no wrong row."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from taskcal.core.rollout import Graded, Stop
from taskcal.sandbox.engine.run_resources import RunScope
from tests.conftest import environment
from tests.docker.conftest import left_on
from tests.docker.rooms import outcome, task
from tests.docker.samples import run_id
from tests.faults.own_engine import own_engine
from tests.faults.runs import stored, taskset

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.sandbox.engine.docker import DockerEngine
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = [pytest.mark.docker, pytest.mark.long]  # `make test-faults`; the table, tampering and one kill are quick
ROOM = 3072
"""Bytes that a file may have: enough for what is asked, and for some rows. The system says no as a full disk does."""
BOUNDED = (
    "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (%d, %d)); os.execv(sys.argv[1], sys.argv[1:])"
)


def test_a_disk_that_is_full_stops_the_run(taskcal: CommandLine, write: Write, engine: DockerEngine) -> None:
    """One line says where and what to do, nothing is left, and a resume with room makes what is missing."""
    write("tasks.yaml", taskset(2, "nothing"))
    call = taskcal.command("run", "tasks.yaml", "-a", "oracle", "-G", "4", "-c", "4", "-q")
    ended = subprocess.run(
        [sys.executable, "-c", BOUNDED % (ROOM, ROOM), *call],
        cwd=taskcal.folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    rows = stored(taskcal.folder / "runs")
    assert 0 < len(rows) < 8
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert "rollouts.jsonl: File too large; results so far are kept, go on with --resume" in ended.stderr
    assert left_on(engine, run_id(taskcal.folder)) == 0
    assert taskcal("run", "--resume", "last", "-q").code == 0
    finished = stored(taskcal.folder / "runs")
    assert finished[: len(rows)] == rows
    assert sorted(row["key"] for row in finished) == sorted(f"task-{n}#{index}" for n in range(2) for index in range(4))


@pytest.mark.long  # an engine of its own, with a disk of its own
def test_an_agent_that_fills_the_engines_disk(engine: DockerEngine, tmp_path: Path) -> None:
    """It is graded by what can still be checked, never lost, and the next rollout has the room again."""
    with own_engine(engine, disk="300m") as own:
        found = own.connect()
        scope = RunScope(found, "disk")
        fills = outcome(scope, tmp_path, task("test -e /tmp/done"), "touch /tmp/done; cat /dev/zero >/fill")
        after = outcome(scope, tmp_path, task("test -e /tmp/done"), "touch /tmp/done")
        assert isinstance(fills, Graded)
        assert fills.stop is Stop.CRASHED
        assert isinstance(after, Graded)
        assert after.passed
        assert left_on(found, "disk") == 0
        found.close()
