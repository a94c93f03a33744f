"""The planner of an adaptive run: after every result it says where each task stands and what to run next.

It is a pure function. The runner calls `advance` with every task's launches in their order and the number of free
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
from taskcal.core.adaptive.tables import Source, certified_table, make_book
from taskcal.core.adaptive.task_state import (
    Circumstances,
    Closed,
    Launch,
    Standing,
    Tables,
    TaskState,
    count,
    prefix,
    stand,
    tally,
)
from taskcal.core.stats import prior as priors
from taskcal.core.stats.prior import FEWEST_TASKS
from taskcal.core.stats.rates import DEFAULT_PRIOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from taskcal.core.adaptive.drift import Memory
    from taskcal.core.adaptive.tables import Book, Design
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
    population: Book
    memory: Memory
    warm: Mapping[Counts, Book]
    learned_from: int

    def of(self, task: TaskState) -> Tables:
        """What a task is judged by."""
        book = self.warm.get(task.earlier, self.population) if task.earlier else self.population
        return Tables(book, self.certified)


@dataclass(frozen=True, slots=True)
class Outlook:
    """The planner's answer: where every task stands, what to launch now, in order, and whose pending ones to cancel."""

    tasks: tuple[TaskState, ...]
    standings: tuple[Standing, ...]
    launches: tuple[NextLaunch, ...]
    cancel: tuple[GroupId, ...]
    beliefs: Beliefs

    @property
    def done(self) -> bool:
        """Whether no task is open and nothing is in flight: only then has the last look been taken."""
        return _at_rest(self.standings)

    @property
    def expected_left(self) -> float:
        """Rollouts that the open tasks are expected to take yet, those in flight included."""
        return math.fsum(standing.expected_left for standing in self.standings)

    @property
    def claimed_error(self) -> float | None:
        """The share of wrong classes that the posteriors themselves expect; None without tasks."""
        doubts = [1.0 - max(standing.posterior) for standing in self.standings]
        return math.fsum(doubts) / len(doubts) if doubts else None


def advance(tasks: Sequence[TaskState], slots: int, design: Design, before: Outlook | None = None) -> Outlook:
    """Where the tasks stand and what to launch into `slots` free slots. Costs little where little has changed."""
    known = tuple(tasks)
    beliefs = before.beliefs if before else _first_beliefs(known, design)
    standings = _stand(known, beliefs, design, before)
    if _learns(beliefs, standings, design) and _overdue(beliefs, standings, slots):
        beliefs = _relearned(beliefs, known, [one.seen for one in standings], design)
        standings = _stand(known, beliefs, design, before)
    if _at_rest(standings):
        if _learns(beliefs, standings, design):
            beliefs = _relearned(beliefs, known, [one.seen for one in standings], design)
        standings = _stand(known, beliefs, design, None)
    return Outlook(
        tasks=known,
        standings=standings,
        launches=tuple(_launches(known, standings, slots, design)),
        cancel=tuple(one.group for one in standings if one.tally.in_flight and one.closed not in AWAITED),
        beliefs=beliefs,
    )


def _at_rest(standings: Sequence[Standing]) -> bool:
    return all(one.closed and not one.tally.in_flight for one in standings)


def _learns(beliefs: Beliefs, standings: Sequence[Standing], design: Design) -> bool:
    """Whether there is anything new to learn from, and a task to judge by it."""
    if not design.learn or _results(standings) == beliefs.learned_from:
        return False
    return bool(beliefs.warm) or _enough(one.seen for one in standings)


def _enough(counts: Iterable[Counts]) -> bool:
    return sum(count.graded > 0 for count in counts) >= FEWEST_TASKS


def _overdue(beliefs: Beliefs, standings: Sequence[Standing], slots: int) -> bool:
    """Whether each task, or each slot, has had a new result since: seldom enough to be cheap.

    An earlier calibration is no longer taken at its word from the first result on.
    """
    if beliefs.warm and not beliefs.learned_from:
        return True
    everywhere = slots + sum(one.tally.in_flight for one in standings)
    return _results(standings) - beliefs.learned_from >= max(len(standings), everywhere)


