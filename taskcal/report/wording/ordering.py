"""In which order people see tasks: what needs a look first, the variants of a task together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.core.verdict import Verdict
from taskcal.report.wording.caveats import needs_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.calibration.run_result import RunResult

URGENCY = (Verdict.BROKEN, Verdict.TOO_HARD, Verdict.TOO_EASY, Verdict.UNMEASURED, Verdict.IN_BAND)


def urgency(calibration: Calibration) -> int:
    """0 for what should be looked at first."""
    return URGENCY.index(calibration.judgement.verdict)


def by_task(calibrations: Iterable[Calibration]) -> list[tuple[Calibration, ...]]:
    """The variants of each task together, most urgent first; a task is as urgent as its most urgent variant."""
    tasks: dict[str, list[Calibration]] = {}
    for calibration in calibrations:
        tasks.setdefault(calibration.group.id.task, []).append(calibration)
    variants = [tuple(sorted(rows, key=urgency)) for rows in tasks.values()]
    return sorted(variants, key=lambda rows: urgency(rows[0]))


def needing_a_look(result: RunResult) -> list[Calibration]:
    """The flagged, the unmeasured, and those in the band with something to them, in the order of the table."""
    rows = [row for rows in by_task(result.calibrations) for row in rows]
    looked_at = [
        row for row in rows if row.judgement.verdict is not Verdict.IN_BAND or needs_words(row, result.settings)
    ]
    return sorted(looked_at, key=urgency)
