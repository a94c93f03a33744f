"""What a report asks people to do with each task."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taskcal.core.settings import Metric
from taskcal.core.verdict import Verdict
from taskcal.report.wording.actions import (
    NOOP,
    ORACLE,
    RowChoice,
    Sort,
    TaskAction,
    choose_action,
    fold,
    group_by_action,
)
from tests.report.sample_run import QUESTION, calibration, copied, counted, graded, lost, record, shop

PARTIAL = calibration(record("partial"), [graded(1, 0)] * 20 + [graded(0, 0)] * 44)


@pytest.mark.parametrize(
    ("passed", "failed", "action"),
    [
        (4, 4, TaskAction.KEEP),
        (0, 64, TaskAction.MAKE_EASIER),
        (64, 0, TaskAction.MAKE_HARDER),
        (0, 2, TaskAction.MEASURE_MORE),
        (1, 7, TaskAction.MEASURE_MORE),
        (2, 0, TaskAction.MEASURE_MORE),
    ],
)
def test_a_sure_verdict_names_its_action(passed: int, failed: int, action: TaskAction) -> None:
    """Only a verdict that is sure asks to keep or change a task; a leaning one asks for more rollouts."""
    assert choose_action(counted(passed, failed), QUESTION) is action


def test_a_doubt_about_rollouts_asks_for_more() -> None:
    """Rollouts that are copies of each other decide nothing."""
    assert choose_action(copied([graded(1, 1)] * 4 + [graded(0, 0)] * 4, 6), QUESTION) is TaskAction.MEASURE_MORE


def test_nothing_graded_is_unmeasured_for_every_agent() -> None:
    """Lost rollouts are not a result, whoever played."""
    row = calibration(record("gone"), [lost()] * 8)
    assert {choose_action(row, QUESTION, agent) for agent in ("", ORACLE, NOOP)} == {TaskAction.UNMEASURED}


def test_partial_credit_is_kept_by_those_who_train_on_the_reward() -> None:
    """Nothing passes and rewards vary: too hard for a success rate, useful for the mean reward."""
    by_reward = replace(QUESTION, metric=Metric.REWARD)
    assert choose_action(PARTIAL, QUESTION) is TaskAction.MAKE_EASIER
    assert (
        choose_action(replace(PARTIAL, judgement=replace(PARTIAL.judgement, verdict=Verdict.TOO_HARD)), by_reward)
        is TaskAction.KEEP
    )


@pytest.mark.parametrize(
    ("agent", "passed", "action"),
    [
        (ORACLE, 8, TaskAction.SOLVED),
        (ORACLE, 7, TaskAction.FIX),
        (ORACLE, 0, TaskAction.FIX),
        (NOOP, 0, TaskAction.UNEARNED),
        (NOOP, 1, TaskAction.FIX),
        (NOOP, 8, TaskAction.FIX),
    ],
)
def test_the_oracle_must_pass_and_noop_must_fail(agent: str, passed: int, action: TaskAction) -> None:
    """For the built-in agents a success rate says whether the task works, not how hard it is."""
    assert choose_action(counted(passed, 8 - passed), QUESTION, agent) is action


def test_actions_keep_every_task_once_and_in_order() -> None:
    """The headings come in one fixed order, and no task is lost or shown twice."""
    found = group_by_action(shop(), QUESTION)
    actions = [action for action, _ in found]
    assert actions == sorted(actions, key=list(TaskAction).index)
    assert sorted(str(row.group.id) for _, rows in found for row in rows) == sorted(str(c.group.id) for c in shop())


def test_equal_variants_of_a_task_share_a_row() -> None:
    """Variants with equal numbers are folded; other tasks, or one number that differs, keep their own rows."""

    def variant(task: str, name: str, passed: int) -> object:
        return calibration(record(task, name), [graded(1, 1)] * passed + [graded(0, 0)] * (8 - passed))

    alike = [variant("a", "x", 3), variant("a", "y", 3), variant("a", "z", 4), variant("b", "x", 3)]
    rows = fold(alike)  # type: ignore[arg-type]
    assert [row.name for row in rows] == ["a (2 alike)", "a/z", "b/x"]
    assert sum(len(row.calibrations) for row in rows) == len(alike)


@pytest.mark.parametrize("sort", list(Sort))
def test_sorting_loses_no_row(sort: Sort) -> None:
    """Every order shows the same rows."""
    rows = shop()
    assert sorted(map(id, RowChoice(sort=sort).choose(rows))) == sorted(map(id, rows))


def test_rates_and_contrasts_come_from_high_to_low() -> None:
    """The rows that teach most are the first when they are sorted by what they teach."""
    by_contrast = [row.learning.contrast or 0 for row in RowChoice(sort=Sort.CONTRAST).choose(shop())]
    by_rate = [row.rates.success_rate or 0 for row in RowChoice(sort=Sort.RATE).choose(shop())]
    assert (by_contrast, by_rate) == (sorted(by_contrast, reverse=True), sorted(by_rate, reverse=True))


def test_verdicts_choose_rows() -> None:
    """Only the named verdicts are shown."""
    chosen = RowChoice(frozenset({Verdict.TOO_EASY, Verdict.UNMEASURED})).choose(shop())
    assert {row.judgement.verdict for row in chosen} == {Verdict.TOO_EASY, Verdict.UNMEASURED}
