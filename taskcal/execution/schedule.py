"""The loop over a run's rollouts: what starts next, what is tried again, and when it is enough."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from taskcal.core.rollout import Lost
from taskcal.errors import Boundary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskcal.core.plan import PlannedRollout
    from taskcal.core.rollout import Outcome, Rollout, RolloutId

POLL_SECONDS = 0.2
RESTART_SECONDS = 120.0


class Executor(Protocol):
    """Calls `run_rollout` somewhere: in threads here, or on other machines."""

    @property
    def free(self) -> bool:
        """Whether another rollout can start at once."""
        ...

    def submit(self, planned: PlannedRollout) -> None:
        """Start a rollout."""
        ...

    def next(self, timeout: float) -> Rollout | None:
        """The next finished rollout, or None after `timeout` seconds without one."""
        ...


class Schedule(Protocol):
    """Says what to run next, and learns what came of it. Moments are seconds of one clock."""

    @property
    def is_over(self) -> bool:
        """Whether nothing waits; what is running may still bring more."""
        ...

    def take(self, now: float) -> PlannedRollout | None:
        """The next rollout, if one may start now."""
        ...

    def ended(self, planned: PlannedRollout, outcome: Outcome, now: float) -> None:
        """One that was taken has ended."""
        ...


class StopCondition(Protocol):
    """A reason to start no more rollouts: a limit of the run, or a suspicion that they would be wasted."""

    def begun(self, planned: PlannedRollout) -> None:
        """One has started."""
        ...

    def note(self, rollout: Rollout) -> None:
        """One has ended."""
        ...

    def holds(self, now: float) -> bool:
        """Whether nothing should start just now, while what is running goes on."""
        ...

    def reason(self, now: float) -> str | None:
        """Why nothing more should start, in a sentence; None to go on."""
        ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """A rollout in the queue, not to be started before `ready`."""

    planned: PlannedRollout
    ready: float = 0.0


class Retries:
    """How often a lost rollout is tried again, and when: after 1, 2, 4, … seconds."""

    def __init__(self, most: int) -> None:
        """`most` further attempts, counted from the first that this process makes."""
        self._most = most
        self._first: dict[str, int] = {}

    def next(self, planned: PlannedRollout, outcome: Outcome, now: float) -> Waiting | None:
        """The next attempt, or None where this one was the last."""
        first = self._first.setdefault(planned.id.key, planned.id.attempt)
        tried = planned.id.attempt - first
        if not isinstance(outcome, Lost) or tried >= self._most:
            return None
        return Waiting(replace(planned, id=replace(planned.id, attempt=planned.id.attempt + 1)), now + 2.0**tried)


class FixedSchedule:
    """Every rollout of a plan, in its order, retries behind it; honours each task's `max_parallel`."""

    def __init__(self, plan: Iterable[PlannedRollout], retries: int) -> None:
        """Start with a whole plan."""
        self._waiting = deque(Waiting(one) for one in plan)
        self._running: Counter[str] = Counter()
        self._retries = Retries(retries)

    @property
    def is_over(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def take(self, now: float) -> PlannedRollout | None:
        """The first one that may start now."""
        for place, waiting in enumerate(self._waiting):
            if waiting.ready <= now and has_room(waiting.planned, self._running):
                del self._waiting[place]
                self._running[waiting.planned.id.group.task] += 1
                return waiting.planned
        return None

    def ended(self, planned: PlannedRollout, outcome: Outcome, now: float) -> None:
        """One has ended; where it was lost, its next attempt may wait."""
        self._running[planned.id.group.task] -= 1
        again = self._retries.next(planned, outcome, now)
        if again is not None:
            self._waiting.append(again)


def has_room(planned: PlannedRollout, running: Counter[str]) -> bool:
    """Whether the task's `max_parallel` allows one more beside those that are running, by task."""
    limit = planned.group.task.max_parallel
    return limit is None or running[planned.id.group.task] < limit


class EngineWait:
    """Holds back new rollouts while the container engine is away, for as long as it may take to be restarted."""

    def __init__(self, is_back: Callable[[], bool]) -> None:
        """`is_back` says whether the engine answers; it is asked only after a rollout was lost at the engine."""
        self._is_back = is_back
        self._until: float | None = None

    def note(self, outcome: Outcome, now: float) -> None:
        """Begin to wait where an outcome says that the engine is away."""
        if isinstance(outcome, Lost) and outcome.boundary is Boundary.ENGINE and self._until is None:
            self._until = now + RESTART_SECONDS

    def is_over(self, now: float) -> bool:
        """Whether rollouts may start: the engine answers, or has been away for too long to wait for it."""
        if self._until is None or (now < self._until and not self._is_back()):
            return self._until is None
        self._until = None
        return True


def run_schedule(
    schedule: Schedule,
    executor: Executor,
    record: Callable[[Rollout], None],
    is_back: Callable[[], bool] = lambda: True,
    stop_conditions: Sequence[StopCondition] = (),
) -> str | None:
    """Run until the schedule is over, `record` each result as it comes; says why it stopped early, if it did.

    After a loss at the container engine nothing starts until it `is_back`, so that a restart costs what was in flight
    and no more. Once a stop condition has a reason, what is running ends and nothing more starts. Raises what `record`
    raises.
    """
    engine_wait = EngineWait(is_back)
    running: dict[RolloutId, PlannedRollout] = {}
    reason: str | None = None
    while running or not (reason or schedule.is_over):
        while executor.free and not (reason or schedule.is_over) and engine_wait.is_over(time.monotonic()):
            reason = _reason(stop_conditions, time.monotonic())
            held = any(stop_condition.holds(time.monotonic()) for stop_condition in stop_conditions)
            planned = None if reason or held else schedule.take(time.monotonic())
            if planned is None:
                break
            running[planned.id] = planned
            executor.submit(planned)
            for stop_condition in stop_conditions:
                stop_condition.begun(planned)
        rollout = executor.next(POLL_SECONDS)
        if rollout is None:
            continue
        record(rollout)
        engine_wait.note(rollout.outcome, time.monotonic())
        for stop_condition in stop_conditions:
            stop_condition.note(rollout)
        schedule.ended(running.pop(rollout.id), rollout.outcome, time.monotonic())
    return reason


def _reason(stop_conditions: Sequence[StopCondition], now: float) -> str | None:
    return next((reason for stop_condition in stop_conditions if (reason := stop_condition.reason(now))), None)
