"""From rows to launches: the last attempt counts, gaps are gaps, and lost is neither passed nor failed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.history import final, launch_of, launches
from taskcal.core.rollout import Graded, Lost, Outcome, Rollout, RolloutId, Stop
from taskcal.core.standing import Launch
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
    assert launches(rows) == (F, GAP, LOST, GAP, P)
    assert launches([]) == ()


def test_the_last_attempt_counts() -> None:
    """A retry replaces what it repeats, also where it is the worse one and stands first."""
    rows = [row(0, 1, graded(1.0)), row(0, 0, lost()), row(1, 0, graded(1.0)), row(1, 1, lost())]
    assert launches(rows) == (P, LOST)
    assert [one.id.attempt for one in final(rows)] == [1, 1]


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
    assert launches(shuffled) == launches(rows)
    assert final(shuffled) == final(rows)
    known = {index for index, _ in places}
    assert len(launches(rows)) == max((index + 1 for index in known), default=0)
    assert all(launches(rows)[index] is GAP for index in range(len(launches(rows))) if index not in known)
