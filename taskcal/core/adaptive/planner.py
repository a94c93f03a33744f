"""The planner of an adaptive run: after every result it returns the state of each task and the rollouts to run next.

It is a pure function. The runner calls `plan_next` with every task's launches in order and the number of free slots,
starts and cancels the rollouts that it returns, and calls again with their results and the last state. Without a last
state (a resumed run, a report) the rows alone give the same verdicts.
"""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from taskcal.core.adaptive import drift
from taskcal.core.adaptive.tables import certified_table, make_tables
from taskcal.core.adaptive.task_state import (
    Closed,
    Launch,
    TaskHistory,
    TaskState,
    TaskTables,
    assess,
    count_launches,
    count_outcomes,
    finished_outcomes,
)
from taskcal.core.stats import prior as priors
from taskcal.core.stats.prior import FEWEST_TASKS, PriorSource
from taskcal.core.stats.rates import DEFAULT_PRIOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from taskcal.core.adaptive.design import Design
    from taskcal.core.adaptive.drift import EarlierPosteriors
    from taskcal.core.adaptive.tables import DecisionTables
    from taskcal.core.rollout import GroupId
    from taskcal.core.stats.posterior_table import StoppingTable
    from taskcal.core.stats.prior import Counts


AWAITED = {None, Closed.BUDGET}
"""What is in flight in such tasks still counts."""


@dataclass(frozen=True, slots=True)
class NextLaunch:
    """One rollout to start: the group and the index of its launch."""

    group: GroupId
    index: int


@dataclass(frozen=True, slots=True)
class PlannerTables:
    """The tables in use: those of new tasks, and those of each earlier count.

    `learned_from` is the number of graded rollouts that the priors were learned from.
    """

    certified: StoppingTable
    population: DecisionTables
    memory: EarlierPosteriors
    warm: Mapping[Counts, DecisionTables]
    learned_from: int

    def of(self, task: TaskHistory) -> TaskTables:
        """The tables of one task."""
        of_task = self.warm.get(task.earlier, self.population) if task.earlier else self.population
        return TaskTables(of_task, self.certified)


@dataclass(frozen=True, slots=True)
class PlannerState:
    """The planner's answer: the state of every task, the launches to start now, in order, and the groups to cancel."""

    tasks: tuple[TaskHistory, ...]
    states: tuple[TaskState, ...]
    launches: tuple[NextLaunch, ...]
    cancel: tuple[GroupId, ...]
    tables: PlannerTables

    @property
    def done(self) -> bool:
        """Whether no task is open and nothing is in flight: only then has the last look been taken."""
        return _is_at_rest(self.states)

    @property
    def expected_left(self) -> float:
        """Rollouts that the open tasks are expected to take yet, those in flight included."""
        return math.fsum(state.expected_left for state in self.states)


def plan_next(
    tasks: Sequence[TaskHistory], slots: int, design: Design, before: PlannerState | None = None
) -> PlannerState:
    """The state of the tasks and the launches for `slots` free slots. Costs little if little has changed."""
    known = tuple(tasks)
    tables = before.tables if before else _first_tables(known, design)
    states = _assess_all(known, tables, design, before)
    if _can_learn(tables, states, design) and _is_overdue(tables, states, slots):
        tables = _learn_tables(tables, known, [state.seen for state in states], design)
        states = _assess_all(known, tables, design, before)
    if _is_at_rest(states):
        if _can_learn(tables, states, design):
            tables = _learn_tables(tables, known, [state.seen for state in states], design)
        states = _assess_all(known, tables, design, None)
    return PlannerState(
        tasks=known,
        states=states,
        launches=tuple(_launches(known, states, slots, design)),
        cancel=tuple(state.group for state in states if state.launch_counts.in_flight and state.closed not in AWAITED),
        tables=tables,
    )


def _is_at_rest(states: Sequence[TaskState]) -> bool:
    return all(state.closed and not state.launch_counts.in_flight for state in states)


def _can_learn(tables: PlannerTables, states: Sequence[TaskState], design: Design) -> bool:
    """Whether there is anything new to learn from, and a task to judge by it."""
    if not design.learn or _count_results(states) == tables.learned_from:
        return False
    return bool(tables.warm) or _has_enough(state.seen for state in states)


def _has_enough(counts: Iterable[Counts]) -> bool:
    return sum(seen.graded > 0 for seen in counts) >= FEWEST_TASKS


def _is_overdue(tables: PlannerTables, states: Sequence[TaskState], slots: int) -> bool:
    """Whether each task, or each slot, has had a new result since: seldom enough to be cheap.

    An earlier calibration is no longer taken at its word from the first result on.
    """
    if tables.warm and not tables.learned_from:
        return True
    all_slots = slots + sum(state.launch_counts.in_flight for state in states)
    return _count_results(states) - tables.learned_from >= max(len(states), all_slots)


def _count_results(states: Sequence[TaskState]) -> int:
    return sum(state.seen.graded for state in states)


def _first_tables(tasks: Sequence[TaskHistory], design: Design) -> PlannerTables:
    """From the rows alone, as in a report or a resumed run."""
    certified = certified_table(design)
    memory = drift.earlier_posteriors([task.earlier for task in tasks if task.earlier], design.edges)
    default = make_tables(DEFAULT_PRIOR, PriorSource.DEFAULT, design, certified)
    seen = [count_outcomes(finished_outcomes(task.launches, design.limit)) for task in tasks]
    if design.learn:
        return _learn_tables(PlannerTables(certified, default, memory, {}, 0), tasks, seen, design)
    return PlannerTables(certified, default, memory, _make_warm_tables(memory, (), design, certified), 0)


