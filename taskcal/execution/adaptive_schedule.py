"""The schedule of an adaptive run: what the planner asks for, and what came of it told back to the planner."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import replace
from typing import TYPE_CHECKING

from taskcal.core.adaptive.launches import launch_of, launches_by_index
from taskcal.core.adaptive.planner import plan_next
from taskcal.core.adaptive.task_state import Launch, TaskHistory
from taskcal.core.plan import PlannedRollout
from taskcal.core.rollout import RolloutId
from taskcal.execution.schedule import Retries, Waiting, has_room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskcal.core.adaptive.planner import NextLaunch, PlannerState
    from taskcal.core.rollout import GroupId, Outcome, Rollout
    from taskcal.core.settings import CalibrationSettings
    from taskcal.core.task import Group


class AdaptiveSchedule:
    """Starts what is worth most, stops where a task is decided, and drops the retries that wait for such a task.

    What an earlier part of the run lost for good waits as a retry does, so that it comes before anything new; what was
    cancelled there is missing, and comes before anything new of its task.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        recorded: Iterable[Rollout],
        settings: CalibrationSettings,
        limits: AdaptiveLimits,
    ) -> None:
        """`recorded` are all rollouts that the run has on disk."""
        self._groups = {group.id: group for group in groups}
        self._design = settings.design
        self._limits = limits
        self._retries = Retries(limits.retries)
        self._running: Counter[str] = Counter()
        self._next: deque[NextLaunch] = deque()
        self._planner_state: PlannerState | None = None
        self._stale = True
        by_group: dict[GroupId, list[Rollout]] = defaultdict(list)
        self._attempts: Counter[str] = Counter()
        for rollout in recorded:
            by_group[rollout.id.group].append(rollout)
            self._attempts[rollout.id.key] = max(self._attempts[rollout.id.key], rollout.id.attempt + 1)
        known = {id_: launches_by_index(by_group[id_]) for id_ in self._groups}
        self._waiting = [
            Waiting(self._planned(id_, index))
            for id_, ended in known.items()
            for index, launch in enumerate(ended)
            if launch is Launch.LOST
        ]
        self._tasks = {
            id_: TaskHistory(id_, _with_lost_as_pending(known[id_]), settings.earlier.get(id_), group.task.max_parallel)
            for id_, group in self._groups.items()
        }

    @property
    def is_over(self) -> bool:
        """Whether the planner wants no more, and no retry waits."""
        self._look()
        return not self._next and not self._waiting

    def take(self, now: float) -> PlannedRollout | None:
        """A retry whose time has come, or what the planner asks for."""
        self._look()
        planned = self._take_retry(now) or self._take_planned()
        if planned is not None:
            self._count(planned, 1)
        return planned

    def ended(self, planned: PlannedRollout, outcome: Outcome, now: float) -> None:
        """One has ended; the planner is told unless it is tried again."""
        self._count(planned, -1)
        self._attempts[planned.id.key] = planned.id.attempt + 1
        again = self._retries.next(planned, outcome, now)
        if again is not None:
            self._waiting.append(again)
        else:
            self._mark(planned.id, launch_of(outcome))
        self._stale = True

    def _planned(self, group: GroupId, index: int) -> PlannedRollout:
        """The next attempt at an index."""
        attempt = self._attempts[RolloutId(group, index, 0).key]
        return PlannedRollout(RolloutId(group, index, attempt), self._groups[group])

    def _take_retry(self, now: float) -> PlannedRollout | None:
        ready = (one for one in self._waiting if one.ready <= now and has_room(one.planned, self._running))
        first = next(ready, None)
        if first is None:
            return None
        self._waiting.remove(first)
        return first.planned

    def _take_planned(self) -> PlannedRollout | None:
        """Where another variant has taken the last room of a task, the planner gives the slot to somebody else."""
        while self._next:
            launch = self._next.popleft()
            planned = self._planned(launch.group, launch.index)
            if has_room(planned, self._running):
                self._mark(planned.id, Launch.PENDING)
                return planned
            self._stale = True
            self._look()
        return None

    def _look(self) -> None:
        """Ask the planner where something has changed; a retry of a task that is decided meanwhile is dropped."""
        while self._stale:
            free = max(0, self._limits.slots - self._running.total())
            self._planner_state = plan_next(tuple(self._tasks.values()), free, self._design, self._planner_state)
            self._next = deque(self._planner_state.launches)
            self._stale = self._drop({*self._planner_state.cancel})
            if not self._stale:
                self._limits.watch(self._planner_state)

    def _drop(self, groups: set[GroupId]) -> bool:
        """Whether any retry waited for one of these groups. Such a rollout stays lost, as the rows have it."""
        dropped = [one for one in self._waiting if one.planned.id.group in groups]
        for one in dropped:
            self._waiting.remove(one)
            self._mark(one.planned.id, Launch.LOST)
        return bool(dropped)

    def _mark(self, rollout: RolloutId, launch: Launch) -> None:
        task = self._tasks[rollout.group]
        known = [*task.launches, *[Launch.MISSING] * (rollout.index + 1 - len(task.launches))]
        known[rollout.index] = launch
        self._tasks[rollout.group] = replace(task, launches=tuple(known))

    def _count(self, planned: PlannedRollout, change: int) -> None:
        """One more or less is running; variants share their task's `max_parallel`."""
        name, most = planned.id.group.task, planned.group.task.max_parallel
        self._running[name] += change
        if most is not None:
            for id_, task in self._tasks.items():
                if id_.task == name:
                    self._tasks[id_] = replace(task, room=max(0, most - self._running[name]))


class AdaptiveLimits:
    """How many rollouts run at once, how often a lost one is tried again, and who watches the planner."""

    def __init__(self, slots: int, retries: int, watch: Callable[[PlannerState], None] = lambda _: None) -> None:
        """`watch` is called after every look, from the thread of the loop."""
        self.slots = slots
        self.retries = retries
        self.watch = watch


def _with_lost_as_pending(known: tuple[Launch, ...]) -> tuple[Launch, ...]:
    return tuple(Launch.PENDING if launch is Launch.LOST else launch for launch in known)
