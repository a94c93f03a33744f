"""What `taskcal run` does with a request: reach the engine, carry out the run, print it, and give the exit code."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import typer

from taskcal.cli.docker_runs import connect
from taskcal.cli.terminal.interrupts import Interrupts
from taskcal.cli.terminal.progress import make_progress
from taskcal.cli.terminal.publish import OutputChoice, publish
from taskcal.cli.terminal.resume_command import way_on
from taskcal.core.gate import exit_code, find_violations
from taskcal.runs.images.prepare_images import PREPARERS
from taskcal.runs.session import carry_out, open_run, require_agent

if TYPE_CHECKING:
    from taskcal.core.calibration.run_result import RunResult
    from taskcal.runs.request import Request
    from taskcal.runs.session import EndedRun


def measure(request: Request) -> int:
    """Carry out a request and give the exit code. Raises TaskcalError if nothing could be started."""
    with Interrupts() as guard:
        require_agent(request.agent)
        engine = connect(request.concurrency + PREPARERS)
        listener = make_progress(quiet=request.quiet, as_json=request.as_json, stream=sys.stderr)
        with contextlib.closing(open_run(request, engine, listener, guard)) as run:
            ended = carry_out(run)
            result = publish(run.folder, as_json=request.as_json, output=OutputChoice(with_resume=False))
            _say_how_to_go_on(ended, result)
            return int(exit_code(find_violations(result, request.gate)))


def _say_how_to_go_on(ended: EndedRun, result: RunResult) -> None:
    for name in ended.kept:
        typer.echo(f"kept: docker exec -it {name} sh   (remove with `taskcal clean --kept`)", err=True)
    way = way_on(result)
    if way:
        typer.echo(way, err=True)
