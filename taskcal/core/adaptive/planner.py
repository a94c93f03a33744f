"""The planner of an adaptive run: after every result it says where each task stands and what to run next.

It is a pure function. The runner calls `plan_next` with every task's launches in their order and the number of free
slots, starts what it is told to, cancels what it is told to, and calls again with what came of it, handing back the
last answer. Without a last answer (a resumed run, a report) the rows alone give the same verdicts.
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
    Circumstances,
    Closed,
    Launch,
    TaskHistory,
    TaskState,
    TaskTables,
    count,
    prefix,
    stand,
    tally,
)
from taskcal.core.stats import prior as priors
from taskcal.core.stats.prior import FEWEST_TASKS, Source
from taskcal.core.stats.rates import DEFAULT_PRIOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from taskcal.core.adaptive.design import Design
    from taskcal.core.adaptive.drift import Memory
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
class Beliefs:
    """The books in use: one for all tasks, and one for each earlier count; and on how many results it was learned."""

    certified: StoppingTable
    population: DecisionTables
    memory: Memory
    warm: Mapping[Counts, DecisionTables]
    learned_from: int

    def of(self, task: TaskHistory) -> TaskTables:
        """What a task is judged by."""
        tables = self.warm.get(task.earlier, self.population) if task.earlier else self.population
        return TaskTables(tables, self.certified)


@dataclass(frozen=True, slots=True)
class PlannerState:
    """The planner's answer: where every task stands, what to launch now, in order, and whose pending ones to cancel."""

    tasks: tuple[TaskHistory, ...]
    states: tuple[TaskState, ...]
    launches: tuple[NextLaunch, ...]
    cancel: tuple[GroupId, ...]
    beliefs: Beliefs

    @property
    def done(self) -> bool:
        """Whether no task is open and nothing is in flight: only then has the last look been taken."""
        return _at_rest(self.states)

    @property
    def expected_left(self) -> float:
        """Rollouts that the open tasks are expected to take yet, those in flight included."""
        return math.fsum(state.expected_left for state in self.states)


def plan_next(
    tasks: Sequence[TaskHistory], slots: int, design: Design, before: PlannerState | None = None
) -> PlannerState:
    """Where the tasks stand and what to launch into `slots` free slots. Costs little where little has changed."""
    known = tuple(tasks)
    beliefs = before.beliefs if before else _first_beliefs(known, design)
    states = _stand(known, beliefs, design, before)
    if _learns(beliefs, states, design) and _overdue(beliefs, states, slots):
        beliefs = _relearned(beliefs, known, [one.seen for one in states], design)
        states = _stand(known, beliefs, design, before)
    if _at_rest(states):
        if _learns(beliefs, states, design):
            beliefs = _relearned(beliefs, known, [one.seen for one in states], design)
        states = _stand(known, beliefs, design, None)
    return PlannerState(
        tasks=known,
        states=states,
        launches=tuple(_launches(known, states, slots, design)),
        cancel=tuple(one.group for one in states if one.tally.in_flight and one.closed not in AWAITED),
        beliefs=beliefs,
    )


def _at_rest(states: Sequence[TaskState]) -> bool:
    return all(one.closed and not one.tally.in_flight for one in states)


def _learns(beliefs: Beliefs, states: Sequence[TaskState], design: Design) -> bool:
    """Whether there is anything new to learn from, and a task to judge by it."""
    if not design.learn or _results(states) == beliefs.learned_from:
        return False
    return bool(beliefs.warm) or _enough(one.seen for one in states)


def _enough(counts: Iterable[Counts]) -> bool:
    return sum(count.graded > 0 for count in counts) >= FEWEST_TASKS


def _overdue(beliefs: Beliefs, states: Sequence[TaskState], slots: int) -> bool:
    """Whether each task, or each slot, has had a new result since: seldom enough to be cheap.

    An earlier calibration is no longer taken at its word from the first result on.
    """
    if beliefs.warm and not beliefs.learned_from:
        return True
    everywhere = slots + sum(one.tally.in_flight for one in states)
    return _results(states) - beliefs.learned_from >= max(len(states), everywhere)


