"""A taskset can be valid and still teach little: what its author should know before spending rollouts on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.core.task import FileProbe, GraderSandbox, NetworkMode, RunProbe
from taskcal.errors import Problem
from taskcal.taskset.script_advice import about_scripts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.core.task import Probe, Task, Taskset

FEWEST_CHECKS, MOST_CHECKS = 2, 4


def warnings(taskset: Taskset) -> tuple[Problem, ...]:
    """Give one warning for each thing about each task that deserves one; none of them keeps it from running."""
    return tuple(
        Problem(task.file, task.line, task.id, message)
        for task in taskset.tasks
        for message in (*_about_proofs(task), *_about_checks(task), *_about_artifacts(task), *about_scripts(task))
    )


def _about_proofs(task: Task) -> Iterator[str]:
    if not task.solutions:
        yield "no solution: nothing proves that the task can be done"
    if not task.wrong:
        yield "no wrong answer: nothing proves that the grader refuses anything"
    if task.environment.network.mode is not NetworkMode.NONE and task.external is None:
        yield "has network; say external: stateful or external: stateless, for what it meets outside"


def _about_checks(task: Task) -> Iterator[str]:
    weighted = sum(check.weight > 0 for check in task.grader.checks)
    if not FEWEST_CHECKS <= weighted <= MOST_CHECKS:
        few = "rewards are all or nothing" if weighted < FEWEST_CHECKS else "each says little"
        yield f"{weighted} weighted check{'s' * (weighted != 1)}, where two to four serve best: {few}"


def _about_artifacts(task: Task) -> Iterator[str]:
    grader = task.grader
    blind = grader.run or any(_looks_at_sandbox(check.probe) for check in grader.checks)
    if grader.sandbox is GraderSandbox.FRESH and not grader.artifacts and blind:
        yield "sandbox: fresh without artifacts: the checks see the image as it was before the agent came"


def _looks_at_sandbox(probe: Probe) -> bool:
    return isinstance(probe, FileProbe) or (isinstance(probe, RunProbe) and not probe.service)
