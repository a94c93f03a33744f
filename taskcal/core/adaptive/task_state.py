"""Where one task stands: what its launches say so far, and whether it has had enough.

Decisions look only at the outcomes before a task's first launch that has not finished. What has finished is otherwise
no fair sample: where failures are slow the successes are in first, and a task of middling difficulty looks easy.

Under a fixed prior the first look at which the rule fires decides, so that neither the order in which rollouts finished
nor how many were in flight can change a verdict. A learned prior, or an earlier calibration's as the agent's drift gets
known, changes while the run goes on, and looks of the past would be judged by what was learned later: there the whole
prefix counts, and a decided task may open again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from typing import TYPE_CHECKING

from taskcal.core.adaptive.design import Rule
from taskcal.core.stats.prior import Counts, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.adaptive.design import Design
    from taskcal.core.adaptive.tables import DecisionTables
    from taskcal.core.rollout import GroupId
    from taskcal.core.stats.posterior_table import StoppingTable, Triple
    from taskcal.core.verdict import Verdict

SLACK = 0.01
"""A refit opens a decided task only this far below the confidence that closed it; the last look of a run has none."""

MOST_LOSSES = 3
"""So many lost rollouts in a row, or more than half of at least so many, and a task gets no more."""


class Launch(StrEnum):
    """What came of a launch: one that is retried is pending until its last attempt is lost.

    Missing is what was never run to its end, in a cancelled task or an interrupted run: the prefix waits for it as for
    a pending one, and it is the next to be launched should the task be open again.
    """

    PASSED = "passed"
    FAILED = "failed"
    PENDING = "pending"
    LOST = "lost"
    MISSING = "missing"


class Closed(StrEnum):
    """Why a task gets no more rollouts."""

    CONFIDENT = "confident"
    CERTIFIED = "certified"
    NOT_WORTH_MORE = "not-worth-more"
    CAP = "cap"
    BUDGET = "budget"
    LOSSES = "losses"


UNFINISHED = {Launch.PENDING, Launch.MISSING}
CLOSING = {Rule.POSTERIOR: Closed.CONFIDENT, Rule.CERTIFY: Closed.CERTIFIED, Rule.VALUE: Closed.NOT_WORTH_MORE}


@dataclass(frozen=True, slots=True)
class TaskHistory:
    """All that is known of a task: its launches by index, and what an earlier calibration counted, if there was one.

    `room` is how many more of its rollouts may start now; None is no bound.
    """

    group: GroupId
    launches: tuple[Launch, ...] = ()
    earlier: Counts | None = None
    room: int | None = None


@dataclass(frozen=True, slots=True)
class LaunchCounts:
    """A task's launches, counted: running; run or running; of these graded or yet to be; and missing."""

    in_flight: int
    launched: int
    counting: int
    missing: int


@dataclass(frozen=True, slots=True)
class TaskState:
    """Where a task stands.

    `counts` are those that the decision rests on: the prefix up to the look that closed it, or all of it. `posterior`
    is at these counts, below, in and above the band; `likely` the class that has at least 1 - error_rate of it.
    `certificate` is the first class that was certified. `closed` is None while it is open. `seen` counts the whole
    prefix; `charge` is what another rollout is worth there, `expected_left` how many more the rule is expected to take.
    """

    group: GroupId
    counts: Counts
    posterior: Triple
    likely: Verdict | None
    certificate: Verdict | None
    closed: Closed | None
    prior: Source
    seen: Counts
    tally: LaunchCounts
    charge: float
    expected_left: float


@dataclass(frozen=True, slots=True)
class TaskTables:
    """What a task is judged by: the book of its prior, and where certificates are reached, which no prior changes."""

    tables: DecisionTables
    certified: StoppingTable


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a standing depends on beside its own rows: whether it was decided before, whether the budget is spent."""

    held: bool
    spent: bool


def prefix(launches: Sequence[Launch], most: int) -> list[bool]:
    """Passed or not, for what was graded before the first unfinished launch; at most so many, the lost left out."""
    outcomes: list[bool] = []
    for launch in launches:
        if launch in UNFINISHED or len(outcomes) == most:
            break
        if launch is not Launch.LOST:
            outcomes.append(launch is Launch.PASSED)
    return outcomes


def tally(launches: Sequence[Launch]) -> LaunchCounts:
    """The launches, counted by what has become of them."""
    missing, lost = launches.count(Launch.MISSING), launches.count(Launch.LOST)
    launched = len(launches) - missing
    return LaunchCounts(launches.count(Launch.PENDING), launched, launched - lost, missing)


def count(outcomes: Sequence[bool]) -> Counts:
    """How many passed of how many."""
    return Counts(sum(outcomes), len(outcomes))


def stand(task: TaskHistory, lookups: TaskTables, design: Design, around: Circumstances) -> TaskState:
    """The standing of a task."""
    tables = lookups.tables
    outcomes = prefix(task.launches, design.limit)
    every = count(outcomes)
    deciding = _deciding(outcomes, tables, design, held=around.held)
    certifying = _first_stop(outcomes, lookups.certified)
    closed = _closed(task, every, design, spent=around.spent) if deciding is None else CLOSING[design.rule]
    counts = deciding or every
    best, chance = tables.beliefs.best(*counts)
    return TaskState(
        group=task.group,
        counts=counts,
        posterior=tables.beliefs.right[counts.graded][counts.passed],
        likely=best if counts.graded >= design.first and chance >= 1 - design.error_rate else None,
        certificate=lookups.certified.cells[certifying.graded][certifying.passed] if certifying else None,
        closed=closed,
        prior=tables.source,
        seen=every,
        tally=tally(task.launches),
        charge=tables.charges[every.graded][every.passed],
        expected_left=0.0 if closed else tables.left[every.graded][every.passed],
    )


def _deciding(outcomes: Sequence[bool], tables: DecisionTables, design: Design, *, held: bool) -> Counts | None:
    """The counts at which the rule fires, or None."""
    if tables.source is Source.DEFAULT or not design.learn or design.rule is Rule.CERTIFY:
        return _first_stop(outcomes, tables.table)
    look = design.last_look(len(outcomes))
    counts = Counts(sum(outcomes[:look]), look)
    if tables.table.cells[look][counts.passed] is not None:
        return counts
    _, chance = tables.beliefs.best(*counts)
    return counts if held and chance >= 1 - design.error_rate - SLACK else None


def _first_stop(outcomes: Sequence[bool], table: StoppingTable) -> Counts | None:
    passed = 0
    for graded, outcome in enumerate(outcomes, 1):
        passed += outcome
        if table.cells[graded][passed] is not None:
            return Counts(passed, graded)
    return None


def _closed(task: TaskHistory, counts: Counts, design: Design, *, spent: bool) -> Closed | None:
    """Why there is no more for a task that is not decided, or None."""
    if counts.graded >= design.limit:
        return Closed.CAP
    if _losing(task.launches):
        return Closed.LOSSES
    return Closed.BUDGET if spent else None


def _losing(launches: Sequence[Launch]) -> bool:
    """Like every decision on the launches before the first that has not finished, whatever came in behind it."""
    finished = list(takewhile(lambda launch: launch not in UNFINISHED, launches))
    lost = finished.count(Launch.LOST)
    in_a_row = len(finished) >= MOST_LOSSES and {*finished[-MOST_LOSSES:]} == {Launch.LOST}
    return in_a_row or (lost >= MOST_LOSSES and 2 * lost > len(finished))
