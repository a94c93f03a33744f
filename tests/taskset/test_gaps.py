"""A variant that lacks a param is refused: a script would read an empty text, and an empty file would pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskcal.core.task import Taskset
from taskcal.taskset.advice.advice import warnings
from tests.taskset.taskset_case import Yaml

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yaml:
    """Give a folder to write tasksets into, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Yaml(tmp_path)


def rows(yaml: Yaml, name: str, text: str, more: str = "") -> str:
    (yaml.folder / name).write_bytes(text.encode())
    return f"prompt: p\n{more}\nvariants: {{from: {name}}}"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ('{"id":"r1","q":"a","gold":"x"}\n{"id":"r2","q":"b"}\n', ["r.jsonl:2: gold"]),
        ('{"q":"a"}\n\n{"q":"b","gold":"x"}\n', ["r.jsonl:1: gold"]),
        ('{"q":"a"}\n{"gold":"x"}\n', ["r.jsonl:1: gold", "r.jsonl:2: q"]),
        ('{"q":"a","extra":1}\n{"q":"b"}\n{"q":"c"}\n', ["r.jsonl:2: extra", "r.jsonl:3: extra"]),
        ('{"q":"a"}\n{"id":"only"}\n', ["r.jsonl:2: q"]),
        ('\ufeff{"q":"a","g":1}\r\n{"q":"b"}\r\n', ["r.jsonl:2: g"]),
    ],
)
def test_a_row_without_a_key_is_named_by_file_line_and_key(yaml: Yaml, text: str, places: list[str]) -> None:
    """Each row that lacks what another row has, once, with three ways out; `id` may be missing."""
    found = yaml.task_problems(rows(yaml, "r.jsonl", text))
    way = ": missing, and other rows have it; add it (null for nothing), or a default in the task's params"
    assert found == [place + way for place in places]


@pytest.mark.parametrize(
    ("name", "text", "more", "params"),
    [
        ("r.jsonl", '{"q":"a","g":"x"}\n{"q":"b","g":null}\n', "", [{"q": "a", "g": "x"}, {"q": "b", "g": None}]),
        ("r.jsonl", '{"q":"a","g":1}\n{"q":"b"}', "params: {g: 0}", [{"q": "a", "g": 1}, {"q": "b", "g": 0}]),
        ("r.jsonl", '{"id":"x","q":"a"}\n{"q":"b"}\n', "", [{"q": "a"}, {"q": "b"}]),
        ("r.jsonl", ' \n{"q":"a"}\r\n\r\n{"q":"b"}', "", [{"q": "a"}, {"q": "b"}]),
        ("r.csv", "\ufeffq,g\r\na,x\r\n\r\nb,\r\n", "", [{"q": "a", "g": "x"}, {"q": "b", "g": ""}]),
        ("r.csv", "q\n010\n1.10\n", "", [{"q": "010"}, {"q": "1.10"}]),
    ],
)
def test_rows_that_are_whole_are_taken(
    yaml: Yaml, name: str, text: str, more: str, params: list[dict[str, object]]
) -> None:
    """Null and a default of the task fill a gap; BOM, CRLF, blank lines and a last line without an end are no rows."""
    task = yaml.task(rows(yaml, name, text, more))
    assert [dict(variant.params) for variant in task.variants] == params


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.jsonl", '{"q":"a"}\n{}\n', "r.jsonl:2: must name at least one param"),
        ("r.jsonl", '{"q": {"a": 1}}\n', "r.jsonl:1: q: must be one value"),
        ("r.jsonl", '[{"q": 1}]\n', "r.jsonl:1: a row must be a JSON object"),
        ("r.csv", "q,g\na\n", "r.csv:2: 1 values for 2 columns"),
        ("r.csv", "q,g\na,b,c\n", "r.csv:2: 3 values for 2 columns"),
        ("r.csv", "q,q\na,b\n", "r.csv:1: the first row must name the columns, each once"),
        ("r.csv", "q,\na,b\n", "must be a name that a shell accepts"),
        ("r.csv", "q\n", "no rows in r.csv"),
    ],
)
def test_rows_that_are_not_whole_are_refused(yaml: Yaml, name: str, text: str, message: str) -> None:
    """Empty objects, nested values, arrays, ragged rows, doubled and empty headers, a header alone."""
    found = yaml.task_problems(rows(yaml, name, text))
    assert any(message in one for one in found), found


