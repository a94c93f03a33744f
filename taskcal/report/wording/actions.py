"""What to do with each task after a calibration: the first thing that a report answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING

from taskcal.core.settings import Metric
from taskcal.core.verdict import Strength, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.settings import CalibrationSettings

ORACLE, NOOP = "oracle", "noop"


class Sort(StrEnum):
    """The order of the rows under a heading."""

    TASKSET = "taskset"
    NAME = "name"
    RATE = "rate"
    CONTRAST = "contrast"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True)
class RowChoice:
    """Which rows a person wants to see: those of some verdicts (none given: all), in which order, all or the first."""

    verdicts: frozenset[Verdict] = frozenset()
    sort: Sort = Sort.TASKSET
    show_all: bool = False

    def choose(self, calibrations: Iterable[Calibration]) -> list[Calibration]:
        """The chosen calibrations in the chosen order; rates and contrasts from high to low."""
        rows = [row for row in calibrations if not self.verdicts or row.judgement.verdict in self.verdicts]
        match self.sort:
            case Sort.TASKSET:
                return rows
            case Sort.NAME:
                return sorted(rows, key=lambda row: str(row.group.id))
            case Sort.RATE:
                return sorted(rows, key=lambda row: row.rates.success_rate or 0.0, reverse=True)
            case Sort.CONTRAST:
                return sorted(rows, key=lambda row: row.learning.contrast or 0.0, reverse=True)
            case Sort.SIGNAL:
                return sorted(rows, key=lambda row: row.learning.signal or 0.0, reverse=True)


class TaskAction(StrEnum):
    """The heading of a group of rows, in the order of the table."""

    FIX = "FIX"
    KEEP = "KEEP"
    MEASURE_MORE = "MEASURE MORE"
    MAKE_EASIER = "MAKE EASIER OR DROP"
    MAKE_HARDER = "MAKE HARDER OR DROP"
    SOLVED = "SOLVED"
    UNEARNED = "EARNS NOTHING"
    UNMEASURED = "UNMEASURED"


MEANINGS = MappingProxyType(
    {
        Verdict.TOO_HARD: TaskAction.MAKE_EASIER,
        Verdict.IN_BAND: TaskAction.KEEP,
        Verdict.TOO_EASY: TaskAction.MAKE_HARDER,
    }
)
"""What a verdict that is sure asks for."""

UNUSABLE = MappingProxyType({Verdict.BROKEN: TaskAction.FIX, Verdict.UNMEASURED: TaskAction.UNMEASURED})


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """One line of the table: a variant, or several variants of one task whose numbers are equal."""

    calibrations: tuple[Calibration, ...]

    @property
    def calibration(self) -> Calibration:
        """The first of them; every number that the table shows is the same for the others."""
        return self.calibrations[0]

    @property
    def name(self) -> str:
        """`ship-order/high-level`, or `ship-order (2 alike)`; not yet cleaned."""
        group = self.calibration.group.id
        return str(group) if len(self.calibrations) == 1 else f"{group.task} ({len(self.calibrations)} alike)"


def choose_action(calibration: Calibration, settings: CalibrationSettings, agent: str = "") -> TaskAction:
    """What to do with a task. The oracle must pass and noop must fail, so for them a success rate has another meaning.

    A too-hard task whose rewards vary is kept by people who train on the reward (`--metric reward`).
    """
    if calibration.judgement.verdict in MEANINGS and agent in {ORACLE, NOOP}:
        return _choose_for_player(calibration, agent)
    if calibration.judgement.strength is Strength.LEANING:
        return TaskAction.MEASURE_MORE
    if (
        calibration.judgement.verdict is Verdict.TOO_HARD
        and calibration.partial_signal
        and settings.metric is Metric.REWARD
    ):
        return TaskAction.KEEP
    return MEANINGS.get(calibration.judgement.verdict) or UNUSABLE[calibration.judgement.verdict]


def _choose_for_player(calibration: Calibration, agent: str) -> TaskAction:
    if agent == ORACLE:
        return TaskAction.SOLVED if calibration.counts.passed == calibration.counts.graded else TaskAction.FIX
    return TaskAction.FIX if calibration.counts.passed else TaskAction.UNEARNED


def group_by_action(
    calibrations: Iterable[Calibration], settings: CalibrationSettings, agent: str = ""
) -> list[tuple[TaskAction, tuple[Calibration, ...]]]:
    """The calibrations of each action in the order of `TaskAction`; inside one, in the given order."""
    order = list(TaskAction)
    chosen = [(choose_action(calibration, settings, agent), calibration) for calibration in calibrations]
    chosen.sort(key=lambda pair: order.index(pair[0]))
    return [(action, tuple(row for _, row in pairs)) for action, pairs in groupby(chosen, key=lambda pair: pair[0])]


def fold(calibrations: Sequence[Calibration]) -> list[OverviewRow]:
    """Variants of one task with equal numbers share a row, at the place of the first."""
    rows: dict[object, list[Calibration]] = {}
    for calibration in calibrations:
        rows.setdefault((calibration.group.id.task, *_numbers(calibration)), []).append(calibration)
    return [OverviewRow(tuple(alike)) for alike in rows.values()]


def _numbers(calibration: Calibration) -> tuple[object, ...]:
    counts = calibration.judgement.basis.counts
    return (
        calibration.judgement.verdict,
        calibration.judgement.strength,
        calibration.counts.graded,
        calibration.counts.passed,
        calibration.counts.lost,
        counts,
        calibration.learning.contrast,
        calibration.learning.signal,
        calibration.rates.mean_reward,
        calibration.judgement.reason,
        calibration.judgement.doubts,
        calibration.counts.limited,
    )
