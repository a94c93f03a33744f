"""From rows to groups: which column is which, whose rows they are, and in what order; never by a guess that may lie."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from taskcal.core.rollout import GroupId, Lost
from taskcal.errors import TaskcalError, UsageError
from taskcal.interop import rows
from taskcal.interop.columns import KEYS, guess_columns, parse_column_map
from taskcal.interop.rows import ImportedRollouts, ImportSettings, read_results
from taskcal.store.rollout_rows import read_rollout, rollout_row
from taskcal.store.run_rows import group_row, read_groups
from tests.interop.table_case import imported, jsonl, refused, write

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = ",".join(f"{key}={key}" for key in (*KEYS, "check.a"))


def test_rows_are_numbered_in_their_order(tmp_path: Path) -> None:
    """From 0 in each group, over all files; groups come in the order of their first rows and may differ in size."""
    first = jsonl(tmp_path, *({"task": task, "reward": 1} for task in "bab"))
    second = write(tmp_path, "task,variant,reward\nb,,0\na,x,1\na,,0\n", "more.csv")
    found = read_results([first, second], ImportSettings(guess_columns()))
    assert [rollout.id.key for rollout in found.rollouts] == ["b#0", "a#0", "b#1", "b#2", "a/x#0", "a#1"]
    places = [(str(group.id), group.file, group.line) for group in found.groups]
    assert places == [("b", str(first), 1), ("a", str(first), 2), ("a/x", str(second), 3)]


def test_rows_may_bring_their_own_numbers(tmp_path: Path) -> None:
    """Any order and any gaps; the same number twice is a mistake that names both places."""
    text = "task,reward,index\na,1,7\nb,0,7\na,0,2.0\n"
    map_ = "task=task,reward=reward,index=index"
    keys = [rollout.id.key for rollout in imported(write(tmp_path, text), map_).rollouts]
    assert keys == ["a#7", "b#7", "a#2"]
    path = write(tmp_path, f"{text}a,1,7\n")
    said = refused(path, map_)
    assert said.startswith(
        "rows.csv:5: index: a has index 7 already, in rows.csv:2; without index in --map the rows are"
    )
    assert len(imported(path).rollouts) == 4, "a column called index is not taken for one"


def test_the_group_size_is_the_commonest(tmp_path: Path) -> None:
    """Of two that are as common, the larger."""
    path = write(tmp_path, "task,reward\n" + "a,1\n" * 3 + "b,1\n" * 3 + "c,1\n" * 5 + "d,1\n")
    assert imported(path).group_size == 3
    assert imported(write(tmp_path, "task,reward\n" + "a,1\n" * 2 + "b,1\n")).group_size == 2


def test_names_that_would_look_the_same_are_refused(tmp_path: Path) -> None:
    """`a/b` is a task's name in some files; beside the variant b of a task a, nobody could tell them apart."""
    rows_of = [{"task": "a/b", "reward": 1}, {"task": "a", "variant": "b", "reward": 1}]
    assert imported(jsonl(tmp_path, rows_of[0])).groups[0].id == GroupId("a/b", "")
    assert refused(jsonl(tmp_path, *rows_of)) == "rows.jsonl:2: a/b names two tasks, one of them with a variant"


def test_columns_are_guessed_by_exact_names_alone(tmp_path: Path) -> None:
    """What is not called so is not taken, and the columns that there are get listed with what to type."""
    found = imported(write(tmp_path, "task_id,score,cost_usd,Lost\na,1,0.5,yes\n"))
    assert found.used == {"task": "task_id", "reward": "score", "cost": "cost_usd"}
    assert not any(isinstance(rollout.outcome, Lost) for rollout in found.rollouts)
    example_map = "say which, as in --map task=COLUMN,reward=COLUMN"
    said = refused(write(tmp_path, "name,Reward,\x1b[2J\na,1,\n"))
    assert said == f"rows.csv:1: no column task or task_id among name, Reward, '\\x1b[2J'; {example_map}"
    said = refused(jsonl(tmp_path, {"id": {"of": {"the": 1}}, **dict.fromkeys("abcdefghijklmn")}))
    columns = "id.of.the, a, b, c, d, e, f, g, h, i, j, k and 3 more"
    assert said == f"rows.jsonl:1: no column task or task_id among {columns}; {example_map}"


