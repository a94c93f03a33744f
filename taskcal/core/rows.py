"""The run folder's JSON, as plain data and back: one object a rollout, one for the run, one a group.

Reading is strict where a mistake would change a number, and says which key is wrong; unknown keys are ignored, so that
a later version may add some. A lost row has no `reward` at all.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from taskcal.core.calibrate import Band, GroupRecord
from taskcal.core.rollout import CheckResult, Graded, GroupId, Lost, Rollout, RolloutId, Stop, Timing, Usage
from taskcal.core.run import RunRecord
from taskcal.errors import Boundary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskcal.core.task import Group

Row = dict[str, Any]
Value = TypeVar("Value")

LARGEST = 1e300
"""Beyond it a number is a mistake; JSON can write whole numbers that no float holds."""


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
        started_at=str(row.get("started_at") or ""),
    )


def _outcome_of(row: Row) -> Graded | Lost:
    kind = _text(row, "outcome")
    if kind == "lost":
        return Lost(_member(Boundary, row, "boundary"), _text(row, "reason"))
    if kind != "graded":
        raise RowError(f"outcome: {kind!r} is neither graded nor lost")
    passed = row.get("passed")
    if not isinstance(passed, bool):
        raise RowError("passed: must be true or false")
    checks = tuple(_check_of(check) for check in row.get("checks") or ())
    return Graded(_member(Stop, row, "stop"), _share(row, "reward"), passed, checks)


def _check_of(row: Row) -> CheckResult:
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
    known = {name: row[name] for name in RunRecord.__dataclass_fields__ if name in row}
    try:
        low, high = known.pop("band")
        known |= {name: tuple(known.get(name) or ()) for name in ("taskset_files", "notes")}
        return RunRecord(band=Band(float(low), float(high)), **known)
    except (KeyError, TypeError, ValueError) as error:
        raise RowError(f"not a run: {error}") from error


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
    return GroupRecord(
        id=GroupId(_text(row, "task"), _text(row, "variant")),
        params=row.get("params") or {},
        prompt=str(row.get("prompt") or ""),
        tags=tuple(row.get("tags") or ()),
        passing=_number(row, "passing"),
        checks=tuple((_text(check, "name"), _number(check, "weight")) for check in row.get("checks") or ()),
        file=str(row.get("file") or ""),
        line=int(row.get("line") or 0),
    )


def _part(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = row.get(key) or {}
    if not isinstance(value, dict):
        raise RowError(f"{key}: must be an object")
    return value


def _or_none(read: Callable[[Mapping[str, Any], str], Value], row: Mapping[str, Any], key: str) -> Value | None:
    return None if row.get(key) is None else read(row, key)


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise RowError(f"{key}: must be text")
    return value


def _count(row: Mapping[str, Any], key: str) -> int:
    value = row.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RowError(f"{key}: must be a whole number from 0")
    return value


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
