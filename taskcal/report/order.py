"""In which order people see tasks: what needs a look first, the variants of a task together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.core.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskcal.core.calibrate import Calibration

URGENCY = (Verdict.BROKEN, Verdict.TOO_HARD, Verdict.TOO_EASY, Verdict.UNMEASURED, Verdict.IN_BAND)


def urgency(calibration: Calibration) -> int:
    """0 for what should be looked at first."""
    return URGENCY.index(calibration.verdict)


def by_task(calibrations: Iterable[Calibration]) -> list[tuple[Calibration, ...]]:
    """The variants of each task together, most urgent first; a task is as urgent as its most urgent variant."""
    tasks: dict[str, list[Calibration]] = {}
    for calibration in calibrations:
        tasks.setdefault(calibration.group.id.task, []).append(calibration)
    variants = [tuple(sorted(rows, key=urgency)) for rows in tasks.values()]
    return sorted(variants, key=lambda rows: urgency(rows[0]))


def troubled(calibrations: Sequence[Calibration]) -> list[Calibration]:
    """The flagged and then the unmeasured groups, in the order of the table."""
    rows = [row for rows in by_task(calibrations) for row in rows]
    return [row for row in sorted(rows, key=urgency) if row.verdict is not Verdict.IN_BAND]
