"""Adaptive runs in real containers: right about tasks of known rates, thrifty, and none the worse for a SIGKILL."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from scipy.stats import binom

from taskcal.core.adaptive.design import Design
from taskcal.core.adaptive.launches import launches_by_index
from taskcal.core.adaptive.task_state import TaskHistory
from taskcal.core.calibration.posterior_verdict import judge_counts
from taskcal.core.rollout import Graded, GroupId, Rollout
from taskcal.core.settings import CalibrationSettings
from taskcal.core.verdict import Band
from taskcal.store.run_folder import RunFolder
from tests.conftest import environment
from tests.docker.conftest import left_on
from tests.docker.samples import run_id, task_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from taskcal.core.calibration.posterior_verdict import PosteriorVerdict
    from taskcal.sandbox.engine.docker import DockerEngine
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

HEAD = "taskset: known\nversion: 1\ndefaults: {environment: {image: 'debian:bookworm-slim'}}\ntasks:\n"
TASK = "prompt: Make it., grader: {checks: [{name: c, file: /x, exists: true}]}, solutions: [{name: s, run: touch /x}]"
FEW = {"never": 0.0, "sometimes": 0.4, "always": 1.0}
MANY = [0.0] * 8 + [0.01, 0.01, 0.03, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45] + [
    0.5, 0.55, 0.6, 0.65, 0.7, 0.72, 0.8, 0.85, 0.9, 0.95, 0.99, 0.99, 0.99, *[1.0] * 7
]  # fmt: skip


def know(write: Write, rates: Mapping[str, float]) -> None:
    """A taskset, and an agent that solves each task as often as it should."""
    write("tasks.yaml", HEAD + "".join(f"  - {{id: {name}, {TASK}}}\n" for name in rates))
    write("agent.yaml", f"agent: known\nkind: simulated\nsuccess: {json.dumps(rates)}\n")


def kill_after(taskcal: CommandLine, rows: int, *arguments: str) -> None:
    """Start a run and kill it, with all that it has in flight, when so many rollouts are on record."""
    process = subprocess.Popen(
        taskcal.command(*arguments), cwd=taskcal.folder, env=environment(), stderr=subprocess.PIPE
    )
    try:
        while len(recorded(taskcal.folder)) < rows:
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise AssertionError(process.communicate(timeout=0.2))
        process.kill()
        process.communicate(timeout=30)
    finally:
        process.kill()


def recorded(folder: Path) -> list[Rollout]:
    """What is on record of the only run of a folder."""
    return [row for path in folder.glob("runs/*/rollouts.jsonl") for row in RunFolder(path.parent).rollouts()]


def opinions(folder: Path) -> dict[str, PosteriorVerdict]:
    """What the rows alone say of each task, asked anew."""
    rows: dict[GroupId, list[Rollout]] = defaultdict(list)
    for row in recorded(folder):
        rows[row.id.group].append(row)
    states = [TaskHistory(group, launches_by_index(rows[group])) for group in rows]
    found = judge_counts(states, CalibrationSettings(8, Design()))
    return {group.task: opinion for group, opinion in zip(rows, found, strict=True)}


def sure(document: Any) -> dict[str, str]:
    """The verdicts that claim to be more than a leaning."""
    return {task["id"]: task["verdict"] for task in document["tasks"] if task["strength"] != "leaning"}


def is_whole(taskcal: CommandLine, engine: DockerEngine) -> None:
    """No rollout was graded twice, and nothing of the run is on the engine."""
    graded = Counter(row.id.key for row in recorded(taskcal.folder) if isinstance(row.outcome, Graded))
    assert set(graded.values()) == {1}
    assert left_on(engine, run_id(taskcal.folder)) == 0


def test_killed_and_resumed_it_is_right_and_thrifty(taskcal: CommandLine, write: Write, engine: DockerEngine) -> None:
    """Tasks that never, sometimes and always pass are told apart with fewer rollouts than their caps, killed or not."""
    know(write, FEW)
    run = ("run", "tasks.yaml", "--agent", "agent.yaml", "--adaptive", "--seed", "5", "-c", "4", "-q")
    kill_after(taskcal, 8, *run)
    ended = taskcal("run", "--resume", "last", "--json", "-q")
    assert (ended.code, ended.err) == (0, "")
    document = ended.json()
    assert sure(document) == {"never": "too-hard", "sometimes": "in-band", "always": "too-easy"}
    assert document["run"]["adaptive"] is True
    assert {task["interval_method"] for task in document["tasks"]} == {"posterior"}
    assert json.loads((taskcal.folder / "runs" / run_id(taskcal.folder) / "calibration.json").read_text()) == document
    assert all(task["n"] < 64 for task in document["tasks"])
    assert task_of(document, "always")["n"] <= 7 + 4
    is_whole(taskcal, engine)
    assert {name: one.likely for name, one in opinions(taskcal.folder).items()} == sure(document)


@pytest.mark.long
def test_claims_hold_in_a_run_of_forty_tasks(taskcal: CommandLine, write: Write, engine: DockerEngine) -> None:
    """Of the sure verdicts no more are wrong than one run in a thousand has by luck, where each may be with 5 %."""
    rates = {f"t{number:02d}": rate for number, rate in enumerate(MANY)}
    know(write, rates)
    run = ("run", "tasks.yaml", "--agent", "agent.yaml", "--adaptive", "--seed", "5", "-c", "6", "-q")
    kill_after(taskcal, 150, *run)
    ended = taskcal("run", "--resume", "last", "--json", "-q", seconds=1800)
    assert (ended.code, ended.err) == (0, "")
    claimed = sure(ended.json())
    wrong = {name for name, verdict in claimed.items() if verdict != Band().verdict(rates[name])}
    assert len(claimed) >= 30
    assert len(wrong) <= binom.isf(1e-3, len(claimed), 0.05), wrong
    assert len(recorded(taskcal.folder)) < 0.5 * 64 * len(rates)
    is_whole(taskcal, engine)
    found = opinions(taskcal.folder)
    assert all(one.closed for one in found.values())
    assert {name: one.likely for name, one in found.items() if one.likely} == claimed
