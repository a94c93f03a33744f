"""The run folder's JSON, as plain data and back: one object a rollout, one for the run, one a group.

Reading is strict where a mistake would change a number, and says which key is wrong; unknown keys are ignored, so that
a later version may add some. A lost row has no `reward` at all.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.group_record import GroupRecord
from taskcal.core.identity import ImageOrigin
from taskcal.core.rollout import CheckResult, Graded, GroupId, Lost, Rollout, RolloutId, Stop, Timing, Usage
from taskcal.core.run import GroupImages, RunRecord
from taskcal.core.settings import FLAT_TOLERANCE, CalibrationSettings, Metric
from taskcal.core.stats.prior import Counts
from taskcal.core.text import values
from taskcal.core.user_override import UserOverride, override_of
from taskcal.core.verdict import Band
from taskcal.errors import Boundary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.core.task import Group

Row = dict[str, Any]
DESIGN_COUNTS = ("cap", "first", "step", "budget", "most_in_flight")


def rollout_row(rollout: Rollout) -> Row:
    """A rollout as a line of `rollouts.jsonl`."""
    name = rollout.id
    row: Row = {"key": name.key, "task": name.group.task, "variant": name.group.variant}
    row |= {"index": name.index, "attempt": name.attempt}
    row |= _outcome_row(rollout)
    row |= {"answer": rollout.answer, "turns": rollout.turns, "usage": _flat(rollout.usage)}
    timing = {part: round(seconds, 4) for part, seconds in _flat(rollout.timing).items()}
    row |= {"timing_s": timing, "started_at": rollout.started_at}
    return row if rollout.transcript_sha256 is None else row | {"transcript_sha256": rollout.transcript_sha256}


def _flat(value: Usage | Timing) -> Row:
    """As `asdict`, which copies at a tenth of the speed what nobody changes."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _outcome_row(rollout: Rollout) -> Row:
    outcome = rollout.outcome
    if isinstance(outcome, Lost):
        row: Row = {"outcome": "lost", "boundary": outcome.boundary.value, "reason": outcome.reason}
        return row | ({"own_word": True} if outcome.own_word else {})
    checks = [asdict(check) for check in outcome.checks]
    row = {"outcome": "graded", "stop": outcome.stop.value, "reward": outcome.reward}
    row |= {"passed": outcome.passed, "checks": checks}
    return row | ({"ended_services": list(outcome.ended_services)} if outcome.ended_services else {})


def rollout_of(row: Row) -> Rollout:
    """A line of `rollouts.jsonl` as a rollout. Raises RowError."""
    group = GroupId(values.text(row, "task"), values.text(row, "variant"))
    usage, timing = values.part(row, "usage"), values.part(row, "timing_s")
    return Rollout(
        id=RolloutId(group, values.count(row, "index"), values.count(row, "attempt")),
        outcome=_outcome_of(row),
        answer=values.or_none(values.text, row, "answer"),
        turns=values.or_none(values.count, row, "turns"),
        usage=Usage(
            input_tokens=values.or_none(values.count, usage, "input_tokens"),
            cached_tokens=values.or_none(values.count, usage, "cached_tokens"),
            output_tokens=values.or_none(values.count, usage, "output_tokens"),
            cost_usd=values.or_none(values.number, usage, "cost_usd"),
        ),
        timing=Timing(
            **{part: values.or_none(values.number, timing, part) or 0.0 for part in Timing.__dataclass_fields__}
        ),
        started_at=values.or_none(values.text, row, "started_at") or "",
        transcript_sha256=values.or_none(values.text, row, "transcript_sha256"),
    )


def _outcome_of(row: Row) -> Graded | Lost:
    kind = values.text(row, "outcome")
    if kind == "lost":
        own_word = values.or_none(values.truth, row, "own_word") or False
        return Lost(values.member(Boundary, row, "boundary"), values.text(row, "reason"), own_word)
    if kind != "graded":
        raise values.RowError(f"outcome: {kind!r} is neither graded nor lost")
    checks = tuple(_check_of(check) for check in values.objects(row, "checks"))
    return Graded(
        stop=values.member(Stop, row, "stop"),
        reward=values.share(row, "reward"),
        passed=values.truth(row, "passed"),
        checks=checks,
        ended_services=values.texts(row, "ended_services"),
    )


def _check_of(row: Mapping[str, Any]) -> CheckResult:
    return CheckResult(
        name=values.text(row, "name"),
        weight=values.number(row, "weight"),
        score=values.share(row, "score"),
        note=values.or_none(values.text, row, "note") or "",
        required=row.get("required") is True,
    )


def run_row(record: RunRecord) -> Row:
    """A run as `run.json`."""
    row = {key: value for key, value in asdict(record).items() if key != "settings"}
    return row | _question_row(record.settings)


def _question_row(settings: CalibrationSettings) -> Row:
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


