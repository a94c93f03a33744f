"""`taskcal report`: a run's calibration again, from its folder, without a container."""

from __future__ import annotations

from typing import Annotated

import typer


def report(
    run: Annotated[
        str | None, typer.Argument(help="A run's folder or id. (default: the newest)", show_default=False)
    ] = None,
    band: Annotated[
        str | None,
        typer.Option(
            "--band",
            help="Judge against another band, such as 0.1,0.6 or 10,60. (default: the run's)",
            metavar="LOW,HIGH",
        ),
    ] = None,
    runs: Annotated[str | None, typer.Option("--runs", help="Folder that holds runs. (default: runs)")] = None,
    verdict: Annotated[
        list[str], typer.Option("--verdict", help="Show only tasks with this verdict, such as too-hard; repeatable.")
    ] = [],  # noqa: B006 - typer reads it
    sort: Annotated[
        str, typer.Option("--sort", help="Order of the rows: taskset, name, rate, contrast or signal.", metavar="KEY")
    ] = "taskset",
    show_all: Annotated[bool, typer.Option("--all", help="Show every row. (default: the first 50)")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print every statistic, the claims of the verdicts, and Methods.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the calibration as JSON and nothing else.")] = False,
) -> None:
    """Print a run's calibration, and write its report files again; with --band only print."""
    from pathlib import Path

    from taskcal.cli.options.configuration import find_configuration
    from taskcal.cli.options.parse import read_band, read_row_choice
    from taskcal.cli.terminal.publish import OutputChoice, publish
    from taskcal.store.run_folder import find

    root = Path(runs or find_configuration(Path.cwd()).runs or "runs")
    output = OutputChoice(verbose, read_row_choice(verdict, sort, show_all=show_all))
    publish(find(run, root), as_json=as_json, band=read_band(band) if band else None, output=output)
