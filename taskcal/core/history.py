"""From the rows of a run to what the planner knows of each task: its launches in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.core.rollout import Graded
from taskcal.core.standing import Launch
from taskcal.errors import Boundary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskcal.core.rollout import Outcome, Rollout


def final(rollouts: Iterable[Rollout]) -> tuple[Rollout, ...]:
    """The last attempt at each index of one group, in the order of indices."""
    last = {rollout.id.index: rollout for rollout in sorted(rollouts, key=lambda row: row.id.attempt)}
    return tuple(last[index] for index in sorted(last))


def launches(rollouts: Iterable[Rollout]) -> tuple[Launch, ...]:
    """What came of each launch of one group; one that was never run to its end is missing."""
    ended = {rollout.id.index: launch_of(rollout.outcome) for rollout in final(rollouts)}
    return tuple(ended.get(index, Launch.MISSING) for index in range(max(ended, default=-1) + 1))


def launch_of(outcome: Outcome) -> Launch:
    """What a final outcome means to the planner: a cancelled rollout says no more than one that was never started."""
    if isinstance(outcome, Graded):
        return Launch.PASSED if outcome.passed else Launch.FAILED
    return Launch.MISSING if outcome.boundary is Boundary.CANCELLED else Launch.LOST
