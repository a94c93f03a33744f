"""The table of whose fault it is, acted out: each row on real containers, or where else it is proven."""

from __future__ import annotations

import re
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.core.rollout import Stop
from taskcal.errors import Boundary
from tests.conftest import ROOT, environment
from tests.docker import samples
from tests.docker.conftest import left_on
from tests.faults.scenes import AGENT, SCENES, taskset
from tests.faults.table import FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskcal.sandbox.engine.docker import DockerEngine
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

GROUP_SIZE = 2
ELSEWHERE = {
    "max-turns": "tests/docker/test_chat.py::test_what_ends_a_conversation_is_graded",
    "context-full": "tests/docker/test_chat.py::test_what_ends_a_conversation_is_graded",
    "refused": "tests/docker/test_chat.py::test_what_ends_a_conversation_is_graded",
    "tool-call": "tests/agents/tools/test_tool_arguments.py::test_every_call_is_answered",
    "output-limit": "tests/agents/chat/test_limits.py::test_an_answer_cut_by_the_server_may_go_on",
    "grading": "tests/execution/test_grading.py::test_a_driver_that_fails_is_lost",
    "user": "tests/docker/test_probe.py::test_a_defect_is_lost_with_its_cause",
    "limits": "tests/docker/test_probe.py::test_a_defect_is_lost_with_its_cause",
    "grading-tools": "tests/docker/test_probe.py::test_a_defect_is_lost_with_its_cause",
    "no-shell": "tests/docker/test_probe.py::test_a_defect_is_lost_with_its_cause",
    "tools": "tests/docker/test_mcp.py::test_an_mcp_server_that_does_not_work_is_lost_at_setup",
    "agent-missing": "tests/docker/test_agents.py::test_agent_that_is_not_there_is_lost_and_retried",
    "provider": "tests/docker/test_chat.py::test_an_endpoint_in_trouble_is_lost_and_never_a_zero",
    "provider-200": "tests/faults/test_matrix.py::test_no_defect_is_graded",
    "provider-word": "tests/agents/chat/test_finish.py::test_any_unknown_word_is_the_providers",
    "way-out": "tests/docker/test_egress.py::test_a_way_out_that_ends_is_no_failure_of_the_agent",
    "image-removed": "tests/faults/test_images.py::test_an_image_that_goes_under_a_run_is_made_again",
    "agent-install": "tests/docker/test_agents.py::test_agents_install_is_baked",
    "engine-restarted": "tests/faults/test_engine.py::test_a_restarted_engine_costs_what_was_in_flight",
    "interrupted": "tests/faults/test_signals.py::test_a_signal_leaves_nothing_and_a_way_on",
    "bug": "tests/execution/test_rollout.py::test_anything_else_is_lost_at_unknown",
}
ONCE = {"setup", "start", "service", "check-program", "image-missing", "image-unbuildable"}
UNEARNED = {"ended-sandbox", "broken-judge", "check-crash", "check-hang", "check-interpreter", "service-ended"}
SAYS = {
    "check-crash": "exit 139",
    "check-hang": "timeout",
    "check-interpreter": "exit 127.*sort: not found",
    "check-program": "needs `no-such-program`",
    "service-later": "service db ended .exit 7.",
    "check-no-number": "perhaps",
    "setup": "exit 3.*broken",
    "start": "broken",
    "service": "service db ended.*last words",
    "service-ended": "bye",
    "image-missing": "taskcal-test.invalid",
    "image-unbuildable": "last words",
    "agent-gives-up": "exit 75.*overloaded",
    "ended-sandbox": "what ran in the sandbox had ended it",
    "broken-judge": "no check can run",
}


def test_the_table_is_whole() -> None:
    """Every way to end and every boundary has a row, and every row is acted out here, or proven where it says."""
    names = [fault.name for fault in FAULTS]
    assert sorted(names) == sorted([*SCENES, *ELSEWHERE])
    assert {fault.ends for fault in FAULTS} == {*Stop, *Boundary}
    for place in ELSEWHERE.values():
        file, _, test = place.partition("::")
        assert f"def {test}(" in (ROOT / file).read_text(), place


@pytest.mark.docker
def test_whose_fault_it_is(taskcal: CommandLine, write: Write, engine: DockerEngine) -> None:
    """One run of all scenes: what is stored of each, why, what it earned, the exit code, and nothing left."""
    write("tasks.yaml", taskset())
    write("agent.yaml", AGENT)
    write("broken/Dockerfile", "FROM debian:bookworm-slim\nRUN echo last words && false\n")
    options = ("-a", "agent.yaml", "-G", str(GROUP_SIZE), "-c", "8", "--retries", "0", "--max-lost", "0.1")
    process = subprocess.Popen(
        taskcal.command("run", "tasks.yaml", *options),
        cwd=taskcal.folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for index in range(GROUP_SIZE):
            remove_at_work(engine, taskcal.folder, index, process)
        _, err = process.communicate(timeout=200)
    finally:
        process.kill()
    assert (process.returncode, "Traceback" in err) == (4, False), err
    assert left_on(engine, samples.run_id(taskcal.folder)) == 0
    check(samples.rows(taskcal.folder))


def remove_at_work(engine: DockerEngine, folder: Path, index: int, process: subprocess.Popen[str]) -> None:
    """Remove a rollout's container from outside as soon as its agent has said something."""
    logs = f"runs/*/rollouts/*/container-removed-*/{index}/agent.log"
    while not any(log.stat().st_size for log in folder.glob(logs)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)  # it is another process that is waited for
    for container in engine.containers_labelled(f"taskcal.rollout=container-removed#{index}"):
        if container.labels["taskcal.run"] == samples.run_id(folder):
            engine.remove(container.id)


def check(stored: list[Any]) -> None:
    """Compare all rows with the table."""
    expected = {fault.name: fault.ends for fault in FAULTS if fault.name in SCENES}
    assert {row["task"]: row.get("stop", row.get("boundary")) for row in stored} == expected
    assert {row["task"]: row["outcome"] for row in stored} == {
        name: "graded" if isinstance(ends, Stop) else "lost" for name, ends in expected.items()
    }
    assert sorted(row["key"] for row in stored) == sorted(
        f"{name}#{index}" for name in expected for index in range(1 if name in ONCE else GROUP_SIZE)
    )
    graded = {name for name, ends in expected.items() if isinstance(ends, Stop)}
    rewards = {row["task"]: row["reward"] for row in stored if "reward" in row}
    assert rewards == {name: float(name not in UNEARNED) for name in graded}
    assert [row for row in stored if not re.search(SAYS.get(row["task"], ""), " ".join(words(row)))] == []


def words(row: Any) -> Iterator[str]:
    """Why: the reason of a loss, or the notes of the checks."""
    return (note["note"] for note in row["checks"]) if "checks" in row else iter([row["reason"]])
