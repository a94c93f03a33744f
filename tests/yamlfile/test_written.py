"""A scalar that becomes text is the text that was written, or is refused: YAML 1.1's surprises, in every such place."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from taskcal.agents.agent_file import load_agent
from taskcal.core.task import as_text
from taskcal.errors import InputError
from taskcal.taskset.load import load
from taskcal.yamlfile.reader import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from taskcal.core.task import Task

WORDS = re.findall(
    r"\S+",
    """
    yes no on off y n Yes NO On true false 1 0 -1 42 1.5 1.0 -0.5 1e+21 12345678901234567890 1_000 1,000 12:30 12:30:45
    190:20:30 2025-05-01 2025-05-01T10:00:00Z 0b101 0o8 1.2.3 1e 0x .e3 = nan inf Infinity
    """,
)
"""Each is its own text, though YAML 1.1 reads many of them as something else."""
REFUSED = re.findall(
    r"\S+",
    """
    1.10 3.10 1.50 0.10 1e3 1E3 1e5 .5 5. +5 +1.5 -0 0x1F 0o17 010 007 -01 True TRUE False FALSE 0.1234567890123456789
    1.0e3 1e-5 100000000000000000000.5
    """,
)
"""Each would become another text, or is read differently by different YAML."""
NOTHING = ("~", "null", "Null", "NULL", '""', "''", "")

TASK = """\
taskset: t
version: 1
environments: {{e: {{image: a, env: {{A: {env}}}, services: {{db: {{image: b, env: {{A: {service}}}}}}}}}}}
tasks:
- id: one
  prompt: p
  environment: e
  params: {{p: {params}}}
  variants: {variants}
  grader:
    env: {{A: {grader}}}
    checks: [{{name: a, file: /a, equals: {equals}}}, {{name: b, run: x}}]
"""
PLAIN = dict.fromkeys(("env", "service", "params", "grader", "equals"), "x") | {"variants": "[{v: x}]"}


def task(folder: Path, **values: str) -> Task:
    (folder / "t.yaml").write_text(TASK.format_map(PLAIN | values), encoding="utf-8")
    return load([folder / "t.yaml"]).tasks[0]


def row(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return as_text(task(folder, variants=f"{{from: {name}}}").variants[0].params["v"])


def agent_env(folder: Path, word: str) -> str:
    (folder / "agent.yaml").write_text(f"agent: a\nkind: command\nrun: x\nenv: {{A: {word}}}\n", encoding="utf-8")
    return str(getattr(load_agent(folder / "agent.yaml"), "env", {})["A"])


PLACES: dict[str, Callable[[Path, str], str]] = {
    "params": lambda folder, word: as_text(task(folder, params=word).variants[0].params["p"]),
    "product": lambda folder, word: as_text(task(folder, variants=f"{{v: [{word}]}}").variants[0].params["v"]),
    "list": lambda folder, word: as_text(task(folder, variants=f"[{{v: {word}}}]").variants[0].params["v"]),
    "env": lambda folder, word: task(folder, env=word).environment.env["A"],
    "service env": lambda folder, word: task(folder, service=word).environment.services[0].env["A"],
    "grader env": lambda folder, word: task(folder, grader=word).grader.env["A"],
    "agent env": agent_env,
    "equals": lambda folder, word: as_text(getattr(task(folder, equals=word).grader.checks[0].probe, "equals", None)),
    "alias": lambda folder, word: as_text(task(folder, env=f"&x {word}", params="*x").variants[0].params["p"]),
}
"""Every place where a scalar becomes text, as what reads the text that a word becomes there."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_the_text_that_was_written(tmp_path: Path, place: str, word: str) -> None:
    """Dates, clock times, `no` and 1_000 reach scripts and checks letter for letter."""
    if word == "1,000":
        word = '"1,000"'  # a comma ends a value inside braces
    assert PLACES[place](tmp_path, word) == word.strip('"')


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("word", REFUSED)
def test_a_word_that_would_change_is_refused_with_its_line_and_quotes(tmp_path: Path, place: str, word: str) -> None:
    """The message shows the word in quotes; quoted, it is its own text."""
    with pytest.raises(InputError) as caught:
        PLACES[place](tmp_path, word)
    messages = [str(problem) for problem in caught.value.problems]
    assert all(f'"{word}" in quotes' in message for message in messages), messages
    assert all(problem.line for problem in caught.value.problems)
    assert PLACES[place](tmp_path, f'"{word}"') == word


@pytest.mark.parametrize("word", NOTHING)
def test_null_is_nothing_in_a_param(tmp_path: Path, word: str) -> None:
    """However it is spelt, and as an empty text is."""
    assert PLACES["params"](tmp_path, word or "null") == ""


@pytest.mark.parametrize("number", ["1.10", "1e3", "-0", "1E5", "0.1234567890123456789"])
def test_a_number_of_a_row_is_its_own_text_too(tmp_path: Path, number: str) -> None:
    """JSON has the same surprises; CSV has none, since all its values are text."""
    with pytest.raises(InputError) as caught:
        row(tmp_path, "rows.jsonl", f'{{"v": 1.5}}\n{{"v": {number}}}\n')
    (message,) = [str(problem) for problem in caught.value.problems]
    assert "rows.jsonl:2: v: " in message
    assert f'write "{number}" in quotes' in message
    assert row(tmp_path, "rows.jsonl", json.dumps({"v": number})) == number
    assert row(tmp_path, "rows.csv", f"v\n{number}\n") == number


def test_an_id_is_the_text_that_was_written(tmp_path: Path) -> None:
    """`id: 1.10` would name the variant 1.1."""
    with pytest.raises(InputError, match=r'write "1\.10" in quotes'):
        task(tmp_path, variants="[{id: 1.10, v: x}]")
    with pytest.raises(InputError, match=r'write "1\.10" in quotes'):
        row(tmp_path, "rows.jsonl", '{"id": 1.10, "v": 1}')


def test_a_merged_value_is_told_by_its_own_text(tmp_path: Path) -> None:
    """A value of the defaults is refused if a task inherits it, and forgotten if the task replaces it."""
    text = TASK.format_map(PLAIN).replace("tasks:", "defaults: {params: {d: 1.10}}\ntasks:")
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(InputError, match=r"t\.yaml:4: defaults\.params\.d: 1\.10 is a number and would become"):
        load([tmp_path / "t.yaml"])
    (tmp_path / "t.yaml").write_text(text.replace("{p: x}", "{p: x, d: 2}"))
    assert load([tmp_path / "t.yaml"]).tasks[0].variants[0].params == {"d": 2, "p": "x", "v": "x"}


def test_numbers_that_stay_numbers_may_be_written_in_any_way() -> None:
    """A weight of 0.50 or a limit of 1e3 is no text, so nothing is lost."""
    top = parse_yaml("a: 0.50\nb: [1e3, 1.0]\nc: True\n", "f").top
    assert (top["a"], top["b"], top["c"]) == (0.5, [1000.0, 1.0], True)
