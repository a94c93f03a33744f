"""What `taskcal shell` does: one sandbox, a person or a solution in it, then the grades."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from taskcal.agents import Attempt
from taskcal.agents.builtin import Noop, run_move
from taskcal.agents.command import START, give_prompt
from taskcal.agents.tools.path_programs import tools_on_path
from taskcal.cli.options.parse import network
from taskcal.cli.options.request import choose_tasks
from taskcal.cli.session import connect, terminate_as_interrupt
from taskcal.cli.terminal.display import Display
from taskcal.core.plan import Bounds, Selection
from taskcal.core.rollout import Lost, Stop
from taskcal.errors import MissingError, UsageError
from taskcal.execution.grading import grade
from taskcal.report.wording.formatting import duration
from taskcal.report.wording.sanitize import plain, visible
from taskcal.runs.images.probe import Probes, ready_group
from taskcal.sandbox import Script, ScriptEnding
from taskcal.sandbox.container import DockerSandbox, open_sandbox
from taskcal.sandbox.engine.run_resources import RunScope
from taskcal.sandbox.images.baking import Images
from taskcal.sandbox.interpreters import as_shell
from taskcal.sandbox.sandbox_spec import SandboxSpec
from taskcal.sandbox.terminal import join
from taskcal.taskset.load import load

if TYPE_CHECKING:
    from taskcal.agents.builtin import Play
    from taskcal.core.rollout import CheckResult
    from taskcal.core.task import Group
    from taskcal.sandbox import ScriptResult

LEAVE = "-- a shell as the agent gets it; leave it (exit) to grade --"
LONGEST_SHELL = 24 * 3600.0
"""Seconds that a task's tools answer a person."""


@dataclass(frozen=True, slots=True)
class InnerLoop:
    """What `taskcal shell` was asked."""

    file: str
    task: str
    variant: str | None
    solution: str | None
    allow_network: str


def try_task(asked: InnerLoop) -> int:
    """Open, act, grade, print; 0 if the task was graded. Raises TaskcalError."""
    group = choose_group(asked)
    move = None if asked.solution is None else find_play(group, asked.solution)
    piped = None if move is not None or sys.stdin.isatty() else _piped()
    engine = connect(1)
    scope = RunScope(engine, f"shell-{secrets.token_hex(4)}")
    try:
        with terminate_as_interrupt():
            sandbox = _open(group, scope, asked)
            endings = _act(sandbox, group, move, piped)
            judgement = grade(sandbox, group, Stop.FINISHED)
            sandbox.finish()
            sandbox.close()
    finally:
        scope.close()
        engine.close()
    for line in endings:
        typer.echo(line)
    for check in judgement.graded.checks:
        typer.echo(describe(check))
    typer.echo(f"reward {judgement.graded.reward:.3g}, {'passed' if judgement.graded.passed else 'not passed'}")
    return 0


def _piped() -> str:
    """The script on standard input, for the interpreter that it names. Raises UsageError if none can read it."""
    try:
        script = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"the script on standard input is not UTF-8 (byte {error.start}); save it so") from error
    if "\0" in script:
        raise UsageError("the script on standard input holds a NUL byte, which no shell can read; write it as '\\0'")
    try:
        return as_shell(script)
    except ValueError as error:
        raise UsageError(f"the script on standard input: {error}") from error


def choose_group(asked: InnerLoop) -> Group:
    """The task's variant. Raises UsageError where it is not there."""
    name, _, variant = asked.task.partition("/")
    taskset = choose_tasks(load([asked.file]), Selection(tasks=(name,)))
    wanted = asked.variant or variant
    groups = [group for group in taskset.groups() if not wanted or group.variant.id == wanted]
    if not groups:
        known = ", ".join(group.variant.id or "(none)" for group in taskset.groups())
        raise UsageError(f"{name} has no variant {wanted}; it has {known}")
    return groups[0]


def find_play(group: Group, name: str) -> Play:
    """The solution or wrong answer of that name. Raises UsageError."""
    moves: dict[str, Play] = {move.name: move for move in group.task.wrong}
    moves |= {move.name: move for move in group.task.solutions}
    if name not in moves:
        raise UsageError(
            f"{group.task.id} has no solution or wrong answer {name!r}; it has {', '.join(moves) or 'none'}"
        )
    return moves[name]


def describe(check: CheckResult) -> str:
    """A check on one line, safe for a terminal."""
    mark = "ok  " if check.score >= 1.0 else f"{check.score:<4.2g}"
    role = "guard" if check.required and not check.weight else f"weight {check.weight:g}"
    return f"{mark}  {plain(check.name)}  ({role}){'  ' + plain(check.note) if check.note else ''}"


def _open(group: Group, scope: RunScope, asked: InnerLoop) -> DockerSandbox:
    bounds = Bounds(network=network("--allow-network", asked.allow_network))
    images = Images(scope, network=bounds.builds_have_network, log=_log)
    ready = ready_group(group, images, Probes(scope), Noop(), bounds)
    if isinstance(ready, Lost):
        raise MissingError(f"{group.id}: {ready.boundary.value}: {ready.reason}")
    for warning in ready.probe.warnings:
        _log(f"warning: {plain(warning)}")
    order = SandboxSpec.of(group, ready.images, None, f"{group.id}#0", scope.run)
    return open_sandbox(scope, order)


def _log(line: str) -> None:
    """Show what an image's preparation prints, which is a stranger's text."""
    typer.echo(visible(line.rstrip()), err=True)


def _act(sandbox: DockerSandbox, group: Group, move: Play | None, piped: str | None) -> list[str]:
    """Play the move; then the person's shell on a terminal, or the script that was piped in. Gives how each ended."""
    display, endings = Display(sys.stderr), []
    user, seconds = group.task.environment.user, group.task.timeouts.agent
    if move is not None:
        played = run_move(sandbox, Attempt(group, 0, seconds, display.output), move, display.errors)
        display.end()
        endings.append(_ended(f"`{move.name}`", played, seconds))
    attempt = Attempt(group, 0, seconds, display.output, wall=LONGEST_SHELL)
    with tools_on_path(sandbox, attempt, user) as told:
        variables = {**give_prompt(sandbox, group.variant.prompt, user), **told}
        script = Script(f'{START}printf %s "$PATH"', 60.0, user=user, env=variables)
        path = sandbox.run(script).stdout.decode(errors="replace")
        if piped is not None:
            script = replace(script, source=START + piped, timeout=seconds)
            done = sandbox.run(script, sink=display.output, errors=display.errors)
            display.end()
            endings.append(_ended("the script", done, seconds))
        elif sys.stdin.isatty():
            display.output(f"{group.variant.prompt}\n{LEAVE}\n".encode(errors="replace"))
            endings += _on_terminal(sandbox, variables | ({"PATH": path} if path else {}))
    return endings


def _on_terminal(sandbox: DockerSandbox, variables: dict[str, str]) -> list[str]:
    """A person's shell until it ends."""
    with sandbox.terminal(variables) as line:
        join(line)
        status = line.status()
    return [] if status is None else [f"the shell ended with exit status {status}"]


def _ended(what: str, result: ScriptResult, seconds: float) -> str:
    """How a script ended, on one line."""
    match result.ending:
        case ScriptEnding.TIMED_OUT:
            return plain(f"{what} was stopped after {duration(seconds)} (timeouts.agent)")
        case ScriptEnding.OUT_OF_MEMORY:
            return plain(f"{what} was killed: the sandbox ran out of memory")
        case ScriptEnding.EXITED:
            return plain(f"{what} ended with exit status {result.exit_code}")
