"""How to go on with a run that lacks something: the reason, and the command that a person types."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from taskcal.cli.terminal.resume_command import command_to_resume, way_on
from tests.report.sample_run import counted, result_of
from tests.store.store_case import RECORD


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("run t.yaml -G 4", "taskcal run t.yaml -G 4 --resume r"),
        ("run --resume last -c 2", "taskcal run -c 2 --resume r"),
        ("run --resume=last -c 2", "taskcal run -c 2 --resume r"),
        ("run t.yaml --adaptive --prior last --budget 9", "taskcal run t.yaml --adaptive --budget 9 --resume r"),
        ("run t.yaml --prior=last -o out", "taskcal run t.yaml -o out --resume r"),
    ],
)
def test_the_command_that_goes_on(monkeypatch: pytest.MonkeyPatch, words: str, command: str) -> None:
    """The options of the call, with the run by its id, and without `last`, which would now be another one."""
    monkeypatch.setattr(sys, "argv", ["taskcal", *words.split()])
    assert command_to_resume("r") == command


@pytest.mark.parametrize(
    ("changed", "lost", "why"),
    [
        ({"interrupted": True}, 1, "interrupted; go on with"),
        ({"stopped": "--max-cost 1\x1b[2J was reached"}, 0, "stopped early: --max-cost 1 was reached; go on with"),
        ({}, 1, "1 rollout stayed lost; try again with"),
        ({}, 1200, "1,200 rollouts stayed lost; try again with"),
    ],
    ids=str,
)
def test_a_run_that_lacks_something_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], lost: int, why: str
) -> None:
    """However it came to that, in one line."""
    monkeypatch.setattr(sys, "argv", ["taskcal", "run", "t.yaml"])
    row = counted(4, 4)
    rows = [replace(row, counts=replace(row.counts, lost=lost)), row]
    assert way_on(result_of(replace(RECORD, **changed), rows)) == f"{why}: taskcal run t.yaml --resume {RECORD.id}"


def test_a_whole_run_has_nowhere_to_go_on_to() -> None:
    """All of it was graded, whatever came of it."""
    assert way_on(result_of(RECORD, [counted(0, 8), counted(4, 4)])) == ""


def test_the_command_survives_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words with spaces and signs are quoted."""
    monkeypatch.setattr(sys, "argv", ["taskcal", "run", "my tasks.yaml", "--task", "ship-*"])
    assert command_to_resume("r") == "taskcal run 'my tasks.yaml' --task 'ship-*' --resume r"
