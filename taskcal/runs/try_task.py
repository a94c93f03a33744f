"""One attempt by a person or a declared answer, as `taskcal shell` makes it: one sandbox, then the grades."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from taskcal.agents import Attempt
from taskcal.agents.builtin import Noop, run_solution
from taskcal.agents.command import START, give_prompt
from taskcal.agents.tools.path_programs import tools_on_path
from taskcal.core.rollout import Lost, Stop
from taskcal.errors import MissingError, UsageError
from taskcal.execution.grading import Judgement, grade
from taskcal.report.wording.formatting import format_duration
from taskcal.report.wording.sanitize import plain
from taskcal.sandbox import Script, ScriptEnding
from taskcal.sandbox.sandbox_spec import SandboxSpec
from taskcal.sandbox.terminal import join

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskcal.agents.builtin import DeclaredSolution
    from taskcal.core.plan import OperatorBounds
    from taskcal.core.task import Group
    from taskcal.execution.workplace import RolloutSandbox
    from taskcal.runs.engine import RunOnEngine
    from taskcal.sandbox import ScriptResult

LEAVE = "-- a shell as the agent gets it; leave it (exit) to grade --"
LONGEST_SHELL = 24 * 3600.0
"""Seconds that a task's tools answer a person."""


class Screen(Protocol):
    """Shows a person what scripts print."""

    def output(self, chunk: bytes) -> None:
        """A chunk of standard output."""
        ...

    def errors(self, chunk: bytes) -> None:
        """A chunk of standard error."""
        ...

    def end(self) -> None:
        """A script has ended."""
        ...


@dataclass(frozen=True, slots=True)
class TaskTrial:
    """What to do in a task's sandbox: play `move` if there is one, then run `script`, or offer a shell without one.

    A shell is offered only if standard input is a terminal.
    """

    group: Group
    move: DeclaredSolution | None
    script: str | None
    bounds: OperatorBounds


@dataclass(frozen=True, slots=True)
class TriedTask:
    """How each script and shell ended, a line each, and the grades."""

    endings: tuple[str, ...]
    judgement: Judgement


def try_task(trial: TaskTrial, on_engine: RunOnEngine, log: Callable[[str], None], screen: Screen) -> TriedTask:
    """Open, act, grade, close; `log` gets a line about each step that takes time. Raises TaskcalError."""
    sandbox = _open(trial, on_engine, log)
    endings = _act(sandbox, trial, screen)
    judgement = grade(sandbox, trial.group, Stop.FINISHED)
    sandbox.finish()
    sandbox.close()
    return TriedTask(tuple(endings), judgement)


def find_play(group: Group, name: str) -> DeclaredSolution:
    """The solution or wrong answer of that name. Raises UsageError."""
    moves: dict[str, DeclaredSolution] = {move.name: move for move in group.task.wrong}
    moves |= {move.name: move for move in group.task.solutions}
    if name not in moves:
        raise UsageError(
            f"{group.task.id} has no solution or wrong answer {name!r}; it has {', '.join(moves) or 'none'}"
        )
    return moves[name]


def _open(trial: TaskTrial, on_engine: RunOnEngine, log: Callable[[str], None]) -> RolloutSandbox:
    group = trial.group
    ready = on_engine.preparation(Noop(), trial.bounds, log).prepare(group)
    if isinstance(ready, Lost):
        raise MissingError(f"{group.id}: {ready.boundary.value}: {ready.reason}")
    for warning in ready.probe.warnings:
        log(f"warning: {plain(warning)}")
    return on_engine.open_sandbox(SandboxSpec.of(group, ready.images, None, f"{group.id}#0", on_engine.run))


def _act(sandbox: RolloutSandbox, trial: TaskTrial, screen: Screen) -> list[str]:
    """DeclaredSolution the move; then the person's shell on a terminal, or the script. Gives how each ended."""
    group, move, endings = trial.group, trial.move, []
    user, seconds = group.task.environment.user, group.task.timeouts.agent
    if move is not None:
        played = run_solution(sandbox, Attempt(group, 0, seconds, screen.output), move, screen.errors)
        screen.end()
        endings.append(_ended(f"`{move.name}`", played, seconds))
    attempt = Attempt(group, 0, seconds, screen.output, wall=LONGEST_SHELL)
    with tools_on_path(sandbox, attempt, user) as tools:
        variables = {**give_prompt(sandbox, group.variant.prompt, user), **tools}
        script = Script(f'{START}printf %s "$PATH"', 60.0, user=user, env=variables)
        path = sandbox.run(script).stdout.decode(errors="replace")
        if trial.script is not None:
            script = replace(script, source=START + trial.script, timeout=seconds)
            done = sandbox.run(script, sink=screen.output, errors=screen.errors)
            screen.end()
            endings.append(_ended("the script", done, seconds))
        elif sys.stdin.isatty():
            screen.output(f"{group.variant.prompt}\n{LEAVE}\n".encode(errors="replace"))
            endings += _on_terminal(sandbox, variables | ({"PATH": path} if path else {}))
    return endings


def _on_terminal(sandbox: RolloutSandbox, variables: dict[str, str]) -> list[str]:
    """A person's shell until it ends."""
    with sandbox.terminal(variables) as line:
        join(line)
        status = line.status()
    return [] if status is None else [f"the shell ended with exit status {status}"]


def _ended(what: str, result: ScriptResult, seconds: float) -> str:
    """How a script ended, on one line."""
    match result.ending:
        case ScriptEnding.TIMED_OUT:
            return plain(f"{what} was stopped after {format_duration(seconds)} (timeouts.agent)")
        case ScriptEnding.OUT_OF_MEMORY:
            return plain(f"{what} was killed: the sandbox ran out of memory")
        case ScriptEnding.EXITED:
            return plain(f"{what} ended with exit status {result.exit_code}")
