"""The run folder's JSON: what is written is what is read, and what was damaged is named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.group_record import GroupRecord
from taskcal.core.rollout import CheckResult, Graded, GroupId, Lost, Rollout, RolloutId, Stop, Timing, Usage
from taskcal.core.run import RunRecord
from taskcal.core.settings import CalibrationSettings, Metric
from taskcal.core.stats.prior import Counts
from taskcal.core.task import Group
from taskcal.core.verdict import Band
from taskcal.errors import Boundary
from taskcal.store.rollout_rows import read_rollout, rollout_row
from taskcal.store.run_rows import group_record, group_row, read_groups, read_run, run_row
from taskcal.store.typed_json import RowError
from tests.core.core_case import IMAGES, rollouts, task

SHARES = st.floats(0, 1)
COUNTS = st.integers(0, 10**9)
SECONDS = st.integers(0, 10**8).map(lambda ticks: round(ticks / 10**4, 4))  # stored with four digits
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
IDS = st.builds(RolloutId, st.builds(GroupId, st.text(), st.text()), COUNTS, COUNTS)
CHECK_RESULTS = st.builds(CheckResult, st.text(), NUMBERS, SHARES, st.text(), st.booleans())
GRADED = st.builds(Graded, st.sampled_from(Stop), SHARES, st.booleans(), st.lists(CHECK_RESULTS).map(tuple))
LOST = st.builds(Lost, st.sampled_from(Boundary), st.text())
USAGE = st.builds(Usage, *[st.none() | COUNTS] * 3, st.none() | st.floats(0, 1e6))
TIMING = st.builds(Timing, *[SECONDS] * len(Timing.__dataclass_fields__))
ROLLOUTS = st.builds(
    Rollout,
    IDS,
    GRADED | LOST,
    st.none() | st.text(),
    st.none() | COUNTS,
    USAGE,
    TIMING,
    st.text(max_size=30),
    st.none() | st.text(),
)
SCALARS = st.none() | st.booleans() | st.integers() | NUMBERS | st.text()
GROUPS = st.builds(
    GroupRecord,
    id=st.builds(GroupId, st.text(), st.text()),
    params=st.dictionaries(st.text(), SCALARS),
    prompt=st.text(),
    tags=st.lists(st.text()).map(tuple),
    passing=SHARES,
    checks=st.lists(st.tuples(st.text(), NUMBERS)).map(tuple),
    file=st.text(),
    line=COUNTS,
    parts=st.dictionaries(st.text(), st.text()),
)
QUESTION = CalibrationSettings(
    group_size=8,
    design=Design(band=Band(0.1, 0.9), error_rate=0.01, rule=Rule.VALUE, cap=32, budget=500, learn=False),
    flat_tolerance=0.05,
    metric=Metric.REWARD,
    earlier={GroupId("a", "b"): Counts(2, 9)},
)
RUN = RunRecord(
    id="20250102-030405-shop-ab12",
    taskset="shop",
    taskset_files=("shop.yaml", "more.yaml"),
    taskset_digest="aa" * 32,
    agent="simulated",
    agent_digest="bb" * 32,
    settings=QUESTION,
    seed=7,
    concurrency=4,
    retries=2,
    started_at="2025-01-02T03:04:05Z",
    version="0.1.0",
    engine="Docker 20.10",
    host="Linux",
    images={"a/b": "sha256:1"},
    groups={"a/b": IMAGES},
    notes=("no model",),
    seconds=93.5,
    interrupted=True,
)
REWARDED = Graded(Stop.FINISHED, 0.7, passed=False, checks=(CheckResult("a", 0.7, 1.0), CheckResult("b", 0.3, 0.0)))


def through_json(row: Any) -> Any:
    """As a line of a file would bring it back; NaN is no JSON."""
    return json.loads(json.dumps(row, allow_nan=False))


def rollout_of(row: Any) -> Rollout:
    return read_rollout(json.dumps(row).encode())


def run_of(row: Any) -> RunRecord:
    return read_run(json.dumps(row).encode())


def group_of(row: Any) -> GroupRecord:
    return read_groups(json.dumps({"groups": [row]}).encode())[0]


def row_with(**changed: Any) -> dict[str, Any]:
    """A graded row with some keys replaced."""
    return {**through_json(rollout_row(rollouts([REWARDED])[0])), **changed}


@given(rollout=ROLLOUTS)
def test_rollouts_come_back_as_they_were(rollout: Rollout) -> None:
    """Any rollout, graded or lost, with any text in it."""
    assert rollout_of(through_json(rollout_row(rollout))) == rollout


@pytest.mark.parametrize("answer", ["\ud800", "\udc00 x", "\ud800A", "\U00010000", "\x00"])
def test_any_text_of_an_agent_comes_back(answer: str) -> None:
    """Python writes lone surrogates, which strict readers of JSON refuse."""
    rollout = replace(rollouts([REWARDED])[0], answer=answer)
    assert rollout_of(rollout_row(rollout)) == rollout


@given(group=GROUPS)
def test_groups_come_back_as_they_were(group: GroupRecord) -> None:
    """Any group, with params of every kind."""
    assert group_of(through_json(group_row(group))) == group


@pytest.mark.parametrize("run", [RUN, replace(RUN, notes=(), images={}, groups={}, seconds=None, interrupted=False)])
def test_runs_come_back_as_they_were(run: RunRecord) -> None:
    """Finished or under way."""
    assert run_of(through_json(run_row(run))) == run
    assert (run.group_size, run.band) == (8, Band(0.1, 0.9))


def test_a_graded_row_has_the_promised_keys() -> None:
    """Other programs read these lines: the names and the kinds of the values are a promise."""
    row = row_with()
    assert list(row) == [
        "key", "task", "variant", "index", "attempt", "outcome", "stop", "reward", "passed", "checks", "answer",
        "turns", "usage", "timing_s", "started_at",
    ]  # fmt: skip
    assert (row["key"], row["outcome"], row["stop"], row["reward"]) == ("task#0", "graded", "finished", 0.7)
    assert list(row["usage"]) == ["input_tokens", "cached_tokens", "output_tokens", "cost_usd"]
    assert list(row["timing_s"]) == ["queue", "start", "setup", "agent", "grade", "close", "total"]
    assert row["checks"][0] == {"name": "a", "weight": 0.7, "score": 1.0, "note": "", "required": False}


@given(outcome=LOST)
def test_a_lost_row_has_no_reward(outcome: Lost) -> None:
    """Not 0, not null: no key at all that an average could pick up."""
    row = rollout_row(rollouts([outcome])[0])
    assert {"reward", "passed", "stop", "checks"} & set(row) == set()
    assert (row["outcome"], row["boundary"], row["reason"]) == ("lost", outcome.boundary, outcome.reason)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"task": None}, "task: must be text"),
        ({"variant": 3}, "variant: must be text"),
        ({"index": -1}, "index: must be a whole number from 0"),
        ({"attempt": True}, "attempt: must be a whole number from 0"),
        ({"index": "0"}, "index: must be"),
        ({"outcome": "failed"}, "outcome: 'failed' is neither graded nor lost"),
        ({"outcome": None}, "outcome: must be text"),
        ({"outcome": "lost"}, "boundary: must be text"),
        ({"outcome": "lost", "boundary": "engin", "reason": ""}, "boundary: 'engin' is not a valid Boundary"),
        ({"stop": "done"}, "stop: 'done' is not a valid Stop"),
        ({"reward": None}, "reward: must be a number"),
        ({"reward": True}, "reward: must be a number"),
        ({"reward": float("nan")}, "reward: must be a number"),
        ({"reward": 10**400}, "reward: must be a number"),
        ({"reward": 1.5}, r"reward: must be in \[0, 1\]"),
        ({"passed": 1}, "passed: must be true or false"),
        ({"checks": [{"name": "a", "weight": 1, "score": -1}]}, r"score: must be in \[0, 1\]"),
        ({"checks": [{"name": "a", "score": 1}]}, "weight: must be a number"),
        ({"answer": 42}, "answer: must be text"),
        ({"turns": -1}, "turns: must be a whole number"),
        ({"usage": [1]}, "usage: must be an object"),
        ({"usage": {"cost_usd": "0.5"}}, "cost_usd: must be a number"),
        ({"usage": {"input_tokens": 1.5}}, "input_tokens: must be a whole number"),
        ({"timing_s": {"total": "12 s"}}, "total: must be a number"),
    ],
    ids=str,
)
def test_a_damaged_row_names_its_key(changed: dict[str, Any], message: str) -> None:
    """What would change a number is refused with the name of the key, never read as something else."""
    with pytest.raises(RowError, match=message):
        rollout_of(row_with(**changed))


def test_later_keys_and_missing_details_are_no_damage() -> None:
    """A later version may add keys; an importer may leave out what it does not know."""
    row = row_with(colour="blue")
    for name in ("answer", "turns", "usage", "timing_s", "started_at", "checks", "key"):
        del row[name]
    expected = replace(REWARDED, checks=())
    assert rollout_of(row) == replace(rollouts([expected])[0], started_at="")
    assert run_of({**through_json(run_row(RUN)), "colour": "blue"}) == RUN
    older: dict[str, Any] = {"agent_source": "", "images": {}, "notes": (), "seconds": None, "interrupted": False}
    row = {name: value for name, value in through_json(run_row(RUN)).items() if name not in older}
    assert run_of(row) == replace(RUN, **older)
    assert group_of({"task": "a", "variant": "", "passing": 1}).checks == ()


@pytest.mark.parametrize("name", ["id", "band", "seed", "group_size", "started_at", "host"])
def test_a_run_without_what_it_needs_is_refused(name: str) -> None:
    """The missing key is named."""
    row = through_json(run_row(RUN))
    del row[name]
    with pytest.raises(RowError, match=f"^{name}: must be"):
        run_of(row)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"id": None}, "id: must be text"),
        ({"taskset": 3}, "taskset: must be text"),
        ({"taskset_files": [1]}, "taskset_files: must be text"),
        ({"taskset_files": "a.yaml"}, "taskset_files: must be a list"),
        ({"group_size": "8"}, "group_size: must be a whole number from 0"),
        ({"group_size": 10**400}, "group_size: must be a whole number from 0"),
        ({"group_size": 0}, "group_size: must be at least 1"),
        ({"group_size": True}, "group_size: must be a whole number"),
        ({"concurrency": 1.5}, "concurrency: must be a whole number"),
        ({"retries": -1}, "retries: must be a whole number from 0"),
        ({"seed": "7"}, "seed: must be a whole number"),
        ({"seed": 10**400}, "seed: must be a whole number"),
        ({"images": [1]}, "images: must be an object"),
        ({"images": {"a": 1}}, "a: must be text"),
        ({"notes": [1]}, "notes: must be text"),
        ({"notes": "one"}, "notes: must be a list"),
        ({"seconds": "x"}, "seconds: must be a number"),
        ({"seconds": float("inf")}, "seconds: must be a number"),
        ({"interrupted": 1}, "interrupted: must be true or false"),
        ({"agent_source": 1}, "agent_source: must be text"),
        ({"band": [0.9, 0.1]}, "band: the lower end comes first"),
        ({"band": [0.1, float("nan")]}, "band: must be a number"),
        ({"band": [0.1, 2]}, r"band: must be in \[0, 1\]"),
        ({"band": [0.1]}, "band: must be two numbers"),
        ({"band": ["0.1", "0.9"]}, "band: must be a number"),
        ({"band": "09"}, "band: must be a list"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_damaged_run_names_its_key(changed: dict[str, Any], message: str) -> None:
    """No value of another kind gets into a run's record, to break a report or a resumed run later."""
    with pytest.raises(RowError, match=f"^{message}"):
        run_of({**through_json(run_row(RUN)), **changed})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"task": 1}, "task: must be text"),
        ({"params": [1]}, "params: must be an object"),
        ({"params": {"a": [1]}}, "a: must be one value"),
        ({"params": {"a": float("nan")}}, "a: must be a number"),
        ({"prompt": 3}, "prompt: must be text"),
        ({"tags": "sql"}, "tags: must be a list"),
        ({"tags": [None]}, "tags: must be text"),
        ({"passing": "1"}, "passing: must be a number"),
        ({"passing": 2}, r"passing: must be in \[0, 1\]"),
        ({"checks": {"a": 1}}, "checks: must be a list"),
        ({"checks": [5]}, "checks: must be an object"),
        ({"checks": [{"name": "a", "weight": float("inf")}]}, "weight: must be a number"),
        ({"file": 3}, "file: must be text"),
        ({"line": "3"}, "line: must be a whole number"),
        ({"override": "root"}, "override: must be an object"),
        ({"override": {"agent": "root"}}, "task: must be text"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_damaged_group_names_its_key(changed: dict[str, Any], message: str) -> None:
    """No value of another kind gets into a remembered group."""
    row = {"task": "a", "variant": "", "passing": 1, "checks": []}
    with pytest.raises(RowError, match=f"^{message}"):
        group_of({**row, **changed})


def test_a_group_is_remembered_without_its_taskset() -> None:
    """Its id, params, prompt, passing and weights are what a later report needs."""
    shop = task("ship", "easy:order=12", tags=["sql"])
    found = group_record(Group(shop, shop.variants[0]))
    assert found.id == GroupId("ship", "easy")
    assert (found.params, found.prompt, found.tags) == ({"order": "12"}, "Do it.", ("sql",))
    assert (found.passing, found.checks) == (1.0, (("a", 1.0),))


@pytest.mark.parametrize("user", [None, "root"])
def test_another_user_of_the_agents_file_is_remembered(user: str | None) -> None:
    """In the run's folder, so that every later report has it."""
    shop = task("ship", "easy:order=12")
    found = group_record(Group(shop, shop.variants[0]), user)
    assert (found.override is None) is (user is None)
    assert group_of(through_json(group_row(found))) == found
