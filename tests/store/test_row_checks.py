"""Rows that one run cannot have written are refused, and all that it can write are taken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.core.adaptive.design import Design
from taskcal.core.provenance import Provenance
from taskcal.core.rollout import GroupId, Outcome, Rollout, RolloutId
from taskcal.core.settings import CalibrationSettings, fixed_settings
from taskcal.store.row_checks import Ledger
from taskcal.store.typed_json import RowError
from tests.core.core_case import GROUP, graded, lost
from tests.store.store_case import RECORD

if TYPE_CHECKING:
    from taskcal.core.run import RunRecord

TWO = replace(RECORD, settings=fixed_settings(2))
ADAPTIVE = replace(RECORD, settings=CalibrationSettings(2, Design(cap=2)))


def entered(record: RunRecord, *rows: tuple[int, int, Outcome], group: GroupId = GROUP) -> None:
    ledger = Ledger(record)
    for index, attempt, outcome in rows:
        ledger.enter(Rollout(RolloutId(group, index, attempt), outcome))


@pytest.mark.parametrize(
    "rows",
    [
        [(0, 0, graded(1)), (1, 0, graded(1))],
        [(1, 0, lost()), (0, 0, graded(0)), (1, 1, lost()), (1, 2, graded(1))],
        [(0, 3, graded(0))],
        [(2, 0, lost())],
    ],
    ids=["whole", "retried", "copied without its losses", "extended, lost, and killed before it was recorded"],
)
def test_what_a_run_writes_is_taken(rows: list[tuple[int, int, Outcome]]) -> None:
    """Retries in between, indices in any order."""
    entered(TWO, *rows)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([(2, 0, graded(1))], "task#2 is graded in a run of groups of 2"),
        ([(0, 0, graded(1)), (0, 0, graded(1))], "task#0 was graded in an earlier line"),
        ([(0, 0, graded(1)), (0, 1, graded(0))], "task#0 was graded in an earlier line"),
        ([(0, 0, graded(1)), (0, 1, lost())], "task#0 was graded in an earlier line"),
        ([(0, 0, lost()), (0, 0, graded(0))], "task#0 has an attempt 0 in an earlier line"),
        ([(0, 1, lost()), (0, 0, lost())], "task#0 has an attempt 1 in an earlier line"),
    ],
)
def test_rows_of_another_run_are_refused(rows: list[tuple[int, int, Outcome]], reason: str) -> None:
    """They would raise n, or take the place of what was graded."""
    with pytest.raises(RowError, match=reason):
        entered(TWO, *rows)


@pytest.mark.parametrize(
    "record", [ADAPTIVE, replace(TWO, engine=Provenance.IMPORTED.value)], ids=["adaptive", "imported"]
)
def test_sizes_that_are_not_known_are_not_judged(record: RunRecord) -> None:
    """An index may lie beyond the limit there, but not come twice."""
    entered(record, (5, 0, graded(1)))
    with pytest.raises(RowError, match="was graded"):
        entered(record, (5, 0, graded(1)), (5, 0, graded(1)))


def test_groups_are_told_apart() -> None:
    """The same index of another group is another rollout, also where the two would be written alike."""
    ledger = Ledger(TWO)
    for group in (GroupId("a/b", ""), GroupId("a", "b")):
        ledger.enter(Rollout(RolloutId(group, 0, 0), graded(1)))


def test_an_adaptive_run_has_no_index_far_beyond_its_limit() -> None:
    """Each lost rollout and each that runs allows one more, nothing allows 999,999,999: that would cost memory."""
    far = CalibrationSettings(2, Design(cap=2)).design.limit + Design().most_in_flight
    entered(ADAPTIVE, (far - 1, 0, graded(1)))
    entered(ADAPTIVE, (0, 0, lost()), (far, 0, graded(1)))
    for index in (far, 999_999_999):
        with pytest.raises(RowError, match="cannot be in a run of at most 2 rollouts of each"):
            entered(ADAPTIVE, (index, 0, graded(1)))
