"""The table of whose fault it is, acted out: each row on real containers, or where else it is proven."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.core.faults import FAULTS, Fault, rows
from taskcal.core.rollout import Stop
from taskcal.errors import Boundary
from tests.conftest import ROOT, CommandLine, environment
from tests.docker.conftest import left_on
from tests.faults.scenes import AGENT, SCENES, taskset

if TYPE_CHECKING:
    from taskcal.sandbox.docker import DockerEngine

GROUP_SIZE = 2
ELSEWHERE = {
    "max-turns": "tests/docker/test_chat.py::test_what_ends_a_conversation_is_graded",
    "context-full": "tests/docker/test_chat.py::test_what_ends_a_conversation_is_graded",
    "refused": "tests/docker/test_chat.py::test_what_ends_a_conversation_is_graded",
    "image-removed": "tests/faults/test_images.py::test_an_image_that_goes_under_a_run_is_made_again",
    "agent-install": "tests/docker/test_agents.py::test_agents_install_is_baked",
    "engine-restarted": "tests/faults/test_engine.py::test_a_restarted_engine_costs_what_was_in_flight",
    "interrupted": "tests/faults/test_signals.py::test_a_signal_leaves_nothing_and_a_way_on",
    "bug": "tests/test_runner.py::test_anything_else_is_lost_at_unknown",
}
ONCE = {"setup", "image-missing", "image-unbuildable"}
SAYS = {
    "check-crash": "exit 139",
    "check-hang": "timeout",
    "check-interpreter": "exit 127.*no-such-program",
    "check-no-number": "perhaps",
    "setup": "exit 3.*broken",
    "start": "broken",
    "service-ended": "bye",
    "image-missing": "taskcal-test.invalid",
    "image-unbuildable": "last words",
    "provider": "exit 75.*overloaded",
    "ended-sandbox": "what ran in the sandbox had ended it",
    "broken-judge": "no check can run",
}
UNEARNED = {"ended-sandbox", "broken-judge", "check-crash", "check-hang", "check-interpreter", "service-ended"}


@dataclass(frozen=True)
class Played:
    """What a run of all scenes left: its exit code, its error output and its rows by task; and what on the engine."""

    code: int
    err: str
    rows: dict[str, list[dict[str, Any]]]
    left: int


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, engine: DockerEngine) -> Played:
    """Give the result of one run of all scenes, in which somebody removes the containers of one."""
    folder = tmp_path_factory.mktemp("scenes")
    (folder / "tasks.yaml").write_text(taskset())
    (folder / "agent.yaml").write_text(AGENT)
    (folder / "broken").mkdir()
    (folder / "broken" / "Dockerfile").write_text("FROM debian:bookworm-slim\nRUN echo last words && false\n")
    command = CommandLine(folder).command(
        "run", "tasks.yaml", "-a", "agent.yaml", "-G", str(GROUP_SIZE), "-c", "8", "--retries", "0", "--json"
    )
    process = subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        for index in range(GROUP_SIZE):
            remove_at_work(engine, folder, f"container-removed#{index}", process)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    return Played(process.returncode, err, by_task(folder), left_on(engine, next((folder / "runs").iterdir()).name))


def remove_at_work(engine: DockerEngine, folder: Path, key: str, process: subprocess.Popen[str]) -> None:
    """Remove a rollout's container from outside as soon as its agent has said something."""
    task, _, index = key.partition("#")
    while not any(log.stat().st_size for log in folder.glob(f"runs/*/rollouts/*/{task}-*/{index}/agent.log")):
        assert process.poll() is None, process.communicate()
    for container in engine.containers_labelled(f"taskcal.rollout={key}"):
        if container.labels["taskcal.run"] == next((folder / "runs").iterdir()).name:
            engine.remove(container.id)


def by_task(folder: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in next(folder.glob("runs/*/rollouts.jsonl")).read_text().splitlines():
        found.setdefault(json.loads(line)["task"], []).append(json.loads(line))
    return found


def test_the_table_is_whole() -> None:
    """Every way to end and every boundary has a row, and every row is acted out, or proven where it says."""
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names))
    assert {fault.ends for fault in FAULTS} == {*Stop, *Boundary}
    assert set(names) == {*SCENES, *ELSEWHERE}
    assert not {*SCENES} & {*ELSEWHERE}
    for place in ELSEWHERE.values():
        file, _, test = place.partition("::")
        assert f"def {test}(" in (ROOT / file).read_text(), place


def test_the_table_is_in_the_documentation() -> None:
    """People read the very rows that are tested."""
    page = (ROOT / "docs" / "faults.md").read_text()
    missing = [row for row in rows() if f"| {' | '.join(row)} |" not in page]
    assert missing == []


@pytest.mark.docker
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.name in SCENES], ids=lambda fault: fault.name)
def test_whose_fault_it_is(played: Played, fault: Fault) -> None:
    """What is stored of a fault: graded with its stop, or lost at its boundary, with the reason and no reward."""
    found = played.rows[fault.name]
    assert len(found) == (1 if fault.name in ONCE else GROUP_SIZE)
    for row in found:
        if isinstance(fault.ends, Stop):
            assert (row["outcome"], row.get("stop")) == ("graded", fault.ends), row
            assert row["reward"] == (0.0 if fault.name in UNEARNED else 1.0), row
            said = " ".join(check["note"] for check in row["checks"])
        else:
            assert (row["outcome"], row.get("boundary")) == ("lost", fault.ends), row
            assert "reward" not in row
            assert row["reason"]
            said = row["reason"]
        assert re.search(SAYS.get(fault.name, ""), said), said


@pytest.mark.docker
def test_after_all_of_them_nothing_is_left(played: Played) -> None:
    """No container and no network; and a run that lost so much says so with its exit code."""
    assert played.left == 0
    assert played.code == 4, played.err
    assert "Traceback" not in played.err
