"""What `--dry-run` says would run: how many rollouts, and from an earlier run how long and for how much."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from taskcal.cli.commands.dry_run import describe_request, expected_rollouts
from taskcal.cli.options.design import DesignOptions
from taskcal.core.plan import Selection
from taskcal.core.rollout import GroupId
from tests.cli.options.options_case import TASKSET, make_run, request
from tests.execution.schedule_case import FAILED, PASSED
from tests.store.store_case import edit

RUNS = Path("runs")
DECIDED = {"ship/1": [PASSED] * 64, "ship/2": [FAILED] * 64, "refund": [PASSED] * 64}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder, with a taskset in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(TASKSET)
    return tmp_path


def told(name: str, **given: Any) -> list[str]:
    """The lines of one name."""
    lines = describe_request(request(concurrency=2, **given)).splitlines()
    return [line.removeprefix(name).strip() for line in lines if line.split()[0] == name]


def adaptive(**typed: Any) -> DesignOptions:
    return DesignOptions(adaptive=True, **typed)


def test_a_fixed_run() -> None:
    """Exactly G of each group, at most their timeouts long; how long really, an earlier run would say."""
    assert told("rollouts") == ["24 (3 variants of 2 tasks, 8 each)"]
    assert told("at") == ["most      180 min of agent time, if every rollout takes its whole timeout"]
    assert told("expected") == ["--prior RUN, an earlier run of these tasks, would say which time and cost"]
    assert told("group") == ["ship/1", "ship/2", "refund"]


def test_an_adaptive_run() -> None:
    """The expectation under the default prior, which is far below the most that it may take."""
    (line,) = told("rollouts", design=adaptive())
    found = re.fullmatch(r"about (\d+) expected \(([\d.]+) each, default prior; at most 64 each\)", line)
    assert found
    assert int(found[1]) == round(3 * float(found[2]))
    assert 3 * 4 < int(found[1]) < 3 * 32
    (worst,) = told("at", design=adaptive())
    assert worst.startswith(f"most      {3 * 64 * 15 // 2} min of agent time, ")


def test_a_warm_start_takes_fewer() -> None:
    """What an earlier run was sure of needs few rollouts to be sure of again; it is named."""
    make_run(RUNS, "first", request(), DECIDED)
    cold = expected_rollouts(request(design=adaptive()), 3)
    warm = expected_rollouts(request(design=adaptive(prior="first")), 3)
    assert 3 * 4 <= warm < 0.7 * cold
    (line,) = told("rollouts", design=adaptive(prior="first"))
    assert line.startswith(f"about {warm:.0f} expected ({warm / 3:.1f} each, as in run first; ")


@pytest.mark.parametrize("is_adaptive", [False, True])
def test_time_and_cost_come_from_the_earlier_run(is_adaptive: bool) -> None:
    """At 10 seconds and 2 cents a rollout, two at a time, for as many as are expected."""
    make_run(RUNS, "first", request(), DECIDED)
    typed = DesignOptions(adaptive=is_adaptive, prior="first")
    rollouts = expected_rollouts(request(design=typed), 3)
    assert is_adaptive == (rollouts != 24)
    time, cost = told("expected", design=typed)
    minutes, seconds = divmod(round(rollouts * 10 / 2), 60)
    assert time == f"{minutes}m {seconds:02d}s, at 10s a rollout as in run first"
    assert cost == f"${rollouts * 0.02:.2f}, at $0.0200 a rollout"


def test_an_earlier_run_without_times_is_not_asked_for_again() -> None:
    """Who gave --prior already is not told to give it."""
    run = make_run(RUNS, "first", request(), DECIDED)
    edit(run.path / "rollouts.jsonl", ("10.0", "0.0"), ("0.02", "null"))
    assert told("expected", design=adaptive(prior="first")) == []


@pytest.mark.parametrize(("budget", "expected"), [(10, 10), (100_000, 192)])
def test_a_budget_bounds_it(budget: int, expected: int) -> None:
    """It is spent whole, as far as every group's cap allows; so is the time at the worst."""
    (line,) = told("rollouts", design=adaptive(budget=budget))
    assert line.startswith(f"about {expected} expected (")
    assert line.endswith(f" each, default prior; at most 64 each, {budget} in all)")
    (worst,) = told("at", design=adaptive(budget=budget))
    assert worst.startswith(f"most      {expected * 15 // 2} min ")


def test_a_budget_with_a_rule_may_be_more_than_is_needed() -> None:
    """Then the rule says when there is enough."""
    free = expected_rollouts(request(design=adaptive()), 3)
    assert expected_rollouts(request(design=adaptive(budget=9999, stop="sure")), 3) == free
    assert expected_rollouts(request(design=adaptive(budget=13, stop="sure")), 3) == 13


def test_what_cannot_be_measured_is_not_expected() -> None:
    """A group that asks for more than is allowed is named with its reason and counts no rollouts."""
    assert told("rollouts", max_memory="16m") == ["0 (0 tasks, 8 each)"]
    assert len(told("unmeasured", max_memory="16m")) == 3
    (line,) = told("rollouts", max_memory="16m", design=adaptive())
    assert line.startswith("about 0 expected (0.0 each")


def test_only_what_is_chosen_is_counted() -> None:
    """A part of the taskset, with the counts of that part."""
    make_run(RUNS, "first", request(), DECIDED)
    found = request(design=adaptive(prior="first"), selection=Selection(("refund",)))
    assert set(found.settings.earlier) == {GroupId("refund", "")}
    assert told("tasks", selection=Selection(("refund",))) == ["1 task"]
