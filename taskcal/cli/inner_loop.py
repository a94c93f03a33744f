"""What `taskcal shell` does: one sandbox, a person or a solution in it, then the grades."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from taskcal.agents import Attempt
from taskcal.agents.command import START, give_prompt
from taskcal.agents.play import Noop, play
from taskcal.agents.relay import tools_on_path
from taskcal.cli.measure import connect, terminate_as_interrupt
from taskcal.cli.options import choose_tasks
from taskcal.cli.parse import network
from taskcal.core.plan import Bounds, Selection
from taskcal.core.reach import reach_of
from taskcal.core.rollout import Lost, Stop
from taskcal.core.task import GraderSandbox, Group
from taskcal.errors import MissingError, UsageError
from taskcal.grading import grade
from taskcal.probe import Probes, ready_group
from taskcal.report.clean import plain
from taskcal.sandbox import Script
from taskcal.sandbox.container import DockerSandbox, Order, open_sandbox
from taskcal.sandbox.images import Images
from taskcal.sandbox.scope import RunScope
from taskcal.sandbox.terminal import join
from taskcal.taskset.load import load

if TYPE_CHECKING:
    from taskcal.agents.play import Play
    from taskcal.core.rollout import CheckResult

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
    """Open, act, grade, print; 0 where the task was graded. Raises TaskcalError."""
    group = choose_group(asked)
    move = None if asked.solution is None else find_play(group, asked.solution)
    engine = connect(1)
    scope = RunScope(engine, f"shell-{secrets.token_hex(4)}")
    try:
        with terminate_as_interrupt():
            sandbox = _open(group, scope, asked)
            _act(sandbox, group, move)
            judgement = grade(sandbox, group, Stop.FINISHED)
            sandbox.finish()
            sandbox.close()
    finally:
        scope.close()
        engine.close()
    for check in judgement.graded.checks:
        typer.echo(describe(check))
    typer.echo(f"reward {judgement.graded.reward:.3g}, {'passed' if judgement.graded.passed else 'not passed'}")
    return 0


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
    images = Images(scope, network=bounds.builds_have_network, log=lambda line: typer.echo(line, err=True))
    ready = ready_group(group, images, Probes(scope), Noop(), bounds)
    if isinstance(ready, Lost):
        raise MissingError(f"{group.id}: {ready.boundary.value}: {ready.reason}")
    for warning in ready.probe.warnings:
        typer.echo(f"warning: {plain(warning)}", err=True)
    environment = group.task.environment
    order = Order(
        environment=environment,
        images=ready.images,
        params=group.variant.params,
        network=reach_of(environment.network),
        rollout=f"{group.id}#0",
        unique=scope.run,
        fresh=group.task.grader.sandbox is GraderSandbox.FRESH,
    )
    return open_sandbox(scope, order)


def _act(sandbox: DockerSandbox, group: Group, move: Play | None) -> None:
    """Play the move; then the person's shell on a terminal, or what standard input says where it is piped in."""
    if move is not None:
        play(sandbox, Attempt(group, 0, group.task.timeouts.agent, _echo), move)
    user = group.task.environment.user
    attempt = Attempt(group, 0, group.task.timeouts.agent, _echo, wall=LONGEST_SHELL)
    with tools_on_path(sandbox, attempt, user) as told:
        _person(sandbox, group, {**give_prompt(sandbox, group.variant.prompt, user), **told}, by_hand=move is None)


def _person(sandbox: DockerSandbox, group: Group, variables: dict[str, str], *, by_hand: bool) -> None:
    script = Script(f'{START}printf %s "$PATH"', 60.0, user=group.task.environment.user, env=variables)
    path = sandbox.run(script).stdout.decode()
    if sys.stdin.isatty():
        _echo(f"{group.variant.prompt}\n-- a shell as the agent gets it; leave it (exit) to grade --".encode())
        with sandbox.terminal(variables | ({"PATH": path} if path else {})) as line:
            join(line)
    elif by_hand:
        sandbox.run(replace(script, source=START + sys.stdin.read(), timeout=group.task.timeouts.agent), sink=_echo)


def _echo(chunk: bytes) -> None:
    sys.stderr.write("".join(f"{plain(line, 1000)}\n" for line in chunk.decode(errors="replace").splitlines()))
