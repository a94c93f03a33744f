"""The one step that helps most after a run, as a command if there is one."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from taskcal.core.adaptive.design import Rule
from taskcal.report.wording.actions import NOOP, ORACLE, TaskAction
from taskcal.report.wording.sanitize import plain

if TYPE_CHECKING:
    from collections.abc import Collection

    from taskcal.core.calibration.run_result import RunResult
    from taskcal.core.run import RunRecord

LARGER = 2
"""How much larger a group the suggested command measures."""


def next_step(result: RunResult, actions: Collection[TaskAction], reference: str) -> str:
    """What to do next, without a full stop; '' if nothing is left to do. `reference` is the run's folder or id."""
    run = result.record
    if not run.provenance.is_repeatable:
        more = "add rollouts of the undecided tasks to the table and import it again"
        return more if TaskAction.MEASURE_MORE in actions else ""
    if result.is_incomplete:
        return f"taskcal run --resume {shlex.quote(reference)}"
    if run.agent_source == ORACLE:
        fix = "fix the solution or the checks of the tasks under FIX, then run the oracle again"
        return fix if TaskAction.FIX in actions else _measure(run)
    if run.agent_source == NOOP:
        fix = "change the checks of the tasks under FIX: they give points for an untouched sandbox"
        return fix if TaskAction.FIX in actions else _measure(run)
    if TaskAction.MEASURE_MORE in actions:
        return _extend(run, reference)
    return ""


def _measure(run: RunRecord) -> str:
    files = plain(shlex.join(run.taskset_files))
    return f"taskcal run {files} --agent AGENT" if run.taskset_files else ""


def _extend(run: RunRecord, reference: str) -> str:
    """The command that gives undecided tasks more rollouts."""
    design, command = run.settings.design, f"taskcal run --resume {shlex.quote(reference)} --extend"
    if not run.settings.adaptive:
        return f"{command} --group-size {LARGER * run.group_size}"
    if design.budget is not None:
        return f"{command} --budget {LARGER * design.budget}"
    return "" if design.rule is Rule.VALUE else f"{command} --max-group-size {LARGER * design.limit}"
