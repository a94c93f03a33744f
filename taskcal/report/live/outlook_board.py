"""What the live table of an adaptive run shows: for each task its posterior as a bar, for the run what is decided."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from taskcal.core.adaptive.design import Rule
from taskcal.core.adaptive.task_state import Closed
from taskcal.core.stats.posterior_table import CLASSES
from taskcal.core.verdict import Verdict
from taskcal.report.live.board import BESIDE_MARKS, NAME, Ends, RolloutMark, mark_of, spent
from taskcal.report.wording import formatting
from taskcal.report.wording.sanitize import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.adaptive.design import Design
    from taskcal.core.adaptive.planner import PlannerState
    from taskcal.core.adaptive.task_state import TaskState
    from taskcal.core.rollout import GroupId, Rollout, RolloutId
    from taskcal.core.stats.posterior_table import Triple

FRAME = 5
BAR = 20
BESIDE_NAME = 53
"""A bar, `12/128 +8`, the longest word for a state, and the gaps between them."""

PARTS = MappingProxyType(
    {
        Verdict.TOO_HARD: ("░", "red"),
        Verdict.IN_BAND: ("█", "green"),
        Verdict.TOO_EASY: ("▒", "yellow"),
    }
)

DECIDED = {Closed.CONFIDENT, Closed.CERTIFIED, Closed.NOT_WORTH_MORE}


def bar(posterior: Triple, width: int = BAR) -> Text:
    """The chance of each class as its share of the bar: too-hard from the left, too-easy from the right."""
    hard, easy = round(posterior[0] * width), round(posterior[2] * width)
    cells = (hard, max(0, width - hard - easy), min(easy, width - hard))
    return Text.assemble(*((PARTS[one][0] * count, PARTS[one][1]) for one, count in zip(CLASSES, cells, strict=True)))


class AdaptiveBoard:
    """Every task's standing, and the marks of what is running; knows no clock, thread or terminal."""

    def __init__(self, groups: Sequence[GroupId], design: Design, retries: int = 0) -> None:
        """Nothing is known yet; a lost rollout is tried again up to `retries` times."""
        self._design = design
        self._groups = tuple(groups)
        self._planner_state: PlannerState | None = None
        self._marks: dict[tuple[GroupId, int], RolloutMark] = {}
        self._recent = dict.fromkeys(reversed(groups))
        self._ends = Ends(retries)
        self.measured = 0
        self._cost = 0.0

    def look(self, planner_state: PlannerState) -> None:
        """The planner's latest answer."""
        self._planner_state = planner_state

    def started(self, rollout: RolloutId) -> None:
        """A rollout, or a further attempt at it, is running."""
        self._ends.started(rollout)
        self._set(rollout, RolloutMark.RUNNING)

    def finished(self, rollout: Rollout) -> bool:
        """A rollout has ended; False where it was not started here but comes from an earlier part of the run."""
        begun = self._ends.finished(rollout)
        self.measured += begun
        self._cost += rollout.usage.cost_usd or 0.0
        self._set(rollout.id, mark_of(rollout.outcome))
        return begun

    @property
    def expected_left(self) -> float:
        """Rollouts that the run is expected to take yet, and no more than its budget has left."""
        if not self._planner_state:
            return 0.0
        left, budget = self._planner_state.expected_left, self._design.budget
        ended = sum(one.launch_counts.launched - one.launch_counts.in_flight for one in self._states)
        return left if budget is None else min(left, max(0.0, budget - ended))

    def summary(self) -> str:
        """`12 of 40 closed, 28 open; 310 rollouts, about 180 left`."""
        done = len(self._ends.done)
        left = f", about {round(self.expected_left):,} left" if self._planner_state else ""
        return f"{self._totals()}; {', '.join([formatting.many(done, 'rollout'), *spent(self._cost)])}{left}"

    def saved(self) -> str:
        """`2,250 rollouts fewer than 64 each`, or nothing."""
        decided = [one for one in self._states if one.closed in DECIDED]
        saved = len(decided) * self._design.limit - sum(one.launch_counts.launched for one in decided)
        return f"{formatting.many(saved, 'rollout')} fewer than {self._design.limit} each" if saved > 0 else ""

    @property
    def _states(self) -> tuple[TaskState, ...]:
        return self._planner_state.states if self._planner_state else ()

    def _totals(self) -> str:
        """How many have had enough; a budget without another rule closes none, so there it is how many are sure."""
        tasks = len(self._states) or len(self._groups)
        closed = sum(one.closed is not None for one in self._states)
        if self._design.rule is Rule.NEVER:
            return f"{sum(one.likely is not None for one in self._states)} of {tasks} likely"
        word = "certified or closed" if self._design.rule is Rule.CERTIFY else "closed"
        return f"{closed} of {tasks} {word}, {tasks - closed} open"

    def times(self, elapsed: float) -> str:
        """`1m 12s elapsed, about 3m 00s left`."""
        told = f"{formatting.format_duration(elapsed)} elapsed"
        if not self.measured or not self._planner_state or self.expected_left < 1:
            return told
        return f"{told}, about {formatting.format_duration(elapsed / self.measured * self.expected_left)} left"

    def draw(self, width: int, height: int, elapsed: float) -> Table:
        """The table for a terminal of that many cells; where the tasks are more than the lines, the latest active."""
        places = {group: place for place, group in enumerate(self._groups)}
        shown = sorted(list(self._recent)[-max(1, height - FRAME) :], key=places.__getitem__)
        running = Counter(group for (group, _), mark in self._marks.items() if mark is RolloutMark.RUNNING)
        states = {one.group: one for one in self._states}
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=min(NAME, max(BESIDE_MARKS, width - BESIDE_NAME)))
        for _ in range(3):
            table.add_column(no_wrap=True)
        for group in shown:
            table.add_row(Text(plain(str(group))), *self._cells(states.get(group), running[group]))
        return self._framed(table, len(shown), elapsed)

    def _framed(self, table: Table, shown: int, elapsed: float) -> Table:
        frame = Table.grid()
        frame.add_row(table)
        hidden = len(self._groups) - shown
        if hidden:
            frame.add_row(Text(f"… and {formatting.many(hidden, 'more group')}, less lately active", style="dim"))
        times = "; ".join(part for part in (self.times(elapsed), self.saved()) if part)
        for line in (self.summary(), times):
            frame.add_row(Text(line, style="bold", no_wrap=True, overflow="ellipsis"))
        legend = (part for one in CLASSES for part in (PARTS[one], (f" {one.value}  ", "dim")))
        frame.add_row(Text.assemble(*legend, ("(the bar is the chance of each)", "dim"), no_wrap=True, overflow="crop"))
        return frame

    def _cells(self, state: TaskState | None, running: int) -> tuple[Text, Text, Text]:
        """The bar, k/n with what runs, and what is decided; what cannot be run has no standing once others have."""
        if state is None:
            return (
                Text("·" * BAR, style="dim"),
                Text(""),
                Text("unmeasured" if self._planner_state else "", style="dim"),
            )
        counts = f"{state.seen.passed}/{state.seen.graded}" + (f" +{running}" if running else "")
        return bar(state.posterior), Text(counts, style="dim"), self._state(state)

    def _state(self, state: TaskState) -> Text:
        certifying = self._design.rule is Rule.CERTIFY
        verdict = state.certificate if certifying else state.likely or state.certificate
        if verdict is None:
            return Text(state.closed.value if state.closed else "", style="dim")
        return Text(verdict.value, style=PARTS[verdict][1])

    def _set(self, rollout: RolloutId, mark: RolloutMark) -> None:
        self._marks[rollout.group, rollout.index] = mark
        self._recent.pop(rollout.group, None)
        self._recent[rollout.group] = None