def run_of(row: Row) -> RunRecord:
    """`run.json` as a run. Raises RowError."""
    images, groups = values.part(row, "images"), values.part(row, "groups")
    return RunRecord(
        id=values.text(row, "id"),
        taskset=values.text(row, "taskset"),
        taskset_files=values.texts(row, "taskset_files"),
        taskset_digest=values.text(row, "taskset_digest"),
        agent=values.text(row, "agent"),
        agent_digest=values.text(row, "agent_digest"),
        settings=_question_of(row),
        seed=values.whole(row, "seed"),
        concurrency=values.count(row, "concurrency"),
        retries=values.count(row, "retries"),
        started_at=values.text(row, "started_at"),
        version=values.text(row, "version"),
        engine=values.text(row, "engine"),
        host=values.text(row, "host"),
        agent_source=values.or_none(values.text, row, "agent_source") or "",
        agent_version=values.or_none(values.text, row, "agent_version") or "",
        images={name: values.text(images, name) for name in images},
        groups={name: _images_of(values.part(groups, name)) for name in groups},
        notes=values.texts(row, "notes"),
        prior_run=values.or_none(values.text, row, "prior_run") or "",
        seconds=values.or_none(values.number, row, "seconds"),
        interrupted=values.or_none(values.truth, row, "interrupted") or False,
        stopped=values.or_none(values.text, row, "stopped") or "",
    )


def _images_of(row: Mapping[str, Any]) -> GroupImages:
    origins, ids = values.part(row, "origins"), values.part(row, "ids")
    return GroupImages(
        identity=values.text(row, "identity"),
        origins={name: _origin_of(values.part(origins, name)) for name in origins},
        ids={name: values.texts(ids, name) for name in ids},
    )


def _origin_of(row: Mapping[str, Any]) -> ImageOrigin:
    images = values.part(row, "images")
    origin = ImageOrigin(
        images={name: values.text(images, name) for name in images},
        context=values.or_none(values.text, row, "context") or "",
        built=values.or_none(values.text, row, "built") or "",
    )
    if not origin.context and len(origin.images) != 1:
        raise values.RowError("origins: an image that is not built must have one name")
    return origin


def _question_of(row: Row) -> CalibrationSettings:
    tolerance = values.or_none(values.share, row, "flat_tolerance")
    return CalibrationSettings(
        group_size=values.positive(row, "group_size"),
        design=_design_of(values.part(row, "design"), _band(row)),
        flat_tolerance=FLAT_TOLERANCE if tolerance is None else tolerance,
        metric=values.or_none(partial(values.member, Metric), row, "metric") or Metric.SUCCESS,
        earlier={
            GroupId(values.text(one, "task"), values.text(one, "variant")): _counts_of(one)
            for one in values.objects(row, "earlier")
        },
    )


def _design_of(row: Mapping[str, Any], band: Band) -> Design:
    """What a row does not say is as ever; a run that says nothing of a design is one of fixed groups."""
    said: dict[str, Any] = {
        "rule": values.or_none(partial(values.member, Rule), row, "rule") or Rule.FIXED,
        "learn": values.or_none(values.truth, row, "learn"),
        "error_rate": values.or_none(values.open_share, row, "error_rate"),
        "price": values.or_none(values.open_share, row, "price"),
        **{key: values.or_none(values.positive, row, key) for key in DESIGN_COUNTS},
    }
    return Design(band=band, **{key: value for key, value in said.items() if value is not None})


def _counts_of(row: Mapping[str, Any]) -> Counts:
    passed, graded = values.count(row, "passed"), values.positive(row, "graded")
    if passed > graded:
        raise values.RowError("earlier: more passed than were graded")
    return Counts(passed, graded)


def _band(row: Row) -> Band:
    ends = values.items(row, "band")
    if len(ends) != 2:
        raise values.RowError("band: must be two numbers")
    low, high = (values.share({"band": end}, "band") for end in ends)
    if low > high:
        raise values.RowError("band: the lower end comes first")
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


def group_row(group: GroupRecord) -> Row:
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


def group_of(row: Row) -> GroupRecord:
    """An entry of `taskset.json` as a group. Raises RowError."""
    params, parts, user = (values.part(row, name) for name in ("params", "parts", "override"))
    return GroupRecord(
        id=GroupId(values.text(row, "task"), values.text(row, "variant")),
        params={name: values.scalar(params, name) for name in params},
        prompt=values.or_none(values.text, row, "prompt") or "",
        tags=values.texts(row, "tags"),
        passing=values.share(row, "passing"),
        checks=tuple(
            (values.text(check, "name"), values.number(check, "weight")) for check in values.objects(row, "checks")
        ),
        file=values.or_none(values.text, row, "file") or "",
        line=values.or_none(values.count, row, "line") or 0,
        parts={name: values.text(parts, name) for name in parts},
        override=UserOverride(values.text(user, "agent"), values.text(user, "task")) if user else None,
    )
