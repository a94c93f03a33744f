"""From a run's folder to what a person sees: the same for a run that just ended and for one of last month."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from taskcal.cli.terminal.output import name_results, print_json
from taskcal.core.calibration.calibrate import Calibration, calibrate
from taskcal.report.calibration_json import calibration_document, render_json
from taskcal.report.markdown import render_markdown
from taskcal.report.table import final_lines, final_table

if TYPE_CHECKING:
    from taskcal.core.run import RunRecord
    from taskcal.core.verdict import Band
    from taskcal.store.run_folder import RunFolder


def publish(
    folder: RunFolder, *, as_json: bool, band: Band | None = None, methods: bool = False
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
        print_results(record, calibrations, methods=methods)
        typer.echo(f"report: {folder.path / 'report.md'}" if band is None else "the run's own report is unchanged")
    return calibrations


def calibrations_of(folder: RunFolder, record: RunRecord) -> tuple[Calibration, ...]:
    """What the rollouts on disk say, in the order of the taskset."""
    return calibrate(folder.groups(), folder.rollouts(), record.settings, record.planned)


def print_results(record: RunRecord, calibrations: tuple[Calibration, ...], *, methods: bool) -> None:
    """The final table on a terminal, plain lines elsewhere; at the end, if asked, how it was measured."""
    if not sys.stdout.isatty():
        typer.echo("\n".join(final_lines(record, calibrations, with_methods=methods)))
        return
    from rich.console import Console

    Console(file=sys.stdout).print(final_table(record, calibrations, with_methods=methods))
