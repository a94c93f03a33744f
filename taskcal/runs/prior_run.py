"""What an earlier run knows of the tasks of this one: where to start from, and what a rollout takes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from taskcal.core.calibration.calibrate import calibrate
from taskcal.core.same_task import is_same_task
from taskcal.core.settings import Metric
from taskcal.core.stats.rates import mean
from taskcal.errors import RunFolderError, UsageError
from taskcal.runs.identities import contents_of, records_of
from taskcal.store.run_folder import find

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.rollout import GroupId
    from taskcal.core.run import GroupImages
    from taskcal.core.stats.prior import Counts
    from taskcal.core.task import Group

OLDER_PRIOR = (
    "the run that --prior names was recorded by an older version of taskcal: its tasks were compared by prompt, params "
    "and checks alone, and its images not at all"
)


@dataclass(frozen=True, slots=True)
class PriorRun:
    """The counts of the same groups in an earlier run; what a graded rollout took there on average.

    In seconds of its own, and in US dollars with what lost attempts cost beside it. `images` are those of that run, to
    be compared as soon as this one has its own; `is_older` is whether it recorded too little to compare all of a task.
    """

    run: str = ""
    counts: Mapping[GroupId, Counts] = field(default_factory=dict)
    seconds: float | None = None
    cost_usd: float | None = None
    images: Mapping[GroupId, GroupImages] = field(default_factory=dict)
    is_older: bool = False


def read_prior_run(name: str, root: Path, groups: Sequence[Group]) -> PriorRun:
    """What a run below `root`, or a folder, says of these groups.

    A task of which any part has changed is another task (`taskcal.core.same_task`). Raises UsageError where none is the
    same, RunFolderError where there is no such run.
    """
    folder = find(name, root)
    record = folder.record()
    by_success = replace(record.settings, metric=Metric.SUCCESS)
    contents = contents_of({group.task.id: group.task for group in groups}.values())
    asked = {group.id: group for group in records_of(groups, contents)}
    known = [
        calibration
        for calibration in calibrate(folder.groups(), folder.rollouts(), by_success)
        if calibration.counts.graded
        and (group := asked.get(calibration.group.id))
        and is_same_task(calibration.group, group)
    ]
    if not known:
        raise UsageError(f"--prior {name}: run {record.id} measured none of these tasks as they are now")
    return PriorRun(
        run=record.id,
        counts={one.group.id: one.judgement.basis.counts for one in known if one.judgement.basis.counts.graded},
        seconds=mean([one.cost.seconds for one in known if one.cost.seconds]),  # imported rows that tell no time have 0
        cost_usd=mean([cost for one in known if (cost := _cost(one)) is not None]),
        images={group: record.groups[str(group)] for group in asked if str(group) in record.groups},
        is_older=record.provenance.has_task_parts and not all(one.group.parts for one in known),
    )


def read_recorded_prior(run: str, root: Path, counts: Mapping[GroupId, Counts]) -> PriorRun:
    """The run that a resumed run began from, with its images if its folder is still below `root`."""
    images: dict[GroupId, GroupImages] = {}
    if run:
        with contextlib.suppress(RunFolderError):
            known = find(run, root).record().groups
            images = {group: known[str(group)] for group in counts if str(group) in known}
    return PriorRun(run, counts, images=images)


def _cost(calibration: Calibration) -> float | None:
    return None if calibration.cost.usd is None else calibration.cost.usd / calibration.counts.graded
