"""Ctrl-C, SIGTERM and a closed terminal end a run in good order: nothing left, a report, and the way to go on."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import docker
import pytest

from tests.conftest import environment
from tests.docker.conftest import left_on
from tests.faults.runs import an_agent_spoke, start, stored, taskset, wait_for
from tests.faults.terminal import on_a_terminal

if TYPE_CHECKING:
    from taskcal.sandbox.engine.docker import DockerEngine
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = [pytest.mark.docker, pytest.mark.long]  # `make test-faults`; the table, tampering and one kill are quick
PROMISED_SECONDS = 5.0
BUSY = (
    "agent: busy\nkind: command\nrun: echo up; sleep 1; touch /tmp/half; test $(date +%N | cut -c 1) -lt 5 || sleep 9\n"
)
WITH_VOLUME = "FROM debian:bookworm-slim\nVOLUME /data\n"
MOMENTS = range(10)


def volumes_of(engine: DockerEngine, run: str) -> set[str]:
    """The volumes that a run's containers have mounted."""
    names: set[str] = set()
    for container in engine.containers_labelled(f"taskcal.run={run}"):
        with contextlib.suppress(docker.errors.NotFound):
            mounts = engine._api.inspect_container(container.id)["Mounts"]
            names |= {mount["Name"] for mount in mounts if mount["Type"] == "volume"}
    return names


def volumes_left(engine: DockerEngine, names: set[str]) -> set[str]:
    """Those that the engine still has."""
    return names & {volume["Name"] for volume in engine._api.volumes()["Volumes"] or ()}


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        *((number, 0) for number in (signal.SIGINT, signal.SIGTERM)),
        *(
            pytest.param(number, moment, marks=[pytest.mark.long, pytest.mark.alone])  # twenty runs, timed
            for number in (signal.SIGINT, signal.SIGTERM)
            for moment in MOMENTS
        ),
    ],
)
def test_a_signal_leaves_nothing_and_a_way_on(
    taskcal: CommandLine, write: Write, engine: DockerEngine, number: signal.Signals, moment: int
) -> None:
    """At any moment: no container, network or volume, every row whole, a report, 130, and a command that goes on."""
    write("tasks.yaml", taskset(2, "volume").replace('image: "debian:bookworm-slim"', "build: box, network: bridge"))
    write("box/Dockerfile", WITH_VOLUME)
    write("agent.yaml", BUSY)
    process = start(taskcal, "run", "tasks.yaml", "-a", "agent.yaml", "-G", "8", "-c", "8")
    try:
        wait_for(lambda: an_agent_spoke(taskcal.folder / "runs"), process, taskcal.folder)
        run = next((taskcal.folder / "runs").iterdir())
        time.sleep(random.Random(f"{number} {moment}").uniform(0, 3))  # noqa: S311 - a moment is no secret
        volumes = volumes_of(engine, run.name)
        process.send_signal(number)
        sent = time.monotonic()
        while left_on(engine, run.name) and process.poll() is None:
            time.sleep(0.02)  # what is waited for is another process's doing
        took = time.monotonic() - sent
        assert process.wait(timeout=60) == 130
    finally:
        process.kill()
    assert left_on(engine, run.name) == 0
    assert volumes
    assert volumes_left(engine, volumes) == set()
    assert took < PROMISED_SECONDS * (1 if moment else 6), "the short tests run beside others"
    said = (taskcal.folder / "err").read_text()
    assert (run / "calibration.json").exists()
    rows = stored(taskcal.folder / "runs")
    assert (run / "rollouts.jsonl").read_bytes().count(b"\n") == len(rows)
    assert {row["outcome"] for row in rows} <= {"graded"}
    command = re.findall(r"^interrupted; go on with: (taskcal run .*)$", said, re.MULTILINE)
    assert command == [f"taskcal run tasks.yaml -a agent.yaml -G 8 -c 8 --resume {run.name}"]


def test_the_second_signal_leaves_at_once(taskcal: CommandLine, write: Write, engine: DockerEngine) -> None:
    """Whichever it is: the process is gone without tidying up, and the next command does that."""
    write("tasks.yaml", taskset(2, "nothing"))
    write("agent.yaml", BUSY)
    process = start(taskcal, "run", "tasks.yaml", "-a", "agent.yaml", "-G", "8", "-c", "8", "-q")
    try:
        wait_for(lambda: an_agent_spoke(taskcal.folder / "runs"), process, taskcal.folder)
        process.send_signal(signal.SIGINT)
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
        assert process.returncode == 130
    finally:
        process.kill()
    assert "stopped at once" in (taskcal.folder / "err").read_text()
    assert taskcal("clean").code == 0
    assert left_on(engine, next((taskcal.folder / "runs").iterdir()).name) == 0


def test_a_closed_terminal_ends_a_run_in_good_order(taskcal: CommandLine, write: Write, engine: DockerEngine) -> None:
    """Where the window or the connection is gone: nothing left and the report written, though nobody can be told."""
    write("tasks.yaml", taskset(1, "nothing"))
    write("agent.yaml", BUSY)
    command = taskcal.command("run", "tasks.yaml", "-a", "agent.yaml", "-G", "8", "-c", "4")
    with on_a_terminal(command, taskcal.folder) as (process, line):
        while not an_agent_spoke(taskcal.folder / "runs"):
            os.read(line, 65536)
            assert process.poll() is None
        os.close(line)
        assert process.wait(timeout=60) == 130
    run = next((taskcal.folder / "runs").iterdir())
    assert left_on(engine, run.name) == 0
    assert (run / "calibration.json").exists()


def test_what_was_switched_off_stays_so(taskcal: CommandLine, write: Write) -> None:
    """A run behind `nohup` outlives its terminal."""
    write("tasks.yaml", taskset(1, "nothing"))
    write("agent.yaml", "agent: a\nkind: command\nrun: echo up; sleep 2; touch /tmp/half /tmp/whole\n")
    call = taskcal.command("run", "tasks.yaml", "-a", "agent.yaml", "-G", "1", "--json")
    process = subprocess.Popen(
        ["/usr/bin/nohup", *call],
        cwd=taskcal.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        while not an_agent_spoke(taskcal.folder / "runs"):
            assert process.poll() is None
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    assert [row["reward"] for row in stored(taskcal.folder / "runs")] == [1.0]
