"""The file that programs read."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from taskcal.errors import Boundary
from taskcal.report.calibration_json import calibration_document, render_json
from tests.report.sample_run import calibration, graded, lost, record, result_of, run_record, shop


def read(*calibrations: Any) -> Any:
    return json.loads(render_json(calibration_document(result_of(run_record("a note"), calibrations))))


def test_the_keys_are_a_promise() -> None:
    """Every key that programs may rely on is there, under its name, for measured and unmeasured tasks alike."""
    document = read(*shop())
    assert list(document) == ["schema", "run", "taskset", "tasks"]
    assert document["schema"] == "taskcal/calibration@1"
    assert set(document["run"]) >= {
        "id", "agent", "agent_version", "group_size", "band", "started_at", "seed", "version", "notes", "adaptive",
        "error_rate", "rule", "max_group_size", "budget", "flat_tolerance", "metric", "prior_run", "stopped",
    }  # fmt: skip
    assert set(document["taskset"]) == {
        "tasks", "in_band", "too_hard", "too_easy", "unmeasured", "broken", "certified", "likely", "leaning",
        "attempted", "graded", "timed_out", "lost", "lost_by", "retried", "cost_usd", "cost_unknown",
        "rollouts_saved", "equal_group_size",
        "mean_success_rate", "success_rate_error", "success_rate_interval", "these_tasks_error", "these_tasks_interval",
        "mean_signal", "flat_share", "prompt_yield",
        "selected_rate", "selected_outside", "expected", "doubt",
    }  # fmt: skip
    wanted = {
        "id", "task", "variant", "params", "tags", "file", "line", "override", "n", "passed", "lost", "missing",
        "retried", "lost_by", "timed_out", "crashed", "stops", "identical_transcripts", "own_word", "service_ended",
        "success_rate", "posterior_mean", "interval",
        "interval_method", "mean_reward", "contrast", "contrast_unbiased", "signal", "signal_unbiased",
        "partial_signal", "recommended_group_size", "checks", "rewards", "seconds", "cost_usd", "cost_unknown",
        "verdict", "strength", "claim", "posterior", "prior", "robust", "certificate", "decided_at", "closed", "doubts",
        "limits", "reason", "why", "advice",
    }  # fmt: skip
    assert all(set(task) == wanted for task in document["tasks"])


@pytest.mark.parametrize("note", ["", 'é \\ "a, b": {}', "\ud800"])
def test_the_layout_is_that_of_python(note: str) -> None:
    """Indented by two and in ASCII, also with texts that strict writers of JSON refuse."""
    document = calibration_document(result_of(run_record(note), shop()))
    assert render_json(document) == json.dumps(document, indent=2) + "\n"


def test_the_numbers_of_known_rollouts() -> None:
    """Two of six passed, two were lost: each number can be worked out by hand, and only the cost counts the lost."""
    outcomes = [graded(1, 1)] * 2 + [graded(1, 0)] * 2 + [graded(0, 0)] * 2 + [lost(), lost(Boundary.PROVIDER, "429")]
    task = read(calibration(record("ship-order", "high-level"), outcomes, cost=0.5))["tasks"][0]
    assert (task["id"], task["task"], task["variant"]) == ("ship-order/high-level", "ship-order", "high-level")
    assert (task["n"], task["passed"], task["lost"]) == (6, 2, 2)
    assert task["lost_by"] == {"sandbox": 1, "provider": 1}
    assert task["stops"] == {"finished": 6}
    assert task["success_rate"] == pytest.approx(1 / 3)
    assert task["mean_reward"] == pytest.approx(3.4 / 6)
    assert task["rewards"] == pytest.approx([1, 1, 0.7, 0.7, 0, 0])
    assert task["contrast"] == pytest.approx((2 + 2 * 0.49) / 6 - (3.4 / 6) ** 2)
    assert task["interval"] == pytest.approx([0.0968, 0.7000], abs=1e-4)
    assert task["checks"][1] == {"name": "tracking code is set", "weight": 0.3, "mean_score": pytest.approx(1 / 3)}
    assert sum(task["posterior"].values()) == pytest.approx(1)
    assert task["cost_usd"] == pytest.approx(4.0)
    assert (task["seconds"], task["verdict"], task["strength"]) == (12.0, "in-band", "likely")


def test_what_is_undefined_is_null() -> None:
    """A task whose rollouts were all lost has no rate, reward or signal: null, never 0."""
    task = read(calibration(record("a"), [lost()] * 8))["tasks"][0]
    undefined = (
        "success_rate", "interval", "mean_reward", "contrast", "contrast_unbiased", "signal", "signal_unbiased",
        "posterior", "strength", "seconds", "cost_usd",
    )  # fmt: skip
    assert {name: task[name] for name in undefined} == dict.fromkeys(undefined)
    assert (task["n"], task["lost"], task["verdict"], task["rewards"]) == (0, 8, "unmeasured", [])
    assert [check["mean_score"] for check in task["checks"]] == [None, None]
    assert task["reason"] == "sandbox: the container died"


def test_the_taskset_counts() -> None:
    """The verdicts add up to the tasks, which stand in the order of the taskset."""
    document = read(*shop())
    taskset = document["taskset"]
    verdicts = ("in_band", "too_hard", "too_easy", "unmeasured", "broken")
    assert [taskset[name] for name in verdicts] == [4, 3, 2, 1, 0]
    assert (taskset["tasks"], taskset["graded"], taskset["lost"], taskset["leaning"]) == (10, 93, 10, 6)
    assert taskset["flat_share"] == pytest.approx(1 - taskset["mean_signal"])
    assert [task["id"] for task in document["tasks"]] == [str(row.group.id) for row in shop()]


def test_no_number_is_nan() -> None:
    """JSON has no NaN or infinity: a param that YAML wrote as `.nan` leaves as null."""
    odd = replace(record("a"), params={"limit": math.nan, "most": math.inf, "n": 3})
    assert read(calibration(odd, [graded(1, 1)]))["tasks"][0]["params"] == {"limit": None, "most": None, "n": 3}


def test_it_is_safe_on_a_terminal() -> None:
    """`--json` may be looked at: every character outside plain ASCII is escaped, and reads back as it was."""
    name = "\x1b[31mred\x9b0m \u202e\x7f </script> \ud800"
    text = render_json(calibration_document(result_of(run_record(), [calibration(record(name), [graded(1, 1)])])))
    assert {character for character in text if not " " <= character <= "~"} == {"\n"}
    assert json.loads(text)["tasks"][0]["task"] == name
