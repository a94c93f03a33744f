"""A run without containers: tasks of known rates, rollouts that take their time, and the planner between them."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from taskcal.core.adaptive.planner import PlannerState, plan_next
from taskcal.core.adaptive.task_state import Launch, TaskHistory
from taskcal.core.rollout import GroupId
from taskcal.core.stats.posterior_table import CLASSES
from taskcal.core.verdict import Band
from tests.core.forecast.population_case import seeded

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from taskcal.core.adaptive.design import Design
    from taskcal.core.adaptive.task_state import TaskState
    from taskcal.core.stats.prior import Counts

BAND = Band()


def minutes(chance: random.Random, passed: bool) -> float:
    """Lognormal with mean 5 and sigma .8, whatever comes of it."""
    del passed
    return chance.lognormvariate(1.609437912 - 0.32, 0.8)


def slow_failures(chance: random.Random, passed: bool) -> float:
    """Failures take ten times as long."""
    return minutes(chance, passed) * (1 if passed else 10)


@dataclass
class World:
    """The truth: which launch of which task passes, fixed in advance, and how long each takes."""

    rates: Sequence[float]
    seed: int = 0
    duration: Callable[[random.Random, bool], float] = minutes
    speed: int = 0
    """Another number gives other durations to the same outcomes."""
    earlier: Sequence[Counts | None] = ()

    def passes(self, task: int, index: int) -> bool:
        """Whether this launch passes."""
        return seeded(f"{self.seed}/{task}/{index}").random() < self.rates[task]

    def takes(self, task: int, index: int) -> float:
        """Its minutes."""
        return self.duration(seeded(f"{self.seed}/{self.speed}/{task}/{index}"), self.passes(task, index))


@dataclass
class Run:
    """What came of it."""

    planner_state: PlannerState
    makespan: float
    calls: int
    launched: int = field(init=False)

    def __post_init__(self) -> None:
        self.launched = sum(one.launch_counts.launched for one in self.planner_state.states)


def run(world: World, design: Design, slots: int) -> Run:
    """Play it to its end."""
    earlier = world.earlier or [None] * len(world.rates)
    tasks = [TaskHistory(GroupId(str(number), ""), (), known) for number, known in enumerate(earlier)]
    events: list[tuple[float, int, int]] = []
    now, calls, planner_state = 0.0, 0, None
    while True:
        pending = sum(task.launches.count(Launch.PENDING) for task in tasks)
        planner_state = plan_next(tasks, slots - pending, design, planner_state)
        calls += 1
        if planner_state.done:
            return Run(planner_state, now, calls)
        for group in planner_state.cancel:
            number = int(group.task)
            tasks[number] = _each(tasks[number], Launch.PENDING, Launch.MISSING)
            events = [event for event in events if event[1] != number]
        heapq.heapify(events)
        for launch in planner_state.launches:
            number = int(launch.group.task)
            tasks[number] = _with(tasks[number], launch.index, Launch.PENDING)
            heapq.heappush(events, (now + world.takes(number, launch.index), number, launch.index))
        assert events or planner_state.cancel, "open tasks, and nothing in flight"
        if events:
            now, number, index = heapq.heappop(events)
            tasks[number] = _with(tasks[number], index, _outcome(world, number, index))


def rounds(world: World, design: Design, slots: int) -> Run:
    """The same with rollouts that all take equally long, so that there are fewer calls."""
    return run(replace(world, duration=lambda *_: 1.0), design, slots)


def errors(run_: Run, rates: Sequence[float]) -> tuple[int, int]:
    """Tasks decided, and decided wrongly."""
    pairs = [(one, rate) for one, rate in zip(run_.planner_state.states, rates, strict=True) if one.likely]
    return len(pairs), sum(one.likely is not BAND.verdict(rate) for one, rate in pairs)


def wrong_labels(run_: Run, rates: Sequence[float]) -> int:
    """Tasks whose most probable class is not the true one."""
    return sum(best(one) is not BAND.verdict(rate) for one, rate in zip(run_.planner_state.states, rates, strict=True))


def best(state: TaskState) -> object:
    return CLASSES[state.posterior.index(max(state.posterior))]


def _outcome(world: World, number: int, index: int) -> Launch:
    return Launch.PASSED if world.passes(number, index) else Launch.FAILED


def _with(task: TaskHistory, index: int, launch: Launch) -> TaskHistory:
    launches = list(task.launches)
    launches[index : index + 1] = [launch]
    return replace(task, launches=tuple(launches))


def _each(task: TaskHistory, old: Launch, new: Launch) -> TaskHistory:
    return replace(task, launches=tuple(new if launch is old else launch for launch in task.launches))
