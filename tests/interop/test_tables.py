"""Reading tables: every dialect that can be told apart, every mistake with its line, and nothing without a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskcal.errors import InputError
from taskcal.interop.tables import open_table
from taskcal.yamlfile.tables import Row
from tests.interop.table_case import refused, write

if TYPE_CHECKING:
    from pathlib import Path


def values(path: Path, delimiter: str | None = None) -> list[dict[str, object]]:
    with open_table(path, delimiter) as table:
        return [dict(row.values) for row in table.rows]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", "task,reward\na,1\n\nb,0.5\n"),
        ("rows.csv", "\ufefftask,reward\r\na,1\r\nb,0.5"),
        ("rows.csv", "task;reward\na;1\nb;0.5\n;\n"),
        ("rows.csv", "task\treward\na\t1\nb\t0.5\n"),
        ("ROWS.TSV", "task\treward\na\t1\nb\t0.5\n"),
        ("rows.csv", '"task", reward \n"a",1\n b ,"0.5"\n'),
    ],
    ids=["comma", "Windows with a mark", "semicolon", "tab", "tsv", "quotes and spaces"],
)
def test_the_usual_dialects_of_csv_are_one_table(tmp_path: Path, name: str, text: str) -> None:
    """Whatever separates the cells and ends the lines, the same rows come out."""
    path = write(tmp_path, text, name)
    assert values(path) == [{"task": "a", "reward": "1"}, {"task": "b", "reward": "0.5"}]


def test_a_header_that_can_be_read_in_two_ways_is_not_guessed(tmp_path: Path) -> None:
    """A comma inside a name and a semicolon between names, or the other way round? Whoever knows says it."""
    path = write(tmp_path, "task,id;reward\na;1\n")
    assert refused(path) == "rows.csv:1: ',' and ';' could both separate the columns; say with --delimiter"
    assert values(path, ";") == [{"task,id": "a", "reward": "1"}]
    assert values(write(tmp_path, '"task;id",reward\na,1\n')) == [{"task;id": "a", "reward": "1"}]


def test_jsonl_keeps_its_types(tmp_path: Path) -> None:
    """Numbers, NaN, null and nested objects arrive as they are; blank lines are no rows."""
    path = write(tmp_path, '{"a": 1, "b": {"c": null}}\r\n\n{"a": Infinity, "b": [true]}', "rows.ndjson")
    assert values(path) == [{"a": 1, "b": {"c": None}}, {"a": float("inf"), "b": [True]}]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rows.csv", b"task,reward\na,1\nb,\xff\n", "rows.csv:3: not UTF-8 (invalid start byte); save the file in"),
        ("rows.csv", "task,reward\n".encode("utf-16"), "rows.csv:1: not UTF-8"),
        ("rows.csv", "task,reward\na,1,2\n", "rows.csv:2: 3 values for 2 columns"),
        ("rows.csv", 'task,reward\na,1\n"b,1\n', "rows.csv:3: not CSV: unexpected end of data"),
        ("rows.csv", 'task,reward\n"a" x,1\n', "rows.csv:2: not CSV: ',' expected after '\"'; if another character"),
        (
            "rows.csv",
            f"task,reward\n{'a' * 140_000},1\n",
            "rows.csv:2: not CSV: field larger than field limit (131072)",
        ),
        ("rows.csv", "task,reward\ra,1\r", "rows.csv:1: not CSV: new-line character seen in unquoted field"),
        ("rows.csv", "task,task\n", "rows.csv:1: the first row must name the columns, each once"),
        ("rows.csv", "\ntask,reward\na,1\n", "rows.csv:1: the first row must name the columns, each once"),
        ("rows.csv", "", "rows.csv: the first row must name the columns, each once"),
        ("rows.csv", "task,reward\n", "rows.csv: no rows"),
        ("rows.jsonl", "\n", "rows.jsonl: no rows"),
        ("rows.jsonl", '{"task": "a"}\n{"task": }\n', "rows.jsonl:2: not JSON: Expecting value"),
        ("rows.jsonl", '{"reward": 0, "reward": 1}\n', "rows.jsonl:1: not JSON: a key stands twice in one row"),
        ("rows.jsonl", "[1]\n", "rows.jsonl:1: a row must be a JSON object"),
        ("rows.jsonl", "[" * 100_000 + "\n", "rows.jsonl:1: not JSON: nested too deep"),
        ("rows.jsonl", "9" * 10_000 + "\n", "rows.jsonl:1: not JSON: Exceeds the limit"),
        ("rows.json", "[]", "rows.json: rows are read from .jsonl and .csv files; of a JSON list, `jq -c '.[]'` makes"),
        ("rows.parquet", "PAR1", "rows.parquet: rows are read from .jsonl and .csv files"),
    ],
    ids=lambda text: str(text[:20]),
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, name: str, text: str | bytes, message: str) -> None:
    """File, line, what is wrong and, where it helps, what to do."""
    assert refused(write(tmp_path, text, name)).startswith(message)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """Neither a missing file nor a folder of that name is more than a sentence."""
    (tmp_path / "folder.csv").mkdir()
    assert refused(tmp_path / "nowhere.csv") == "nowhere.csv: No such file or directory"
    assert refused(tmp_path / "folder.csv") == "folder.csv: Is a directory"


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_an_endless_line_is_read_up_to_a_bound(tmp_path: Path, name: str) -> None:
    """A link to a device, or a file of another kind, cannot fill the memory."""
    (tmp_path / name).symlink_to("/dev/zero")
    assert refused(tmp_path / name) == f"{name}:1: a row of more than 16 MiB"


def test_rows_are_streamed(tmp_path: Path) -> None:
    """A row is there before the next line is looked at, so that a long file needs no more memory than its rows."""
    path = write(tmp_path, '{"task": "a"}\nno JSON\n', "rows.jsonl")
    with open_table(path) as table:
        assert next(table.rows) == Row(1, {"task": "a"})
        with pytest.raises(InputError):
            next(table.rows)
