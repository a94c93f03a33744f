"""What ends a run early: each brake bites when it must and never before, and what is in flight is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.plan import PlannedRollout, plan
from taskcal.core.rollout import Graded, GroupId, Lost, Rollout, RolloutId, Stop, Usage
from taskcal.errors import Boundary
from taskcal.execution.schedule import RESTART_SECONDS, FixedSchedule, run_schedule
from taskcal.execution.stop_conditions import (
    FULL_SECONDS,
    LEAST_FREE,
    AllZero,
    EngineAway,
    LowDisk,
    MostCost,
    MostRollouts,
    NearlyAllLost,
    TimeLimit,
)
from tests.execution.schedule_case import BUSY, FAILED, PASSED, Clock, Scripted, groups, task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.rollout import Outcome
    from taskcal.execution.schedule import StopCondition

PARTIAL = Graded(Stop.FINISHED, 0.25, False, ())
GROUP = GroupId("t", "")


def row(outcome: Outcome, cost: float | None = None) -> Rollout:
    return Rollout(RolloutId(GROUP, 0, 0), outcome, usage=Usage(cost_usd=cost))


def first_bite(stop_condition: StopCondition, outcomes: Sequence[Outcome], now: float = 0.0) -> int | None:
    """After how many results it has a reason; None for never."""
    assert stop_condition.reason(now) is None
    for number, outcome in enumerate(outcomes, 1):
        stop_condition.note(row(outcome))
        if stop_condition.reason(now) is not None:
            return number
    return None


def plan_of(count: int, group_size: int = 1) -> tuple[PlannedRollout, ...]:
    return plan(groups(*(task(f"t{number}") for number in range(count))), group_size)


def run(
    engine: Scripted, planned: Sequence[PlannedRollout], *stop_conditions: StopCondition, retries: int = 2
) -> tuple[str | None, list[Rollout]]:
    """Why a plan ended early, and what is on record."""
    recorded: list[Rollout] = []
    with pytest.MonkeyPatch.context() as patch:
        engine.clock.tell(patch)
        return run_schedule(
            FixedSchedule(planned, retries), engine, recorded.append, stop_conditions=stop_conditions
        ), recorded


@pytest.mark.parametrize("tasks", [10, 11, 500])
def test_all_zero_bites_after_two_failures_a_task(tasks: int) -> None:
    """Not one result earlier; what was lost is no failure. It says whom to suspect and how to go on."""
    assert first_bite(AllZero(tasks), [FAILED] * (2 * tasks + 5)) == 2 * tasks
    assert first_bite(AllZero(tasks), [FAILED, BUSY] * (2 * tasks)) == 4 * tasks - 1
    stop_condition = AllZero(tasks)
    first_bite(stop_condition, [FAILED] * 2 * tasks)
    reason = stop_condition.reason(0.0)
    assert reason is not None
    assert reason.startswith(
        f"all of the first {2 * tasks} rollouts had a reward of 0: suspect the grader or the agent"
    )
    assert "--resume" in reason


@pytest.mark.parametrize("tasks", [1, 9])
def test_a_few_tasks_may_all_be_hard(tasks: int) -> None:
    """Under ten of them, no number of failures says anything of the grader."""
    assert first_bite(AllZero(tasks), [FAILED] * 200) is None


@pytest.mark.parametrize("above", [PASSED, PARTIAL])
@pytest.mark.parametrize("at", [0, 7, 19])
def test_one_reward_above_zero_frees_for_good(above: Outcome, at: int) -> None:
    """However partial and however late: a grader that gives anything is no grader that gives nothing."""
    assert first_bite(AllZero(10), [*[FAILED] * at, above, *[FAILED] * 500]) is None


def test_nearly_all_lost() -> None:
    """27 of the last 30 attempts, and not 26; a good past does not hide it, and it names the last reason."""
    died = Lost(Boundary.SANDBOX, "it died")
    assert first_bite(NearlyAllLost(), [died] * 40) == 27
    assert first_bite(NearlyAllLost(), [*[PASSED] * 3, *[died] * 40]) == 30
    assert first_bite(NearlyAllLost(), [*[PASSED] * 500, *[died] * 40]) == 527
    assert first_bite(NearlyAllLost(), [*[FAILED] * 4, *[died] * 26] * 20) is None
    stop_condition = NearlyAllLost()
    first_bite(stop_condition, [*[died] * 26, Lost(Boundary.PROVIDER, "429")])
    assert stop_condition.reason(0.0) == "27 of the last 27 attempts were lost, the last at provider: 429"


def test_an_engine_that_restarts_is_no_reason() -> None:
    """What a restart costs is lost at once and all of it was in flight: only what is lost after that tells more."""
    assert first_bite(NearlyAllLost(at_once=64), [*[BUSY] * 64, *[PASSED] * 500]) is None
    assert first_bite(NearlyAllLost(at_once=64), [BUSY] * 500) == 116
    assert first_bite(NearlyAllLost(at_once=8), [BUSY] * 500) == 27


def test_cost_is_what_was_reported() -> None:
    """Of lost attempts too; what nobody reports costs nothing, and what was spent before counts where it is told."""
    stop_condition = MostCost(1.0)
    for outcome, cost in ((PASSED, 0.5), (BUSY, 0.25), (FAILED, None)):
        stop_condition.note(row(outcome, cost))
    assert stop_condition.reason(0.0) is None
    stop_condition.note(row(PASSED, 0.25))
    told = "what was in flight may have added to it"
    assert stop_condition.reason(0.0) == f"--max-cost 1 was reached: $1.00 was spent, {told}"
    small = MostCost(0.01)
    small.note(row(PASSED, 0.0135))
    assert small.reason(0.0) == f"--max-cost 0.01 was reached: $0.0135 was spent, {told}"
    assert MostCost(1.0, 0.99).reason(0.0) is None
    assert MostCost(1.0, 1.0).reason(0.0) is not None


def test_a_limit_of_cost_that_nobody_tells_is_no_limit() -> None:
    """Five graded rollouts without a cost end the run with what to do; lost ones say nothing, and one cost frees it."""
    assert first_bite(MostCost(1.0), [FAILED] * 10) == 5
    assert first_bite(MostCost(1.0), [BUSY] * 50) is None
    stop_condition = MostCost(1.0)
    first_bite(stop_condition, [PASSED] * 5)
    reason = stop_condition.reason(0.0) or ""
    assert reason.startswith(
        "--max-cost 1 cannot be kept: none of the first 5 graded rollouts told its cost; put a price"
    )
    one = MostCost(1.0)
    one.note(row(BUSY, 0.1))
    assert first_bite(one, [PASSED] * 50) is None


def test_nothing_starts_after_the_time_limit() -> None:
    """From the very second on."""
    stop_condition = TimeLimit(90.0, 1000.0)
    assert [stop_condition.reason(now) for now in (1000.0, 1089.999)] == [None, None]
    assert stop_condition.reason(1090.0) == "--time-limit 90s was reached"


class Disk:
    """So many bytes are free, or nobody knows."""

    free: int | None = LEAST_FREE - 1
    asked = 0

    def __call__(self) -> int | None:
        """Say how many."""
        self.asked += 1
        return self.free


def test_a_full_disk_holds_and_then_ends() -> None:
    """Nothing starts while it is full, and the run ends where it stays so; a disk nobody can see is no reason."""
    disk = Disk()
    stop_condition = LowDisk(disk)
    assert stop_condition.holds(100.0)
    assert stop_condition.reason(100.0 + FULL_SECONDS - 0.1) is None
    assert stop_condition.reason(100.0 + FULL_SECONDS) is not None
    for free in (LEAST_FREE, None):
        disk.free = free
        assert not LowDisk(disk).holds(0.0)
        assert LowDisk(disk).reason(10 * FULL_SECONDS) is None


def test_a_disk_that_was_freed_is_forgiven() -> None:
    """The time begins anew; and it is asked once a second, however often the loop looks."""
    disk = Disk()
    stop_condition = LowDisk(disk)
    assert stop_condition.holds(0.0)
    disk.free = LEAST_FREE
    assert stop_condition.holds(0.9)
    assert not stop_condition.holds(1.0)
    disk.free = 0
    assert stop_condition.reason(FULL_SECONDS) is None
    assert stop_condition.holds(FULL_SECONDS)
    assert stop_condition.reason(2 * FULL_SECONDS - 1) is None
    assert stop_condition.reason(2 * FULL_SECONDS) is not None
    assert disk.asked == 5


def test_a_run_waits_for_a_brake_that_holds() -> None:
    """What a full disk held back runs when there is room again, and the run was not stopped."""
    disk, clock = Disk(), Clock()

    class Freed(Scripted):
        """An engine during whose first waits the disk is full."""

        def next(self, timeout: float) -> Rollout | None:
            """After half of the time there is room."""
            disk.free = 0 if self.clock.now < 100.0 + FULL_SECONDS / 2 else LEAST_FREE
            return super().next(timeout)

    engine = Freed(clock)
    reason, recorded = run(engine, plan_of(3), LowDisk(disk))
    assert (reason, len(recorded)) == (None, 3)
    assert min(at for at, _ in engine.begun) >= 100.0 + FULL_SECONDS / 2
    disk.free = 0
    stays = Scripted(Clock())
    reason, recorded = run(stays, plan_of(3), LowDisk(disk))
    assert reason is not None
    assert reason.startswith("the engine's disk has had less than 2 GiB free for 60s")
    assert (stays.begun, recorded) == ([], [])


@given(
    most=st.integers(1, 40),
    size=st.integers(1, 9),
    losses=st.dictionaries(st.builds("t{}#{}".format, st.integers(0, 4), st.integers(0, 3)), st.integers(1, 3)),
)
def test_most_rollouts_is_exact(most: int, size: int, losses: dict[str, int]) -> None:
    """So many attempts begin, retries among them, all of them end on record; and no reason where none was missing."""
    needed = 20 + sum(min(times, 2) for key, times in losses.items())
    engine = Scripted(Clock(), size)
    engine.losses.update(losses)
    reason, recorded = run(engine, plan_of(5, 4), MostRollouts(most))
    assert len(engine.begun) == len(recorded) == min(most, needed)
    assert reason == (f"--max-rollouts {most} was reached" if most < needed else None)


def test_what_is_in_flight_ends_and_is_recorded() -> None:
    """The reason comes while four run: they end, a lost one is not tried again, and nothing more starts."""
    engine = Scripted(Clock(), 4, ends=lambda _: FAILED)
    engine.losses["t9#1"] = 1
    reason, recorded = run(engine, plan_of(10, 8), AllZero(10))
    assert reason is not None
    assert "suspect the grader" in reason
    assert len(recorded) == len(engine.begun) == 24
    assert all(one.id.attempt == 0 for one in recorded)


@pytest.mark.parametrize(
    "stop_condition",
    [MostRollouts(20), AllZero(10), MostCost(20.0), TimeLimit(20.0, 100.0)],
    ids=lambda one: type(one).__name__,
)
def test_a_plan_that_ends_at_the_limit_was_not_stopped(stop_condition: StopCondition) -> None:
    """All of it was run: there is nothing to go on with, and nothing to say."""
    clock = Clock()

    def end(_: RolloutId) -> Outcome:
        clock.now += 1.0
        return FAILED

    reason, recorded = run(Paid(clock, ends=end), plan_of(10, 2), stop_condition)
    assert (reason, len(recorded)) == (None, 20)
    assert stop_condition.reason(clock.now) is not None


class Paid(Scripted):
    """An engine whose rollouts cost a dollar each."""

    def next(self, timeout: float) -> Rollout | None:
        """The same with its price."""
        found = super().next(timeout)
        return found and Rollout(found.id, found.outcome, usage=Usage(cost_usd=1.0))


def test_the_first_reason_is_told() -> None:
    """Where several limits are reached, one is named, in the order in which they were given."""
    reason, recorded = run(Scripted(Clock()), plan_of(5), TimeLimit(0.0, 0.0), MostCost(0.0))
    assert (reason, recorded) == ("--time-limit 0s was reached", [])


def test_an_engine_that_is_back_is_no_reason() -> None:
    """A restart costs what was in flight; other losses are not the engine's."""
    image = Lost(Boundary.IMAGE, "gone")
    assert first_bite(EngineAway(lambda: True), [BUSY, PASSED, BUSY]) is None
    assert first_bite(EngineAway(lambda: False), [PASSED, image, PASSED]) is None
    assert first_bite(EngineAway(lambda: False), [PASSED, BUSY]) == 2


def test_an_engine_that_stays_away_is_waited_for_once() -> None:
    """Only what was in flight is lost then, and the reason says how to go on."""
    recorded: list[Rollout] = []
    engine = Scripted(Clock(), ends=lambda _: BUSY)
    with pytest.MonkeyPatch.context() as patch:
        engine.clock.tell(patch)
        begun = engine.clock.now
        schedule = FixedSchedule(plan_of(10), 2)
        reason = run_schedule(schedule, engine, recorded.append, lambda: False, [EngineAway(lambda: False)])
    assert reason is not None
    assert "--resume" in reason
    assert [one.outcome for one in recorded] == [BUSY, BUSY]
    assert RESTART_SECONDS <= engine.clock.now - begun < RESTART_SECONDS + 10
