"""Rows as rollouts: what has no reward is lost and never 0, and what cannot be understood is refused with its line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.core.rollout import CheckResult, Graded, GroupId, Lost, Outcome, Stop
from taskcal.errors import Boundary
from taskcal.interop.rows import NO_REWARD, SAID_LOST
from tests.interop.table_case import imported, jsonl, refused

if TYPE_CHECKING:
    from pathlib import Path


def outcome(folder: Path, row: dict[str, Any], *maps: str, **reading: Any) -> Outcome:
    """What came of a row of the task `a`."""
    (rollout,) = imported(jsonl(folder, {"task": "a", **row}), *maps, **reading).rollouts
    return rollout.outcome


@pytest.mark.parametrize("reward", ["", " ", "NaN", "nan", "null", "None", "NA", "n/a", "#N/A", "<NA>", None, math.nan])
def test_no_reward_is_lost_and_never_zero(tmp_path: Path, reward: object) -> None:
    """However a table writes that a number is not there."""
    assert outcome(tmp_path, {"reward": reward}) == Lost(Boundary.UNKNOWN, NO_REWARD)


def test_a_row_without_the_key_is_lost(tmp_path: Path) -> None:
    """JSONL may leave out what is null."""
    found = imported(jsonl(tmp_path, {"task": "a", "reward": 0}, {"task": "a"}))
    assert [type(rollout.outcome) for rollout in found.rollouts] == [Graded, Lost]
    assert found.lost == 1


@pytest.mark.parametrize(
    ("reward", "value"),
    [
        (1, 1.0),
        (0, 0.0),
        (0.25, 0.25),
        ("0.5", 0.5),
        (" 1e-1 ", 0.1),
        (".5", 0.5),
        (True, 1.0),
        (False, 0.0),
        ("True", 1.0),
        ("false", 0.0),
        ("yes", 1.0),
        ("No", 0.0),
        (1 + 1e-12, 1.0),
        (-1e-12, 0.0),
    ],
)
def test_a_reward_is_a_number_or_true_or_false(tmp_path: Path, reward: object, value: float) -> None:
    """As such or as text; what a sum in binary adds to 1 or takes from 0 is forgiven."""
    assert outcome(tmp_path, {"reward": reward}) == Graded(Stop.FINISHED, value, passed=value == 1.0, checks=())


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (1.5, "1.5 is outside 0 to 1; --reward-range LOW,HIGH says another range"),
        (-0.1, "-0.1 is outside 0 to 1; --reward-range LOW,HIGH says another range"),
        (math.inf, "inf is no number"),
        (10**400, f"1{'0' * 58}… is no number"),
        ("1e999", "1e999 is no number"),
        ("0,5", "0,5 is no number; decimals are written with a point"),
        ("1_0", "1_0 is no number"),
        ("\u0661", "\u0661 is no number"),
        ("passed\x1b[2J", "'passed\\x1b[2J' is no number"),
        ([1], "a list is no number"),
        ({"a": 1}, "an object is no number"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_any_other_reward_is_refused(tmp_path: Path, reward: object, message: str) -> None:
    """A number that cannot be understood is a mistake to be told, not a loss to be counted."""
    path = jsonl(tmp_path, {"task": "a", "reward": 1}, {"task": "a", "reward": reward})
    assert refused(path) == f"rows.jsonl:2: reward: {message}"


def test_rewards_of_another_range_are_brought_to_the_unit(tmp_path: Path) -> None:
    """-1 to 1 becomes 0 to 1, and passing is judged there."""
    path = jsonl(tmp_path, *({"task": "a", "reward": reward} for reward in (-1, 0, 0.6, 1)))
    found = imported(path, scale=(-1.0, 1.0), passing=0.8)
    outcomes = [rollout.outcome for rollout in found.rollouts]
    assert [(one.reward, one.passed) for one in outcomes if isinstance(one, Graded)] == [
        (0.0, False),
        (0.5, False),
        (0.8, True),
        (1.0, True),
    ]
    assert found.groups[0].passing == 0.8
    assert refused(path, scale=(0.0, 1.0)).startswith("rows.jsonl:1: reward: -1 is outside 0 to 1")


@pytest.mark.parametrize(
    ("lost", "boundary", "reason"),
    [
        (True, Boundary.UNKNOWN, SAID_LOST),
        (1, Boundary.UNKNOWN, SAID_LOST),
        ("True", Boundary.UNKNOWN, SAID_LOST),
        ("1.0", Boundary.UNKNOWN, SAID_LOST),
        ("yes", Boundary.UNKNOWN, SAID_LOST),
        ("provider", Boundary.PROVIDER, SAID_LOST),
        ("Agent_Install", Boundary.AGENT_INSTALL, SAID_LOST),
        ("the pod was evicted", Boundary.UNKNOWN, "the pod was evicted"),
        ({"type": "Timeout"}, Boundary.UNKNOWN, '{"type": "Timeout"}'),
        (["a"], Boundary.UNKNOWN, '["a"]'),
        ("x" * 5000, Boundary.UNKNOWN, "x" * 500),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_row_that_says_so_is_lost_whatever_its_reward(
    tmp_path: Path, lost: object, boundary: Boundary, reason: str
) -> None:
    """A 0 that was written where nothing was measured never counts; the text is a boundary or the reason."""
    for reward in (0, 1, "?"):
        assert outcome(tmp_path, {"reward": reward, "lost": lost}) == Lost(boundary, reason)


@pytest.mark.parametrize("lost", [False, 0, "", "false", "No", "0", "0.0", None, math.nan, "None", [], {}])
def test_a_row_that_says_that_nothing_was_lost_is_graded(tmp_path: Path, lost: object) -> None:
    """False, empty and missing are no reasons."""
    assert outcome(tmp_path, {"reward": 0, "lost": lost}) == Graded(Stop.FINISHED, 0.0, passed=False, checks=())


def test_the_reason_may_have_a_column_of_its_own(tmp_path: Path) -> None:
    """It says why, and perhaps where; of a graded row it says nothing."""
    assert outcome(tmp_path, {"reward": None, "reason": "grader"}) == Lost(Boundary.GRADER, NO_REWARD)
    assert outcome(tmp_path, {"reward": 1, "lost": "engine", "reason": 503}) == Lost(Boundary.ENGINE, "503")
    assert outcome(tmp_path, {"lost": "429", "reward": 1, "reason": "a limit"}) == Lost(Boundary.UNKNOWN, "a limit")
    assert isinstance(outcome(tmp_path, {"reward": 0, "reason": "grader"}), Graded)


def test_passed_may_have_a_column_of_its_own(tmp_path: Path) -> None:
    """What a row says of it comes before the bound; where it says nothing, the bound decides."""
    said = [(0.3, "yes"), (1, 0), (0.9, None), (0.8, "")]
    path = jsonl(tmp_path, *({"task": "a", "reward": reward, "passed": passed} for reward, passed in said))
    outcomes = [rollout.outcome for rollout in imported(path, passing=0.9).rollouts]
    assert [one.passed for one in outcomes if isinstance(one, Graded)] == [True, False, True, False]
    bad = jsonl(tmp_path, {"task": "a", "reward": 1, "passed": "maybe"})
    assert refused(bad) == "rows.jsonl:1: passed: maybe is neither true nor false"


def test_the_rest_of_a_row_is_kept(tmp_path: Path) -> None:
    """Stop, seconds, cost, tokens and checks, from the columns that the map names, also inside of objects."""
    row = {"task": 7, "r": {"sum": 0.5, "parts": {"a.b": 1, "c": "0"}}, "stop": "Out_Of_Memory"}
    row |= {"seconds": "12.5", "usd": 0.25, "tokens": {"in": 100.0, "out": "7"}, "variant": 0.5}
    path = jsonl(tmp_path, row, {**row, "r": {"sum": 1, "parts": {"a.b": None}}, "stop": None})
    map_ = "task=task,variant=variant,reward=r.sum,check.first=r.parts.a.b,check.second=r.parts.c"
    found = imported(path, map_, "stop=stop,seconds=seconds,cost=usd,input_tokens=tokens.in,output_tokens=tokens.out")
    first, second = found.rollouts
    checks = (CheckResult("first", 1.0, 1.0), CheckResult("second", 1.0, 0.0))
    assert first.outcome == Graded(Stop.OUT_OF_MEMORY, 0.5, passed=False, checks=checks)
    assert second.outcome == Graded(Stop.FINISHED, 1.0, passed=True, checks=())
    assert (first.id.group, first.timing.total) == (GroupId("7", "0.5"), 12.5)
    assert (first.usage.cost_usd, first.usage.input_tokens, first.usage.output_tokens) == (0.25, 100, 7)
    assert found.groups[0].checks == (("first", 1.0), ("second", 1.0))
    assert found.used["check.first"] == "r.parts.a.b"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "stop",
            "exploded",
            "exploded is none of finished, timeout, crashed, out-of-memory, max-turns, context-full, ",
        ),
        ("seconds", -1, "-1 is below 0"),
        ("cost", "cheap", "cheap is no number"),
        ("input_tokens", 1.5, "1.5 is no whole number from 0"),
        ("output_tokens", 1e300, "1e+300 is no whole number from 0"),
        ("variant", ["a"], "a list is no name"),
        ("task", True, "True is no name"),
        ("task", "x" * 501, f"{'x' * 59}… is a name of more than 500 characters"),
        ("task", "", "no name"),
        ("task", None, "no name"),
        ("check.a", 2, "2 is outside 0 to 1"),
        ("index", None, "no index"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_cell_that_does_not_fit_is_named(tmp_path: Path, key: str, value: object, message: str) -> None:
    """File, line, column and what it should be."""
    path = jsonl(tmp_path, {"task": "a", "reward": 1, key: value})
    map_ = ",".join(f"{name}={name}" for name in dict.fromkeys(("task", "reward", key)))
    assert refused(path, map_).startswith(f"rows.jsonl:1: {key}: {message}")
