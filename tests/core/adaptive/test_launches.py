"""From rows to launches: the last attempt counts, gaps are gaps, and lost is neither passed nor failed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.adaptive.launches import (
    count_missing,
    final_rollouts,
    first_gap,
    launch_of,
    launches_by_index,
    launches_in_order,
)
from taskcal.core.adaptive.task_state import Launch
from taskcal.core.rollout import Graded, Lost, Outcome, Rollout, RolloutId, Stop
from taskcal.errors import Boundary
from tests.core.core_case import GROUP, graded, lost

P, F, LOST, GAP = Launch.PASSED, Launch.FAILED, Launch.LOST, Launch.MISSING
OUTCOMES = st.sampled_from([graded(1.0), graded(0.0), graded(0.5), lost(), lost(Boundary.CANCELLED)])
PLACES = st.dictionaries(st.tuples(st.integers(0, 9), st.integers(0, 3)), OUTCOMES, max_size=20)


def row(index: int, attempt: int, outcome: Outcome) -> Rollout:
    return Rollout(RolloutId(GROUP, index, attempt), outcome)


def test_every_index_has_its_place() -> None:
    """In the order of launches, whatever the order of rows; what is not there is missing, up to the last that is."""
    rows = [row(4, 0, graded(1.0)), row(0, 0, graded(0.0)), row(2, 0, lost())]
    assert launches_by_index(rows) == (F, GAP, LOST, GAP, P)
    assert launches_by_index([]) == ()


def test_the_last_attempt_counts() -> None:
    """A retry replaces what it repeats, also where it is the worse one and stands first."""
    rows = [row(0, 1, graded(1.0)), row(0, 0, lost()), row(1, 0, graded(1.0)), row(1, 1, lost())]
    assert launches_by_index(rows) == (P, LOST)
    assert [one.id.attempt for one in final_rollouts(rows)] == [1, 1]


@pytest.mark.parametrize("boundary", Boundary)
def test_only_a_cancelled_one_was_never_run(boundary: Boundary) -> None:
    """What our side lost is lost wherever it was; what was stopped says no more than what never started."""
    assert launch_of(Lost(boundary, "why")) is (GAP if boundary is Boundary.CANCELLED else LOST)


@pytest.mark.parametrize("stop", Stop)
def test_however_it_ended_the_reward_decides(stop: Stop) -> None:
    """A timeout that passed has passed; passing is the task's own bound, not a reward of 1."""
    assert launch_of(Graded(stop, 0.6, True, ())) is P
    assert launch_of(Graded(stop, 0.6, False, ())) is F


@given(places=PLACES, order=st.integers(0, 999))
def test_the_order_of_rows_does_not_matter(places: dict[tuple[int, int], Outcome], order: int) -> None:
    """Rollouts finish in any order: what is known of a task is a function of what came of them."""
    rows = [row(index, attempt, outcome) for (index, attempt), outcome in places.items()]
    shuffled = random.Random(order).sample(rows, len(rows))  # noqa: S311 - a seeded order
    assert launches_by_index(shuffled) == launches_by_index(rows)
    assert final_rollouts(shuffled) == final_rollouts(rows)
    known = {index for index, _ in places}
    assert len(launches_by_index(rows)) == max((index + 1 for index in known), default=0)
    assert all(
        launches_by_index(rows)[index] is GAP for index in range(len(launches_by_index(rows))) if index not in known
    )


@given(places=PLACES)
def test_for_judging_a_gap_is_one_missing_launch(places: dict[tuple[int, int], Outcome]) -> None:
    """The same launches in the same order, with every run of missing rows as one, whatever the largest index."""
    rows = [row(1000 * index, attempt, outcome) for (index, attempt), outcome in places.items()]
    near = [row(2 * index, attempt, outcome) for (index, attempt), outcome in places.items()]
    found = launches_in_order(final_rollouts(rows))
    assert len(found) <= 2 * len(rows)
    assert [one for one in found if one is not GAP] == [one for one in launches_by_index(near) if one is not GAP]


def test_memory_follows_the_rows_and_not_the_largest_index() -> None:
    """A row of index 999,999,999 is one launch behind one gap."""
    assert launches_in_order(final_rollouts([row(0, 0, graded(1.0)), row(999_999_999, 0, graded(0.0))])) == (P, GAP, F)


@pytest.mark.parametrize(
    ("indices", "gap", "left"),
    [((), 0, 4), ((0, 1), 2, 2), ((1, 2, 3), 0, 1), ((0, 1, 3), 2, 1), ((0, 1, 2, 3), None, 0), ((0, 9), 1, 3)],
)
def test_gaps_of_a_planned_group(indices: tuple[int, ...], gap: int | None, left: int) -> None:
    """Of four planned: the first index without an outcome, and how many have none; cancelled is no outcome."""
    rows = final_rollouts([row(index, 0, graded(1.0)) for index in indices])
    assert (first_gap(rows, 4), count_missing(rows, 4)) == (gap, left)
    cancelled = final_rollouts([row(0, 0, lost(Boundary.CANCELLED)), row(1, 0, lost())])
    assert (first_gap(cancelled, 2), count_missing(cancelled, 2)) == (0, 1)
