"""Two thousand rollouts at once and after each other: what a run needs does not grow with what it has done."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import left_on
from tests.docker.samples import run_id
from tests.faults.runs import start, stored

if TYPE_CHECKING:
    from taskcal.sandbox.engine.docker import DockerEngine
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = [pytest.mark.docker, pytest.mark.long, pytest.mark.alone]  # eight minutes on two cores, all of both
ROLLOUTS, AT_ONCE, TASKS = 2_000, 16, 20
KILOBYTES_MORE = 20_000
TASKSET = """\
taskset: soak
version: 1
defaults:
  environment: {image: "debian:bookworm-slim", cpus: 0.5, memory: 64m}
  grader: {checks: [{name: a, run: test -e /tmp/a}]}
  solutions: [{name: s, run: touch /tmp/a}]
tasks:
"""


@dataclass(frozen=True)
class Needs:
    """What a process has just now: threads, open files, kilobytes of memory; and the containers of its run."""

    threads: int
    files: int
    kilobytes: int
    containers: int


def needs(process: int, engine: DockerEngine, run: str) -> Needs:
    """Look at a process and at the engine."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    said = {name: value.split()[0] for name, _, value in (line.partition(":") for line in lines) if value.strip()}
    files = sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())
    return Needs(int(said["Threads"]), files, int(said["VmRSS"]), len(engine.containers_labelled(f"taskcal.run={run}")))


def test_nothing_grows(taskcal: CommandLine, write: Write, engine: DockerEngine) -> None:
    """Threads, files, containers and memory of the second half are those of the first, and nothing is left."""
    write("tasks.yaml", TASKSET + "".join(f"  - {{id: t{n}, prompt: x}}\n" for n in range(TASKS)))
    size = str(ROLLOUTS // TASKS)
    process = start(taskcal, "run", "tasks.yaml", "-a", "oracle", "-G", size, "-c", str(AT_ONCE), "-q", "--json")
    seen: list[tuple[int, Needs]] = []
    try:
        while process.poll() is None:
            time.sleep(2.0)  # how often is looked
            done = len(stored(taskcal.folder / "runs"))
            if done > ROLLOUTS // 10 and process.poll() is None:
                seen.append((done, needs(process.pid, engine, run_id(taskcal.folder))))
    finally:
        process.kill()
    assert process.returncode == 0, (taskcal.folder / "err").read_text()
    rows = stored(taskcal.folder / "runs")
    assert len({row["key"] for row in rows}) == len(rows) == ROLLOUTS
    assert {row.get("reward") for row in rows} == {1.0}
    assert left_on(engine, run_id(taskcal.folder)) == 0
    first = [one for done, one in seen if done <= ROLLOUTS // 2]
    second = [one for done, one in seen if ROLLOUTS // 2 < done < ROLLOUTS - AT_ONCE]
    assert max(one.threads for one in second) <= max(one.threads for one in first)
    assert max(one.files for one in second) <= max(one.files for one in first) + AT_ONCE
    assert max(one.containers for one in (*first, *second)) <= AT_ONCE
    assert max(one.kilobytes for one in second) <= max(one.kilobytes for one in first) + KILOBYTES_MORE
