"""The rollouts of a run: which schedule they follow, what ends them early, and where each result goes."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from taskcal.agents.builtin import Noop
from taskcal.cli.preflight import is_exempt
from taskcal.cli.preparing import Renewal
from taskcal.cli.resume import remaining
from taskcal.core.plan import plan_rollouts
from taskcal.core.rollout import Graded
from taskcal.execution.adaptive_schedule import AdaptiveSchedule, Limits
from taskcal.execution.local_threads import LocalThreads
from taskcal.execution.rollout import Context, run_rollout
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
from taskcal.machine.host import free_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskcal.cli.live_run import Run
    from taskcal.core.plan import PlannedRollout
    from taskcal.core.rollout import GroupId, Rollout, RolloutId
    from taskcal.core.task import Group
    from taskcal.execution.schedule import Schedule, StopCondition
    from taskcal.sandbox.images.baking import PreparedImages


def roll_out(run: Run, images: dict[GroupId, PreparedImages], pools: list[LocalThreads[Any, Any]]) -> str | None:
    """Run what is owed, each result on disk as it comes; says why it stopped early, if it did."""
    groups = [group for group in run.request.groups if group.id in images]
    context, renewal = _context(run, images), Renewal(run, images)

    def work(planned: PlannedRollout, queued: float) -> Rollout:
        run.progress.started(planned.id)
        used = images[planned.id.group]
        rollout = run_rollout(planned, context, queued)
        renewal.note(planned, used, rollout.outcome)
        return rollout

    def record(rollout: Rollout) -> None:
        with run.interrupts.held():
            run.folder.append(rollout)
        run.progress.finished(rollout)

    threads: LocalThreads[PlannedRollout, Rollout] = LocalThreads(work, run.request.concurrency)
    pools.append(threads)
    recorded = tuple(run.folder.rollouts())
    _begin(run)
    for rollout in recorded:
        run.progress.finished(rollout)
    schedule = _schedule(run, groups, recorded)
    stop_conditions = tuple(_stop_conditions(run, recorded))
    try:
        return run_schedule(schedule, threads, record, run.scope.engine.answers, stop_conditions)
    except KeyboardInterrupt:
        while (finished := threads.next(0.0)) is not None:
            record(finished)
        raise


def _context(run: Run, images: dict[GroupId, PreparedImages]) -> Context:
    return Context(
        scope=run.scope,
        agent=run.request.agent,
        images=images,
        seed=run.request.seed,
        log_path=run.folder.log_path,
        cancelled=run.cancelled,
        keep=_first_failures() if run.request.keep_failed else lambda *_: False,
        kept=run.kept,
    )


def _begin(run: Run) -> None:
    names = [group.id for group in run.request.groups]
    if run.request.settings.adaptive:
        run.progress.begin_adaptive(names, run.request.settings.design, run.request.retries)
    else:
        run.progress.begin(names, run.request.group_size, run.request.retries)


def _schedule(run: Run, groups: Sequence[Group], recorded: tuple[Rollout, ...]) -> Schedule:
    request = run.request
    if request.settings.adaptive:
        limits = Limits(request.concurrency, request.retries, run.progress.look)
        return AdaptiveSchedule(groups, recorded, request.settings, limits)
    return FixedSchedule(remaining(plan_rollouts(groups, request.group_size), recorded), request.retries)


def _stop_conditions(run: Run, recorded: tuple[Rollout, ...]) -> Iterator[StopCondition]:
    """What was all zero before is no reason to stop again: whoever resumes has been told, and goes on.

    An agent that does nothing is meant to earn nothing, and one that is played costs nothing.
    """
    spending = run.request.spending
    yield EngineAway(run.scope.engine.answers)
    yield NearlyAllLost(run.request.concurrency)
    root = run.scope.engine.data_root
    if root is not None:
        yield LowDisk(partial(free_bytes, root))
    measured = any(isinstance(row.outcome, Graded) for row in recorded)
    if not measured and not isinstance(run.request.agent, Noop):
        yield AllZero(len(run.request.groups))
    if spending.rollouts is not None:
        yield MostRollouts(spending.rollouts)
    if spending.cost_usd is not None and not is_exempt(run.request.agent):
        yield MostCost(spending.cost_usd)
    if spending.seconds is not None:
        yield TimeLimit(spending.seconds, time.monotonic())


class _first_failures:  # noqa: N801 - reads as the function that it is
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
