"""From a run's result to an exit code: what `--fail-on` fails on, and never because our side broke."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from taskcal.core.verdict import Verdict
from taskcal.errors import Boundary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.calibration.run_result import RunResult
    from taskcal.core.rollout import GroupId

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


@dataclass(frozen=True, slots=True)
class Violation:
    """One reason why a run does not pass its gate; `group` is the task that it lies in, None for the run as a whole."""

    exit: Exit
    group: GroupId | None = None


def find_violations(result: RunResult, gate: Gate) -> tuple[Violation, ...]:
    """The violations of a run. If our side broke it, that is the only one, so that no task is blamed for it."""
    if result.record.interrupted:
        return (Violation(Exit.INTERRUPTED),)
    if broken := _broken_on_our_side(result, gate):
        return (Violation(broken),)
    if gate.fail_on is FailOn.NEVER:
        return ()
    return tuple(Violation(Exit.FLAGGED, c.group.id) for c in result.calibrations if is_failing(c))


def exit_code(violations: Sequence[Violation]) -> Exit:
    """The exit code of the first violation, which is the gravest."""
    return violations[0].exit if violations else Exit.DONE


def _broken_on_our_side(result: RunResult, gate: Gate) -> Exit | None:
    """Whether nothing could be measured, or more was lost than the gate allows.

    A group that our side lost before its first rollout lost all that it was to have.
    """
    settings = result.settings
    owed = settings.design.first if settings.adaptive else settings.group_size
    graded = result.summary.graded
    lost = sum(_lost_by_us(calibration, owed) for calibration in result.calibrations)
    if graded == 0:
        images = all(set(calibration.counts.lost_by) == {Boundary.IMAGE} for calibration in result.calibrations)
        return Exit.NOTHING_CAN_RUN if images else Exit.TOO_MUCH_LOST
    return Exit.TOO_MUCH_LOST if lost > gate.max_lost * (graded + lost) else None


def _lost_by_us(calibration: Calibration, owed: int) -> int:
    if is_unmeasurable(calibration):
        return 0
    return calibration.counts.lost if calibration.counts.graded else max(calibration.counts.lost, owed)


def is_failing(calibration: Calibration) -> bool:
    """Whether a gate on flagged tasks fails on this one."""
    return calibration.judgement.verdict.flagged or is_unmeasurable(calibration)


def is_unmeasurable(calibration: Calibration) -> bool:
    """Whether a task is unmeasured for a reason of its own; its losses say nothing of our side's health."""
    own_reason = bool(calibration.counts.lost_by) and set(calibration.counts.lost_by) <= OF_THE_TASK
    return calibration.judgement.verdict is Verdict.UNMEASURED and own_reason
