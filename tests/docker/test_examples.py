"""The examples keep their promises: solutions pass, wrong answers stay under their bounds, doing nothing earns 0."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from taskcal.agents import AgentResult
from taskcal.agents.builtin import Noop, apply_solution
from taskcal.core.plan import OperatorBounds, PlannedRollout
from taskcal.core.rollout import Graded, Lost, Rollout, RolloutId, Stop
from taskcal.execution.local_threads import LocalThreads
from taskcal.execution.logs import FileLogs
from taskcal.execution.rollout import run_rollout
from taskcal.execution.schedule import FixedSchedule, run_schedule
from taskcal.execution.workplace import RolloutJob, Workplace
from taskcal.runs.images.prepare_group import prepare_group
from taskcal.sandbox.container import open_sandbox
from taskcal.sandbox.images.baking import Images
from taskcal.taskset.load import load

if TYPE_CHECKING:
    from taskcal.agents import Attempt
    from taskcal.agents.builtin import DeclaredSolution
    from taskcal.core.task import Group, Task
    from taskcal.sandbox import Sandbox
    from taskcal.sandbox.engine.run_resources import RunScope

pytestmark = pytest.mark.docker

EXAMPLES = Path(__file__).parent.parent.parent / "tasksets"
CONCURRENCY = 3


def moves(task: Task, *, every: bool = True) -> dict[str, DeclaredSolution | None]:
    """All that is declared, by name: nothing (None), solutions, wrong answers; else nothing and the first solution."""
    played: tuple[DeclaredSolution, ...] = (*task.solutions, *task.wrong) if every else task.solutions[:1]
    return {"noop": None, **{f"{type(move).__name__} {move.name}": move for move in played}}


@dataclass(frozen=True)
class PlayMove(Noop):
    """Plays what a task declares under a name."""

    move: str = ""

    def act(self, sandbox: Sandbox, attempt: Attempt) -> AgentResult:
        """DeclaredSolution it."""
        move = moves(attempt.group.task)[self.move]
        return AgentResult(Stop.FINISHED) if move is None else apply_solution(sandbox, attempt, move)


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.long)], ids=["first", "every"])
@pytest.mark.parametrize("name", ["shop", "repo", "machine", "webshop", "server"])
def test_example(scope: RunScope, tmp_path: Path, name: str, *, every: bool) -> None:
    """Every solution passes, every wrong answer stays at or under its bound, and noop gets exactly 0."""
    groups = first_variants(load([EXAMPLES / f"{name}.yaml"]).groups())
    preparing = Images(scope, network=True, log=lambda _: None)
    prepared = {group.id: prepare_group(group, preparing, Noop(), OperatorBounds()) for group in groups}
    images = {group: made for group, made in prepared.items() if not isinstance(made, Lost)}
    assert [made for made in prepared.values() if isinstance(made, Lost)] == []
    plan = [
        PlannedRollout(RolloutId(group.id, index, 0), group, move)
        for group in groups
        for index, move in enumerate(moves(group.task, every=every))
    ]
    workplace = Workplace(
        open_sandbox=partial(open_sandbox, scope),
        agents={move: PlayMove(move=move) for move in {planned.agent for planned in plan}},
        logs=FileLogs(lambda rollout, log: tmp_path / f"{rollout.key.replace('/', '-')}-{log}"),
        cancelled=threading.Event(),
    )

    def work(planned: PlannedRollout, queued: float) -> Rollout:
        return run_rollout(RolloutJob(scope.run, planned, images[planned.id.group], seed=0), workplace, queued)

    threads = LocalThreads(work, CONCURRENCY)
    results: list[Rollout] = []
    run_schedule(FixedSchedule(plan, 1), threads, results.append)
    threads.close(1.0)
    tasks = {group.task.id: group.task for group in groups}
    broken = [text for result in results if (text := verdict(tasks[result.id.group.task], result))]
    assert broken == []
    assert len(results) == len(plan)


def first_variants(groups: object) -> list[Group]:
    """One variant of each task: the examples' variants differ in the prompt alone."""
    found: dict[str, Group] = {}
    for group in groups:  # type: ignore[attr-defined]  # an iterator of groups
        found.setdefault(group.task.id, group)
    return list(found.values())


def verdict(task: Task, result: Rollout) -> str:
    """What is wrong with a result; '' where it is as declared."""
    move, outcome = [*moves(task).values()][result.id.index], result.outcome
    name = f"{task.id}: {move.name if move is not None else 'noop'}"
    if not isinstance(outcome, Graded):
        return f"{name}: lost: {outcome.reason}"
    if move is None:
        return "" if outcome.reward == 0.0 else f"{name}: reward {outcome.reward}"
    bound = getattr(move, "reward_at_most", None)
    kept = outcome.passed if bound is None else outcome.reward <= bound + 1e-9
    notes = "; ".join(check.note for check in outcome.checks if check.note)
    return "" if kept else f"{name}: reward {outcome.reward}: {notes}"


@pytest.mark.parametrize("name", ["shop", "repo", "machine", "webshop"])
def test_example_is_complete(name: str) -> None:
    """At least six tasks, each with a solution, two wrong answers, two to four weighted checks and two prompts."""
    tasks = load([EXAMPLES / f"{name}.yaml"]).tasks
    assert len(tasks) >= 6
    for task in tasks:
        assert len(task.solutions) >= 1
        assert len(task.wrong) >= 2
        assert 2 <= sum(check.weight > 0 for check in task.grader.checks) <= 4
        assert len({variant.prompt for variant in task.variants}) >= 2