@pytest.mark.parametrize(
    "text",
    ['{"task": "a", "reward": 1, "score": 0}', '{"task": "a", "score": 1}\n{"task": "a", "score": 0, "reward": null}'],
)
def test_two_columns_that_could_be_meant_are_not_guessed(tmp_path: Path, text: str) -> None:
    """A row whose reward is missing must not get its score for it: neither in one row nor in the next."""
    path = write(tmp_path, text, "rows.jsonl")
    said = refused(path)
    assert "reward may be " in said
    assert "reward or score" in said or "score or reward" in said
    assert said.endswith("; say which, as in --map task=COLUMN,reward=COLUMN")
    assert imported(path, "task=task,reward=score").lost == 0


def test_a_map_names_all_that_is_read(tmp_path: Path) -> None:
    """With a map nothing is guessed, and a column that it names is there or its name is wrong."""
    path = write(tmp_path, "t,reward,lost\na,1,yes\n")
    assert imported(path, "task = t , reward = reward").lost == 0
    assert imported(path, "task=t", "reward=reward", "lost=lost").lost == 1
    assert refused(path, "task=t,reward=score").startswith(
        "rows.csv:1: no column score among t, reward, lost; say which"
    )
    assert refused(path, "task=t,reward=reward,lost=eror").startswith("rows.csv:1: no column eror for lost among t, re")
    rows_of = jsonl(tmp_path, {"t": "a", "reward": 1}, {"t": "a"})
    assert refused(rows_of, "task=t,reward=reward,lost=eror") == (
        "rows.jsonl: no row has eror for lost; correct --map, or leave it out"
    )
    assert refused(rows_of, "task=t,reward=score").startswith("rows.jsonl: no row has score; say which column has it")


def test_a_mapped_column_need_not_be_in_every_row(tmp_path: Path) -> None:
    """The first rows may lack it, and a reason that only graded rows have is no mistake of the map."""
    path = jsonl(tmp_path, {"t": "a", "r": 1}, {"t": "a", "r": 0, "e": "x"}, {"t": "a", "r": 1, "why": "text"})
    assert imported(path, "task=t,reward=r,lost=e,reason=why").lost == 1


@pytest.mark.parametrize(
    ("map_", "message"),
    [
        ("task", "--map task: must be key=column, such as --map task=COLUMN,reward=COLUMN"),
        ("task=,reward=r", "--map task=: must be key=column"),
        ("task=t,", "--map : must be key=column"),
        ("task=t,task=u,reward=r", "--map task=u: task is mapped twice"),
        ("task=t,rewrd=r", "--map rewrd=r: unknown key; did you mean reward?"),
        (
            "task=t,zzz=r",
            "--map zzz=r: unknown key; known are task, reward, variant, index, agent, lost, reason, passed",
        ),
        ("task=t,check.=r", "--map check.=r: unknown key"),
        ("task=t", "--map does not say where reward is; name its column, as in --map task=COLUMN,reward=COLUMN"),
        ("reward=r", "--map does not say where task is"),
    ],
)
def test_a_wrong_map_is_one_line(map_: str, message: str) -> None:
    """What is wrong with it, and how it is written."""
    with pytest.raises(UsageError) as caught:
        parse_column_map([map_])
    assert str(caught.value).startswith(message)


AGENTS = "task,reward,agent\na,1,m1\na,0,m2\na,1,m1\nb,?,m2\n"


