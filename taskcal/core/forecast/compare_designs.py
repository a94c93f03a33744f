"""Compare designs: their cost in rollouts, time and money, and the fixed group size that each one equals."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from taskcal.core.adaptive.design import Rule
from taskcal.core.forecast.fixed_sizes import count_sizes, smallest, smallest_with_guarantee
from taskcal.core.forecast.simulate import forecast
from taskcal.core.stats.certificate import Zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.forecast.fixed_sizes import Size
    from taskcal.core.forecast.population import Population
    from taskcal.core.forecast.simulate import Forecast, Plan, Terms

EVEN = 1e-9
"""Shares that differ by less are the same: sums of floats."""


TOLERATED = 1.25
"""Errors at most this many times the claimed ones are not reported: no prior fits exactly."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run: tasks, the mean seconds of a rollout, rollouts at a time, US dollars a rollout where known."""

    tasks: int
    seconds: float
    concurrency: int
    cost_usd: float | None = None

    def rollouts(self, per_task: float) -> float:
        """Of all tasks."""
        return self.tasks * per_task

    def duration(self, per_task: float) -> float:
        """Seconds, as if every slot were busy to the end: the last few tasks of an adaptive run leave some idle."""
        return self.rollouts(per_task) * self.seconds / self.concurrency

    def cost(self, per_task: float) -> float | None:
        """US dollars."""
        return None if self.cost_usd is None else self.rollouts(per_task) * self.cost_usd


class Goal(StrEnum):
    """The property in which a fixed group equals an adaptive design."""

    WRONG = "wrong"
    """No more wrong verdicts, sure or leaning."""

    DECIDED = "decided"
    """As many sure verdicts, as sure."""

    GUARANTEE = "guarantee"
    """A certificate's promise, whatever the rates."""


@dataclass(frozen=True, slots=True)
class Match:
    """The smallest fixed group that equals an adaptive design in this; None where none that was counted does."""

    goal: Goal
    group_size: int | None


@dataclass(frozen=True, slots=True)
class Simulation:
    """The forecasts of the given designs, and `sizes`: those of every fixed group from 1 on."""

    population: Population
    terms: Terms
    scale: Scale
    forecasts: tuple[Forecast, ...]
    sizes: tuple[Size, ...]

    @property
    def enough(self) -> int | None:
        """The smallest fixed group with at most the error rate of wrong verdicts, leaning ones included."""
        return smallest(self.sizes, lambda size: size.wrong <= self.terms.error_rate + EVEN)

    @property
    def cheapest(self) -> Forecast | None:
        """The adaptive design with the fewest rollouts among those with at most the error rate of wrong verdicts."""
        good = [design for design in self.adaptive if design.wrong <= self.terms.error_rate + EVEN]
        return min(good, key=lambda design: design.rollouts, default=None)

    @property
    def adaptive(self) -> tuple[Forecast, ...]:
        """The forecasts of adaptive designs."""
        return tuple(design for design in self.forecasts if design.plan.rule is not None)

    @property
    def misjudged(self) -> Forecast | None:
        """The worst design, where its sure verdicts are wrong clearly more often than they claim: the prior is off."""
        claims = [
            design
            for design in self.forecasts
            if design.plan.rule is not Rule.CERTIFY and design.decided_wrong is not None
        ]
        worst = max(claims, key=lambda design: design.decided_wrong or 0.0, default=None)
        return worst if worst and (worst.decided_wrong or 0.0) > TOLERATED * self.terms.error_rate else None

    def matches(self, adaptive: Forecast) -> tuple[Match, ...]:
        """The fixed groups that an adaptive design equals."""
        wrong = Match(Goal.WRONG, smallest(self.sizes, lambda size: size.wrong <= adaptive.wrong + EVEN))
        if adaptive.plan.rule is Rule.CERTIFY:
            zone, largest = Zone.around(self.terms.band), self.sizes[-1].group_size
            return wrong, Match(Goal.GUARANTEE, smallest_with_guarantee(zone, self.terms.error_rate, largest))
        return wrong, Match(Goal.DECIDED, smallest(self.sizes, lambda size: size.decided >= adaptive.decided - EVEN))


def compare_designs(population: Population, plans: Sequence[Plan], terms: Terms, scale: Scale) -> Simulation:
    """What each plan does to a population, and what every fixed group would."""
    forecasts = tuple(forecast(plan, population, terms) for plan in plans)
    return Simulation(population, terms, scale, forecasts, count_sizes(population, terms))
