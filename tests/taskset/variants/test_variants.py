"""Variants: products, lists and rows, their names, and what is refused in them."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from taskcal.taskset.prompts.template import Prompts
from taskcal.taskset.scope import Budget, Scope
from taskcal.taskset.variants import rows
from taskcal.taskset.variants.variants import read_variants
from taskcal.yamlfile.nodes import KeyPlace
from taskcal.yamlfile.paths import Folder
from taskcal.yamlfile.problems import Problems
from taskcal.yamlfile.reader import parse_yaml
from taskcal.yamlfile.tables import LONGEST_ROW
from tests.taskset.taskset_case import Yaml

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yaml:
    """Give a folder to write tasksets into, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Yaml(tmp_path)


def test_a_map_is_a_product(yaml: Yaml) -> None:
    """Every combination, the last key fastest; constants are in all, a variant's own value wins."""
    task = yaml.task("prompt: '{{ a }}{{ b }}{{ c }}'\nparams: {c: 7, a: 0}\nvariants: {a: [1, 2], b: [x, y]}")
    assert [(variant.id, variant.prompt) for variant in task.variants] == [
        ("1-x", "1x7"),
        ("1-y", "1y7"),
        ("2-x", "2x7"),
        ("2-y", "2y7"),
    ]


def test_a_list_is_taken_as_it_is(yaml: Yaml) -> None:
    """An id that is given is the variant's name and no param."""
    task = yaml.task("prompt: p\nvariants:\n  - {id: easy, a: 1}\n  - {a: 2, b: true}\n  - {a: null}")
    assert [variant.id for variant in task.variants][:2] == ["easy", "2-true"]
    assert [dict(variant.params) for variant in task.variants] == [{"a": 1}, {"a": 2, "b": True}, {"a": None}]


def test_values_that_make_no_name_are_hashed(yaml: Yaml) -> None:
    """Long or odd values give 8 hex digits, always the same ones, which constants do not change."""
    text = "prompt: p\nparams: {c: %s}\nvariants: {a: ['two words', x, '', '../x']}"
    first = [variant.id for variant in yaml.task(text % 1).variants]
    assert first == [variant.id for variant in yaml.task(text % 2).variants]
    assert first[1] == "x"
    assert all(len(name) == 8 and int(name, 16) >= 0 for name in (first[0], first[2], first[3]))


def test_slugs_that_two_variants_share_are_hashed(yaml: Yaml) -> None:
    """The text "1" and the number 1 are two variants."""
    names = [variant.id for variant in yaml.task("prompt: p\nvariants: {a: [1, '1', 2]}").variants]
    assert len(set(names)) == 3
    assert names[2] == "2"


def test_jsonl_rows_are_variants(yaml: Yaml) -> None:
    """One object a line, blank lines skipped."""
    (yaml.folder / "r.jsonl").write_text('{"id": "one", "q": "é"}\n\n{"id": 2, "q": 1.5}\n', encoding="utf-8")
    task = yaml.task("prompt: '{{ q }}'\nvariants: {from: r.jsonl}")
    assert [(variant.id, variant.prompt) for variant in task.variants] == [("one", "é"), ("2", "1.5")]


