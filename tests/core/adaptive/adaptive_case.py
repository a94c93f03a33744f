"""Adaptive runs without containers: worlds of known outcomes, played to their end, and what came of each task."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import pytest

from taskcal.core.adaptive.launches import launches_by_index
from taskcal.core.adaptive.planner import AWAITED
from taskcal.core.adaptive.task_state import TaskHistory
from taskcal.core.calibration.posterior_verdict import judge_counts
from taskcal.core.settings import CalibrationSettings
from taskcal.execution.adaptive_schedule import AdaptiveLimits, AdaptiveSchedule
from taskcal.execution.schedule import run_schedule
from tests.execution.schedule_case import FAILED, PASSED, Clock, Scripted, groups, oldest, task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.core.adaptive.design import Design
    from taskcal.core.adaptive.planner import PlannerState
    from taskcal.core.adaptive.task_state import Closed
    from taskcal.core.plan import PlannedRollout
    from taskcal.core.rollout import GroupId, Outcome, Rollout, RolloutId
    from taskcal.core.stats.prior import Counts
    from taskcal.core.task import Task
    from taskcal.core.verdict import Verdict
    from taskcal.execution.schedule import StopCondition

RETRIES = 2
FOR_GOOD = RETRIES + 1
"""So many losses, and a rollout stays lost."""


class Conclusion(NamedTuple):
    """What is thought of one task, by the planner or by a report."""

    counts: Counts
    chances: tuple[float, ...]
    likely: Verdict | None
    certificate: Verdict | None
    closed: Closed | None


@dataclass(frozen=True)
class World:
    """Which rollout passes is settled beforehand, and how often each is lost first.

    `order` settles which ends first; None is the one that began first.
    """

    rates: Sequence[float]
    seed: int = 0
    order: int | None = None
    losses: Mapping[str, int] = field(default_factory=dict)

    def ends(self, rollout: RolloutId) -> Outcome:
        """What comes of one, whichever attempt it is."""
        rate = self.rates[int(rollout.group.task[1:])]
        return PASSED if random.Random(f"{self.seed}/{rollout.key}").random() < rate else FAILED  # noqa: S311 - seeded

    def engine(self, size: int) -> Watched:
        """An engine of so many slots in this world."""
        picks = oldest if self.order is None else random.Random(self.order).randrange  # noqa: S311 - a seeded order
        return Watched(Clock(), size, Counter(self.losses), self.ends, picks)


@dataclass
class Watched(Scripted):
    """An engine that will not have what the planner, by its last word, wants no more of."""

    closed: set[GroupId] = field(default_factory=set)

    def submit(self, planned: PlannedRollout) -> None:
        """Start one of a task that is open."""
        assert planned.id.group not in self.closed
        super().submit(planned)

    def look(self, planner_state: PlannerState) -> None:
        """Remember what is closed; of a budget's last rollouts the lost ones are tried again."""
        self.closed = {one.group for one in planner_state.states if one.closed not in AWAITED}


@dataclass
class Play:
    """A run, or what was left of one: its tasks, its question, and what is on record."""

    tasks: Sequence[Task]
    design: Design
    recorded: list[Rollout] = field(default_factory=list)
    looks: list[PlannerState] = field(default_factory=list)
    reason: str | None = None

    @property
    def settings(self) -> CalibrationSettings:
        """What is asked."""
        return CalibrationSettings(8, self.design)

    def schedule(self, engine: Watched) -> AdaptiveSchedule:
        """A new schedule over what is on record."""

        def watch(planner_state: PlannerState) -> None:
            self.looks.append(planner_state)
            engine.look(planner_state)

        limits = AdaptiveLimits(engine.size, RETRIES, watch)
        return AdaptiveSchedule(groups(*self.tasks), tuple(self.recorded), self.settings, limits)

    def on(self, engine: Watched, *stop_conditions: StopCondition) -> Play:
        """Run it to its end."""
        with pytest.MonkeyPatch.context() as patch:
            engine.clock.tell(patch)
            self.reason = run_schedule(
                self.schedule(engine), engine, self.recorded.append, stop_conditions=stop_conditions
            )
        return self

    @property
    def states(self) -> list[TaskHistory]:
        """What the rows alone say of each task."""
        rows: dict[GroupId, list[Rollout]] = defaultdict(list)
        for row in self.recorded:
            rows[row.id.group].append(row)
        return [TaskHistory(group.id, launches_by_index(rows[group.id])) for group in groups(*self.tasks)]

    def from_rows(self) -> list[Conclusion]:
        """What a report says of each task."""
        return [
            Conclusion(
                one.counts, astuple(one.posterior) if one.posterior else (), one.likely, one.certificate, one.closed
            )
            for one in judge_counts(self.states, self.settings)
        ]

    def from_planner(self) -> list[Conclusion]:
        """What the planner thought last."""
        return [
            Conclusion(one.counts, one.posterior if one.counts.graded else (), one.likely, one.certificate, one.closed)
            for one in self.looks[-1].states
        ]


def tasks_of(rates: Sequence[float], max_parallel: int | None = None) -> list[Task]:
    """A task for each rate, named t0, t1 and so on."""
    return [task(f"t{number}", max_parallel=max_parallel) for number in range(len(rates))]


def played(world: World, design: Design, size: int = 6) -> Play:
    """A whole run of plain tasks."""
    return Play(tasks_of(world.rates), design).on(world.engine(size))
