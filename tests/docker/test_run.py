"""The main job from the outside: the command line, real containers, exit codes, the run's folder."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import left_on
from tests.docker.samples import SOLVES_EASY, TASKSET, run_id, task_of

if TYPE_CHECKING:
    from taskcal.sandbox.engine.docker import DockerEngine
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker


def test_command_agent_end_to_end(taskcal: CommandLine, write: Write, engine: DockerEngine) -> None:
    """One task solved and one not, JSON on standard output and nothing else, nothing left, and the same again later."""
    write("tasks.yaml", TASKSET)
    write("agent.yaml", SOLVES_EASY)
    ended = taskcal("run", "tasks.yaml", "-G", "3", "--agent", "agent.yaml", "--json", "-c", "4")
    assert ended.code == 0, ended.err
    document = ended.json()
    assert (task_of(document, "easy")["passed"], task_of(document, "hard")["passed"]) == (3, 0)
    assert task_of(document, "hard")["verdict"] == "too-hard"
    assert task_of(document, "easy")["checks"][0]["mean_score"] == 1.0
    assert left_on(engine, run_id(taskcal.folder)) == 0
    again = taskcal("report", "--json")
    assert again.json() == document
    run = taskcal.folder / "runs" / run_id(taskcal.folder)
    assert json.loads((run / "calibration.json").read_text()) == document
    assert "too-hard" in (run / "report.md").read_text()
    assert len((run / "rollouts.jsonl").read_text().splitlines()) == 6


def test_fail_on_flagged(taskcal: CommandLine, write: Write) -> None:
    """A gate exits 1 for a flagged task, and 0 for the same without the gate."""
    write("tasks.yaml", TASKSET)
    arguments = ("run", "tasks.yaml", "-G", "1", "--agent", "noop", "--task", "easy", "-q")
    assert taskcal(*arguments).code == 0
    assert taskcal(*arguments, "--fail-on", "flagged").code == 1


def test_missing_image_spares_the_other_tasks(taskcal: CommandLine, write: Write) -> None:
    """A missing image makes its task unmeasured, once, and the others are measured; no image at all is exit 3."""
    gone = "environment: {image: 'taskcal-test.invalid/nothing:1'}"
    write("tasks.yaml", TASKSET.replace("  - id: hard", f"  - id: hard\n    {gone}"))
    ended = taskcal("run", "tasks.yaml", "-G", "2", "--agent", "oracle", "--json")
    hard = task_of(ended.json(), "hard")
    assert (ended.code, hard["verdict"], hard["n"], hard["lost"]) == (0, "unmeasured", 0, 1)
    assert "taskcal-test.invalid" in hard["reason"]
    assert task_of(ended.json(), "easy")["passed"] == 2
    assert taskcal("run", "tasks.yaml", "-G", "2", "--agent", "oracle", "--task", "hard").code == 3
    gate = ("run", "tasks.yaml", "-G", "2", "--agent", "oracle", "--fail-on", "flagged")
    assert taskcal(*gate).code == 1


def test_operator_bounds(taskcal: CommandLine, write: Write) -> None:
    """A task that asks for more than the operator allows is unmeasured, and the reason names the option."""
    write(
        "tasks.yaml",
        TASKSET.replace("  - id: hard", "  - id: hard\n    environment: {extends: plain, network: bridge}"),
    )
    ended = taskcal("run", "tasks.yaml", "-G", "1", "--agent", "oracle", "--allow-network", "none", "--json")
    hard = task_of(ended.json(), "hard")
    assert hard["verdict"] == "unmeasured"
    assert "--allow-network" in hard["reason"]
    ended = taskcal("run", "tasks.yaml", "-G", "1", "--agent", "oracle", "--max-memory", "1g", "--json")
    assert {task["verdict"] for task in ended.json()["tasks"]} == {"unmeasured"}
    assert ended.code == 4


def test_selection_that_matches_nothing(taskcal: CommandLine, write: Write) -> None:
    """A misspelt task, tag or param is exit 2 with what there is, before anything runs."""
    write("tasks.yaml", TASKSET)
    for option in (("--task", "esay"), ("--tag", "x"), ("--param", "name=z"), ("--param", "nothing")):
        ended = taskcal("run", "tasks.yaml", "--agent", "noop", *option)
        assert (ended.code, ended.err.count("\n")) == (2, 1), option
    assert not (taskcal.folder / "runs").exists()


def test_no_agent_named(taskcal: CommandLine, write: Write) -> None:
    """Without an agent there is no run, and never a simulated one by default."""
    write("tasks.yaml", TASKSET)
    ended = taskcal("run", "tasks.yaml")
    assert (ended.code, "--agent" in ended.err) == (2, True)


def test_dry_run_needs_no_engine(taskcal: CommandLine, write: Write) -> None:
    """What would run is known without an engine."""
    write("tasks.yaml", TASKSET)
    os.environ["DOCKER_HOST"] = "unix:///nonexistent.sock"
    try:
        dry = taskcal("run", "tasks.yaml", "-G", "4", "--agent", "oracle", "--dry-run")
        wet = taskcal("run", "tasks.yaml", "-G", "4", "--agent", "oracle")
    finally:
        del os.environ["DOCKER_HOST"]
    assert dry.code == 0
    assert "8 (2 tasks, 4 each)" in dry.out
    assert (wet.code, wet.err.count("\n")) == (3, 1)
    assert "doctor" in wet.err
