"""Before the first rollout: the images of every group, made side by side; what has none is lost once, not G times."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from taskcal.core.rollout import Lost, Rollout
from taskcal.errors import Boundary
from taskcal.execution.local_threads import LocalThreads
from taskcal.execution.schedule import POLL_SECONDS, RESTART_SECONDS
from taskcal.machine.base_image import BASE_IMAGE
from taskcal.report.wording.sanitize import reason
from taskcal.runs.images.missing_programs import find_missing_program
from taskcal.runs.images.moved import drop_moved_prior, refuse_moved_images, with_images
from taskcal.runs.images.probe import ReadyGroup
from taskcal.runs.resume import next_id, unfinished

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.core.rollout import GroupId
    from taskcal.core.task import Group
    from taskcal.runs.engine import Preparation, SandboxEngine
    from taskcal.runs.live_run import Run

PREPARERS = 4
LOCAL_BASE = f"the base image {BASE_IMAGE} was built on this machine with debootstrap, not pulled"


def prepare_images(run: Run) -> None:
    """Put the images of every group that can have them into `run.images`; record the others as lost, once each."""
    groups = unfinished(run.request, run.recorded)
    preparation = _preparation(run)
    results = _prepare(run, preparation, groups)
    missed = [group for group in groups if _is_lost_at_the_engine(results[group.id])]
    if missed and _wait_for_engine(run.engine):
        preparation = _preparation(run, anew=True)
        results |= _prepare(run, preparation, missed)
    ready = {group: result for group, result in results.items() if isinstance(result, ReadyGroup)}
    run.images = {group: result.images for group, result in ready.items()}
    refuse_moved_images(run, run.images)
    drop_moved_prior(run)
    run.record = with_images(run, run.images)
    _record_lost(run, {group: result for group, result in results.items() if isinstance(result, Lost)})
    base = (LOCAL_BASE,) if preparation.local_base else ()
    notes = (*run.record.notes, *base, *preparation.remarks, *_warn(run, ready))
    run.record = replace(run.record, notes=tuple(dict.fromkeys(notes)))
    run.folder.write_record(run.record)


def _preparation(run: Run, *, anew: bool = False) -> Preparation:
    return run.on_engine.preparation(run.request.agent, run.request.bounds, run.listener.log, anew=anew)


def _warn(run: Run, ready: Mapping[GroupId, ReadyGroup]) -> list[str]:
    """Print each warning of a probe once, with the groups that it concerns, and return the lines."""
    concerned: dict[str, list[GroupId]] = {}
    for group, result in ready.items():
        for warning in result.probe.warnings:
            concerned.setdefault(warning, []).append(group)
    lines = [f"{_first_of(groups)}: {warning}" for warning, groups in concerned.items()]
    for line in lines:
        run.listener.log(f"warning: {reason(line)}")
    return lines


def _first_of(groups: Sequence[GroupId]) -> str:
    return f"{groups[0]} and {len(groups) - 1} more" if len(groups) > 1 else str(groups[0])


def _prepare(run: Run, preparation: Preparation, groups: Sequence[Group]) -> dict[GroupId, ReadyGroup | Lost]:
    """What comes of each group's preparation, in the order of the groups."""

    def work(group: Group, _: float) -> tuple[GroupId, ReadyGroup | Lost]:
        if run.cancelled.is_set():
            return group.id, Lost(Boundary.CANCELLED, "the run was stopped")
        result = preparation.prepare(group)
        if isinstance(result, Lost):
            return group.id, result
        return group.id, find_missing_program(group, result, run.on_engine, run.request.agent) or result

    threads: LocalThreads[Group, tuple[GroupId, ReadyGroup | Lost]] = LocalThreads(work, PREPARERS)
    run.pools.append(threads)
    for group in groups:
        threads.submit(group)
    results: dict[GroupId, ReadyGroup | Lost] = {}
    while len(results) < len(groups):
        ended = threads.next(1.0)
        results |= dict([ended] if ended else [])
    return {group.id: results[group.id] for group in groups}


def _is_lost_at_the_engine(result: ReadyGroup | Lost) -> bool:
    return isinstance(result, Lost) and result.boundary is Boundary.ENGINE


def _wait_for_engine(engine: SandboxEngine) -> bool:
    """Wait for an engine that may just be started again; whether it answers."""
    deadline = time.monotonic() + RESTART_SECONDS
    while not engine.answers():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _record_lost(run: Run, losses: Mapping[GroupId, Lost]) -> None:
    """Put each loss on disk, and say what cannot be measured, each reason once."""
    names: dict[Lost, list[GroupId]] = {}
    for group, lost in losses.items():
        rollout = Rollout(next_id(group, run.recorded), lost, started_at=run.record.started_at)
        with run.guard.held():
            run.folder.append(rollout)
        run.recorded.append(rollout)
        names.setdefault(lost, []).append(group)
    for lost, groups in names.items():
        run.listener.log(f"{_first_of(groups)} cannot be measured: {lost.boundary.value}: {reason(lost.reason)}")
