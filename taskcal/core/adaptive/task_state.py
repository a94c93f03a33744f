"""The state of one task: the counts of its launches so far, and whether it gets more.

Decisions look only at the outcomes before a task's first launch that has not finished. Finished launches
behind it are a biased sample: if failures are slow, the successes are in first and a task of middling difficulty looks
easy.

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

from taskcal.core.adaptive.design import Rule, likely_class
from taskcal.core.stats.prior import Counts, PriorSource

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
    """What was observed of a task: its launches by index, and what an earlier calibration counted, if there was one.

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
    """What the planner knows and has decided of a task.

    `counts` are those that the decision rests on: the prefix up to the look that closed it, or all of it. `posterior`
    is at these counts, below, in and above the band; `likely` the class that has at least 1 - error_rate of it.
    `certificate` is the first class that was certified. `closed` is None while it is open. `seen` counts the whole
    prefix; `rollout_value` is the value of one more rollout there, in wrong verdicts, `expected_left` the rollouts that
    the rule is still expected to take.
    """

    group: GroupId
    counts: Counts
    posterior: Triple
    likely: Verdict | None
    certificate: Verdict | None
    closed: Closed | None
    prior: PriorSource
    seen: Counts
    launch_counts: LaunchCounts
    rollout_value: float
    expected_left: float


@dataclass(frozen=True, slots=True)
class TaskTables:
    """The tables to look a task up in: those of its prior, and that of certificates, which no prior changes."""

    tables: DecisionTables
    certified: StoppingTable


def finished_outcomes(launches: Sequence[Launch], most: int) -> list[bool]:
    """Passed or not, for what was graded before the first unfinished launch; at most so many, the lost left out."""
    outcomes: list[bool] = []
    for launch in launches:
        if launch in UNFINISHED or len(outcomes) == most:
            break
        if launch is not Launch.LOST:
            outcomes.append(launch is Launch.PASSED)
    return outcomes


def count_launches(launches: Sequence[Launch]) -> LaunchCounts:
    """The launches, counted by what has become of them."""
    missing, lost = launches.count(Launch.MISSING), launches.count(Launch.LOST)
    launched = len(launches) - missing
    return LaunchCounts(launches.count(Launch.PENDING), launched, launched - lost, missing)


def count_outcomes(outcomes: Sequence[bool]) -> Counts:
    """The number passed and the number graded."""
    return Counts(sum(outcomes), len(outcomes))


def assess(
    task: TaskHistory, lookups: TaskTables, design: Design, *, was_confident: bool, is_budget_spent: bool
) -> TaskState:
    """The state of a task, which also depends on whether it was decided before and whether the budget is spent."""
    tables = lookups.tables
    outcomes = finished_outcomes(task.launches, design.limit)
    every = count_outcomes(outcomes)
    deciding = _deciding(outcomes, tables, design, was_confident=was_confident)
    certifying = _first_stop(outcomes, lookups.certified)
    closed = _closed(task, every, design, is_budget_spent=is_budget_spent) if deciding is None else CLOSING[design.rule]
    counts = deciding or every
    best, chance = tables.posteriors.best(*counts)
    return TaskState(
        group=task.group,
        counts=counts,
        posterior=tables.posteriors.right[counts.graded][counts.passed],
        likely=likely_class(best, chance, counts.graded, design.error_rate, design.first),
        certificate=lookups.certified.cells[certifying.graded][certifying.passed] if certifying else None,
        closed=closed,
        prior=tables.source,
        seen=every,
        launch_counts=count_launches(task.launches),
        rollout_value=tables.rollout_values[every.graded][every.passed],
        expected_left=0.0 if closed else tables.expected_left[every.graded][every.passed],
    )


def _deciding(
    outcomes: Sequence[bool], tables: DecisionTables, design: Design, *, was_confident: bool
) -> Counts | None:
    """The counts at which the rule fires, or None."""
    if tables.source is PriorSource.DEFAULT or not design.learn or design.rule is Rule.CERTIFY:
        return _first_stop(outcomes, tables.table)
    look = design.last_look(len(outcomes))
    counts = Counts(sum(outcomes[:look]), look)
    if tables.table.cells[look][counts.passed] is not None:
        return counts
    _, chance = tables.posteriors.best(*counts)
    return counts if was_confident and chance >= 1 - design.error_rate - SLACK else None


def _first_stop(outcomes: Sequence[bool], table: StoppingTable) -> Counts | None:
    passed = 0
    for graded, outcome in enumerate(outcomes, 1):
        passed += outcome
        if table.cells[graded][passed] is not None:
            return Counts(passed, graded)
    return None


def _closed(task: TaskHistory, counts: Counts, design: Design, *, is_budget_spent: bool) -> Closed | None:
    """Why there is no more for a task that is not decided, or None."""
    if counts.graded >= design.limit:
        return Closed.CAP
    if _losing(task.launches):
        return Closed.LOSSES
    return Closed.BUDGET if is_budget_spent else None


def _losing(launches: Sequence[Launch]) -> bool:
    """Like every decision on the launches before the first that has not finished, whatever came in behind it."""
    finished = list(takewhile(lambda launch: launch not in UNFINISHED, launches))
    lost = finished.count(Launch.LOST)
    in_a_row = len(finished) >= MOST_LOSSES and {*finished[-MOST_LOSSES:]} == {Launch.LOST}
    return in_a_row or (lost >= MOST_LOSSES and 2 * lost > len(finished))
