"""Files of a run's folder that are none: read in no time and little memory, with one line that says what is wrong."""

from __future__ import annotations

import os
import signal
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from taskcal.errors import RunFolderError
from taskcal.store import safe_files
from taskcal.store.run_folder import RunFolder
from tests.store.store_case import FIRST, GROUP, RECORD, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Give a run's folder with two rollouts, whose process has ended."""
    folder = RunFolder.create(tmp_path, RECORD, [GROUP])
    folder.extend((FIRST, SECOND))
    folder.close()
    return folder


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """Fail a test that waits, instead of waiting with it."""

    def late(*_: object) -> None:
        raise TimeoutError("still waiting")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def traced() -> Iterator[None]:
    """Measure the memory that is taken."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def replaced(path: Path, what: str) -> None:
    """Put something else in a file's place."""
    path.unlink()
    if what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()


@pytest.mark.parametrize("what", ["pipe", "device", "folder"])
@pytest.mark.parametrize("name", ["run.json", "taskset.json", "rollouts.jsonl"])
def test_what_is_no_regular_file_is_one_line(run: RunFolder, name: str, what: str) -> None:
    """Nobody waits for a writer, or reads a device to its end."""
    replaced(run.path / name, what)
    with pytest.raises(RunFolderError, match=rf"{name}: (not a regular file|Is a directory)|no run\.json") as caught:
        _ = RunFolder.open(run.path).record(), run.groups(), list(run.rollouts())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", ["pipe", "device", "folder"])
def test_only_a_regular_file_is_locked(run: RunFolder, what: str) -> None:
    """Going on with such a run is refused as well."""
    replaced(run.path / "rollouts.jsonl", what)
    with pytest.raises(RunFolderError, match=r"not a regular file|Is a directory"):
        RunFolder.open(run.path).lock()


def test_a_line_without_end_is_not_held(run: RunFolder, traced: None) -> None:
    """A file of 3 GiB without a newline is refused at 64 MiB, and its line is named."""
    assert traced is None
    os.truncate(run.path / "rollouts.jsonl", 3 * 1024**3)
    with pytest.raises(RunFolderError, match=r"rollouts\.jsonl: damaged: line 3 is longer than 64 MiB"):
        list(run.rollouts())
    assert tracemalloc.get_traced_memory()[1] < 256 * 1024**2


@pytest.mark.parametrize("name", ["run.json", "taskset.json"])
def test_a_file_that_no_memory_holds_is_refused(run: RunFolder, name: str) -> None:
    """It is not even read."""
    os.truncate(run.path / name, 3 * 1024**3)
    with pytest.raises(RunFolderError, match=rf"{name}: larger than 1 GiB"):
        _ = run.record(), run.groups()


def test_a_torn_line_is_cut_off_without_reading_the_file(run: RunFolder, traced: None) -> None:
    """Its end is looked for from the back, however long it is."""
    assert traced is None
    path = run.path / "rollouts.jsonl"
    before = path.read_bytes()
    os.truncate(path, len(before) + 100 * 1024**2)
    again = RunFolder.open(run.path)
    again.lock()
    again.close()
    assert path.read_bytes() == before
    assert tracemalloc.get_traced_memory()[1] < 16 * 1024**2


@pytest.mark.parametrize(
    ("text", "whole"), [(b"", 0), (b"a", 0), (b"a\n", 2), (b"a\nbc", 2), (b"\n" * 3, 3), (b"a\n" + b"b" * 2**21, 2)]
)
def test_whole_lines(tmp_path: Path, text: bytes, whole: int) -> None:
    """All up to the last newline."""
    (tmp_path / "x").write_bytes(text)
    with safe_files.open_to_read(tmp_path / "x") as file:
        assert safe_files.end_of_whole_lines(file.fileno()) == whole
