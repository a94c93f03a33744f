"""The one step that a report suggests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.settings import CalibrationSettings
from taskcal.report.wording.actions import TaskAction
from taskcal.report.wording.next_step import next_step
from tests.report.sample_run import calibration, counted, graded, lost, record, result_of, run_record

OPEN = {TaskAction.KEEP, TaskAction.MEASURE_MORE}
RUN = run_record()
RESUME = f"taskcal run --resume {RUN.id}"


def adaptive(rule: Rule, budget: int | None = None) -> CalibrationSettings:
    return CalibrationSettings(8, Design(rule=rule, budget=budget))


def test_undecided_tasks_get_larger_groups() -> None:
    """Twice the group, in the same run, so that nothing measured is thrown away."""
    assert next_step(result_of(RUN, [counted(2, 6)]), OPEN, RUN.id) == f"{RESUME} --extend --group-size 16"


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        (adaptive(Rule.POSTERIOR), "--max-group-size 128"),
        (adaptive(Rule.CERTIFY), "--max-group-size 256"),
        (adaptive(Rule.NEVER, 100), "--budget 200"),
    ],
)
def test_an_adaptive_run_gets_more_of_what_ended_it(settings: CalibrationSettings, option: str) -> None:
    """The option is the one that stopped the open tasks."""
    run = replace(RUN, settings=settings)
    assert next_step(result_of(run, [counted(2, 6)]), OPEN, RUN.id) == f"{RESUME} --extend {option}"


def test_a_run_that_is_not_whole_is_resumed() -> None:
    """Lost and missing rollouts come first: more of them would not help."""
    for run, rows in (
        (replace(RUN, interrupted=True), [counted(2, 6)]),
        (replace(RUN, stopped="the disk is full"), [counted(2, 6)]),
        (RUN, [calibration(record("a"), [graded(1, 1), lost()])]),
    ):
        assert next_step(result_of(run, rows), OPEN, RUN.id) == RESUME


@pytest.mark.parametrize("actions", [set(), {TaskAction.KEEP}, {TaskAction.KEEP, TaskAction.MAKE_HARDER}])
def test_a_decided_run_suggests_nothing(actions: set[TaskAction]) -> None:
    """Where every verdict is sure, no command would add to it."""
    assert next_step(result_of(RUN, [counted(4, 4)]), actions, RUN.id) == ""


def test_an_imported_run_is_never_resumed() -> None:
    """Its rollouts were made elsewhere, lost ones among them."""
    run = replace(RUN, engine="imported", interrupted=True)
    result = result_of(run, [calibration(record("a"), [graded(1, 1), lost()])])
    assert "import it again" in next_step(result, OPEN, RUN.id)
    assert next_step(result_of(run, [counted(4, 4)]), {TaskAction.KEEP}, RUN.id) == ""


@pytest.mark.parametrize(("source", "word"), [("oracle", "solution"), ("noop", "untouched")])
def test_the_built_in_agents_point_at_the_task(source: str, word: str) -> None:
    """A task that fails them needs a change; if none does, the next step is a real agent."""
    run = replace(RUN, agent=source, agent_source=source)
    assert word in next_step(result_of(run, [counted(4, 4)]), {TaskAction.FIX}, RUN.id)
    assert (
        next_step(result_of(run, [counted(8, 0)]), {TaskAction.SOLVED}, RUN.id)
        == "taskcal run tasksets/shop.yaml --agent AGENT"
    )
