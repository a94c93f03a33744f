"""`taskcal show`: which rollout is meant, and what is printed of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.agents.transcript import FILE, Message, Transcript
from taskcal.store.run_folder import RunFolder
from tests.store.store_case import FIRST, GROUP, RECORD, SECOND

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import CommandLine


@pytest.fixture
def run(taskcal: CommandLine) -> Path:
    """A run with one graded rollout, and one that was lost twice."""
    folder = RunFolder.create(taskcal.folder / "runs", RECORD, [GROUP])
    Transcript.at(folder.log_path(FIRST.id, FILE), str).add(Message("assistant", "I ship it."))
    folder.log_path(FIRST.id, "agent.log").write_bytes(b"\xff shipping\n")
    for rollout in (FIRST, SECOND, replace(SECOND, id=replace(SECOND.id, attempt=1))):
        folder.append(rollout)
    folder.close()
    return folder.path


def test_without_a_task_the_rollouts_are_listed(taskcal: CommandLine, run: Path) -> None:
    """Of the newest run, or of the one that is named; a task narrows the list."""
    ended = taskcal("show")
    assert ended.code == 0, ended.err
    assert [line.split("  ")[0] for line in ended.out.splitlines()] == [
        "ship/easy#0",
        "ship/easy#1",
        "ship/easy#1 attempt 1",
    ]
    assert (
        taskcal("show", str(run)).out == taskcal("show", "last", "ship").out == taskcal("show", "sh*").out == ended.out
    )


@pytest.mark.parametrize("arguments", [("ship/easy#0",), ("last", "ship/easy#0"), ("run-1", "ship/easy#0")])
def test_a_rollout_is_read_by_its_name(taskcal: CommandLine, run: Path, arguments: tuple[str, ...]) -> None:
    """With the run before it, or of the newest one: its transcript, log and checks."""
    ended = taskcal("show", *arguments)
    assert (ended.code, ended.err) == (0, "")
    for part in (
        "reward 0.7, not passed",
        "Ship it.",
        "I ship it.",
        "\N{REPLACEMENT CHARACTER} shipping",
        "a  (weight 1)",
    ):
        assert part in ended.out
    assert str(run.relative_to(taskcal.folder)) in ended.out
    assert "\x1b" not in ended.out


def test_the_last_attempt_is_shown_unless_another_is_wanted(taskcal: CommandLine, run: Path) -> None:
    """An attempt that is not there is said with those that are."""
    assert taskcal("show", "ship/easy#1").out.startswith("ship/easy#1 attempt 1  lost at engine")
    assert taskcal("show", str(run), "ship/easy#1", "--attempt", "0").out.startswith("ship/easy#1  lost at engine")
    ended = taskcal("show", str(run), "ship/easy#1", "--attempt", "2")
    assert (ended.code, ended.err) == (2, "ship/easy#1 has no attempt 2; it has 0, 1\n")


def test_as_json(taskcal: CommandLine, run: Path) -> None:
    """The same, for programs."""
    found = taskcal("show", str(run), "ship/easy#0", "--json").json()
    assert (found["schema"], found["rollout"]["reward"], found["prompt"]) == ("taskcal/show@1", 0.7, "Ship it.")
    assert [entry["content"] for entry in found["transcript"]] == ["I ship it."]
    listed = json.loads(taskcal("show", str(run), "--json").out)
    assert [row["key"] for row in listed["rollouts"]] == ["ship/easy#0", "ship/easy#1", "ship/easy#1"]


@pytest.mark.parametrize("arguments", [("absent",), ("last", "absent"), ("ship/easy#9",)])
def test_a_name_that_fits_nothing_is_one_line(taskcal: CommandLine, run: Path, arguments: tuple[str, ...]) -> None:
    """Wrong usage, with what there is."""
    assert run.is_dir()
    ended = taskcal("show", *arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "absent" in ended.err or "it has ship/easy" in ended.err


def test_a_rollout_that_is_not_there_is_told_with_those_that_are(taskcal: CommandLine, run: Path) -> None:
    """With the run before it or without: a name with a `#` can only be a rollout's."""
    place = run.relative_to(taskcal.folder)
    ended = taskcal("show", "exc#0")
    assert ended.err == f"exc#0 names no rollout of {place}; it has ship/easy\n"
    assert taskcal("show", "last", "exc#0").err == ended.err
    assert taskcal("show", "exc").err == f"runs/exc: not a run's folder (no run.json), and no task of {place}\n"


def test_a_run_without_rollouts_says_so(taskcal: CommandLine) -> None:
    """It has just begun, or nothing of it ended."""
    RunFolder.create(taskcal.folder / "runs", RECORD, [GROUP]).close()
    ended = taskcal("show", "last")
    assert (ended.code, ended.err) == (2, "runs/run-1: no rollout has ended yet\n")


def test_a_damaged_transcript_hides_nothing_else(taskcal: CommandLine, run: Path) -> None:
    """What cannot be read is named, the rest is shown."""
    place = RunFolder.open(run).attempt_folder(FIRST.id)
    (place / FILE).write_bytes(b'garbage\n{"t": 0, "type": "message", "role": "user", "content": "hi"}\n{"torn')
    ended = taskcal("show", "ship/easy#0")
    assert "[line 1 cannot be read]" in ended.out
    assert "hi" in ended.out


def test_looking_changes_nothing(taskcal: CommandLine, run: Path) -> None:
    """No folder is made for a rollout that left none."""
    before = sorted(run.rglob("*"))
    taskcal("show", "ship/easy#1")
    assert sorted(run.rglob("*")) == before
