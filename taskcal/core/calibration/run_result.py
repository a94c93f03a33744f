"""A run with its calibrations: the value that reports, the gate and the advice on a resume take."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from taskcal.core.calibration.summary import summarise

if TYPE_CHECKING:
    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.calibration.summary import Summary
    from taskcal.core.run import RunRecord
    from taskcal.core.settings import CalibrationSettings


@dataclass(frozen=True)
class RunResult:
    """What a run was asked, and one calibration for each group, in the order of the taskset."""

    record: RunRecord
    calibrations: tuple[Calibration, ...]

    @property
    def settings(self) -> CalibrationSettings:
        """The settings that the calibrations were made with."""
        return self.record.settings

    @cached_property
    def summary(self) -> Summary:
        """The numbers of all groups taken together."""
        return summarise(self.calibrations, self.settings)

    @property
    def is_incomplete(self) -> bool:
        """Whether the run ended early or has lost rollouts, so that a resume would add to it."""
        return bool(self.record.interrupted or self.record.stopped or self.summary.lost)

    @cached_property
    def measured(self) -> int:
        """How many groups have a graded rollout: a prior is learned from these, and claims are made of them."""
        return sum(calibration.counts.graded > 0 for calibration in self.calibrations)
