"""The run's folder: append-only results that are on disk before anything else happens, and what is derived from them.

    runs/<id>/run.json  taskset.json  rollouts.jsonl  calibration.json  report.md  lock
    runs/<id>/rollouts/<2 hex>/<name>-<8 hex>/<index>/  agent.log  grader.log

The process that appends holds `lock`. No link among these files is followed, since a stranger may have made them, and
results that are replaced or changed by others end the run with an error.

A line is whole when it ends with a newline. A torn last line (a kill in the middle of a write) is no rollout: it is
ignored when read and cut off before the next line is appended. A broken line anywhere else is a damaged file, and an
error that names it. `run.json` is written last, so that a folder that has one has the rest.

Lines and files end with a `crc32` of what stands before it: a digit that a disk or an editor changed is an error too,
and never another number. Who means to change something removes the key with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Self

from taskcal.errors import RunFolderError
from taskcal.machine.draft_folders import draft_folder
from taskcal.store import safe_files
from taskcal.store.rollout_rows import read_rollout, rollout_row
from taskcal.store.row_checks import Ledger
from taskcal.store.run_rows import group_row, read_groups, read_run, run_row
from taskcal.store.seal import check_seal, sealed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskcal.core.group_record import GroupRecord
    from taskcal.core.rollout import Rollout, RolloutId
    from taskcal.core.run import RunRecord

LONGEST_NAME = 60


class RunFolder:
    """One run on disk."""

    def __init__(self, path: Path) -> None:
        """Name a folder; use `create` or `open`."""
        self.path = path
        self._lines: int | None = None
        self._end = 0
        self._lock: int | None = None
        self._rollouts: list[Rollout] | None = None  # those on disk, once they were read by the only writer

    @classmethod
    def create(cls, root: Path, record: RunRecord, groups: Sequence[GroupRecord]) -> Self:
        """Make a new run's folder below `root` and lock it for this process. Raises RunFolderError."""
        folder = cls(root / record.id)
        try:
            folder.path.mkdir(parents=True)
            folder.write("taskset.json", sealed({"groups": [group_row(group) for group in groups]}, indent=1))
            folder.lock()
            folder.write_record(record)
        except OSError as error:
            raise RunFolderError(f"{folder.path}: {error.strerror or error}; choose another folder with -o") from error
        return folder

    @classmethod
    def create_whole(
        cls, root: Path, record: RunRecord, groups: Sequence[GroupRecord], rollouts: Iterable[Rollout]
    ) -> Self:
        """Make a new run's folder with all its rollouts, locked: it is there whole, or not at all.

        It is written two levels below `root`, where nobody looks for runs, and moved. Raises RunFolderError.
        """
        target = root / record.id
        if os.path.lexists(target):
            raise RunFolderError(f"{target}: File exists; choose another folder with -o")
        try:
            if not os.path.lexists(root):
                root.mkdir(parents=True)
            with draft_folder(root, ".draft-") as draft:
                folder = cls.create(draft, record, groups)
                folder.extend(rollouts)
                folder.path = folder.path.rename(target)
        except OSError as error:
            raise RunFolderError(f"{target}: {error.strerror or error}; choose another folder with -o") from error
        return folder

    @classmethod
    def open(cls, path: Path) -> Self:
        """An existing run's folder, to read. Raises RunFolderError."""
        if not (path / "run.json").is_file():
            raise RunFolderError(f"{path}: not a run's folder (no run.json)")
        return cls(path)

    def lock(self) -> None:
        """Become the only process that appends. Raises RunFolderError where another one is."""
        try:
            self._lock = self._open("lock", os.O_RDWR | os.O_CREAT)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._lines = self._open("rollouts.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND)
            self._end = safe_files.end_of_whole_lines(self._lines)
            os.truncate(self._lines, self._end)
        except BlockingIOError as error:
            self.close()
            raise RunFolderError(f"{self.path}: another process is writing this run") from error
        except BaseException:
            self.close()
            raise

    def _open(self, name: str, flags: int) -> int:
        try:
            return safe_files.open_regular(self.path / name, flags)
        except OSError as error:
            raise RunFolderError(f"{self.path}/{name}: {error.strerror}") from error

    def append(self, rollout: Rollout) -> None:
        """Put one rollout on disk; when this returns, it is there. Raises RunFolderError."""
        self.extend((rollout,))

    def extend(self, rollouts: Iterable[Rollout]) -> None:
        """Put many rollouts on disk, with one wait for all of them. Raises RunFolderError."""
        if self._lines is None:
            raise RunFolderError(f"{self.path}: not opened for writing")
        try:
            for rollout in rollouts:
                line = f"{sealed(rollout_row(rollout))}\n".encode()
                self._write(self._lines, line)
                if self._rollouts is not None:
                    self._rollouts.append(read_rollout(line))  # as a later reader sees it: times are rounded
            os.fsync(self._lines)
        except OSError as error:
            raise RunFolderError(
                f"{self.path}/rollouts.jsonl: {error.strerror}; results so far are kept, go on with --resume"
            ) from error
        self._check_place()

    def _write(self, lines: int, line: bytes) -> None:
        while line:
            written = os.write(lines, line)
            self._end, line = self._end + written, line[written:]

    def _check_place(self) -> None:
        """Raise RunFolderError if the results are not where a reader looks for them, or not what was written."""
        if self._lines is None:
            return
        if not safe_files.is_at(self.path / "rollouts.jsonl", self._lines):
            raise RunFolderError(f"{self.path}/rollouts.jsonl: moved or replaced during the run; bring it back")
        if os.fstat(self._lines).st_size != self._end:
            raise RunFolderError(f"{self.path}/rollouts.jsonl: changed by another program during the run")

    def close(self) -> None:
        """Give up the lock."""
        for descriptor in (self._lines, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._lines = self._lock = self._rollouts = None

    def record(self) -> RunRecord:
        """What was asked. Raises RunFolderError."""
        with self._reading("run.json"):
            text = safe_files.read_whole(self.path / "run.json")
            check_seal(text)
            return read_run(text)

    def write_record(self, record: RunRecord) -> None:
        """Replace `run.json`."""
        self.write("run.json", sealed(run_row(record), indent=1))

    def groups(self) -> tuple[GroupRecord, ...]:
        """The groups of the run in their order. Raises RunFolderError."""
        with self._reading("taskset.json"):
            text = safe_files.read_whole(self.path / "taskset.json")
            check_seal(text)
            return read_groups(text)

    def rollouts(self) -> Iterator[Rollout]:
        """Every rollout on disk, in the order of writing. Raises RunFolderError for a damaged or foreign line.

        The process that holds the lock reads the file once, and then knows what it has appended.
        """
        self._check_place()
        if self._lines is None:
            yield from self._read_rollouts()
            return
        if self._rollouts is None:
            self._rollouts = list(self._read_rollouts())
        yield from tuple(self._rollouts)

    def _read_rollouts(self) -> Iterator[Rollout]:
        path, ledger = self.path / "rollouts.jsonl", Ledger(self.record())
        with self._reading(path.name), safe_files.open_to_read(path) as file:
            for number, line in enumerate(safe_files.read_lines(file), start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    check_seal(line)
                    rollout = read_rollout(line)
                    ledger.enter(rollout)
                except (ValueError, RecursionError) as error:
                    raise RunFolderError(f"{path}:{number}: damaged line: {error}") from error
                yield rollout

    def write(self, name: str, text: str) -> Path:
        """Replace a derived file in one step: a reader sees the old one or the new one. Raises RunFolderError."""
        path = self.path / name
        try:
            safe_files.replace(path, text.encode())
        except OSError as error:
            raise RunFolderError(f"{path}: {error.strerror or error}") from error
        return path

    def log_path(self, rollout: RolloutId, name: str) -> Path:
        """Where a log of one attempt belongs: its folder is made, and what lay there is removed. Raises RunFolderError.

        A log is opened by its path, so that a link or a pipe must not wait for it there.
        """
        folder = self.attempt_folder(rollout)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise RunFolderError(f"{folder / name}: {error.strerror}") from error
        return folder / name

    def attempt_folder(self, rollout: RolloutId) -> Path:
        """Where the logs of one attempt are, if it has any. Raises RunFolderError for a link on the way."""
        group = str(rollout.group)
        digest = hashlib.sha256(group.encode()).hexdigest()
        safe = re.sub(r"[^A-Za-z0-9._-]+", "-", group)[:LONGEST_NAME]
        index = str(rollout.index) if rollout.attempt == 0 else f"{rollout.index}-retry{rollout.attempt}"
        inside = Path("rollouts", digest[:2], f"{safe}-{digest[:8]}", index)
        if (self.path / inside).resolve() != self.path.resolve() / inside:
            raise RunFolderError(f"{self.path / inside}: a link on the way leads elsewhere; remove it")
        return self.path / inside

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunFolderError(f"{self.path}/{name}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise RunFolderError(f"{self.path}/{name}: damaged: {error}") from error


def being_written() -> Iterator[Path]:
    """The folders of the runs that a process of this machine goes on with just now, as far as this user may see."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            file = link.readlink()
            if file.name == "rollouts.jsonl" and file.with_name("run.json").is_file():
                yield file.parent


def newest(root: Path) -> RunFolder:
    """The run that was started last below a folder, among those that can be read.

    Raises RunFolderError where there is none, with what is wrong where none of them can be read.
    """
    readable: list[tuple[tuple[str, int, str], Path]] = []
    damage: list[RunFolderError] = []
    for path in sorted(file.parent for file in root.glob("*/run.json")):
        try:
            readable.append((_age(path), path))
        except RunFolderError as error:
            damage.append(error)
    if readable:
        return RunFolder.open(max(readable)[1])
    if damage:
        raise damage[-1]
    raise RunFolderError(f"no run below {root}/; name a run's folder, or make one with `taskcal run`")


def _age(path: Path) -> tuple[str, int, str]:
    """What is larger for a newer run; `taskset.json`, written once, tells runs of one second apart."""
    started_at = RunFolder.open(path).record().started_at
    groups = path / "taskset.json"
    return started_at, groups.stat().st_mtime_ns if groups.exists() else 0, path.name


def find(run: str | None, root: Path) -> RunFolder:
    """The run that a command names: a folder, an id below `root`, or (None, `last`) the newest one."""
    if run is None or run == "last":
        return newest(root)
    path = Path(run)
    return RunFolder.open(path if path.exists() else root / run)
