"""Before the first rollout: the images of every group, made side by side; what has none is lost once, not G times."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from taskcal.baseimage import BASE_IMAGE
from taskcal.cli.resume import next_id, remaining
from taskcal.core.plan import plan
from taskcal.core.rollout import Lost, Rollout
from taskcal.engines.local import LocalThreads
from taskcal.errors import Boundary
from taskcal.prepare import prepare_group
from taskcal.sandbox.images import Images, PreparedImages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.cli.live_run import Run
    from taskcal.core.plan import PlannedRollout
    from taskcal.core.rollout import GroupId, Outcome
    from taskcal.core.task import Group

PREPARERS = 4
LOCAL_BASE = f"the base image {BASE_IMAGE} was built on this machine with debootstrap, not pulled"


def prepare_images(run: Run, pools: list[LocalThreads[Any, Any]]) -> dict[GroupId, PreparedImages]:
    """The images of every group that has them; the other groups are recorded as lost, once each."""
    images = _images(run)
    made: dict[GroupId, PreparedImages] = {}
    unmeasurable: dict[Lost, list[str]] = {}

    def work(group: Group, _: float) -> tuple[Group, PreparedImages | Lost]:
        if run.cancelled.is_set():
            return group, Lost(Boundary.CANCELLED, "the run was stopped")
        return group, prepare_group(group, images, run.request.agent, run.request.bounds)

    threads: LocalThreads[Group, tuple[Group, PreparedImages | Lost]] = LocalThreads(work, PREPARERS)
    pools.append(threads)
    recorded = tuple(run.folder.rollouts())
    for group, result in _all(threads, _unfinished(run, recorded)):
        if isinstance(result, Lost):
            with run.interrupts.held():
                run.folder.append(Rollout(next_id(group.id, recorded), result, started_at=run.record.started_at))
            unmeasurable.setdefault(result, []).append(str(group.id))
        else:
            made[group.id] = result
    for lost, names in unmeasurable.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        run.progress.log(f"{names[0]}{more} cannot be measured: {lost.boundary.value}: {lost.reason}")
    notes = (*run.record.notes, LOCAL_BASE) if images.local_base else run.record.notes
    named = {**run.record.images, **{str(group): made[group].sandbox for group in made}}
    run.record = replace(run.record, notes=notes, images=named)
    run.folder.write_record(run.record)
    return made


class Renewal:
    """Makes a group's images again that somebody removed under the run, so that the next attempt finds them."""

    def __init__(self, run: Run, images: dict[GroupId, PreparedImages]) -> None:
        """`images` are those that rollouts start from; they are changed in place."""
        self._run = run
        self._images = images
        self._lock = threading.Lock()

    def note(self, planned: PlannedRollout, used: PreparedImages, outcome: Outcome) -> None:
        """A rollout has ended that began with the images `used`; of many that miss them the first makes them again."""
        group = planned.group
        if not (isinstance(outcome, Lost) and outcome.boundary is Boundary.IMAGE):
            return
        with self._lock:
            if self._images[group.id] is used and not self._run.cancelled.is_set():
                made = prepare_group(group, _images(self._run), self._run.request.agent, self._run.request.bounds)
                if isinstance(made, PreparedImages):
                    self._images[group.id] = made


def _images(run: Run) -> Images:
    return Images(run.scope, network=run.request.bounds.network != "none", log=run.progress.log)


def _unfinished(run: Run, recorded: tuple[Rollout, ...]) -> tuple[Group, ...]:
    """The groups that still may have a rollout to run: of an adaptive run every one may be opened again."""
    if run.request.question.adaptive:
        return run.request.groups
    owed = remaining(plan(run.request.groups, run.request.group_size), recorded)
    groups = {planned.id.group for planned in owed}
    return tuple(group for group in run.request.groups if group.id in groups)


def _all(
    threads: LocalThreads[Group, tuple[Group, PreparedImages | Lost]], groups: tuple[Group, ...]
) -> Iterator[tuple[Group, PreparedImages | Lost]]:
    for group in groups:
        threads.submit(group)
    for _ in groups:
        while (result := threads.next(1.0)) is None:
            pass
        yield result
