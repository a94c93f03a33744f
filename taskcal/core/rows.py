"""The run folder's JSON, as plain data and back: one object a rollout, one for the run, one a group.

Reading is strict where a mistake would change a number, and says which key is wrong; unknown keys are ignored, so that
a later version may add some. A lost row has no `reward` at all.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from taskcal.core.calibrate import GroupRecord
from taskcal.core.rollout import CheckResult, Graded, GroupId, Lost, Rollout, RolloutId, Stop, Timing, Usage
from taskcal.core.run import RunRecord
from taskcal.core.verdict import Band
from taskcal.errors import Boundary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskcal.core.task import Group, Scalar

Row = dict[str, Any]
Value = TypeVar("Value")

LARGEST = 1e300
"""Beyond it a number is a mistake; JSON can write whole numbers that no float holds."""
MOST = 2**53
"""Beyond it a count is a mistake: not every reader of JSON has larger whole numbers."""


class RowError(ValueError):
    """A row is not what it should be; the message names the key."""


def rollout_row(rollout: Rollout) -> Row:
    """A rollout as a line of `rollouts.jsonl`."""
    name = rollout.id
    row: Row = {"key": name.key, "task": name.group.task, "variant": name.group.variant}
    row |= {"index": name.index, "attempt": name.attempt}
    row |= _outcome_row(rollout)
    row |= {"answer": rollout.answer, "turns": rollout.turns, "usage": asdict(rollout.usage)}
    timing = {part: round(seconds, 4) for part, seconds in asdict(rollout.timing).items()}
    return row | {"timing_s": timing, "started_at": rollout.started_at}


def _outcome_row(rollout: Rollout) -> Row:
    outcome = rollout.outcome
    if isinstance(outcome, Lost):
        return {"outcome": "lost", "boundary": outcome.boundary.value, "reason": outcome.reason}
    checks = [asdict(check) for check in outcome.checks]
    row = {"outcome": "graded", "stop": outcome.stop.value, "reward": outcome.reward}
    return row | {"passed": outcome.passed, "checks": checks}


def rollout_of(row: Row) -> Rollout:
    """A line of `rollouts.jsonl` as a rollout. Raises RowError."""
    group = GroupId(_text(row, "task"), _text(row, "variant"))
    usage, timing = _part(row, "usage"), _part(row, "timing_s")
    return Rollout(
        id=RolloutId(group, _count(row, "index"), _count(row, "attempt")),
        outcome=_outcome_of(row),
        answer=_or_none(_text, row, "answer"),
        turns=_or_none(_count, row, "turns"),
        usage=Usage(
            input_tokens=_or_none(_count, usage, "input_tokens"),
            cached_tokens=_or_none(_count, usage, "cached_tokens"),
            output_tokens=_or_none(_count, usage, "output_tokens"),
            cost_usd=_or_none(_number, usage, "cost_usd"),
        ),
        timing=Timing(**{part: _or_none(_number, timing, part) or 0.0 for part in Timing.__dataclass_fields__}),
        started_at=_or_none(_text, row, "started_at") or "",
    )


def _outcome_of(row: Row) -> Graded | Lost:
    kind = _text(row, "outcome")
    if kind == "lost":
        return Lost(_member(Boundary, row, "boundary"), _text(row, "reason"))
    if kind != "graded":
        raise RowError(f"outcome: {kind!r} is neither graded nor lost")
    checks = tuple(_check_of(check) for check in _objects(row, "checks"))
    return Graded(_member(Stop, row, "stop"), _share(row, "reward"), _truth(row, "passed"), checks)


def _check_of(row: Mapping[str, Any]) -> CheckResult:
    return CheckResult(
        name=_text(row, "name"),
        weight=_number(row, "weight"),
        score=_share(row, "score"),
        note=_or_none(_text, row, "note") or "",
        required=row.get("required") is True,
    )


def run_row(record: RunRecord) -> Row:
    """A run as `run.json`."""
    return asdict(record) | {"band": [record.band.low, record.band.high]}


def run_of(row: Row) -> RunRecord:
    """`run.json` as a run. Raises RowError."""
    (low, high), images = _band(row), _part(row, "images")
    return RunRecord(
        id=_text(row, "id"),
        taskset=_text(row, "taskset"),
        taskset_files=_texts(row, "taskset_files"),
        taskset_digest=_text(row, "taskset_digest"),
        agent=_text(row, "agent"),
        agent_digest=_text(row, "agent_digest"),
        group_size=_positive(row, "group_size"),
        band=Band(low, high),
        seed=_whole(row, "seed"),
        concurrency=_count(row, "concurrency"),
        retries=_count(row, "retries"),
        started_at=_text(row, "started_at"),
        version=_text(row, "version"),
        engine=_text(row, "engine"),
        host=_text(row, "host"),
        agent_source=_or_none(_text, row, "agent_source") or "",
        images={name: _text(images, name) for name in images},
        notes=_texts(row, "notes"),
        seconds=_or_none(_number, row, "seconds"),
        interrupted=_or_none(_truth, row, "interrupted") or False,
    )


def _band(row: Row) -> tuple[float, float]:
    value = _list(row, "band")
    if len(value) != 2:
        raise RowError("band: must be two numbers")
    low, high = (_share({"band": end}, "band") for end in value)
    if low > high:
        raise RowError("band: the lower end comes first")
    return low, high


def group_record(group: Group) -> GroupRecord:
    """What a run remembers of a group."""
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
    )


def group_row(group: GroupRecord) -> Row:
    """A group as an entry of `taskset.json`."""
    return {
        "task": group.id.task,
        "variant": group.id.variant,
        "params": dict(group.params),
        "prompt": group.prompt,
        "tags": list(group.tags),
        "passing": group.passing,
        "checks": [{"name": name, "weight": weight} for name, weight in group.checks],
        "file": group.file,
        "line": group.line,
    }


def group_of(row: Row) -> GroupRecord:
    """An entry of `taskset.json` as a group. Raises RowError."""
    params = _part(row, "params")
    return GroupRecord(
        id=GroupId(_text(row, "task"), _text(row, "variant")),
        params={name: _scalar(params, name) for name in params},
        prompt=_or_none(_text, row, "prompt") or "",
        tags=_texts(row, "tags"),
        passing=_share(row, "passing"),
        checks=tuple((_text(check, "name"), _number(check, "weight")) for check in _objects(row, "checks")),
        file=_or_none(_text, row, "file") or "",
        line=_or_none(_count, row, "line") or 0,
    )


def _part(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = row.get(key)
    if value is not None and not isinstance(value, dict):
        raise RowError(f"{key}: must be an object")
    return value or {}


def _list(row: Mapping[str, Any], key: str) -> list[Any]:
    value = row.get(key)
    if value is not None and not isinstance(value, list):
        raise RowError(f"{key}: must be a list")
    return value or []


def _texts(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(_text({key: value}, key) for value in _list(row, key))


def _objects(row: Mapping[str, Any], key: str) -> tuple[Mapping[str, Any], ...]:
    return tuple(_part({key: value}, key) for value in _list(row, key))


def _or_none(read: Callable[[Mapping[str, Any], str], Value], row: Mapping[str, Any], key: str) -> Value | None:
    return None if row.get(key) is None else read(row, key)


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise RowError(f"{key}: must be text")
    return value


def _whole(row: Mapping[str, Any], key: str) -> int:
    value = row.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST:
        raise RowError(f"{key}: must be a whole number")
    return value


def _count(row: Mapping[str, Any], key: str) -> int:
    value = row.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise RowError(f"{key}: must be a whole number from 0")
    return value


def _positive(row: Mapping[str, Any], key: str) -> int:
    if _count(row, key) == 0:
        raise RowError(f"{key}: must be at least 1")
    return _count(row, key)


def _truth(row: Mapping[str, Any], key: str) -> bool:
    value = row.get(key)
    if not isinstance(value, bool):
        raise RowError(f"{key}: must be true or false")
    return value


def _scalar(row: Mapping[str, Any], key: str) -> Scalar:
    value = row.get(key)
    if isinstance(value, float):
        return _number(row, key)
    if value is None or isinstance(value, bool | int | str):
        return value
    raise RowError(f"{key}: must be one value")


def _number(row: Mapping[str, Any], key: str) -> float:
    value = row.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not -LARGEST <= value <= LARGEST:
        raise RowError(f"{key}: must be a number")
    return float(value)


def _share(row: Mapping[str, Any], key: str) -> float:
    value = _number(row, key)
    if not 0.0 <= value <= 1.0:
        raise RowError(f"{key}: must be in [0, 1]")
    return value


def _member(kind: type[Any], row: Mapping[str, Any], key: str) -> Any:
    try:
        return kind(_text(row, key))
    except ValueError as error:
        raise RowError(f"{key}: {error}") from error