def _results(states: Sequence[TaskState]) -> int:
    return sum(one.seen.graded for one in states)


def _first_beliefs(tasks: Sequence[TaskHistory], design: Design) -> Beliefs:
    """From the rows alone, as in a report or a resumed run."""
    certified = certified_table(design)
    memory = drift.remember([task.earlier for task in tasks if task.earlier], design.edges)
    default = make_tables(DEFAULT_PRIOR, Source.DEFAULT, design, certified)
    seen = [count(prefix(task.launches, design.limit)) for task in tasks]
    if design.learn:
        return _relearned(Beliefs(certified, default, memory, {}, 0), tasks, seen, design)
    return Beliefs(certified, default, memory, _warm_books(memory, (), design, certified), 0)


def _relearned(beliefs: Beliefs, tasks: Sequence[TaskHistory], seen: Sequence[Counts], design: Design) -> Beliefs:
    population = beliefs.population
    if _enough(seen) and any(task.earlier is None for task in tasks):
        population = make_tables(priors.learned(seen, design.edges), Source.LEARNED, design, beliefs.certified)
    pairs = [(task.earlier, now) for task, now in zip(tasks, seen, strict=True) if task.earlier]
    if not any(now.graded for _, now in pairs):
        # A run is planned, and its rollouts forecast, as if the agent had not moved. Its first result ends that.
        pairs = [(before, before) for before, _ in pairs]
    return replace(
        beliefs,
        population=population,
        warm=_warm_books(beliefs.memory, pairs, design, beliefs.certified),
        learned_from=sum(one.graded for one in seen),
    )


def _warm_books(
    memory: Memory, pairs: Sequence[tuple[Counts, Counts]], design: Design, certified: StoppingTable
) -> Mapping[Counts, DecisionTables]:
    """A book for each earlier count, by how far the agent has moved as these pairs of earlier and new counts tell."""
    moves = drift.weigh(memory, pairs) if memory.known else ()
    return {
        earlier: make_tables(drift.warm(memory, moves, earlier), Source.WARM, design, certified)
        for earlier in memory.known
    }


def _stand(
    tasks: Sequence[TaskHistory], beliefs: Beliefs, design: Design, before: PlannerState | None
) -> tuple[TaskState, ...]:
    """Every task's standing; what has not changed since `before` is taken from it."""
    spent = design.budget is not None and sum(tally(task.launches).launched for task in tasks) >= design.budget
    same = before is not None and before.beliefs is beliefs
    states = []
    for task, (old_task, old) in zip(tasks, _pairs(tasks, before), strict=True):
        if old and same and old_task is task and (old.closed or not spent):
            states.append(old)
        else:
            held = old is not None and old.closed is Closed.CONFIDENT
            states.append(stand(task, beliefs.of(task), design, Circumstances(held, spent)))
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
    last = {task.group: (task, one) for task, one in pairs}
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
    turns = [_Turn(task, one) for task, one in zip(tasks, states, strict=True) if not one.closed and task.room != 0]
    everywhere = slots + sum(one.tally.in_flight for one in states)
    bound = min(design.most_in_flight, max(1, math.ceil(everywhere / max(1, len(turns)))))
    if design.budget is not None:
        slots = min(slots, design.budget - sum(one.tally.launched for one in states))
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

    __slots__ = ("charge", "counting", "in_flight", "missing", "taken", "task")

    def __init__(self, task: TaskHistory, state: TaskState) -> None:
        self.task = task
        self.charge = state.charge
        self.in_flight = state.tally.in_flight
        self.counting = state.tally.counting
        self.missing = state.tally.missing
        self.taken = 0

    def key(self, first: int) -> tuple[float, float, float]:
        """Smallest comes first."""
        if self.counting < first:
            return 0, self.counting, self.in_flight
        return 1, -self.charge / (1 + self.in_flight), self.in_flight

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
