"""Values of checks: what a whole file may equal, what can never be met, and what a mistake's line says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.taskset.taskset_case import Yaml

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yaml:
    """Give a folder to write tasksets into, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Yaml(tmp_path)


GRADER = "prompt: p\ngrader:\n  checks:\n    - name: a\n"


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (
            "file: /a\nequals:",
            "15: tasks[0].grader.checks[0].equals: null is a value of JSON; add pointer, or",
        ),
        ("file: /a\nequals: {x: 1}", "15: tasks[0].grader.checks[0].equals: a map or a list is compared with JSON"),
        ("file: /a\nequals: [1]", "equals: a map or a list is compared with JSON; add pointer"),
        ("file: /a\nequals: .nan", "equals: must be a finite number, or text in quotes"),
        ("file: /a\nequals: .inf\npointer: /x", "equals: must be a finite number; JSON has no other"),
        ("file: /a\npointer: ''\nabsent: true", '15: tasks[0].grader.checks[0].pointer: pointer: "" is'),
        ("file: /a\nequals: {k: [1, .nan]}\npointer: /x", "equals: must be a finite number; JSON has no other"),
        ("file: /a\nequals: 1\npointer: /a~2b", "pointer: must be a JSON pointer"),
        ("file: /a\nequals: 1\npointer: /a~", "pointer: must be a JSON pointer"),
        ("run: ' '", "run: must not be empty"),
        ("run: '# to do'", "run: holds no command, so it judges nothing"),
        ('run: "#!/bin/bash\\n\\n  # to do\\n"', "run: holds no command, so it judges nothing"),
        ("file: /a\ncontains: ''", "15: tasks[0].grader.checks[0].contains: must not be empty"),
        ("file: /a\nmatches: ''", "matches: must not be empty"),
        ("answer: {contains: ''}", "answer.contains: must not be empty"),
        ("answer: {number: .nan}", "answer.number: must be a finite number"),
        ("answer: {number: true}", "answer.number: must be a number"),
        ("answer: {number: '42'}", 'answer.number: must be a number, not "42"'),
        ("answer: {number: 1, tolerance: -1}", "answer.tolerance: must be at least 0, not the number -1"),
        ("answer: '42'", 'answer: must be a map (key: value), not "42"; write answer: {equals: …} or answer: {number'),
        ("file: /a\nexists: false", "exists: must be true, not false; write absent: true"),
        ("file: /a\nexists: 'yes'", 'exists: must be true, not "yes"'),
        ("file: /a\nabsent: false", "absent: must be true, not false; write exists: true"),
        (
            "file: /a\ncontains: x\ntolerance: 1",
            "tolerance: unknown key, it goes into answer: {number: …, tolerance: …}",
        ),
        (
            "answer: {equals: x}\ncontains: x",
            "15: tasks[0].grader.checks[0].contains: contains goes with file only; write",
        ),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_at_its_line(yaml: Yaml, check: str, message: str) -> None:
    """Null, maps and NaN as a file's text, conditions that are always or never met, and near misses."""
    found = yaml.task_problems(GRADER + "\n".join(f"      {line}" for line in check.splitlines()))
    assert any(message in one for one in found), found


@pytest.mark.parametrize(
    ("check", "wanted"),
    [
        ("file: /a\nequals: ''", ""),
        ("file: /a\nequals: yes", "yes"),
        ("file: /a\nequals: true", True),
        ("file: /a\nequals: 1.5", 1.5),
        ("file: /a\npointer: /x\nequals: 1.10", 1.1),
        ("file: /a\npointer: /x\nequals:", None),
        ("file: /a\npointer: ''\nequals: {x: [1, null]}", {"x": [1, None]}),
    ],
)
def test_values_of_json_need_a_pointer(yaml: Yaml, check: str, wanted: object) -> None:
    """With a pointer any JSON value can be wanted, and 1.10 is the number 1.1; without one, one text."""
    task = yaml.task(GRADER + "\n".join(f"      {line}" for line in check.splitlines()))
    assert getattr(task.grader.checks[0].probe, "equals", "nothing") == wanted


def test_a_large_whole_number_is_kept_exactly(yaml: Yaml) -> None:
    """A double holds whole numbers only up to 2^53."""
    task = yaml.task(GRADER + "      answer: {number: 12345678901234567}")
    assert getattr(task.grader.checks[0].probe, "number", None) == 12345678901234567
