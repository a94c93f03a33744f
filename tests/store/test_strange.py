"""A run's folder that a stranger has filled: nothing outside it is read or written, and nothing in it is waited for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from taskcal.errors import RunFolderError
from taskcal.store.run_folder import RunFolder
from tests.store.store_case import FIRST, GROUP, RECORD, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WORDS = "the operator's own words, without an end of a line"
NAMES = ("run.json", "taskset.json", "rollouts.jsonl", "lock", "calibration.json", "report.md")
LOG = ("rollouts", "rollouts/*", "rollouts/*/*", "rollouts/*/*/*", "rollouts/*/*/*/agent.log")


def report(run: RunFolder) -> None:
    """Write what is derived, as `taskcal report` does."""
    run.write("calibration.json", "{}")
    run.write("report.md", "new")


def resume(run: RunFolder) -> None:
    """Go on with a run."""
    run.lock()
    run.log_path(FIRST.id, "agent.log").write_text("a log")
    run.append(SECOND)
    run.write_record(RECORD)


USES: tuple[Callable[[RunFolder], object], ...] = (
    RunFolder.record,
    RunFolder.groups,
    lambda run: list(run.rollouts()),
    lambda run: run.log_path(FIRST.id, "agent.log").write_text("a log"),
    report,
    resume,
)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    """Give a run's folder with a rollout and its log, whose process has ended."""
    folder = RunFolder.create(tmp_path / "runs", RECORD, [GROUP])
    folder.append(FIRST)
    folder.log_path(FIRST.id, "agent.log").write_text("before")
    folder.close()
    yield folder
    folder.close()


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Give a folder of the operator's with a file in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "agent.log").write_text(WORDS)
    return folder


def plant(path: Path, what: str, victim: Path) -> None:
    """Put something strange in the place of a file or folder."""
    if path.exists() or path.is_symlink():
        path.rename(victim.parent / "moved")
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
        (path / "inner").touch()
    else:
        path.symlink_to({"file": victim / "agent.log", "place": victim, "nothing": victim / "new"}[what])


def untouched(victim: Path) -> bool:
    """Whether the operator's folder is as it was."""
    return [path.name for path in victim.iterdir()] == ["agent.log"] and (victim / "agent.log").read_text() == WORDS


@pytest.mark.parametrize("what", ["file", "place", "nothing", "pipe", "folder"])
@pytest.mark.parametrize("name", [*NAMES, *LOG])
def test_nothing_outside_is_touched(run: RunFolder, victim: Path, name: str, what: str) -> None:
    """Whatever stands where taskcal reads or writes, everything it does there works on new files, or is one error."""
    place = next(run.path.glob(name), run.path / name)
    plant(place, what, victim)
    for use in USES:
        again = RunFolder(run.path)
        try:
            use(again)
        except RunFolderError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either way is fine, but no other exception
            assert WORDS not in str(error)  # noqa: PT017 - likewise
        finally:
            again.close()
        assert untouched(victim)


def test_a_draft_has_a_name_that_nobody_knows(run: RunFolder, victim: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links at every name that a draft had before lead nowhere, and one at the very name is not followed."""
    for name in ("report.md", "calibration.json"):
        for pid in (os.getpid(), 1):
            (run.path / f".{name}.{pid}").symlink_to(victim / "agent.log")
    run.write("report.md", "new")
    assert (run.path / "report.md").read_text() == "new"
    monkeypatch.setattr("taskcal.store.safe_files.secrets.token_hex", lambda _: "known")
    (run.path / ".report.md.known").symlink_to(victim / "agent.log")
    with pytest.raises(RunFolderError, match=r"report\.md: File exists"):
        run.write("report.md", "newer")
    assert untouched(victim)


@pytest.mark.parametrize("name", ["report.md", "calibration.json"])
def test_a_link_is_replaced_and_not_written_through(run: RunFolder, victim: Path, name: str) -> None:
    """The report is a file of the run's folder afterwards."""
    (run.path / name).symlink_to(victim / "agent.log")
    run.write(name, "new")
    assert not (run.path / name).is_symlink()
    assert untouched(victim)


def replaced(path: Path) -> None:
    text = path.read_bytes()
    path.unlink()
    path.write_bytes(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced, "moved or replaced during the run"),
        (lambda path: path.unlink(), "moved or replaced during the run"),
        (lambda path: path.rename(path.with_name("old")), "moved or replaced during the run"),
        (lambda path: path.parent.rename(path.parent.with_name("run-2")), "moved or replaced during the run"),
        (lambda path: os.truncate(path, 0), "changed by another program during the run"),
        (lambda path: path.write_bytes(path.read_bytes() * 2), "changed by another program during the run"),
    ],
    ids=["replaced", "removed", "renamed", "moved", "emptied", "longer"],
)
def test_results_that_others_change_end_the_run(run: RunFolder, change: Callable[[Path], object], message: str) -> None:
    """The next rollout is not appended to a file that nobody reads, and no report is made from another one."""
    run.lock()
    change(run.path / "rollouts.jsonl")
    with pytest.raises(RunFolderError, match=message):
        run.append(SECOND)
    with pytest.raises(RunFolderError, match=rf"{message}|run\.json"):
        list(run.rollouts())


def test_the_lock_is_a_file_of_its_own(run: RunFolder) -> None:
    """Results that were replaced before a run goes on are no way around another process that writes it."""
    run.lock()
    replaced(run.path / "rollouts.jsonl")
    with pytest.raises(RunFolderError, match="another process is writing this run"):
        RunFolder.open(run.path).lock()
