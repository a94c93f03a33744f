"""A run's folder that is made at once: there with everything in it, or not there at all."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.errors import RunFolderError
from taskcal.store.run_folder import RunFolder, newest
from tests.store.store_case import FIRST, GROUP, RECORD, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from taskcal.core.rollout import Rollout


def test_a_whole_run_is_as_one_that_grew(tmp_path: Path) -> None:
    """The same files with the same bytes as a run's whose rollouts were appended one by one; it is locked, too."""
    grown = RunFolder.create(tmp_path / "grown", RECORD, [GROUP])
    grown.append(FIRST)
    grown.append(SECOND)
    whole = RunFolder.create_whole(tmp_path / "whole", RECORD, [GROUP], [FIRST, SECOND])
    for path in grown.path.iterdir():
        assert (whole.path / path.name).read_bytes() == path.read_bytes()
    assert [path.name for path in (tmp_path / "whole").iterdir()] == [RECORD.id]
    with pytest.raises(RunFolderError, match="another process"):
        RunFolder.open(whole.path).lock()
    whole.append(replace(FIRST, id=replace(SECOND.id, attempt=1)))
    assert len(list(whole.rollouts())) == 3
    whole.close()
    grown.close()


def test_half_a_run_is_none(tmp_path: Path) -> None:
    """While it is written nobody finds it, and what breaks in between leaves nothing."""

    def breaking() -> Iterator[Rollout]:
        yield FIRST
        with pytest.raises(RunFolderError, match="no run below"):
            newest(tmp_path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RunFolder.create_whole(tmp_path, RECORD, [GROUP], breaking())
    assert list(tmp_path.iterdir()) == []


def test_the_disk_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many rollouts cost one wait as each file does, after the last of them, and before the folder gets its name."""
    waits: list[tuple[int, bool]] = []
    monkeypatch.setattr(
        os, "fsync", lambda lines: waits.append((os.fstat(lines).st_size, (tmp_path / RECORD.id).exists()))
    )
    folder = RunFolder.create_whole(tmp_path, RECORD, [GROUP], [FIRST, SECOND] * 50)
    sizes = [(folder.path / name).stat().st_size for name in ("taskset.json", "run.json", "rollouts.jsonl")]
    assert waits == [(size, False) for size in sizes]
    folder.close()


@pytest.mark.parametrize("kind", ["folder", "file", "link to nowhere"])
def test_what_is_there_is_not_replaced(tmp_path: Path, kind: str) -> None:
    """Not even an empty folder or a broken link of that name."""
    taken = tmp_path / RECORD.id
    make: dict[str, Callable[[], None]] = {"folder": taken.mkdir, "file": taken.touch}
    make.get(kind, lambda: taken.symlink_to("nowhere"))()
    with pytest.raises(RunFolderError, match="File exists; choose another folder with -o"):
        RunFolder.create_whole(tmp_path, RECORD, [GROUP], [FIRST])
    assert list(tmp_path.iterdir()) == [taken]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """Below a file there is no folder."""
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="Not a directory; choose another folder with -o"):
        RunFolder.create_whole(tmp_path / "file", RECORD, [GROUP], [FIRST])
