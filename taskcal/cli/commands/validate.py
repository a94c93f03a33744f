"""`taskcal validate`: whether tasksets are well written, without an engine."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from taskcal.core.task import Taskset


def validate(
    files: Annotated[list[str], typer.Argument(help="Tasksets: files, folders or globs.", show_default=False)],
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if there are warnings.")] = False,
) -> None:
    """Check that tasksets are well written; needs no container engine."""
    from taskcal.report.wording.sanitize import LONGEST_LINE, plain
    from taskcal.taskset.advice.advice import warnings
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
    """A line for each file, and one for all of them if there are several: what `run` would count."""
    from taskcal.report.wording.formatting import extent

    groups = defaultdict(list)
    for group in taskset.groups():
        groups[group.task.file].append(group.id)
    lines = [f"{file}: {extent(groups[file])}, ok" for file in taskset.files]
    every = extent(group.id for group in taskset.groups())
    return [*lines, f"in all: {every}"] if len(lines) > 1 else lines
