"""What every format says of an adaptive run."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.core.adaptive.design import Rule
from taskcal.core.calibration.calibrate import calibrate
from taskcal.core.forecast.fixed_sizes import size_as_good
from taskcal.core.settings import Metric
from taskcal.core.stats.rates import DEFAULT_PRIOR
from taskcal.report.calibration_json import calibration_document, render_json
from taskcal.report.markdown import render_markdown
from taskcal.report.table import final_lines, rates_legend, run_title
from taskcal.report.wording import stopping
from taskcal.report.wording.stopping import Saving
from tests.report.sample_run import (
    QUESTION,
    adaptive,
    calibration,
    counted,
    graded,
    lost,
    record,
    result_of,
    rollouts,
    run_record,
    shop,
)

if TYPE_CHECKING:
    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.rollout import Outcome
    from taskcal.core.settings import CalibrationSettings

FULL, NONE = graded(1, 1), graded(0, 0)


def rows(settings: CalibrationSettings, losses: int = 3) -> list[Calibration]:
    """Decided late and early, left open, lost: what can become of a task. They are judged together."""
    outcomes: dict[str, list[Outcome]] = {
        "easy": [FULL] * 9,
        "hard": [NONE] * 19,
        "open": [*[FULL] * 5, *[NONE] * 3],
        "gone": [lost()] * losses,
    }
    groups = [record(name) for name in outcomes]
    every = [row for group in groups for row in rollouts(group, outcomes[group.id.task])]
    return list(calibrate(groups, every, settings))


def document(settings: CalibrationSettings, calibrations: list[Calibration]) -> Any:
    return json.loads(render_json(calibration_document(result_of(run_record(settings=settings), calibrations))))


def test_decided_open_and_saved() -> None:
    """Each task is decided or open, with the reason; saved is against fixed groups that are wrong as seldom."""
    settings = adaptive()
    found = rows(settings)
    saved = stopping.saving(result_of(run_record(settings=settings), found))
    assert saved is not None
    assert saved.saved == 3 * (saved.group_size or 0) - 39
    assert stopping.describe_stopping(result_of(run_record(settings=settings), found)) == (
        "Adaptive, each task until it is sure: 2 of 4 decided (confident 2); 2 open (cut short 1, too many losses 1); "
        "39 rollouts, 27 saved against fixed groups of 22, which would be wrong as seldom. "
        "Success rates are posterior means with 95 % intervals: k/n is biased where n depends on what was seen."
    )


def test_saved_is_against_groups_that_are_wrong_as_seldom() -> None:
    """By the default prior: two tasks at 7/7 and 0/19 are wrong with 4 %, which takes groups of 81 and not of 64."""
    settings = adaptive()
    found = [counted(7, 0, settings), counted(0, 19, settings)]
    saved = stopping.saving(result_of(run_record(settings=settings), found))
    wrong = sum(one.judgement.chance_wrong or 0.0 for one in found) / 2
    assert saved == Saving(size_as_good((DEFAULT_PRIOR,) * 2, settings.band, wrong), 2 * 81 - 26)
    assert ", 136 saved against fixed groups of 81, which would be wrong as seldom. " in stopping.describe_stopping(
        result_of(run_record(settings=settings), found)
    )


def test_no_group_looked_at_may_be_as_good() -> None:
    """0 of 64 is wrong so seldom that groups of 256 are worse: at least as many are saved as against these."""
    settings = adaptive(Rule.CERTIFY)
    found = [counted(0, 64, replace(settings, design=replace(settings.design, error_rate=0.001)))]
    assert stopping.saving(result_of(run_record(settings=settings), found)) == Saving(None, 256 - 64)
    assert "over 192 saved: fixed groups of 256 would be wrong more often" in stopping.describe_stopping(
        result_of(run_record(settings=settings), found)
    )


def test_a_budget_is_compared_too() -> None:
    """Spent to its end on every task; what it decided is what it is sure of."""
    settings = adaptive(Rule.NEVER, budget=36)
    found = rows(settings, losses=0)
    assert stopping.describe_stopping(result_of(run_record(settings=settings), found)).startswith(
        "Adaptive, a budget, spent where it is worth most: 2 of 4 decided (likely 2); 2 open (out of budget 2); "
        "36 rollouts of a budget of 36, "
    )
    saved = stopping.saving(result_of(run_record(settings=settings), found))
    assert saved is not None
    assert saved.saved == 3 * (saved.group_size or 0) - 36


def test_certified_runs_go_to_their_own_cap() -> None:
    """What takes a certificate takes up to 128; 0 of 32 is decided there, 0 of 19 is not."""
    settings = adaptive(Rule.CERTIFY)
    found = [counted(0, 32, settings), counted(0, 19, settings)]
    assert "1 of 2 decided (certified 1); 1 open (cut short 1)" in stopping.describe_stopping(
        result_of(run_record(settings=settings), found)
    )


def test_a_fixed_design_has_no_such_sentence() -> None:
    """Nothing was decided on the way."""
    assert stopping.describe_stopping(result_of(run_record(settings=QUESTION), shop())) == ""


def test_the_table_shows_what_may_be_read() -> None:
    """Posterior means, and the counts that the verdict rests on, with what came late and what was lost beside them."""
    settings = adaptive()
    lines = final_lines(result_of(run_record(settings=settings), rows(settings)))
    easy, gone = (next(line for line in lines if line.startswith(name)) for name in ("easy  ", "gone  "))
    assert lines[2].split()[:4] == ["task", "passed", "success", "rate"]
    assert "7/7 +2 late  95 % [72\N{EN DASH}>99]" in easy
    assert "0/0 +3 lost" in gone
    assert "groups of" not in run_title(run_record(settings=settings))
    assert "at most 64 rollouts of each" in run_title(run_record(settings=settings))
    assert "posterior mean" in rates_legend(run_record(settings=settings))
    assert "Wilson" not in "\n".join(lines)


def test_markdown_shows_the_same() -> None:
    """Its legend says which interval it is, its design how long it went on, and its command asks for the same again."""
    settings = adaptive()
    text = render_markdown(result_of(run_record(settings=settings), rows(settings)))
    assert "| easy | 7/7 +2 late | 95 % [72\N{EN DASH}>99] |" in text
    assert "the success rate is the\nposterior mean" in text
    assert "| design | adaptive, each task until it is sure, at most 64 rollouts; signal of groups of 8 |" in text
    assert "--group-size 8 --seed 7 --adaptive\n" in text
    assert "Wilson" not in text


def test_json_has_the_decision() -> None:
    """What was asked, what was saved, and for each task the counts it was decided at and why it got no more."""
    settings = adaptive()
    found = document(settings, rows(settings))
    asked = {name: found["run"][name] for name in ("adaptive", "rule", "max_group_size", "budget", "error_rate")}
    assert asked == {"adaptive": True, "rule": "posterior", "max_group_size": 64, "budget": None, "error_rate": 0.05}
    saved, size = found["taskset"]["rollouts_saved"], found["taskset"]["equal_group_size"]
    assert saved == max(0, 3 * size - 39)
    easy, hard, still, gone = found["tasks"]
    assert (easy["n"], easy["decided_at"], easy["closed"], easy["interval_method"]) == (
        9,
        [7, 7],
        "confident",
        "posterior",
    )
    assert (hard["decided_at"], hard["closed"], hard["certificate"]) == ([0, 19], "confident", None)
    assert (still["decided_at"], still["closed"], still["strength"]) == ([5, 8], None, "leaning")
    assert (gone["decided_at"], gone["closed"], gone["claim"]) == (None, "losses", "")
    assert easy["posterior_mean"] == pytest.approx(0.95, abs=0.005)
    assert easy["success_rate"] == 1.0


def test_json_of_a_fixed_run() -> None:
    """Nothing adaptive in it: null, never 0; and every doubt, limit and copy under its key."""
    found = document(QUESTION, shop())
    assert (found["run"]["adaptive"], found["run"]["max_group_size"], found["run"]["rule"]) == (False, None, "fixed")
    assert found["taskset"]["rollouts_saved"] is None
    hard = next(task for task in found["tasks"] if task["id"] == "ship-order/high-level")
    assert (hard["interval_method"], hard["prior"], hard["robust"], hard["closed"]) == ("wilson", "default", None, None)
    assert (hard["partial_signal"], hard["doubts"], hard["limits"], hard["decided_at"]) == (True, [], False, [0, 8])
    assert hard["claim"] == "p < 0.05 with probability 86 %"
    slow = next(task for task in found["tasks"] if task["task"] == "merge-customers")
    assert (slow["limits"], slow["recommended_group_size"]) == (True, None)


def test_json_of_the_taskset_adds_up() -> None:
    """Attempted is graded and lost, strengths and expected classes sum to the measured, the yield has both sides."""
    found = document(QUESTION, shop())["taskset"]
    assert found["attempted"] == found["graded"] + found["lost"] == 103
    assert found["lost_by"] == {"sandbox": 1, "provider": 1, "image": 8}
    assert (found["certified"], found["likely"], found["leaning"]) == (0, 3, 6)
    assert sum(found["expected"].values()) == pytest.approx(9)
    before, after = found["prompt_yield"]["before"], found["prompt_yield"]["after"]
    assert before["ratio"] == pytest.approx(found["mean_signal"])
    assert after["rollouts_per_useful_group"] == pytest.approx(8 / after["ratio"])
    assert found["success_rate_interval"][0] < found["mean_success_rate"] < found["success_rate_interval"][1]
    assert 0 < found["selected_outside"] < 1
    nothing = document(QUESTION, [])["taskset"]
    assert nothing["prompt_yield"] == {"before": None, "after": None}
    assert (nothing["expected"], nothing["success_rate_interval"], nothing["doubt"]) == (None, None, None)


def test_json_of_mean_rewards() -> None:
    """There is no prior: prior none, robust and posterior null, and the counts are all that were graded."""
    settings = replace(QUESTION, metric=Metric.REWARD)
    found = document(settings, [calibration(record("a"), [FULL, NONE], settings=settings)])
    task = found["tasks"][0]
    assert found["run"]["metric"] == "reward"
    assert (task["prior"], task["robust"], task["posterior"], task["decided_at"]) == ("none", None, None, [1, 2])
