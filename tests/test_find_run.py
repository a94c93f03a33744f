"""Which run a command means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from taskcal.errors import RunFolderError
from taskcal.store import RunFolder, find, newest
from tests.store_case import RECORD


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
