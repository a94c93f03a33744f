"""What the rows of one run cannot be: graded twice, tried in another order, or more than the run asked for.

taskcal tries an index again only after it was lost, with a higher attempt; a fixed design has the indices below G, and
an adaptive one launches no index beyond its limit but for a lost rollout or while some are still running.
Rows that say otherwise are those of another run, or a person's, and would be counted as this run's.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from taskcal.core.rollout import Graded
from taskcal.store.typed_json import RowError

if TYPE_CHECKING:
    from taskcal.core.rollout import GroupId, Rollout
    from taskcal.core.run import RunRecord


class Ledger:
    """Takes the rows of a run in their order."""

    def __init__(self, record: RunRecord) -> None:
        """An imported run has as many rows as its table, with any index."""
        self._design = record.settings.design if record.settings.adaptive else None
        self._most = record.planned
        self._lost: Counter[GroupId] = Counter()
        self._before: dict[tuple[GroupId, int], tuple[int, bool]] = {}

    def enter(self, rollout: Rollout) -> None:
        """Raise RowError for a row that cannot be this run's."""
        name, is_graded = rollout.id, isinstance(rollout.outcome, Graded)
        if is_graded and self._most is not None and name.index >= self._most:
            raise RowError(f"{name.key} is graded in a run of groups of {self._most}; is it a line of another run?")
        if self._design and name.index >= self._design.limit + self._design.most_in_flight + self._lost[name.group]:
            most = self._design.limit
            raise RowError(f"{name.key} cannot be in a run of at most {most} rollouts of each; is it another run's?")
        self._lost[name.group] += not is_graded
        attempt, was_graded = self._before.get((name.group, name.index), (-1, False))
        if was_graded or name.attempt <= attempt:
            what = "was graded" if was_graded else f"has an attempt {attempt}"
            raise RowError(f"{name.key} {what} in an earlier line; is this one of another run?")
        self._before[name.group, name.index] = name.attempt, is_graded
