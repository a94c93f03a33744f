"""Scores of checks in a table: taken by the names of their columns, or named as columns that were not read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from taskcal.cli.main import app
from taskcal.core.rollout import CheckResult, Graded
from taskcal.interop.cells import is_missing
from taskcal.interop.table_columns import TableColumns
from taskcal.store.run_folder import find
from tests.interop.table_case import imported, jsonl, refused, write

if TYPE_CHECKING:
    from taskcal.interop.rows import ImportedRollouts

CASE = Path(__file__).parents[3] / "shared" / "cases" / "import-checks" / "r.csv"


def scores(found: ImportedRollouts) -> list[dict[str, float] | None]:
    """The checks of each rollout; None for one that is lost."""
    outcomes = [rollout.outcome for rollout in found.rollouts]
    return [{c.name: c.score for c in one.checks} if isinstance(one, Graded) else None for one in outcomes]


def checks(found: ImportedRollouts) -> list[tuple[str, ...]]:
    """The names of the checks of each group."""
    return [tuple(name for name, _ in group.checks) for group in found.groups]


@pytest.mark.skipif(not CASE.is_file(), reason="the inputs of the review are not beside this folder")
def test_columns_of_checks_reach_the_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a map, and the report names the check that is met least."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["import", str(CASE), "-o", "runs/out"], catch_exceptions=False)
    assert "0.50 tests" in result.output
    assert "checks in check.compiles, check.tests)" in result.output
    (group,) = find("out", tmp_path / "runs").groups()
    assert group.checks == (("compiles", 1.0), ("tests", 1.0))


def test_in_csv_and_in_jsonl(tmp_path: Path) -> None:
    """Also inside an object; a row without a score has no such check, a lost row has none at all."""
    table = write(tmp_path, "task,score,lost,check.a,check.b c\nx,1,,1,0.5\nx,0,,,true\nx,,engine,0,0\n")
    rows: list[dict[str, Any]] = [
        {"task": "x", "score": 1, "check.a": 1, "check.b c": 0.5},
        {"task": "x", "score": 0, "check": {"b c": True}},
        {"task": "x", "score": None, "check.a": 0},
    ]
    for path in (table, jsonl(tmp_path, *rows)):
        found = imported(path)
        assert scores(found) == [{"a": 1.0, "b c": 0.5}, {"b c": 1.0}, None]
        assert checks(found) == [("a", "b c")]
        assert found.unread == ()


def test_a_group_has_the_checks_that_its_rows_have(tmp_path: Path) -> None:
    """Two tasks of one table need not be checked alike; a column that comes late is taken too."""
    rows: list[dict[str, Any]] = [
        {"task": "x", "score": 1, "check.a": 1},
        {"task": "y", "score": 1, "check": {"b": 1}},
        {"task": "y", "score": 1, "check": {"b": 1, "c": 0}},
        {"task": "z", "score": 1, "check.a": None},
    ]
    assert checks(imported(jsonl(tmp_path, *rows))) == [("a",), ("b", "c"), ()]


def test_with_a_map_only_its_checks_are_taken(tmp_path: Path) -> None:
    """The others are named, in every report of the run."""
    path = write(tmp_path, "t,r,check.a,check.b,note\nx,1,1,0,n\n")
    found = imported(path, "task=t,reward=r,check.first=check.a")
    assert scores(found) == [{"first": 1.0}]
    assert found.unread == ("check.b", "note")


def test_columns_that_no_key_takes_are_named(tmp_path: Path) -> None:
    """An index too, and what lies beside a used value in an object."""
    found = imported(write(tmp_path, "task,score,index,checks.a,Check.b,check.\nx,1,3,1,1,1\n"))
    assert found.unread == ("index", "checks.a", "Check.b", "check.")
    rows = {"task": "x", "r": {"score": 1, "other": 2, "deep": {"x": 1}}, "checks": [{"name": "a", "score": 1}]}
    nested = imported(jsonl(tmp_path, rows), "task=task,reward=r.score")
    assert nested.unread == ("r.other", "r.deep.x", "checks")


def test_the_note_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most twelve of them by name."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, f"task,score,{','.join(f'c{number}' for number in range(14))}\nx,1{',1' * 14}\n")
    result = CliRunner().invoke(app, ["import", "rows.csv"], catch_exceptions=False)
    names = ", ".join(f"c{number}" for number in range(12))
    assert f"Note: columns that were not read: {names} and 2 more\n" in result.output


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"check.a": 2}, "rows.jsonl:1: check.a: 2 is outside 0 to 1"),
        ({"check.a": "fine"}, "rows.jsonl:1: check.a: fine is no number"),
        ({"check.a": [1]}, "rows.jsonl:1: check.a: a list is no number"),
        ({f"check.{'a' * 600}": 1}, f"rows.jsonl:1: check.{'a' * 53}… is a name of more than 500 characters"),
        (
            {f"check.{n}": 1 for n in range(1001)},
            "rows.jsonl:1: more than 1,000 columns check.NAME; choose some with --map",
        ),
    ],
    ids=["range", "word", "list", "long", "many"],
)
def test_what_cannot_be_a_check_is_refused(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    """With its place."""
    assert refused(jsonl(tmp_path, {"task": "a", "score": 1, **row})) == said


SCORES = st.dictionaries(st.sampled_from("abcd"), st.none() | st.just("") | st.floats(0, 1), max_size=4)


@given(st.lists(SCORES, min_size=1, max_size=6))
def test_every_score_arrives_once(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    """In the same row, whatever other rows have."""
    values = [{"task": "t", "score": 1, **{f"check.{name}": row[name] for name in row}} for row in rows]
    found = imported(jsonl(tmp_path_factory.mktemp("rows"), *values))
    wanted = [{name: value for name, value in row.items() if not is_missing(value)} for row in rows]
    assert scores(found) == wanted
    assert set(checks(found)[0]) == {name for row in wanted for name in row}


def test_a_row_is_looked_at_again_only_for_new_columns() -> None:
    """Two equal rows have nothing new."""
    seen = TableColumns()
    row = {"task": "a", "check.x": 1, "check": {"y": 1}}
    assert seen.new_checks(row) == ["check.x", "check.y"]
    assert seen.new_checks(row) == []
    assert seen.unread(["task", "check.x"]) == ("check.y",)


def test_a_check_is_of_equal_weight(tmp_path: Path) -> None:
    """A table has no weights."""
    (rollout,) = imported(write(tmp_path, "task,score,check.a\nx,1,0.25\n")).rollouts
    assert isinstance(rollout.outcome, Graded)
    assert rollout.outcome.checks == (CheckResult("a", 1.0, 0.25),)