def _results(standings: Sequence[Standing]) -> int:
    return sum(one.seen.graded for one in standings)


def _first_beliefs(tasks: Sequence[TaskState], design: Design) -> Beliefs:
    """From the rows alone, as in a report or a resumed run."""
    certified = certified_table(design)
    memory = drift.remember([task.earlier for task in tasks if task.earlier], design.edges)
    default = make_book(DEFAULT_PRIOR, Source.DEFAULT, design, certified)
    seen = [count(prefix(task.launches, design.limit)) for task in tasks]
    if design.learn:
        return _relearned(Beliefs(certified, default, memory, {}, 0), tasks, seen, design)
    return Beliefs(certified, default, memory, _warm_books(memory, (), design, certified), 0)


def _relearned(beliefs: Beliefs, tasks: Sequence[TaskState], seen: Sequence[Counts], design: Design) -> Beliefs:
    population = beliefs.population
    if _enough(seen) and any(task.earlier is None for task in tasks):
        population = make_book(priors.learned(seen, design.edges), Source.LEARNED, design, beliefs.certified)
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
) -> Mapping[Counts, Book]:
    """A book for each earlier count, by how far the agent has moved as these pairs of earlier and new counts tell."""
    moves = drift.weigh(memory, pairs) if memory.known else ()
    return {
        earlier: make_book(drift.warm(memory, moves, earlier), Source.WARM, design, certified)
        for earlier in memory.known
    }


def _stand(
    tasks: Sequence[TaskState], beliefs: Beliefs, design: Design, before: Outlook | None
) -> tuple[Standing, ...]:
    """Every task's standing; what has not changed since `before` is taken from it."""
    spent = design.budget is not None and sum(tally(task.launches).launched for task in tasks) >= design.budget
    same = before is not None and before.beliefs is beliefs
    standings = []
    for task, (old_task, old) in zip(tasks, _pairs(tasks, before), strict=True):
        if old and same and old_task is task and (old.closed or not spent):
            standings.append(old)
        else:
            held = old is not None and old.closed is Closed.CONFIDENT
            standings.append(stand(task, beliefs.of(task), design, Circumstances(held, spent)))
    return tuple(standings)


def _pairs(tasks: Sequence[TaskState], before: Outlook | None) -> Iterable[tuple[TaskState | None, Standing | None]]:
    """For each task what `before` had of it, in whatever order it had them."""
    if before is None:
        return itertools.repeat((None, None), len(tasks))
    pairs = zip(before.tasks, before.standings, strict=True)
    if [task.group for task in before.tasks] == [task.group for task in tasks]:
        return pairs
    last = {task.group: (task, one) for task, one in pairs}
    return [last.get(task.group, (None, None)) for task in tasks]


def _launches(
    tasks: Sequence[TaskState], standings: Sequence[Standing], slots: int, design: Design
) -> Iterator[NextLaunch]:
    """The open tasks in the order in which they get the free slots: each its first few, then where it is worth most.

    As many in flight per task as slots share out between the open tasks: fewer would leave slots idle at the end, more
    would run what a decision makes needless.
    """
    if slots <= 0:
        return
    turns = [_Turn(task, one) for task, one in zip(tasks, standings, strict=True) if not one.closed and task.room != 0]
    everywhere = slots + sum(one.tally.in_flight for one in standings)
    bound = min(design.most_in_flight, max(1, math.ceil(everywhere / max(1, len(turns)))))
    if design.budget is not None:
        slots = min(slots, design.budget - sum(one.tally.launched for one in standings))
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

    def __init__(self, task: TaskState, standing: Standing) -> None:
        self.task = task
        self.charge = standing.charge
        self.in_flight = standing.tally.in_flight
        self.counting = standing.tally.counting
        self.missing = standing.tally.missing
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
