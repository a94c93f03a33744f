"""The lines of `rollouts.jsonl`: one JSON object a rollout.

Reading is strict where a mistake would change a number, and an error names the key; unknown keys are ignored, so that
a later version may add some. A lost row has no `reward` at all.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from typing import Any

from msgspec import Struct

from taskcal.core.rollout import CheckResult, Graded, GroupId, Lost, Rollout, RolloutId, Stop, Timing, Usage
from taskcal.errors import Boundary
from taskcal.store.typed_json import Count, Number, RowReader, Share, member

# Rows share equal parts, which costs a third of making them again, and most of their memory.
_group_id = lru_cache(2**16)(GroupId)
_check_result = lru_cache(2**12)(CheckResult)
_timing = lru_cache(2**12)(Timing)
_usage = lru_cache(2**12)(Usage)


class CheckRow(Struct, gc=False):
    """One check of a graded row. `required` is true only if it is written as such."""

    name: str
    weight: Number
    score: Share
    note: str | None = None
    required: object = None


class UsageRow(Struct, gc=False):
    """The `usage` of a row."""

    input_tokens: Count | None = None
    cached_tokens: Count | None = None
    output_tokens: Count | None = None
    cost_usd: Number | None = None


class TimingRow(Struct, gc=False):
    """The `timing_s` of a row."""

    queue: Number | None = None
    start: Number | None = None
    setup: Number | None = None
    agent: Number | None = None
    grade: Number | None = None
    close: Number | None = None
    total: Number | None = None


class _Row(Struct, kw_only=True):
    task: str
    variant: str
    index: Count
    attempt: Count
    answer: str | None = None
    turns: Count | None = None
    usage: UsageRow | None = None
    timing_s: TimingRow | None = None
    started_at: str | None = None
    transcript_sha256: str | None = None


class GradedRow(_Row, kw_only=True, tag_field="outcome", tag="graded"):
    """A line of a graded rollout."""

    stop: str
    reward: Share
    passed: bool
    checks: list[CheckRow] | None = None
    ended_services: list[str] | None = None


class LostRow(_Row, kw_only=True, tag_field="outcome", tag="lost"):
    """A line of a lost rollout."""

    boundary: str
    reason: str
    own_word: bool | None = None


ROLLOUTS: RowReader[GradedRow | LostRow] = RowReader(GradedRow | LostRow, alternatives="neither graded nor lost")


def rollout_row(rollout: Rollout) -> dict[str, Any]:
    """A rollout as a line of `rollouts.jsonl`."""
    name = rollout.id
    row: dict[str, Any] = {"key": name.key, "task": name.group.task, "variant": name.group.variant}
    row |= {"index": name.index, "attempt": name.attempt}
    row |= _outcome_row(rollout)
    row |= {"answer": rollout.answer, "turns": rollout.turns, "usage": _flat(rollout.usage)}
    timing = {part: round(seconds, 4) for part, seconds in _flat(rollout.timing).items()}
    row |= {"timing_s": timing, "started_at": rollout.started_at}
    return row if rollout.transcript_sha256 is None else row | {"transcript_sha256": rollout.transcript_sha256}


def _flat(value: Usage | Timing) -> dict[str, Any]:
    """As `asdict`, which copies at a tenth of the speed what nobody changes."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _outcome_row(rollout: Rollout) -> dict[str, Any]:
    outcome = rollout.outcome
    if isinstance(outcome, Lost):
        row: dict[str, Any] = {"outcome": "lost", "boundary": outcome.boundary.value, "reason": outcome.reason}
        return row | ({"own_word": True} if outcome.own_word else {})
    checks = [asdict(check) for check in outcome.checks]
    row = {"outcome": "graded", "stop": outcome.stop.value, "reward": outcome.reward}
    row |= {"passed": outcome.passed, "checks": checks}
    return row | ({"ended_services": list(outcome.ended_services)} if outcome.ended_services else {})


def read_rollout(text: bytes) -> Rollout:
    """A line of `rollouts.jsonl` as a rollout. Raises RowError, ValueError or RecursionError."""
    row = ROLLOUTS.read(text)
    usage, spent = row.usage or UsageRow(), row.timing_s or TimingRow()
    return Rollout(
        RolloutId(_group_id(row.task, row.variant), row.index, row.attempt),
        _graded(row) if isinstance(row, GradedRow) else _lost(row),
        row.answer,
        row.turns,
        _usage(usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.cost_usd),
        _timing(
            spent.queue or 0.0,
            spent.start or 0.0,
            spent.setup or 0.0,
            spent.agent or 0.0,
            spent.grade or 0.0,
            spent.close or 0.0,
            spent.total or 0.0,
        ),
        row.started_at or "",
        row.transcript_sha256,
    )


def _graded(row: GradedRow) -> Graded:
    return Graded(
        member(Stop, "stop", row.stop),
        row.reward,
        row.passed,
        tuple([_check_result(c.name, c.weight, c.score, c.note or "", c.required is True) for c in row.checks or ()]),
        tuple(row.ended_services) if row.ended_services else (),
    )


def _lost(row: LostRow) -> Lost:
    return Lost(member(Boundary, "boundary", row.boundary), row.reason, row.own_word or False)
