"""Before the first rollout: the images of every group, made side by side; what has none is lost once, not G times."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from taskcal.cli.moved import refuse_moved, refuse_moved_images, with_images, without_moved_prior
from taskcal.cli.resume import next_id, remaining
from taskcal.core.plan import plan_rollouts
from taskcal.core.rollout import Lost, Rollout
from taskcal.errors import Boundary, UsageError
from taskcal.execution.local_threads import LocalThreads
from taskcal.execution.schedule import POLL_SECONDS, RESTART_SECONDS
from taskcal.machine.base_image import BASE_IMAGE
from taskcal.report.wording.sanitize import reason
from taskcal.runs.images.missing_programs import find_missing_program
from taskcal.runs.images.probe import Probes, ReadyGroup, ready_group
from taskcal.sandbox.images.baking import Images

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.cli.live_run import Run
    from taskcal.core.plan import PlannedRollout
    from taskcal.core.rollout import GroupId, Outcome
    from taskcal.core.task import Group
    from taskcal.sandbox.images.baking import ImageMemory, PreparedImages

PREPARERS = 4
LOCAL_BASE = f"the base image {BASE_IMAGE} was built on this machine with debootstrap, not pulled"


def prepare_images(run: Run, pools: list[LocalThreads[Any, Any]]) -> dict[GroupId, PreparedImages]:
    """The images of every group that has them; the other groups are recorded as lost, once each."""
    recorded = tuple(run.folder.rollouts())
    groups, images = _unfinished(run, recorded), _images(run, run.memory)
    refuse_moved(run, groups)
    results = _prepared(run, images, groups, pools)
    missed = [group for group in groups if _at_the_engine(results[group.id])]
    if missed and _engine_is_back(run):
        images = _images(run)
        results |= _prepared(run, images, missed, pools)
    ready = {group: result for group, result in results.items() if isinstance(result, ReadyGroup)}
    made = {group: result.images for group, result in ready.items()}
    refuse_moved_images(run, made)
    without_moved_prior(run, made)
    run.record = with_images(run, made)
    _record_lost(run, {group: result for group, result in results.items() if isinstance(result, Lost)}, recorded)
    base = (LOCAL_BASE,) if images.local_base else ()
    notes = (*run.record.notes, *base, *images.remarks, *_warn(run, ready))
    run.record = replace(run.record, notes=tuple(dict.fromkeys(notes)))
    run.folder.write_record(run.record)
    return made


def _warn(run: Run, ready: Mapping[GroupId, ReadyGroup]) -> list[str]:
    """Print each warning of a probe once, with the groups that it concerns, and return the lines."""
    concerned: dict[str, list[GroupId]] = {}
    for group, result in ready.items():
        for warning in result.probe.warnings:
            concerned.setdefault(warning, []).append(group)
    lines = [f"{_first_of(groups)}: {warning}" for warning, groups in concerned.items()]
    for line in lines:
        run.progress.log(f"warning: {reason(line)}")
    return lines


def _first_of(groups: Sequence[GroupId]) -> str:
    return f"{groups[0]} and {len(groups) - 1} more" if len(groups) > 1 else str(groups[0])


def _prepared(
    run: Run, images: Images, groups: Sequence[Group], pools: list[LocalThreads[Any, Any]]
) -> dict[GroupId, ReadyGroup | Lost]:
    """What comes of each group's preparation, in the order of the groups."""
    probes = Probes(run.scope)

    def work(group: Group, _: float) -> tuple[GroupId, ReadyGroup | Lost]:
        if run.cancelled.is_set():
            return group.id, Lost(Boundary.CANCELLED, "the run was stopped")
        result = ready_group(group, images, probes, run.request.agent, run.request.bounds)
        if isinstance(result, Lost):
            return group.id, result
        return group.id, find_missing_program(group, result, run.scope, run.request.agent) or result

    threads: LocalThreads[Group, tuple[GroupId, ReadyGroup | Lost]] = LocalThreads(work, PREPARERS)
    pools.append(threads)
    for group in groups:
        threads.submit(group)
    results: dict[GroupId, ReadyGroup | Lost] = {}
    while len(results) < len(groups):
        ended = threads.next(1.0)
        results |= dict([ended] if ended else [])
    return {group.id: results[group.id] for group in groups}


def _at_the_engine(result: ReadyGroup | Lost) -> bool:
    return isinstance(result, Lost) and result.boundary is Boundary.ENGINE


def _engine_is_back(run: Run) -> bool:
    """Wait for an engine that may just be started again; whether it answers."""
    deadline = time.monotonic() + RESTART_SECONDS
    while not run.scope.engine.answers():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _record_lost(run: Run, losses: Mapping[GroupId, Lost], recorded: Sequence[Rollout]) -> None:
    """Put each loss on disk, and say what cannot be measured, each reason once."""
    names: dict[Lost, list[GroupId]] = {}
    for group, lost in losses.items():
        with run.interrupts.held():
            run.folder.append(Rollout(next_id(group, recorded), lost, started_at=run.record.started_at))
        names.setdefault(lost, []).append(group)
    for lost, groups in names.items():
        run.progress.log(f"{_first_of(groups)} cannot be measured: {lost.boundary.value}: {reason(lost.reason)}")


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
                request, probes = self._run.request, Probes(self._run.scope)
                made = ready_group(group, _images(self._run), probes, request.agent, request.bounds)
                if isinstance(made, ReadyGroup) and self._is_same(group.id, made.images):
                    self._images[group.id] = made.images

    def _is_same(self, group: GroupId, made: PreparedImages) -> bool:
        """Put images that were made again on record; report those that are other ones, which nothing may run on."""
        try:
            refuse_moved_images(self._run, {group: made})
        except UsageError as error:
            self._run.progress.log(f"{group} does not go on: {error}")
            return False
        self._run.record = with_images(self._run, {group: made})
        self._run.folder.write_record(self._run.record)
        return True


def _images(run: Run, memory: ImageMemory | None = None) -> Images:
    """The images of a run; without a `memory`, each is looked for anew, as after a restart of the engine."""
    return Images(run.scope, network=run.request.bounds.builds_have_network, log=run.progress.log, memory=memory)


def _unfinished(run: Run, recorded: tuple[Rollout, ...]) -> tuple[Group, ...]:
    """The groups that still may have a rollout to run: of an adaptive run every one may be opened again."""
    if run.request.settings.adaptive:
        return run.request.groups
    owed = remaining(plan_rollouts(run.request.groups, run.request.group_size), recorded)
    groups = {planned.id.group for planned in owed}
    return tuple(group for group in run.request.groups if group.id in groups)
