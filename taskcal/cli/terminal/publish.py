"""From a run's folder to what a person sees: the same for a run that just ended and for one of last month."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from taskcal.cli.terminal.output import name_results, print_json
from taskcal.core.calibration.calibrate import Calibration, calibrate
from taskcal.report.calibration_json import calibration_document, render_json
from taskcal.report.markdown import render_markdown
from taskcal.report.overview import Overview
from taskcal.report.table import final_lines, final_table
from taskcal.report.wording.actions import RowChoice

if TYPE_CHECKING:
    from taskcal.core.run import RunRecord
    from taskcal.core.verdict import Band
    from taskcal.store.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class Shown:
    """How much of a result is printed."""

    verbose: bool = False
    choice: RowChoice = field(default_factory=RowChoice)


def publish(
    folder: RunFolder, *, as_json: bool, band: Band | None = None, shown: Shown | None = None
) -> tuple[Calibration, ...]:
    """Calibrate, write the derived files, and print the result; another band is only printed.

    Raises RunFolderError.
    """
    from dataclasses import replace

    record = folder.record()
    record = record if band is None else replace(record, settings=record.settings.against(band))
    calibrations = calibrations_of(folder, record)
    text = render_json(calibration_document(record, calibrations))
    if band is None:
        folder.write("calibration.json", text)
        folder.write("report.md", render_markdown(record, calibrations))
    name_results(str(folder.path))
    if as_json:
        print_json(text)
    else:
        report = str(folder.path / "report.md") if band is None else ""
        show(record, calibrations, report, shown or Shown())
        if band is not None:
            typer.echo("The run's own report is unchanged.")
    return calibrations


def calibrations_of(folder: RunFolder, record: RunRecord) -> tuple[Calibration, ...]:
    """What the rollouts on disk say, in the order of the taskset."""
    return calibrate(folder.groups(), folder.rollouts(), record.settings, record.planned)


def show(record: RunRecord, calibrations: tuple[Calibration, ...], report: str, shown: Shown) -> None:
    """Print the tasks by what to do with them, or with `verbose` all statistics and how they came about.

    A terminal gets a table that fits its width, anything else plain lines.
    """
    overview = Overview(record, calibrations, report, shown.choice)
    if not sys.stdout.isatty():
        lines = final_lines(record, calibrations, with_methods=True) if shown.verbose else overview.lines()
        typer.echo("\n".join([*lines, f"report: {report}"] if shown.verbose and report else lines))
        return
    from rich.console import Console

    table = final_table(record, calibrations, with_methods=True) if shown.verbose else overview
    Console(file=sys.stdout).print(table)
    if shown.verbose and report:
        typer.echo(f"report: {report}")
