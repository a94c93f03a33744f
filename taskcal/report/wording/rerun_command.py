"""The command that asks the same of the same tasks once more."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.settings import FLAT_TOLERANCE, Metric
from taskcal.core.verdict import Band
from taskcal.report.wording.sanitize import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.core.run import RunRecord
    from taskcal.core.settings import CalibrationSettings


def command(run: RunRecord) -> str:
    """One line for a shell, without a backtick, whatever the names are: it stands in a fenced block."""
    words = ["taskcal", "run", *run.taskset_files, "--agent", run.agent_source or run.agent]
    words += ["--agent-version", run.agent_version] if run.agent_version else []
    words += ["--group-size", str(run.group_size), "--seed", str(run.seed), *_asked(run.settings)]
    if run.prior_run:
        words += ["--prior", run.prior_run]
    return " ".join(shlex.quote(plain(word).replace("`", "'")) for word in words)


def _asked(settings: CalibrationSettings) -> Iterator[str]:
    """The options that are not at their defaults."""
    if settings.adaptive:
        yield from _adaptive(settings.design)
    if settings.error_rate != Design().error_rate:
        yield from ("--error-rate", f"{settings.error_rate:g}")
    if settings.band != Band():
        yield from ("--band", f"{settings.band.low:g},{settings.band.high:g}")
    if settings.metric is not Metric.SUCCESS:
        yield from ("--metric", settings.metric.value)
    if settings.flat_tolerance != FLAT_TOLERANCE:
        yield from ("--flat-tolerance", f"{settings.flat_tolerance:g}")


def _adaptive(design: Design) -> Iterator[str]:
    yield "--adaptive"
    if design.rule is Rule.CERTIFY:
        yield "--certify"
    if design.rule is Rule.VALUE:
        yield from ("--stop", "value")
    if design.rule is Rule.POSTERIOR and design.budget is not None:
        yield from ("--stop", "sure")
    if design.cap is not None:
        yield from ("--max-group-size", str(design.cap))
    if design.budget is not None:
        yield from ("--budget", str(design.budget))