def test_a_run_is_one_agents(tmp_path: Path) -> None:
    """Rows of several are never pooled: they are listed, and one is chosen; the others' rows are not even read."""
    path = write(tmp_path, AGENTS)
    assert refused(path) == "rows.csv: rows of several agents (m1, m2); choose one with --agent NAME"
    found = imported(path, agent="m1")
    assert ([rollout.id.key for rollout in found.rollouts], found.agent, found.left_out) == (["a#0", "a#1"], "m1", 2)
    assert refused(path, agent="m2") == "rows.csv:5: reward: ? is no number"
    assert refused(path, agent="m3") == "rows.csv: no row of the agent m3; there are m1, m2"
    many = write(tmp_path, "task,reward,agent\n" + "".join(f"a,1,m{i}\n" for i in range(20)))
    assert "(m0, m1, m2, m3, m4, m5, m6, m7 and 12 more)" in refused(many)


def test_an_agent_without_a_column_is_only_named(tmp_path: Path) -> None:
    """Where no row says whose it is, all are the one that is named; where some do and some do not, nobody knows."""
    path = write(tmp_path, "task,reward\na,1\n")
    assert (imported(path).agent, imported(path, agent="m").agent) == ("imported", "m")
    assert imported(write(tmp_path, "task,reward,agent\na,1,m\n")).agent == "m"
    mixed = jsonl(tmp_path, {"task": "a", "reward": 1}, {"task": "a", "reward": 1, "agent": "m"})
    assert refused(mixed) == "rows.jsonl: rows of several agents (no name, m); choose one with --agent NAME"
    assert refused(mixed, agent="m").startswith("rows.jsonl: 1 rows name no agent, and others do")


def test_the_number_of_rows_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would not fit the memory is refused at the first row too many."""
    monkeypatch.setattr(rows, "MOST_ROWS", 3)
    path = write(tmp_path, "task,reward\n" + "a,1\n" * 3)
    assert len(imported(path).rollouts) == 3
    path = write(tmp_path, "task,reward\n" + "a,1\n" * 4)
    assert refused(path) == "rows.csv:5: more than 3 rows; import them as several runs"


CELLS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["1", "0.5", "provider"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
SANE = {"task": st.text(min_size=1), "reward": st.sampled_from([0, 1, "0.5", None, math.nan, True])}
ROWS = st.fixed_dictionaries({}, optional={key: SANE.get(key, st.none()) | CELLS for key in (*KEYS, "check.a")})


def attempt(path: Path, reading: ImportSettings) -> ImportedRollouts | None:
    """What a file holds, or None where it is refused in one line; anything else is the test's failure."""
    try:
        return read_results([path], reading)
    except TaskcalError as error:
        assert str(error).isprintable()  # noqa: PT017 - either way is fine, but no other exception
        return None


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary() | st.text().map(str.encode), name=st.sampled_from(["rows.csv", "rows.tsv", "rows.jsonl"]))
@example(content=b'task,reward\n"a\n\n",1', name="rows.csv")
@example(content=b"task,reward\n\0,1", name="rows.csv")
@example(content=b'{"task": "\\ud800\\u0000", "reward": 1}', name="rows.jsonl")
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes, name: str) -> None:
    """No file, whatever it holds, gives anything but rollouts or one line."""
    attempt(write(tmp_path, b"task,reward\n" + content, name), ImportSettings(guess_columns()))
    attempt(write(tmp_path, content, name), ImportSettings(guess_columns()))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(ROWS, min_size=1, max_size=4), is_mapped=st.booleans())
def test_any_cells_are_read_or_refused(tmp_path: Path, values: list[dict[str, object]], *, is_mapped: bool) -> None:
    """Every value of JSON in every column; what is read can be written to a run's folder and comes back the same."""
    text = "".join(json.dumps(value) + "\n" for value in values)
    reading = ImportSettings(parse_column_map([EVERYTHING]) if is_mapped else guess_columns())
    found = attempt(write(tmp_path, text, "rows.jsonl"), reading)
    if found is not None:
        stored = [read_rollout(json.dumps(rollout_row(one), allow_nan=False).encode()) for one in found.rollouts]
        assert [one.outcome for one in stored] == [one.outcome for one in found.rollouts]
        assert [one.id for one in stored] == [one.id for one in found.rollouts]
        groups = json.dumps({"groups": [group_row(one) for one in found.groups]}).encode()
        assert read_groups(groups) == tuple(found.groups)
        assert len(found.rollouts) + found.left_out == len(values)
