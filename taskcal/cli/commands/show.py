"""`taskcal show`: what happened in a rollout, to be read in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskcal.report.show import StoryLine


def show(
    run: Annotated[
        str | None, typer.Argument(help="A run's folder or id, or last. (default: the newest)", show_default=False)
    ] = None,
    task: Annotated[
        str | None,
        typer.Argument(
            help="A task, task/variant, or a rollout of it: task#0.", show_default=False, metavar="TASK#INDEX"
        ),
    ] = None,
    attempt: Annotated[
        int | None, typer.Option("--attempt", help="An earlier attempt at the rollout. (default: the last)", min=0)
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Long outputs whole.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON, and nothing else.")] = False,
    runs: Annotated[str | None, typer.Option("--runs", help="Folder that holds runs. (default: runs)")] = None,
) -> None:
    """Read a rollout: prompt, turns, answer, checks, reward. Without an INDEX, list the rollouts.

    With one argument that names no run, it is a task of the newest one: `taskcal show ship-order#0`.
    """
    from pathlib import Path

    from taskcal.cli.options.configuration import find_configuration
    from taskcal.cli.options.find_rollout import chosen, find_run, list_as_json, record_of, rollout_as_json
    from taskcal.report.show import overview, story

    root = Path(runs or find_configuration(Path.cwd()).runs or "runs")
    folder, name = find_run(run, task, root)
    rollouts, is_one = chosen(folder, name, attempt)
    if not is_one:
        _print(list_as_json(rollouts) if as_json else overview(rollouts))
        return
    record = record_of(folder, rollouts[0])
    _print(rollout_as_json(record) if as_json else story(record, full=full))


def _print(what: str | Iterable[StoryLine]) -> None:
    """JSON as it is; lines in colour, and through a pager where they go to a terminal that they would overflow."""
    import os
    import pydoc
    import shutil
    import sys

    from taskcal.cli.terminal.output import print_json

    if isinstance(what, str):
        print_json(f"{what}\n")
        return
    terminal = shutil.get_terminal_size()
    lines = [_coloured(line, terminal.columns) for line in what]
    if sys.stdout.isatty() and len(lines) >= terminal.lines:
        os.environ.setdefault("LESS", "-FRX")  # as git does: colours pass, and the text stays when it is left
        pydoc.pager("\n".join(lines))
    else:
        typer.echo("\n".join(lines))


def _coloured(line: StoryLine, width: int) -> str:
    from taskcal.report.show import LineStyle

    colours = {LineStyle.GOOD: "green", LineStyle.BAD: "red"}
    if line.look is LineStyle.PLAIN:
        return line.at(width)
    bold, dim = line.look is LineStyle.TITLE, line.look is LineStyle.QUIET
    return typer.style(line.at(width), fg=colours.get(line.look), bold=bold or None, dim=dim or None)
