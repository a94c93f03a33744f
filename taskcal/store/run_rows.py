"""`run.json` and `taskset.json`: what was asked of a run, and its groups.

Reading is strict, and an error names the key; unknown keys are ignored, so that a later version may add some, and what
an older version did not write has its default.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.group_record import GroupRecord
from taskcal.core.identity import ImageOrigin
from taskcal.core.rollout import GroupId
from taskcal.core.run import GroupImages, RunRecord
from taskcal.core.settings import FLAT_TOLERANCE, CalibrationSettings, Metric
from taskcal.core.stats.prior import Counts
from taskcal.core.user_override import UserOverride, override_of
from taskcal.core.verdict import Band
from taskcal.store.typed_json import (
    Count,
    Number,
    OpenShare,
    Positive,
    RowError,
    RowReader,
    Share,
    member,
    scalar,
    texts,
    whole_number,
)

if TYPE_CHECKING:
    from taskcal.core.task import Group


class DesignRow(Struct):
    """The `design` of a run; a run that has none is one of fixed groups."""

    rule: str | None = None
    learn: bool | None = None
    error_rate: OpenShare | None = None
    price: OpenShare | None = None
    cap: Positive | None = None
    first: Positive | None = None
    step: Positive | None = None
    budget: Positive | None = None
    most_in_flight: Positive | None = None


class CountsRow(Struct):
    """What an earlier run counted of a group."""

    task: str
    variant: str
    passed: Count
    graded: Positive


class OriginRow(Struct):
    """What an image goes back to."""

    images: dict[str, object] | None = None
    context: str | None = None
    built: str | None = None


class ImagesRow(Struct):
    """The images of a group."""

    identity: str
    origins: dict[str, OriginRow | None] | None = None
    ids: dict[str, list[str] | None] | None = None


class RunRow(Struct, kw_only=True):
    """`run.json`."""

    id: str
    taskset: str
    taskset_files: list[str] | None = None
    taskset_digest: str
    agent: str
    agent_digest: str
    seed: object = None
    concurrency: Count
    retries: Count
    started_at: str
    version: str
    engine: str
    host: str
    agent_source: str | None = None
    agent_version: str | None = None
    images: dict[str, object] | None = None
    groups: dict[str, ImagesRow] | None = None
    notes: list[str] | None = None
    prior_run: str | None = None
    seconds: Number | None = None
    interrupted: bool | None = None
    stopped: str | None = None
    group_size: Positive
    band: list[Share]
    design: DesignRow | None = None
    flat_tolerance: Share | None = None
    metric: str | None = None
    earlier: list[CountsRow] | None = None


class CheckWeightRow(Struct):
    """The name and weight of a check."""

    name: str
    weight: Number


class OverrideRow(Struct):
    """The users of the agent's file and of the task."""

    agent: str
    task: str


class GroupRow(Struct, kw_only=True):
    """An entry of `taskset.json`."""

    task: str
    variant: str
    params: dict[str, object] | None = None
    prompt: str | None = None
    tags: list[str] | None = None
    passing: Share
    checks: list[CheckWeightRow] | None = None
    file: str | None = None
    line: Count | None = None
    parts: dict[str, object] | None = None
    override: OverrideRow | None = None


class TasksetRow(Struct):
    """`taskset.json`."""

    groups: list[GroupRow]


RUN: RowReader[RunRow] = RowReader(RunRow)
TASKSET: RowReader[TasksetRow] = RowReader(TasksetRow)


def run_row(record: RunRecord) -> dict[str, Any]:
    """A run as `run.json`."""
    row = {key: value for key, value in asdict(record).items() if key != "settings"}
    return row | _settings_row(record.settings)


def _settings_row(settings: CalibrationSettings) -> dict[str, Any]:
    design = {key: value for key, value in asdict(settings.design).items() if key != "band"}
    earlier = [{"task": id_.task, "variant": id_.variant, **c._asdict()} for id_, c in settings.earlier.items()]
    return {
        "group_size": settings.group_size,
        "band": [settings.band.low, settings.band.high],
        "design": design,
        "flat_tolerance": settings.flat_tolerance,
        "metric": settings.metric.value,
        "earlier": earlier,
    }


