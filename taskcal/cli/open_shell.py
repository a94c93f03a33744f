"""What `taskcal shell` does: one sandbox, a person or a solution in it, then the grades on standard output."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from taskcal.cli.docker_runs import connect
from taskcal.cli.options.parse import read_network
from taskcal.cli.options.request import choose_tasks
from taskcal.cli.terminal.display import Display
from taskcal.cli.terminal.interrupts import Interrupts
from taskcal.core.plan import OperatorBounds, Selection
from taskcal.errors import UsageError
from taskcal.report.wording.sanitize import plain, visible
from taskcal.runs.images.prepare_images import PREPARERS
from taskcal.runs.try_task import TaskTrial, find_play, try_task
from taskcal.sandbox.interpreters import as_shell
from taskcal.taskset.load import load

if TYPE_CHECKING:
    from taskcal.core.rollout import CheckResult
    from taskcal.core.task import Group
    from taskcal.runs.try_task import TriedTask


@dataclass(frozen=True, slots=True)
class ShellOptions:
    """The command line as typed."""

    file: str
    task: str
    variant: str | None
    solution: str | None
    allow_network: str


def open_shell(typed: ShellOptions) -> int:
    """Open, act, grade, print; 0 if the task was graded. Raises TaskcalError."""
    group = choose_group(typed)
    move = None if typed.solution is None else find_play(group, typed.solution)
    script = None if move is not None or sys.stdin.isatty() else _read_script()
    engine = connect(1 + PREPARERS)
    on_engine = engine.begin(f"shell-{secrets.token_hex(4)}")
    try:
        with Interrupts():
            bounds = OperatorBounds(network=read_network("--allow-network", typed.allow_network))
            tried = try_task(TaskTrial(group, move, script, bounds), on_engine, _log, Display(sys.stderr))
    finally:
        on_engine.close()
        engine.close()
    _show(tried)
    return 0


def _show(tried: TriedTask) -> None:
    graded = tried.judgement.graded
    for line in (*tried.endings, *map(describe_check, graded.checks)):
        typer.echo(line)
    typer.echo(f"reward {graded.reward:.3g}, {'passed' if graded.passed else 'not passed'}")


def _read_script() -> str:
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


def choose_group(typed: ShellOptions) -> Group:
    """The task's variant. Raises UsageError where it is not there."""
    name, _, variant = typed.task.partition("/")
    taskset = choose_tasks(load([typed.file]), Selection(tasks=(name,)))
    wanted = typed.variant or variant
    groups = [group for group in taskset.groups() if not wanted or group.variant.id == wanted]
    if not groups:
        known = ", ".join(group.variant.id or "(none)" for group in taskset.groups())
        raise UsageError(f"{name} has no variant {wanted}; it has {known}")
    return groups[0]


def describe_check(check: CheckResult) -> str:
    """A check on one line, safe for a terminal."""
    mark = "ok  " if check.score >= 1.0 else f"{check.score:<4.2g}"
    role = "guard" if check.required and not check.weight else f"weight {check.weight:g}"
    return f"{mark}  {plain(check.name)}  ({role}){'  ' + plain(check.note) if check.note else ''}"


def _log(line: str) -> None:
    """Show what an image's preparation prints, which is a stranger's text."""
    typer.echo(visible(line.rstrip()), err=True)
