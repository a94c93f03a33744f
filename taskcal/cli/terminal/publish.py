"""From a run's folder to what a person sees: the same for a run that just ended and for one of last month."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from taskcal.cli.terminal.output import name_results, print_json
from taskcal.core.calibration.calibrate import calibrate
from taskcal.core.calibration.run_result import RunResult
from taskcal.report.calibration_json import calibration_document, render_json
from taskcal.report.markdown import render_markdown
from taskcal.report.overview import Overview
from taskcal.report.table import final_lines, final_table
from taskcal.report.wording.actions import RowChoice
from taskcal.store.collector import pause_collector

if TYPE_CHECKING:
    from taskcal.core.run import RunRecord
    from taskcal.core.verdict import Band
    from taskcal.store.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class OutputChoice:
    """How much of a result is printed."""

    verbose: bool = False
    rows: RowChoice = field(default_factory=RowChoice)
    with_resume: bool = True


def publish(
    folder: RunFolder, *, as_json: bool, band: Band | None = None, output: OutputChoice | None = None
) -> RunResult:
    """Calibrate, write the derived files, and print the result; another band is only printed.

    Raises RunFolderError.
    """
    from dataclasses import replace

    record = folder.record()
    record = record if band is None else replace(record, settings=record.settings.with_band(band))
    with pause_collector():
        result = result_of(folder, record)
        text = render_json(calibration_document(result))
        if band is None:
            folder.write("calibration.json", text)
            folder.write("report.md", render_markdown(result))
    name_results(str(folder.path))
    if as_json:
        print_json(text)
    else:
        print_result(result, str(folder.path), output or OutputChoice(), is_stored=band is None)
        if band is not None:
            typer.echo("The run's own report is unchanged.")
    return result


def result_of(folder: RunFolder, record: RunRecord) -> RunResult:
    """What the rollouts on disk say, in the order of the taskset."""
    calibrations = calibrate(folder.groups(), folder.rollouts(), record.settings, record.planned)
    return RunResult(record, calibrations)


def print_result(result: RunResult, folder: str, output: OutputChoice, *, is_stored: bool) -> None:
    """Print the tasks by what to do with them, or with `verbose` all statistics and how they came about.

    A terminal gets a table that fits its width, anything else plain lines.
    """
    overview = Overview(result, folder, is_stored, output.rows, output.with_resume)
    if sys.stdout.isatty():
        from rich.console import Console

        Console(file=sys.stdout).print(final_table(result, with_methods=True) if output.verbose else overview)
    else:
        typer.echo("\n".join(final_lines(result, with_methods=True) if output.verbose else overview.lines()))
    if output.verbose and is_stored:
        typer.echo(f"report: {Path(folder) / 'report.md'}")
