"""The loop over a plan: its order, its retries, and that every result is recorded exactly once."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.plan import PlannedRollout, plan_rollouts
from taskcal.core.rollout import Graded, Lost, Rollout
from taskcal.errors import Boundary, RunFolderError
from taskcal.execution import schedule
from taskcal.execution.schedule import FixedSchedule, run_schedule
from tests.execution.schedule_case import PASSED, Clock, Scripted, groups, task

if TYPE_CHECKING:
    from taskcal.core.task import Task


def plan_of(*tasks: Task, group_size: int = 2) -> tuple[PlannedRollout, ...]:
    return plan_rollouts(groups(*tasks), group_size)


def taken(queue: FixedSchedule, now: float = 0.0) -> list[str]:
    """The keys of all that may start now."""
    found = iter(lambda: queue.take(now), None)
    return [one.id.key for one in found]


def test_the_queue_keeps_the_plans_order() -> None:
    """First come, first served."""
    queue = FixedSchedule(plan_of(task("a"), task("b")), 2)
    assert taken(queue) == ["a#0", "b#0", "a#1", "b#1"]
    assert queue.is_over


def test_max_parallel_is_a_tasks_own_bound() -> None:
    """A task at its bound is passed over, not waited for; the next one starts when one of its own has ended."""
    queue = FixedSchedule(plan_of(task("a", max_parallel=1), task("b"), group_size=3), 2)
    first = queue.take(0.0)
    assert first is not None
    assert first.id.key == "a#0"
    assert taken(queue) == ["b#0", "b#1", "b#2"]
    queue.ended(first, PASSED, 0.0)
    assert taken(queue) == ["a#1"]


def test_a_retry_waits_for_its_time() -> None:
    """Behind the plan, as the next attempt, and not before its moment."""
    queue = FixedSchedule(plan_of(task("a"), task("b"), group_size=1), 2)
    first = queue.take(0.0)
    assert first is not None
    queue.ended(first, Lost(Boundary.ENGINE, "busy"), 9.0)
    assert taken(queue, now=9.9) == ["b#0"]
    again = queue.take(10.0)
    assert again is not None
    assert again.id == replace(first.id, attempt=1)
    assert queue.is_over


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the loop a clock of its own, so that waiting for a retry takes no time."""
    found = Clock()
    found.tell(monkeypatch)
    return found


def run(engine: Scripted, *tasks: Task, retries: int = 2, group_size: int = 2) -> list[Rollout]:
    """What is recorded of a whole plan."""
    recorded: list[Rollout] = []
    run_schedule(FixedSchedule(plan_of(*tasks, group_size=group_size), retries), engine, recorded.append)
    return recorded


def lost_first(**times: int) -> Counter[str]:
    """Which rollouts are lost how often before they pass: `a0` is a#0."""
    return Counter({f"{name[:-1]}#{name[-1]}": count for name, count in times.items()})


def test_every_rollout_is_recorded_once(clock: Clock) -> None:
    """In the order in which they end, and the loop ends when all have."""
    recorded = run(Scripted(clock, size=3), task("a"), task("b"), group_size=4)
    assert [row.id.key for row in recorded] == ["a#0", "b#0", "a#1", "b#1", "a#2", "b#2", "a#3", "b#3"]


def test_a_lost_rollout_is_tried_again(clock: Clock) -> None:
    """As the next attempt at the same index; each attempt is recorded, and success ends it."""
    recorded = run(Scripted(clock, losses=lost_first(a0=1)), task("a"))
    assert [(row.id.index, row.id.attempt, isinstance(row.outcome, Lost)) for row in recorded] == [
        (0, 0, True),
        (1, 0, False),
        (0, 1, False),
    ]


@pytest.mark.parametrize("retries", [0, 1, 2, 5])
def test_retries_have_an_end(clock: Clock, retries: int) -> None:
    """After so many further attempts it stays lost, and everything else was run."""
    recorded = run(Scripted(clock, losses=lost_first(a0=99)), task("a"), retries=retries)
    assert [row.id.attempt for row in recorded if row.id.index == 0] == list(range(retries + 1))
    assert [isinstance(row.outcome, Graded) for row in recorded if row.id.index == 1] == [True]


def test_retries_wait_longer_each_time(clock: Clock) -> None:
    """1, 2, 4 seconds, and no more than a look at the clock longer."""
    engine = Scripted(clock, losses=lost_first(a0=3))
    run(engine, task("a"), retries=3, group_size=1)
    times = [time for time, _ in engine.begun]
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert waits == pytest.approx([1, 2, 4], abs=schedule.POLL_SECONDS)


def test_a_resumed_attempt_has_all_its_retries(clock: Clock) -> None:
    """What was lost in an earlier run goes on counting attempts, but may be tried as often as a new one."""
    (first,) = plan_of(task("a"), group_size=1)
    recorded: list[Rollout] = []
    engine = Scripted(clock, losses=lost_first(a0=99))
    run_schedule(FixedSchedule([replace(first, id=replace(first.id, attempt=3))], 2), engine, recorded.append)
    assert [row.id.attempt for row in recorded] == [3, 4, 5]


def test_the_loop_keeps_max_parallel(clock: Clock) -> None:
    """Eight at once, but of a bounded task never more than two, and none is forgotten."""
    engine = Scripted(clock, size=8, losses=lost_first(a1=2))
    recorded = run(engine, task("a", max_parallel=2), task("b"), group_size=6)
    assert engine.most == {"a": 2, "b": 6}
    assert len(recorded) == 14


def test_what_cannot_be_recorded_ends_the_run(clock: Clock) -> None:
    """A full disk is no reason to go on measuring."""

    def full(_: Rollout) -> None:
        raise RunFolderError("no space left on device")

    engine = Scripted(clock, size=1)
    with pytest.raises(RunFolderError, match="no space left"):
        run_schedule(FixedSchedule(plan_of(task("a"), group_size=5), 2), engine, full)
    assert len(engine.begun) == 1


def test_an_empty_plan_is_done(clock: Clock) -> None:
    """Nothing to run is nothing to wait for."""
    assert run(Scripted(clock)) == []


@given(
    losses=st.dictionaries(st.sampled_from(["a#0", "a#1", "b#0", "b#1", "c#1"]), st.integers(1, 4)),
    size=st.integers(1, 5),
    retries=st.integers(0, 3),
    bound=st.none() | st.integers(1, 3),
)
def test_nothing_is_lost_or_doubled(losses: dict[str, int], size: int, retries: int, bound: int | None) -> None:
    """Whatever is lost how often: each attempt is recorded once, up to a success or the last retry."""
    clock = Clock()
    engine = Scripted(clock, size, Counter(losses))
    with pytest.MonkeyPatch.context() as patch:
        clock.tell(patch)
        recorded = run(engine, task("a", max_parallel=bound), task("b"), task("c"), retries=retries)
    expected = {
        (key, attempt)
        for key in ("a#0", "a#1", "b#0", "b#1", "c#0", "c#1")
        for attempt in range(min(losses.get(key, 0), retries) + 1)
    }
    assert sorted((row.id.key, row.id.attempt) for row in recorded) == sorted(expected)
    assert engine.most["a"] <= (bound or size)