def read_run(text: bytes) -> RunRecord:
    """`run.json` as a run. Raises RowError, ValueError or RecursionError."""
    row = RUN.read(text)
    return RunRecord(
        id=row.id,
        taskset=row.taskset,
        taskset_files=tuple(row.taskset_files or ()),
        taskset_digest=row.taskset_digest,
        agent=row.agent,
        agent_digest=row.agent_digest,
        settings=_settings(row),
        seed=whole_number("seed", row.seed),
        concurrency=row.concurrency,
        retries=row.retries,
        started_at=row.started_at,
        version=row.version,
        engine=row.engine,
        host=row.host,
        agent_source=row.agent_source or "",
        agent_version=row.agent_version or "",
        images=texts(row.images),
        groups={name: _images(images) for name, images in (row.groups or {}).items()},
        notes=tuple(row.notes or ()),
        prior_run=row.prior_run or "",
        seconds=row.seconds,
        interrupted=row.interrupted or False,
        stopped=row.stopped or "",
    )


def _images(row: ImagesRow) -> GroupImages:
    return GroupImages(
        identity=row.identity,
        origins={name: _origin(origin or OriginRow()) for name, origin in (row.origins or {}).items()},
        ids={name: tuple(ids or ()) for name, ids in (row.ids or {}).items()},
    )


def _origin(row: OriginRow) -> ImageOrigin:
    origin = ImageOrigin(images=texts(row.images), context=row.context or "", built=row.built or "")
    if not origin.context and len(origin.images) != 1:
        raise RowError("origins: an image that is not built must have one name")
    return origin


def _settings(row: RunRow) -> CalibrationSettings:
    return CalibrationSettings(
        group_size=row.group_size,
        design=_design(row.design or DesignRow(), _band(row.band)),
        flat_tolerance=FLAT_TOLERANCE if row.flat_tolerance is None else row.flat_tolerance,
        metric=Metric.SUCCESS if row.metric is None else member(Metric, "metric", row.metric),
        earlier={GroupId(counts.task, counts.variant): _counts(counts) for counts in row.earlier or ()},
    )


def _design(row: DesignRow, band: Band) -> Design:
    """What a row does not have is the default; the default of the rule is fixed groups."""
    rule = Rule.FIXED if row.rule is None else member(Rule, "rule", row.rule)
    stated = {key: value for key, value in structs.asdict(row).items() if key != "rule" and value is not None}
    return Design(band=band, rule=rule, **stated)


def _counts(row: CountsRow) -> Counts:
    if row.passed > row.graded:
        raise RowError("earlier: more passed than were graded")
    return Counts(row.passed, row.graded)


def _band(ends: list[float]) -> Band:
    if len(ends) != 2:
        raise RowError("band: must be two numbers")
    low, high = ends
    if low > high:
        raise RowError("band: the lower end comes first")
    return Band(low, high)


def group_record(group: Group, agent_user: str | None = None) -> GroupRecord:
    """What a run remembers of a group; `agent_user` is the user that the agent's file names."""
    task = group.task
    return GroupRecord(
        id=group.id,
        params=dict(group.variant.params),
        prompt=group.variant.prompt,
        tags=task.tags,
        passing=task.passing,
        checks=tuple((check.name, check.weight) for check in task.grader.checks),
        file=task.file,
        line=task.line,
        override=override_of(agent_user, task.environment.user),
    )


def group_row(group: GroupRecord) -> dict[str, Any]:
    """A group as an entry of `taskset.json`."""
    row = {
        "task": group.id.task,
        "variant": group.id.variant,
        "params": dict(group.params),
        "prompt": group.prompt,
        "tags": list(group.tags),
        "passing": group.passing,
        "checks": [{"name": name, "weight": weight} for name, weight in group.checks],
        "file": group.file,
        "line": group.line,
        "parts": dict(group.parts),
    }
    return row | ({"override": asdict(group.override)} if group.override else {})


def read_groups(text: bytes) -> tuple[GroupRecord, ...]:
    """`taskset.json` as the groups of a run, in their order. Raises RowError, ValueError or RecursionError."""
    return tuple(map(_group, TASKSET.read(text).groups))


def _group(row: GroupRow) -> GroupRecord:
    user = row.override
    return GroupRecord(
        id=GroupId(row.task, row.variant),
        params={name: scalar(name, value) for name, value in (row.params or {}).items()},
        prompt=row.prompt or "",
        tags=tuple(row.tags or ()),
        passing=row.passing,
        checks=tuple((check.name, check.weight) for check in row.checks or ()),
        file=row.file or "",
        line=row.line or 0,
        parts=texts(row.parts),
        override=None if user is None else UserOverride(user.agent, user.task),
    )
