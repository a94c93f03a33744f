"""A taskset can be valid and still teach little: what its author should know before spending rollouts on it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from taskcal.core.task import FileProbe, GraderSandbox, NetworkMode, RunProbe, as_text
from taskcal.errors import Problem
from taskcal.taskset.advice.scripts import about_scripts
from taskcal.taskset.advice.search_paths import about_search_paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.core.task import Probe, Solution, Task, Taskset, WrongAnswer

FEWEST_CHECKS, MOST_CHECKS = 2, 4
EXPRESSION = re.compile(r"\{\{\s*([A-Za-z_]\w*)")
VARIABLE = re.compile(r"(?<!\\)\$\{?([A-Za-z_]\w*)")


def warnings(taskset: Taskset) -> tuple[Problem, ...]:
    """Give one warning for each thing about each task that deserves one; none of them keeps it from running."""
    return tuple(
        Problem(task.file, task.line, task.id, message)
        for task in taskset.tasks
        for message in (
            *_about_proofs(task),
            *_about_checks(task),
            *_about_artifacts(task),
            *_about_params(task),
            *about_scripts(task),
            *about_search_paths(task),
        )
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


def _about_params(task: Task) -> Iterator[str]:
    """Scripts read params as `$name` and values of checks as `{{ name }}`; an empty one is met by an empty file."""
    known = {name for variant in task.variants for name in variant.params}
    if not known:
        return
    for check in task.grader.checks:
        for key, text in _values(check.probe):
            for name in dict.fromkeys(match[1] for match in VARIABLE.finditer(text) if match[1] in known):
                yield f'check "{check.name}": {key} is not a script, so ${name} is text there; write {{{{ {name} }}}}'
    for where, script in _scripts(task):
        for name in dict.fromkeys(match[1] for match in EXPRESSION.finditer(script) if match[1] in known):
            yield f'{where} is a script and not a template; write "${name}" for {{{{ {name} }}}}'
    yield from _about_answers(task, known)
    yield from _about_variables(task, known)
    for name in sorted(known & _read_by_grader(task)):
        empty = [variant.id for variant in task.variants if as_text(variant.params.get(name)) == ""]
        if 0 < len(empty) < len(task.variants):
            yield f"{name} is empty in the variant {empty[0]}: a check that compares with it accepts an empty file"


def _about_answers(task: Task, known: set[str]) -> Iterator[str]:
    attempts: tuple[Solution | WrongAnswer, ...] = (*task.solutions, *task.wrong)
    for attempt in attempts:
        answer = attempt.answer or ""
        written = ["{{ }}"] if known.intersection(EXPRESSION.findall(answer)) else []
        written += [f"${name}" for name in dict.fromkeys(VARIABLE.findall(answer)) if name in known]
        for text in written:
            way = 'echo "$name" > "$TASKCAL_ANSWER_FILE"'
            yield f'"{attempt.name}": {text} is plain text in answer; write a param in run, as {way}'


def _about_variables(task: Task, known: set[str]) -> Iterator[str]:
    for part, env in (("environment", task.environment.env), ("grader", task.grader.env)):
        for key, value in env.items():
            for name in dict.fromkeys(name for name in EXPRESSION.findall(value) if name in known):
                yield f"{part}.env.{key}: {{{{ {name} }}}} is plain text there; every script has ${name} already"


def _scripts(task: Task) -> Iterator[tuple[str, str]]:
    """Give the scripts that receive params, each with its name for a message."""
    environment, grader = task.environment, task.grader
    yield from (("setup", environment.setup), ("start", environment.start), ("ready", environment.ready))
    yield "the grader's run", grader.run
    for check in grader.checks:
        if isinstance(check.probe, RunProbe):
            yield f'check "{check.name}": run', check.probe.script
    yield from ((f'"{solution.name}": run', solution.run) for solution in task.solutions)
    yield from ((f'"{wrong.name}": run', wrong.run) for wrong in task.wrong)


def _values(probe: Probe) -> Iterator[tuple[str, str]]:
    """Give the texts that a check compares with, by key."""
    for key in ("path", "equals", "contains", "matches", "pointer"):
        value = getattr(probe, key, None)
        text = json.dumps(value) if isinstance(value, dict | list) else value
        if isinstance(text, str):
            yield ("file" if key == "path" else key), text


def _read_by_grader(task: Task) -> set[str]:
    """Give the variables that the grader's scripts read."""
    scripts = [check.probe.script for check in task.grader.checks if isinstance(check.probe, RunProbe)]
    return {match[1] for script in (task.grader.run, *scripts) for match in VARIABLE.finditer(script)}


def _looks_at_sandbox(probe: Probe) -> bool:
    return isinstance(probe, FileProbe) or (isinstance(probe, RunProbe) and not probe.service)
