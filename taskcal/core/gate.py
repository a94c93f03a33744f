"""From calibrations to an exit code: what `--fail-on` fails on, and never because our side broke."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from taskcal.core.verdict import Verdict
from taskcal.errors import Boundary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.calibration.calibration import Calibration

OF_THE_TASK = frozenset({Boundary.IMAGE, Boundary.SETUP, Boundary.SERVICE, Boundary.GRADER})
"""Boundaries that a task's own definition breaks; a task lost at no other one is unmeasured for a reason of its own."""


class FailOn(StrEnum):
    """What makes a run fail."""

    NEVER = "never"
    FLAGGED = "flagged"


class Exit(IntEnum):
    """What the command ends with."""

    DONE = 0
    FLAGGED = 1
    NOTHING_CAN_RUN = 3
    TOO_MUCH_LOST = 4
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Gate:
    """What is asked of a run's results; `max_lost` is the share of rollouts in [0, 1] that may stay lost."""

    fail_on: FailOn = FailOn.NEVER
    max_lost: float = 0.2


def exit_code(
    calibrations: Sequence[Calibration], gate: Gate, *, interrupted: bool = False, group_size: int = 1
) -> Exit:
    """The exit code that the results earn; a broken engine comes before a flagged task, so that no task is blamed.

    `group_size` is the rollouts that each group owed: one that our side lost before its first rollout lost them all.
    """
    if interrupted:
        return Exit.INTERRUPTED
    graded = sum(calibration.counts.graded for calibration in calibrations)
    lost = sum(_lost_by_us(calibration, group_size) for calibration in calibrations)
    if graded == 0:
        images = all(set(calibration.counts.lost_by) == {Boundary.IMAGE} for calibration in calibrations)
        return Exit.NOTHING_CAN_RUN if images else Exit.TOO_MUCH_LOST
    if lost > gate.max_lost * (graded + lost):
        return Exit.TOO_MUCH_LOST
    failing = gate.fail_on is FailOn.FLAGGED and any(map(is_failing, calibrations))
    return Exit.FLAGGED if failing else Exit.DONE


def _lost_by_us(calibration: Calibration, group_size: int) -> int:
    if is_unmeasurable(calibration):
        return 0
    return calibration.counts.lost if calibration.counts.graded else max(calibration.counts.lost, group_size)


def is_failing(calibration: Calibration) -> bool:
    """Whether a gate on flagged tasks fails on this one."""
    return calibration.judgement.verdict.flagged or is_unmeasurable(calibration)


def is_unmeasurable(calibration: Calibration) -> bool:
    """Whether a task is unmeasured for a reason of its own; its losses say nothing of our side's health."""
    own_reason = bool(calibration.counts.lost_by) and set(calibration.counts.lost_by) <= OF_THE_TASK
    return calibration.judgement.verdict is Verdict.UNMEASURED and own_reason