LISTED = "prompt: p\nvariants: [{id: one, a: 1, b: 2}, {id: two, a: 1}]\n"


@pytest.mark.parametrize(
    "more",
    [
        "environment: {image: a, setup: 'echo $b'}",
        "environment: {image: a, start: 'echo ${b}'}",
        "environment: {image: a, services: {db: {image: c, ready: 'test $b'}}}",
        "grader: {checks: [{name: a, run: 'test $b'}]}",
        'grader: {checks: [{name: a}], run: "echo \\"$b\\""}',
        "solutions: [{name: a, run: 'echo ${b%x}'}]",
        "wrong: [{name: a, run: 'echo $b'}]",
    ],
)
def test_a_listed_variant_may_lack_only_what_no_script_reads(yaml: Yaml, more: str) -> None:
    """Variants of a list may differ in their params, unless a script would read an empty text."""
    assert len(yaml.task(LISTED).variants) == 2
    (message,) = yaml.task_problems(LISTED + more)
    assert message.startswith("11: tasks[0].variants[1]: lacks b, which other variants have and a script reads as $b;")
    assert len(yaml.task(f"{LISTED}params: {{b: 0}}\n{more}").variants) == 2


@pytest.mark.parametrize(
    "script",
    ["echo ${b:-1}", "echo ${b-}", "b=1; echo $b", "for b in 1 2; do echo $b; done", "read -r b; echo $b", "b"],
)
def test_a_script_with_its_own_value_needs_no_param(yaml: Yaml, script: str) -> None:
    """A default, an assignment, a loop and `read` give the name a value."""
    assert len(yaml.task(f"{LISTED}grader: {{checks: [{{name: a, run: '{script}'}}]}}").variants) == 2


@pytest.mark.parametrize(("value", "told"), [("null", True), ("''", True), ("0", False), ("' '", False)])
def test_an_empty_param_that_the_grader_reads_is_a_warning(yaml: Yaml, value: str, *, told: bool) -> None:
    """`test "$(cat ok)" = "$gold"` holds for an empty file then; a param that is empty everywhere is meant."""
    text = "prompt: p\nsolutions: [{name: s, run: x}]\nwrong: [{name: w, run: x}]\n"
    text += "grader: {checks: [{name: a, run: 'test $gold'}, {name: b, run: x}]}\n"
    message = "gold is empty in the variant two: a check that compares with it accepts an empty file"
    task = yaml.task(f"{text}variants: [{{id: one, gold: x}}, {{id: two, gold: {value}}}]")
    assert [problem.message for problem in warnings(Taskset("t", (task,)))] == [message] * told
    task = yaml.task(f"{text}params: {{gold: {value}}}\nvariants: {{v: [1, 2]}}")
    assert warnings(Taskset("t", (task,))) == ()


SERVED = "environment: {image: a, services: {db: {image: c, params: [%s]}}}\n"


def test_a_service_may_ask_for_params(yaml: Yaml) -> None:
    """By name, of every task and variant that has it."""
    (service,) = yaml.task(f"prompt: p\nparams: {{b: 1}}\n{SERVED % 'b'}").environment.services
    assert service.params == ("b",)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (SERVED % "a, bb", "services.db.params[1]: undefined name bb"),
        (f"{LISTED}{SERVED % 'b'}", "services.db.params[0]: undefined name b in the task one in the variant two"),
        (SERVED % "PATH", "services.db.params[0]: PATH means something to the shell or to taskcal"),
        (SERVED % "1", "services.db.params[0]: must be text"),
    ],
)
def test_a_service_asks_only_for_params_that_are_there(yaml: Yaml, more: str, message: str) -> None:
    """Nobody would notice a variable that is missing in a service."""
    text = more if more.startswith("prompt") else f"prompt: p\nparams: {{a: 1}}\n{more}"
    found = yaml.task_problems(text)
    assert any(message in one for one in found), found
