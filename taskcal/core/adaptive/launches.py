"""The launches of each task, in order, from the rows of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.core.adaptive.task_state import Launch
from taskcal.core.rollout import Graded
from taskcal.errors import Boundary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskcal.core.rollout import Outcome, Rollout


def final_rollouts(rollouts: Iterable[Rollout]) -> tuple[Rollout, ...]:
    """The last attempt at each index of one group, in the order of indices."""
    last = {rollout.id.index: rollout for rollout in sorted(rollouts, key=lambda row: row.id.attempt)}
    return tuple(last[index] for index in sorted(last))


def launches_by_index(rollouts: Iterable[Rollout]) -> tuple[Launch, ...]:
    """The launches of one group by index; an index without a finished rollout is missing.

    Its length is the largest index + 1, so call it only with rows that were checked.
    """
    ended = {rollout.id.index: launch_of(rollout.outcome) for rollout in final_rollouts(rollouts)}
    return tuple(ended.get(index, Launch.MISSING) for index in range(max(ended, default=-1) + 1))


def launches_in_order(finals: Iterable[Rollout]) -> tuple[Launch, ...]:
    """The launches of final rollouts, with a single missing launch for every gap, however long.

    A verdict does not depend on the length of a gap, and memory follows the number of rows, not the largest index.
    """
    launches: list[Launch] = []
    expected = 0
    for rollout in finals:
        if rollout.id.index > expected:
            launches.append(Launch.MISSING)
        launches.append(launch_of(rollout.outcome))
        expected = rollout.id.index + 1
    return tuple(launches)


def first_gap(finals: Iterable[Rollout], planned: int) -> int | None:
    """The lowest index below `planned` that no final rollout has; None if there is one at each."""
    expected = 0
    for rollout in finals:
        if rollout.id.index > expected or launch_of(rollout.outcome) is Launch.MISSING:
            break
        expected = rollout.id.index + 1
    return expected if expected < planned else None


def count_missing(finals: Iterable[Rollout], planned: int) -> int:
    """How many indices below `planned` have no outcome yet."""
    return planned - sum(row.id.index < planned and launch_of(row.outcome) is not Launch.MISSING for row in finals)


def launch_of(outcome: Outcome) -> Launch:
    """The launch of a final outcome; a cancelled rollout counts as never started."""
    if isinstance(outcome, Graded):
        return Launch.PASSED if outcome.passed else Launch.FAILED
    return Launch.MISSING if outcome.boundary is Boundary.CANCELLED else Launch.LOST
