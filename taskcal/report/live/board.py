"""What the live table shows: a mark for each rollout, kept up to date in constant time and drawn only when asked.

The board knows no clock, thread or terminal; whoever calls it brings the time, and a lock where there are threads.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from taskcal.core.rollout import Graded
from taskcal.report.wording import formatting
from taskcal.report.wording.sanitize import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.rollout import GroupId, Outcome, Rollout, RolloutId

FRAME = 4
NAME = 40
BESIDE_MARKS = 12
BEGINNING = 3


class RolloutMark(Enum):
    """A rollout at a glance: its sign, which differs without colour too, and its style. Order is that of the legend."""

    PASSED = ("●", "green")
    PARTIAL = ("◐", "yellow")
    FAILED = ("○", "red")
    LOST = ("\N{MULTIPLICATION SIGN}", "bold magenta")
    RUNNING = ("◌", "cyan")
    PENDING = ("·", "dim")

    @property
    def sign(self) -> str:
        """One character, one cell wide."""
        return self.value[0]

    @property
    def style(self) -> str:
        """As rich names it."""
        return self.value[1]


def mark_of(outcome: Outcome) -> RolloutMark:
    """The mark of what came of a rollout; lost has its own, whatever else is missing."""
    if not isinstance(outcome, Graded):
        return RolloutMark.LOST
    if outcome.passed:
        return RolloutMark.PASSED
    return RolloutMark.PARTIAL if outcome.reward > 0 else RolloutMark.FAILED


def time_left(done: int, total: int, elapsed: float) -> float | None:
    """Seconds until the rest is done at the speed so far; None until a few are done, for two say nothing of speed."""
    if done >= total:
        return 0.0
    return elapsed / done * (total - done) if done >= min(BEGINNING, total) else None


@dataclass(frozen=True, slots=True)
class RunTotals:
    """How far a run has come. `measured` of the `done` were run by this process; the others it found on disk."""

    done: int
    total: int
    measured: int
    marks: Counter[RolloutMark]
    cost_usd: float = 0.0

    def __str__(self) -> str:
        """`12/96 done, 8 passed, 1 lost, $0.42`."""
        counts = [
            f"{self.marks[mark]} {mark.name.lower()}"
            for mark in (RolloutMark.PASSED, RolloutMark.LOST)
            if self.marks[mark]
        ]
        return ", ".join([f"{self.done}/{self.total} done", *counts, *spent(self.cost_usd)])

    def times(self, elapsed: float) -> str:
        """`1m 12s elapsed, about 3m 00s left`."""
        left = time_left(self.measured, self.measured + self.total - self.done, elapsed)
        told = f"{formatting.format_duration(elapsed)} elapsed"
        return told if not left else f"{told}, about {formatting.format_duration(left)} left"


def spent(cost_usd: float) -> list[str]:
    """What the rollouts have cost so far; nothing where no agent says so."""
    return [formatting.money(cost_usd)] if cost_usd else []


class Ends:
    """Which rollouts are done: graded, or lost in the last attempt that they have; what is tried again is not.

    Nothing leaves the set, so that a count of it only grows. What an earlier part of the run lost is tried again.
    """

    def __init__(self, retries: int) -> None:
        """`retries` is how many further attempts follow the first that this process makes."""
        self._retries = retries
        self._first: dict[tuple[GroupId, int], int] = {}
        self.done: set[tuple[GroupId, int]] = set()
        self.done_here: set[tuple[GroupId, int]] = set()
        """Those that this process has run."""

    def started(self, rollout: RolloutId) -> None:
        """An attempt is running."""
        self._first.setdefault((rollout.group, rollout.index), rollout.attempt)

    def finished(self, rollout: Rollout) -> bool:
        """An attempt has ended; False where it was not started here but comes from an earlier part of the run."""
        key = (rollout.id.group, rollout.id.index)
        first = self._first.get(key)
        is_last = first is not None and rollout.id.attempt >= first + self._retries
        if is_last or isinstance(rollout.outcome, Graded):
            self.done.add(key)
            self.done_here |= set() if first is None else {key}
        return first is not None


class Board:
    """The marks of all groups; a retry takes the place of the attempt before it."""

    def __init__(self, groups: Sequence[GroupId], group_size: int, retries: int = 0) -> None:
        """All rollouts of `groups` are pending; a lost one is tried again up to `retries` times."""
        self._marks: dict[GroupId, dict[int, RolloutMark]] = {group: {} for group in groups}
        self._places = {group: place for place, group in enumerate(groups)}
        self._recent = dict.fromkeys(reversed(groups))
        self._counts: Counter[RolloutMark] = Counter()
        self._ends = Ends(retries)
        self._size = group_size
        self._cost = 0.0

    def started(self, rollout: RolloutId) -> None:
        """A rollout, or a further attempt at it, is running."""
        self._ends.started(rollout)
        self._set(rollout, RolloutMark.RUNNING)

    def finished(self, rollout: Rollout) -> bool:
        """A rollout has ended; False where it was not started here but comes from an earlier part of the run."""
        self._cost += rollout.usage.cost_usd or 0.0
        self._set(rollout.id, mark_of(rollout.outcome))
        return self._ends.finished(rollout)

    def totals(self) -> RunTotals:
        """How far it has come by now."""
        total = len(self._marks) * self._size
        return RunTotals(len(self._ends.done), total, len(self._ends.done_here), Counter(self._counts), self._cost)

    def draw(self, width: int, height: int, elapsed: float) -> Table:
        """The table for a terminal of that many cells; where the groups are more than the lines, the latest active."""
        room = max(1, height - FRAME)
        shown = sorted(list(self._recent)[-room:], key=self._places.__getitem__)
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=min(NAME, max(BESIDE_MARKS, width // 2)))
        table.add_column(no_wrap=True, overflow="ellipsis")
        table.add_column(no_wrap=True)
        marks_width = width - min(NAME, width // 2) - BESIDE_MARKS
        for group in shown:
            table.add_row(Text(plain(str(group))), self._row(group, marks_width), self._rate(group))
        return self._framed(table, len(shown), elapsed)

    def _framed(self, table: Table, shown: int, elapsed: float) -> Table:
        frame = Table.grid()
        frame.add_row(table)
        hidden = len(self._marks) - shown
        if hidden:
            frame.add_row(Text(f"… and {formatting.many(hidden, 'more group')}, less lately active", style="dim"))
        totals = self.totals()
        frame.add_row(Text(f"{totals}; {totals.times(elapsed)}", style="bold"))
        legend = (
            part for mark in RolloutMark for part in ((mark.sign, mark.style), (f" {mark.name.lower()}  ", "dim"))
        )
        frame.add_row(Text.assemble(*legend, no_wrap=True, overflow="crop"))
        return frame

    def _row(self, group: GroupId, width: int) -> Text:
        """A mark for each rollout or, where they do not fit, how many of each."""
        marks = self._marks[group]
        if self._size <= width:
            every = (marks.get(index, RolloutMark.PENDING) for index in range(self._size))
            return Text.assemble(*((mark.sign, mark.style) for mark in every))
        counts = Counter(marks.values())
        return Text(" ").join(
            Text(f"{counts[mark]}{mark.sign}", style=mark.style) for mark in RolloutMark if counts[mark]
        )

    def _rate(self, group: GroupId) -> Text:
        counts = Counter(self._marks[group].values())
        graded = counts[RolloutMark.PASSED] + counts[RolloutMark.PARTIAL] + counts[RolloutMark.FAILED]
        return Text(f"{counts[RolloutMark.PASSED]}/{graded} passed" if graded else "", style="dim")

    def _set(self, rollout: RolloutId, mark: RolloutMark) -> None:
        marks = self._marks[rollout.group]
        before = marks.get(rollout.index)
        if before is not None:
            self._counts[before] -= 1
        marks[rollout.index] = mark
        self._counts[mark] += 1
        self._recent.pop(rollout.group, None)
        self._recent[rollout.group] = None
