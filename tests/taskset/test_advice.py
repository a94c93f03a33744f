"""Warnings: what a valid taskset should be told all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskcal.core.task import Taskset
from taskcal.taskset.advice import warnings
from tests.taskset.taskset_case import Yaml

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
prompt: p
solutions: [{name: s, run: x}]
wrong: [{name: w, run: x}]
"""


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yaml:
    """Give a folder to write tasksets into, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Yaml(tmp_path)


def advice(yaml: Yaml, text: str) -> list[str]:
    """Give the warnings about one task."""
    return [str(problem) for problem in warnings(Taskset("t", (yaml.task(text),)))]


def test_a_good_task_has_no_warnings(yaml: Yaml) -> None:
    """Two checks, a solution, a wrong answer, no network: nothing to say."""
    assert advice(yaml, GOOD) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt: p\nwrong: [{name: w, run: x}]", "no solution"),
        ("prompt: p\nsolutions: [{name: w, run: x}]", "no wrong answer"),
        (GOOD + "environment: {image: a, network: bridge}", "say external: stateful or external: stateless"),
        (GOOD + "grader: {sandbox: fresh, checks: [{name: a, run: x}, {name: b, run: x}]}", "fresh without artifacts"),
        (
            GOOD + "grader: {checks: [{name: a, run: x}, {name: b, run: x, weight: 0, required: true}]}",
            "1 weighted check, where two to four serve best: rewards are all or nothing",
        ),
        (
            GOOD + f"grader: {{checks: [{', '.join(f'{{name: c{n}, run: x}}' for n in range(5))}]}}",
            "5 weighted checks, where two to four serve best: each says little",
        ),
    ],
)
def test_each_weakness_has_one_warning_with_its_place(yaml: Yaml, text: str, message: str) -> None:
    """Guards do not count as checks; the line is the task's."""
    (found,) = advice(yaml, text)
    assert found.startswith("t.yaml:9: one: ")
    assert message in found
