"""Going on with a run: what it was asked fills what was not typed, and anything that differs is refused by name."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from taskcal.core.plan import plan_rollouts
from taskcal.core.rollout import Graded, RolloutId
from taskcal.core.same_task import changes_of_groups
from taskcal.core.verdict import Band
from taskcal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskcal.core.adaptive.design import Design
    from taskcal.core.group_record import GroupRecord
    from taskcal.core.plan import Plan
    from taskcal.core.rollout import GroupId, Rollout
    from taskcal.core.run import RunRecord
    from taskcal.core.settings import CalibrationSettings
    from taskcal.core.task import Group
    from taskcal.runs.request import Request

UNLIMITED = math.inf
PRIOR = "the earlier calibration (--prior)"
SHOWN = 3
"""How many tasks a message names."""


def changed_groups(before: RunRecord, old: Sequence[GroupRecord], new: Sequence[GroupRecord]) -> tuple[str, ...]:
    """What changed in which groups, one text for each set of parts. Raises UsageError for a run of an older version."""
    if not all(group.parts for group in old):
        raise UsageError(
            f"run {before.id} was recorded by an older version of taskcal, so its tasks and images cannot be compared "
            f"with those of today. It can be reported, but not resumed. Start a new run instead; --prior {before.id} "
            "begins it from these results"
        )
    changes = changes_of_groups(old, new)
    return tuple(f"{some_names(groups)}: {change}" for change, groups in changes.items())


def some_names(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def refuse_differences(before: RunRecord, now: RunRecord, *, extend: bool, changes: Sequence[str] = ()) -> None:
    """Raise UsageError that names what differs, since rollouts of two different questions are not one group.

    `changes` are those of the tasks.
    """
    more = f"; {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    details = "; ".join(changes[:SHOWN]) + more or "files, selection or what they say"
    different = [
        name
        for name, old, new in (
            (f"the tasks ({details})", before.taskset_digest, now.taskset_digest),
            (
                "the agent (its file, --set, its version, what is served, or the solutions that it plays)",
                before.agent_digest,
                now.agent_digest,
            ),
            ("the seed", before.seed, now.seed),
        )
        if old != new
    ]
    different += _sizes_that_differ(before.settings, now.settings, extend=extend)
    different += _designs_that_differ(before.settings, now.settings)
    if different:
        raise UsageError(
            f"run {before.id} cannot be resumed: {' and '.join(different)} changed; start a new run instead"
        )


def _sizes_that_differ(before: CalibrationSettings, now: CalibrationSettings, *, extend: bool) -> list[str]:
    """What --extend allows to grow; another rule has other sizes of its own."""
    sizes: list[tuple[str, float, float]] = [("the group size", before.group_size, now.group_size)]
    if before.adaptive and before.design.rule is now.design.rule:
        sizes += [("--max-group-size", before.design.limit, now.design.limit)]
        sizes += [("--budget", before.design.budget or UNLIMITED, now.design.budget or UNLIMITED)]
    return [
        f"{name} ({_size(old)}, now {_size(new)}; --extend allows a larger one)"
        for name, old, new in sizes
        if old != new and not (extend and new > old)
    ]


def _size(value: float) -> str:
    return "no limit" if value == UNLIMITED else str(value)


def _designs_that_differ(before: CalibrationSettings, now: CalibrationSettings) -> list[str]:
    """What must stay as it was; fixed groups may be judged against another band, or otherwise, at any time."""
    if before.design.rule is not now.design.rule:
        return ["when a task has had enough (--adaptive, --certify, --stop, or a --budget without them)"]
    if not before.adaptive:
        return [] if before.earlier == now.earlier else [PRIOR]
    parts: list[tuple[str, object, object]] = [
        ("--band", before.band, now.band),
        ("--error-rate", before.error_rate, now.error_rate),
        (PRIOR, before.earlier, now.earlier),
        ("the design", _rest(before.design), _rest(now.design)),
    ]
    return [name for name, old, new in parts if old != new]


def _rest(design: Design) -> Design:
    """What has no option, so that only another version of taskcal can ask it differently."""
    return replace(design, cap=None, budget=None, band=Band(), error_rate=0.5)


def remaining(whole: Plan, recorded: Iterable[Rollout]) -> Plan:
    """What of a plan is still owed: all that was not graded, each as one attempt more than were recorded."""
    rollouts = tuple(recorded)
    graded = {rollout.id.key for rollout in rollouts if isinstance(rollout.outcome, Graded)}
    attempts: dict[str, int] = {}
    for rollout in rollouts:
        attempts[rollout.id.key] = max(attempts.get(rollout.id.key, 0), rollout.id.attempt + 1)
    owed = (planned for planned in whole if planned.id.key not in graded)
    return tuple(replace(planned, id=replace(planned.id, attempt=attempts.get(planned.id.key, 0))) for planned in owed)


def next_id(group: GroupId, recorded: Iterable[Rollout]) -> RolloutId:
    """The first index of a group that was not graded, as one attempt more than were recorded."""
    rows = [rollout for rollout in recorded if rollout.id.group == group]
    graded = {rollout.id.index for rollout in rows if isinstance(rollout.outcome, Graded)}
    index = next(index for index in itertools.count() if index not in graded)
    attempts = (rollout.id.attempt + 1 for rollout in rows if rollout.id.index == index)
    return RolloutId(group, index, max(attempts, default=0))


def unfinished(request: Request, recorded: Iterable[Rollout]) -> tuple[Group, ...]:
    """The groups that still may have a rollout to run: of an adaptive run every one may be opened again."""
    if request.settings.adaptive:
        return request.groups
    owed = remaining(plan_rollouts(request.groups, request.group_size), recorded)
    groups = {planned.id.group for planned in owed}
    return tuple(group for group in request.groups if group.id in groups)
