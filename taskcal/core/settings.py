"""The settings of a calibration: group size, band, error rate and design."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.verdict import Band

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.core.rollout import GroupId
    from taskcal.core.stats.prior import Counts

FLAT_TOLERANCE = 0.02


class Metric(StrEnum):
    """What the band is about."""

    SUCCESS = "success"
    """How often a rollout passes."""

    REWARD = "reward"
    """The mean reward."""


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """How to calibrate a run's rollouts.

    `group_size` is the G that signal is computed for and, in a fixed design, the rollouts of each group. Rewards that
    differ by no more than `flat_tolerance` count as equal. `earlier` is what a calibration before this one counted.
    """

    group_size: int
    design: Design
    flat_tolerance: float = FLAT_TOLERANCE
    metric: Metric = Metric.SUCCESS
    earlier: Mapping[GroupId, Counts] = field(default_factory=dict)

    @property
    def band(self) -> Band:
        """The rates worth training on."""
        return self.design.band

    @property
    def error_rate(self) -> float:
        """How often a sure verdict may be wrong."""
        return self.design.error_rate

    @property
    def adaptive(self) -> bool:
        """Whether the rollouts of a task depended on what was seen."""
        return self.design.rule is not Rule.FIXED

    def with_band(self, band: Band) -> CalibrationSettings:
        """The same settings with another band."""
        return replace(self, design=replace(self.design, band=band))


def fixed_settings(group_size: int, band: Band | None = None) -> CalibrationSettings:
    """The settings of a fixed design: exactly G rollouts of each group."""
    return CalibrationSettings(group_size, Design(band=band or Band(), rule=Rule.FIXED))
