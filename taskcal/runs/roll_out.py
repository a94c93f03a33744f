"""The rollouts of a run: which schedule they follow, what ends them early, and where each result goes."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from taskcal.agents.builtin import Noop
from taskcal.core.plan import plan_rollouts
from taskcal.core.rollout import Graded
from taskcal.execution.adaptive_schedule import AdaptiveLimits, AdaptiveSchedule
from taskcal.execution.local_threads import LocalThreads
from taskcal.execution.logs import FileLogs
from taskcal.execution.rollout import run_rollout
from taskcal.execution.schedule import FixedSchedule, run_schedule
from taskcal.execution.stop_conditions import (
    AllZero,
    EngineAway,
    LowDisk,
    MostCost,
    MostRollouts,
    NearlyAllLost,
    TimeLimit,
)
from taskcal.execution.workplace import RolloutJob, Workplace
from taskcal.machine.host import free_bytes
from taskcal.runs.images.renewal import Renewal
from taskcal.runs.preflight import is_exempt
from taskcal.runs.resume import remaining

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskcal.core.plan import PlannedRollout
    from taskcal.core.rollout import GroupId, Rollout, RolloutId
    from taskcal.core.task import Group
    from taskcal.execution.schedule import Schedule, StopCondition
    from taskcal.runs.live_run import Run


def roll_out(run: Run) -> None:
    """Run what is owed, each result on disk as it comes; `run.stopped` says why it stopped early, if it did."""
    groups = [group for group in run.request.groups if group.id in run.images]
    workplace, renewal = _workplace(run), Renewal(run)

    def work(planned: PlannedRollout, queued: float) -> Rollout:
        run.listener.started(planned.id)
        job = RolloutJob(run.record.id, planned, run.images[planned.id.group], run.request.seed)
        rollout = run_rollout(job, workplace, queued)
        renewal.note(job, rollout.outcome)
        return rollout

    def record(rollout: Rollout) -> None:
        with run.guard.held():
            run.folder.append(rollout)
        run.listener.finished(rollout)

    threads: LocalThreads[PlannedRollout, Rollout] = LocalThreads(work, run.request.concurrency)
    run.pools.append(threads)
    _begin(run)
    for rollout in run.recorded:
        run.listener.finished(rollout)
    schedule = _schedule(run, groups)
    stop_conditions = tuple(_stop_conditions(run))
    try:
        run.stopped = run_schedule(schedule, threads, record, run.engine.answers, stop_conditions) or ""
    except KeyboardInterrupt:
        while (finished := threads.next(0.0)) is not None:
            record(finished)
        raise


def _workplace(run: Run) -> Workplace:
    return Workplace(
        open_sandbox=run.on_engine.open_sandbox,
        agents={"": run.request.agent},
        logs=FileLogs(run.folder.log_path),
        cancelled=run.cancelled,
        keep=_FirstFailures() if run.request.keep_failed else lambda *_: False,
        kept=run.kept,
    )


def _begin(run: Run) -> None:
    names = [group.id for group in run.request.groups]
    if run.request.settings.adaptive:
        run.listener.begin_adaptive(names, run.request.settings.design, run.request.retries)
    else:
        run.listener.begin(names, run.request.group_size, run.request.retries)


def _schedule(run: Run, groups: Sequence[Group]) -> Schedule:
    request = run.request
    if request.settings.adaptive:
        limits = AdaptiveLimits(request.concurrency, request.retries, run.listener.look)
        return AdaptiveSchedule(groups, run.recorded, request.settings, limits)
    return FixedSchedule(remaining(plan_rollouts(groups, request.group_size), run.recorded), request.retries)


def _stop_conditions(run: Run) -> Iterator[StopCondition]:
    """The conditions of this run. Rewards that were all 0 before a resume do not stop it again: that is known by now.

    An agent that does nothing is meant to earn nothing, and one that is played costs nothing.
    """
    spending = run.request.spending
    yield EngineAway(run.engine.answers)
    yield NearlyAllLost(run.request.concurrency)
    root = run.engine.data_root
    if root is not None:
        yield LowDisk(partial(free_bytes, root))
    measured = any(isinstance(row.outcome, Graded) for row in run.recorded)
    if not measured and not isinstance(run.request.agent, Noop):
        yield AllZero(len(run.request.groups))
    if spending.rollouts is not None:
        yield MostRollouts(spending.rollouts)
    if spending.cost_usd is not None and not is_exempt(run.request.agent):
        yield MostCost(spending.cost_usd)
    if spending.seconds is not None:
        yield TimeLimit(spending.seconds, time.monotonic())


class _FirstFailures:
    """Says yes to the first failed rollout of each group."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[GroupId] = set()

    def __call__(self, rollout: RolloutId, graded: Graded) -> bool:
        with self._lock:
            first = not graded.passed and rollout.group not in self._groups
            if first:
                self._groups.add(rollout.group)
        return first