def _learn_tables(
    tables: PlannerTables, tasks: Sequence[TaskHistory], seen: Sequence[Counts], design: Design
) -> PlannerTables:
    population = tables.population
    if _has_enough(seen) and any(task.earlier is None for task in tasks):
        population = make_tables(priors.learn_prior(seen, design.edges), PriorSource.LEARNED, design, tables.certified)
    pairs = [(task.earlier, now) for task, now in zip(tasks, seen, strict=True) if task.earlier]
    if not any(now.graded for _, now in pairs):
        # A run is planned, and its rollouts forecast, as if the agent had not moved. Its first result ends that.
        pairs = [(before, before) for before, _ in pairs]
    return replace(
        tables,
        population=population,
        warm=_make_warm_tables(tables.memory, pairs, design, tables.certified),
        learned_from=sum(counts.graded for counts in seen),
    )


def _make_warm_tables(
    memory: EarlierPosteriors, pairs: Sequence[tuple[Counts, Counts]], design: Design, certified: StoppingTable
) -> Mapping[Counts, DecisionTables]:
    """Tables for each earlier count, given how far the agent has moved by these pairs of earlier and new counts."""
    moves = drift.weigh_moves(memory, pairs) if memory.known else ()
    return {
        earlier: make_tables(drift.warm_prior(memory, moves, earlier), PriorSource.WARM, design, certified)
        for earlier in memory.known
    }


def _assess_all(
    tasks: Sequence[TaskHistory], tables: PlannerTables, design: Design, before: PlannerState | None
) -> tuple[TaskState, ...]:
    """The state of every task; one that has not changed since `before` is taken from it."""
    spent = design.budget is not None and sum(count_launches(task.launches).launched for task in tasks) >= design.budget
    same = before is not None and before.tables is tables
    states = []
    for task, (old_task, old) in zip(tasks, _pairs(tasks, before), strict=True):
        if old and same and old_task is task and (old.closed or not spent):
            states.append(old)
        else:
            was_confident = old is not None and old.closed is Closed.CONFIDENT
            state = assess(task, tables.of(task), design, was_confident=was_confident, is_budget_spent=spent)
            states.append(state)
    return tuple(states)


def _pairs(
    tasks: Sequence[TaskHistory], before: PlannerState | None
) -> Iterable[tuple[TaskHistory | None, TaskState | None]]:
    """For each task what `before` had of it, in whatever order it had them."""
    if before is None:
        return itertools.repeat((None, None), len(tasks))
    pairs = zip(before.tasks, before.states, strict=True)
    if [task.group for task in before.tasks] == [task.group for task in tasks]:
        return pairs
    last = {task.group: (task, state) for task, state in pairs}
    return [last.get(task.group, (None, None)) for task in tasks]


def _launches(
    tasks: Sequence[TaskHistory], states: Sequence[TaskState], slots: int, design: Design
) -> Iterator[NextLaunch]:
    """The open tasks in the order in which they get the free slots: each its first few, then where it is worth most.

    As many in flight per task as slots share out between the open tasks: fewer would leave slots idle at the end, more
    would run what a decision makes needless.
    """
    if slots <= 0:
        return
    turns = [
        _Turn(task, state) for task, state in zip(tasks, states, strict=True) if not state.closed and task.room != 0
    ]
    all_slots = slots + sum(state.launch_counts.in_flight for state in states)
    bound = min(design.most_in_flight, max(1, math.ceil(all_slots / max(1, len(turns)))))
    if design.budget is not None:
        slots = min(slots, design.budget - sum(state.launch_counts.launched for state in states))
    heap = [(turn.key(design.first), number) for number, turn in enumerate(turns) if turn.has_room(bound, design.limit)]
    heapq.heapify(heap)
    while heap and slots > 0:
        number = heapq.heappop(heap)[1]
        turn = turns[number]
        yield turn.take()
        slots -= 1
        if turn.has_room(bound, design.limit):
            heapq.heappush(heap, (turn.key(design.first), number))


class _Turn:
    """A task while slots are handed out."""

    __slots__ = ("counting", "in_flight", "missing", "rollout_value", "taken", "task")

    def __init__(self, task: TaskHistory, state: TaskState) -> None:
        self.task = task
        self.rollout_value = state.rollout_value
        self.in_flight = state.launch_counts.in_flight
        self.counting = state.launch_counts.counting
        self.missing = state.launch_counts.missing
        self.taken = 0

    def key(self, first: int) -> tuple[float, float, float]:
        """Smallest comes first."""
        if self.counting < first:
            return 0, self.counting, self.in_flight
        return 1, -self.rollout_value / (1 + self.in_flight), self.in_flight

    def has_room(self, bound: int, limit: int) -> bool:
        """Whether another launch could still count: the prefix waits for what is missing, however much has finished."""
        free = self.task.room is None or self.taken < self.task.room
        return free and self.in_flight < bound and (self.counting < limit or self.missing > self.taken)

    def take(self) -> NextLaunch:
        """One launch more: what is missing first."""
        launches = self.task.launches
        missing = [index for index, launch in enumerate(launches) if launch is Launch.MISSING]
        beyond = len(launches) + self.taken - len(missing)
        index = missing[self.taken] if self.taken < len(missing) else beyond
        self.in_flight += 1
        self.counting += 1
        self.taken += 1
        return NextLaunch(self.task.group, index)
