"""Which run a command means."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from taskcal.errors import RunFolderError
from taskcal.store.run_folder import RunFolder, find, newest
from tests.store.store_case import RECORD


def made(root: Path, name: str, started_at: str) -> RunFolder:
    folder = RunFolder.create(root, replace(RECORD, id=name, started_at=started_at), [])
    folder.close()
    return folder


def test_the_newest_run_is_the_one_started_last(tmp_path: Path) -> None:
    """By when it was started, not by its name or the time of its files."""
    made(tmp_path, "b", "2025-01-02T03:04:05Z")
    last = made(tmp_path, "a", "2025-01-03T03:04:05Z")
    made(tmp_path, "c", "2024-12-31T03:04:05Z")
    (tmp_path / "other").mkdir()
    assert newest(tmp_path).path == last.path
    assert find(None, tmp_path).path == find("last", tmp_path).path == last.path


def test_a_run_is_found_by_id_and_by_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An id below the runs, or any folder; what is neither is an error, and so is a root without runs."""
    made(tmp_path / "runs", "a", "2025-01-02T03:04:05Z")
    monkeypatch.chdir(tmp_path)
    assert find("a", Path("runs")).record().id == "a"
    assert find("runs/a", Path("elsewhere")).record().id == "a"
    with pytest.raises(RunFolderError, match="not a run's folder"):
        find("b", Path("runs"))
    with pytest.raises(RunFolderError, match=r"no run below elsewhere/"):
        find(None, Path("elsewhere"))


@pytest.mark.parametrize("damage", ["{", "{}", "[" * 100_000], ids=["torn", "empty", "deep"])
def test_a_damaged_run_does_not_hide_the_others(tmp_path: Path, damage: str) -> None:
    """The newest that can be read is found, wherever a broken one stands; where none can be, the damage is said."""
    good = made(tmp_path, "m", "2025-01-02T03:04:05Z")
    for name in ("a", "z"):
        (made(tmp_path, name, "2025-01-03T03:04:05Z").path / "run.json").write_text(damage)
    assert newest(tmp_path).path == good.path
    (good.path / "run.json").write_text(damage)
    with pytest.raises(RunFolderError, match=r"run\.json: damaged"):
        newest(tmp_path)


def test_runs_of_one_second_are_told_apart(tmp_path: Path) -> None:
    """The one whose folder was made last, whatever the names are and whichever has been written to since."""
    first, last = (made(tmp_path, name, "2025-01-02T03:04:05Z") for name in ("b", "a"))
    for seconds, run in ((100, first), (200, last)):
        os.utime(run.path / "taskset.json", (seconds, seconds))
    first.write_record(first.record())
    assert newest(tmp_path).path == last.path
    os.utime(first.path / "taskset.json", (200, 200))
    assert newest(tmp_path).path == first.path