def test_csv_rows_are_variants(yaml: Yaml) -> None:
    """The header names the params; values are text; quotes, line breaks and a BOM are understood."""
    (yaml.folder / "r.csv").write_text('id,q\nfirst,"a, ""b""\nc"\nsecond,2\n', encoding="utf-8-sig")
    task = yaml.task("prompt: '{{ q }}'\nvariants: {from: r.csv}")
    assert [(variant.id, variant.prompt) for variant in task.variants] == [("first", 'a, "b"\nc'), ("second", "2")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.jsonl", '{"a": 1}\n[1]\n', "r.jsonl:2: a row must be a JSON object"),
        ("r.jsonl", '{"a": 1}\n{"a": \n', "r.jsonl:2: not JSON"),
        ("r.jsonl", '{"a": [1]}\n', "r.jsonl:1: a: must be one value"),
        ("r.jsonl", '{"a": 1, "a": 2}\n', "r.jsonl:1: not JSON: a key stands twice in one row"),
        ("r.jsonl", '{"a": NaN}\n', "r.jsonl:1: not JSON: NaN is no JSON number"),
        ("r.jsonl", '{"a": 1e999}\n', "r.jsonl:1: a: must be a finite number"),
        ("r.jsonl", '{"PATH": 1}\n', "r.jsonl:1: PATH: PATH means something"),
        ("r.jsonl", '{"a": "\\ud800"}\n', "r.jsonl:1: a: half of a surrogate pair"),
        ("r.jsonl", '{"a": "\\u0000"}\n', "r.jsonl:1: a: a NUL character"),
        ("r.jsonl", '{"a": ' + "[" * 100_000 + "\n", "r.jsonl:1: not JSON: nested too deep"),
        ("r.jsonl", '{"a": ' + "9" * 5_000 + "}\n", "r.jsonl:1: not JSON: a number of 5000 digits; put"),
        ("r.jsonl", '{"id": "a/b", "a": 1}\n', 'r.jsonl:1: id "a/b": must be letters'),
        ("r.jsonl", '{"id": [], "a": 1}\n', "r.jsonl:1: id: must be one value"),
        ("r.jsonl", '{"a": 1}\n{"a": 1}\n', 'r.jsonl:2: two variants have the same values: {"a":1}'),
        ("r.jsonl", '{"id": "x", "a": 1}\n{"id": "x", "a": 2}\n', 'r.jsonl:2: two variants have the id "x"'),
        ("r.jsonl", "", "tasks[0].variants.from: no rows in r.jsonl"),
        ("r.jsonl", '{"a": "' + "x" * LONGEST_ROW + '"}', "r.jsonl:1: a row of more than 16 MiB"),
        ("r.csv", "a,b\n1\n", "r.csv:2: 1 values for 2 columns"),
        ("r.csv", "a,a\n1,2\n", "r.csv:1: the first row must name the columns, each once"),
        ("r.csv", 'a\n"x\n', "r.csv:2: not CSV"),
        ("r.csv", "a,b\n,\n,\n", 'r.csv:3: two variants have the same values: {"a":"","b":""}'),
        (
            "r.csv",
            "a-b\n1\n2\n",
            'r.csv:1: a column must be a name that a shell accepts (letters, digits, _), not "a-b"',
        ),
        (
            "r.csv",
            "a;b\n1;2\n",
            'r.csv:1: a column must be a name that a shell accepts (letters, digits, _), not "a;b"',
        ),
        ("r.csv", "PATH\n1\n", "r.csv:1: a column PATH means something to the shell"),
        ("r.txt", "a\n", "rows come from a .jsonl or a .csv file"),
    ],
)
def test_bad_rows_are_named_by_file_and_line(yaml: Yaml, name: str, text: str, message: str) -> None:
    """A mistake in row 2 is told as such, not as one of the task."""
    (yaml.folder / name).write_text(text, encoding="utf-8")
    found = [str(line) for line in yaml.task_problems(f"prompt: p\nvariants: {{from: {name}}}")]
    assert any(message in line for line in found), found
    assert len(found) <= 2


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a\nb\n\xff\n", 3),
        (b"\xff\n", 1),
        (b"a\r\n" + b"".join(b"%d\r\n" % one for one in range(9_000)) + b"c\xe9\r\n", 9_002),
        (b"a\nb\n\xc3", 3),
    ],
)
def test_rows_that_are_not_utf8_are_named_by_line(yaml: Yaml, content: bytes, line: int) -> None:
    """An encoding mistake is found where it stands, though text is read in blocks."""
    (yaml.folder / "r.csv").write_bytes(content)
    found = yaml.task_problems("prompt: p\nvariants: {from: r.csv}")
    assert any(f"r.csv:{line}: not UTF-8" in one for one in found), found


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ("5", "variants: must be a map of lists (their product), a list of maps, or {from:"),
        ("[]", "variants: must be a map of lists"),
        ("{}", "variants: must be a map of lists"),
        ("{a: 5}", "variants.a: must be a list with at least one value"),
        ("{a: []}", "variants.a: must be a list with at least one value"),
        ("{a: [[1]]}", "variants.a[0]: must be one value"),
        ("{a: [1, 1]}", "two variants have the same values"),
        ("{HOME: [1, 2]}", "HOME means something"),
        ("{id: [1, 2]}", "id names a variant"),
        ("[5]", "variants[0]: must be a map of params, and may have an id"),
        ("[{}]", "variants[0]: must name at least one param"),
        ("[{id: a/b, x: 1}]", 'variants[0]: id "a/b": must be letters'),
        ("[{id: a, x: 1}, {id: a, x: 2}]", 'two variants have the id "a"'),
        ("{from: ../r.jsonl}", "variants.from: no such file"),
        ("{from: absent.jsonl}", "variants.from: no such file"),
        ("{a: &a [1,2,3,4,5,6,7,8,9,0], b: *a, c: *a, d: *a, e: *a, f: *a, g: *a}", "too many variants"),
    ],
)
def test_variants_that_cannot_be_meant_are_refused(yaml: Yaml, variants: str, message: str) -> None:
    """Also ten million combinations, before one of them is made."""
    found = yaml.task_problems(f"prompt: p\nvariants: {variants}")
    assert any(message in line for line in found), found


def test_a_name_that_one_variant_lacks_is_told_with_the_variant(yaml: Yaml) -> None:
    """Variants of a list may differ in their params; the prompt needs its own in all."""
    (message,) = yaml.task_problems("prompt: '{{ a }}'\nvariants: [{id: x, a: 1}, {id: y, b: 1}]")
    assert "undefined name a in the variant y" in message


def test_rows_are_read_one_by_one_and_their_number_is_bounded(tmp_path: Path) -> None:
    """Where the bound is reached, the rows after it are refused; each row counts its values and one more."""
    (tmp_path / "r.jsonl").write_text("".join(f'{{"a": {number}}}\n' for number in range(50)))
    scope = Scope("t.yaml", Folder(tmp_path), Problems(), Budget(values=20), Prompts(), {})
    raw = parse_yaml("{from: r.jsonl}", "t.yaml").top
    assert len(read_variants(raw, KeyPlace(1, "variants"), scope)) == 10
    assert scope.problems.count() > 0
    stream = rows.read_rows(tmp_path / "r.jsonl", "r.jsonl")
    assert next(stream).values == {"a": 0}


def test_what_all_prompts_hold_together_is_bounded(yaml: Yaml) -> None:
    """A thousand variants of a prompt of half a megabyte are refused before they fill the memory."""
    numbers = ", ".join(map(str, range(1_000)))
    tracemalloc.start()
    try:
        found = yaml.task_problems(f"prompt: '{{{{ a }}}}{'x' * 500_000}'\nvariants: {{a: [{numbers}]}}")
        assert any("too many variants" in line for line in found)
        assert tracemalloc.get_traced_memory()[1] < 200 * 1024**2
    finally:
        tracemalloc.stop()
