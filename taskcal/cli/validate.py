"""`taskcal validate`: whether tasksets are well written, without an engine."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from taskcal.core.task import Taskset


def validate(
    files: Annotated[list[str], typer.Argument(help="Tasksets: files, folders or globs.", show_default=False)],
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if there are warnings.")] = False,
) -> None:
    """Check that tasksets are well written; needs no container engine."""
    from taskcal.report.clean import LONGEST_LINE, plain
    from taskcal.taskset.advice import warnings
    from taskcal.taskset.load import load

    taskset = load(files)
    found = warnings(taskset)
    for problem in found:
        typer.echo(plain(f"warning: {problem}", LONGEST_LINE))
    for line in _lines(taskset):
        typer.echo(plain(line, LONGEST_LINE))
    if strict and found:
        raise typer.Exit(1)


def _lines(taskset: Taskset) -> list[str]:
    tasks = Counter(task.file for task in taskset.tasks)
    variants = Counter(group.task.file for group in taskset.groups() if group.variant.id)
    return [f"{file}: {', '.join(_counts(tasks[file], variants[file]))}" for file in taskset.files]


def _counts(tasks: int, variants: int) -> tuple[str, ...]:
    named = (_count(variants, "variant"),) if variants else ()
    return (_count(tasks, "task"), *named, "ok")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
