"""A run's folder: nothing that was recorded is lost, and nothing that is damaged is believed."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskcal.core.rollout import GroupId, Rollout, RolloutId, Timing
from taskcal.errors import RunFolderError
from taskcal.machine import host
from taskcal.store import safe_files
from taskcal.store.run_folder import RunFolder
from tests.store.store_case import FIRST, GRADED, GROUP, RECORD, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import IO

NOBODY = 65534
APPEND = """
import sys
from pathlib import Path
from taskcal.store.run_folder import RunFolder
RunFolder.open(Path(sys.argv[1])).lock()
"""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    """Give a new run's folder, locked."""
    folder = RunFolder.create(tmp_path, RECORD, [GROUP])
    yield folder
    folder.close()


def lines(run: RunFolder) -> Path:
    return run.path / "rollouts.jsonl"


def read(run: RunFolder) -> list[Rollout]:
    """What another command would find."""
    return list(RunFolder.open(run.path).rollouts())


def test_what_is_created_is_there(run: RunFolder) -> None:
    """The record, the groups and no rollout yet, for whoever opens the folder."""
    found = RunFolder.open(run.path)
    assert found.record() == RECORD
    assert found.groups() == (GROUP,)
    assert read(run) == []


def test_append_is_on_disk_when_it_returns(run: RunFolder) -> None:
    """Another handle reads each line at once, whole, in the order of writing."""
    run.append(FIRST)
    assert read(run) == [FIRST]
    assert lines(run).read_bytes().endswith(b"\n")
    run.append(SECOND)
    assert read(run) == [FIRST, SECOND]


def test_the_writer_reads_its_file_once(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """After that it knows what it has appended, with the same values as any other reader: times are rounded."""
    opens: list[Path] = []
    opened = safe_files.open_to_read

    def counted(path: Path) -> AbstractContextManager[IO[bytes]]:
        opens.append(path)
        return opened(path)

    monkeypatch.setattr(safe_files, "open_to_read", counted)
    run.append(FIRST)
    assert list(run.rollouts()) == [FIRST]
    run.append(replace(SECOND, timing=Timing(total=1 / 3)))
    known = list(run.rollouts())
    assert [path for path in opens if path == lines(run)] == [lines(run)]
    assert known == read(run)
    assert known[1].timing.total == 0.3333


def test_a_reader_sees_what_was_appended_since(run: RunFolder) -> None:
    """Without the lock nothing is kept: another process may be writing."""
    reader = RunFolder.open(run.path)
    assert list(reader.rollouts()) == []
    run.append(FIRST)
    assert list(reader.rollouts()) == [FIRST]


def test_append_waits_for_the_disk(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole line is written, and then the disk is waited for: a crash of the machine loses nothing."""
    synced: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(lines(run).read_bytes()))
    run.append(FIRST)
    assert synced == [lines(run).read_bytes()]
    assert synced != [b""]


@pytest.mark.parametrize("cut", [1, 40, -1])
def test_a_torn_last_line_is_no_rollout(run: RunFolder, cut: int) -> None:
    """A kill in the middle of a write costs that one rollout: not read, and cut off before the next is appended."""
    run.append(FIRST)
    whole = lines(run).read_bytes()
    run.close()
    lines(run).write_bytes(whole + whole[:cut])
    assert read(run) == [FIRST]
    run.lock()
    assert lines(run).read_bytes() == whole
    run.append(SECOND)
    assert read(run) == [FIRST, SECOND]


def test_a_file_of_nothing_but_a_torn_line_is_empty(run: RunFolder) -> None:
    """Killed in the first write."""
    run.close()
    lines(run).write_bytes(b'{"key": ')
    assert read(run) == []
    run.lock()
    assert lines(run).read_bytes() == b""


@pytest.mark.parametrize(
    "broken", [b"", b"{", b"[]", b"5", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"task": "a", "variant": 1}']
)
def test_a_broken_line_in_the_middle_is_named(run: RunFolder, broken: bytes) -> None:
    """It is damage, not a crash: the error names file and line, whatever stands there."""
    run.append(FIRST)
    run.close()
    lines(run).write_bytes(lines(run).read_bytes() + broken + b"\n" + lines(run).read_bytes())
    with pytest.raises(RunFolderError, match=r"rollouts\.jsonl:2: damaged line"):
        read(run)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_any_damage_is_read_or_named(run: RunFolder, place: int, byte: int) -> None:
    """One wrong byte anywhere gives rollouts or a RunFolderError, nothing else."""
    if not lines(run).stat().st_size:
        run.append(FIRST)
        run.append(SECOND)
    damaged = bytearray(lines(run).read_bytes())
    damaged[place % len(damaged)] = byte
    copy = RunFolder(run.path / "copy")
    copy.path.mkdir(exist_ok=True)
    copy.write_record(RECORD)
    lines(copy).write_bytes(damaged)
    try:
        assert len(list(copy.rollouts())) <= 3
    except RunFolderError as error:
        assert "damaged line" in str(error)  # noqa: PT017 - either way is fine, but no other exception


def test_lines_of_another_run_are_named(run: RunFolder) -> None:
    """They are not counted: an index beyond the group size, or one that was graded before."""
    other = replace(FIRST, outcome=replace(GRADED, reward=1.0, passed=True))
    for strange in (other, replace(other, id=RolloutId(GROUP.id, RECORD.group_size, 0))):
        run.append(FIRST)
        run.append(strange)
        with pytest.raises(RunFolderError, match=r"rollouts\.jsonl:2: .*another run\?"):
            read(run)
        run.close()
        os.truncate(lines(run), 0)
        run.lock()


def test_a_second_process_is_refused(run: RunFolder) -> None:
    """Two writers would tear each other's lines; the second one is told, and the first goes on."""
    program = [sys.executable, "-c", APPEND, str(run.path)]
    refused = host.run_program(program, seconds=60)
    assert refused.status == 1
    assert refused.last_line.endswith(f"{run.path}: another process is writing this run")
    run.append(FIRST)
    run.close()
    assert host.run_program(program, seconds=60).status == 0
    assert read(run) == [FIRST]


def test_a_refused_lock_is_no_lock(run: RunFolder) -> None:
    """Who was refused cannot append, and neither can who never asked."""
    second = RunFolder.open(run.path)
    with pytest.raises(RunFolderError, match="another process"):
        second.lock()
    with pytest.raises(RunFolderError, match="not opened for writing"):
        second.append(FIRST)
    assert read(run) == []


@pytest.fixture
def sealed(run: RunFolder) -> Iterator[RunFolder]:
    """Give a run's folder that is read-only, to somebody other than root, for whom nothing is."""
    before = os.geteuid()
    lines(run).chmod(0o444)
    run.path.chmod(0o555)
    if before == 0:
        os.seteuid(NOBODY)
    yield run
    os.seteuid(before)
    run.path.chmod(0o755)


def test_a_read_only_folder_is_one_line(sealed: RunFolder) -> None:
    """Nothing can be created, locked or written there, and each error says where and what to do."""
    with pytest.raises(RunFolderError, match=r"Permission denied; choose another folder with -o"):
        RunFolder.create(sealed.path / "runs", RECORD, [])
    with pytest.raises(RunFolderError, match="Permission denied"):
        RunFolder(sealed.path).lock()
    with pytest.raises(RunFolderError, match=r"report\.md: Permission denied"):
        sealed.write("report.md", "x")


def test_a_file_in_the_way_is_one_line(tmp_path: Path, run: RunFolder) -> None:
    """A run's folder below a file cannot be made; an id that is taken is not taken over."""
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="choose another folder with -o"):
        RunFolder.create(tmp_path / "file", RECORD, [])
    with pytest.raises(RunFolderError, match="File exists; choose another folder with -o"):
        RunFolder.create(tmp_path, RECORD, [])
    assert run.record() == RECORD


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("run.json", "{", r"run\.json: damaged"),
        ("run.json", "[]", r"run\.json: damaged"),
        ("run.json", "{}", r"run\.json: damaged: id: must be text"),
        ("run.json", "[" * 100_000, r"run\.json: damaged"),
        ("run.json", "1" * 10_000, r"run\.json: damaged"),
        ("taskset.json", '{"groups": ' + "[" * 100_000, r"taskset\.json: damaged"),
        ("taskset.json", "{}", r"taskset\.json: damaged"),
        ("taskset.json", '{"groups": [{"task": 1}]}', r"taskset\.json: damaged: task: must be text"),
        ("taskset.json", '{"groups": [5]}', r"taskset\.json: damaged"),
        ("taskset.json", None, r"taskset\.json: No such file"),
        ("run.json", None, r"run\.json: No such file"),
        ("rollouts.jsonl", None, r"rollouts\.jsonl: No such file"),
    ],
    ids=lambda text: str(text)[:40],
)
def test_a_damaged_file_is_named(run: RunFolder, name: str, text: str | None, message: str) -> None:
    """Whatever of the folder is broken or gone, the error says which file, in one line."""
    run.close()
    if text is None:
        (run.path / name).unlink()
    else:
        (run.path / name).write_text(text)
    with pytest.raises(RunFolderError, match=message):
        _ = run.record(), run.groups(), list(run.rollouts())


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    """Any other folder is not mistaken for a run."""
    with pytest.raises(RunFolderError, match=r"not a run's folder \(no run\.json\)"):
        RunFolder.open(tmp_path)


def test_derived_files_are_replaced_in_one_step(run: RunFolder) -> None:
    """The new text whole, in UTF-8, and no draft is left beside it."""
    before = set(run.path.iterdir())
    run.write("report.md", "first " * 100)
    assert run.write("report.md", "ä").read_bytes() == "ä".encode()
    assert set(run.path.iterdir()) - before == {run.path / "report.md"}


HOSTILE = (
    st.text() | st.text(alphabet="./\\\0\n *~$-", max_size=300) | st.sampled_from(["..", "../..", "/etc", "a" * 400])
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(task=HOSTILE, variant=HOSTILE, attempt=st.integers(0, 3))
def test_logs_stay_inside_the_run(run: RunFolder, task: str, variant: str, attempt: int) -> None:
    """Whatever a taskset calls its tasks: a log lies below the run's folder, under plain names of bearable length."""
    path = run.log_path(RolloutId(GroupId(task, variant), 7, attempt), "agent.log")
    assert path.resolve().relative_to(run.path.resolve()).parts[0] == "rollouts"
    assert all(len(part) <= 70 for part in path.relative_to(run.path).parts)
    assert all(part.replace(".", "").isascii() for part in path.relative_to(run.path).parts)
    path.write_text("a log")


def test_every_attempt_has_its_own_log(run: RunFolder) -> None:
    """Retries do not write over what they repeat, and like names do not meet."""
    names = [
        RolloutId(GroupId(task, variant), index, attempt)
        for task, variant in (("a", "b"), ("a-b", ""), ("a/b", "c"), ("a b", ""), ("a*b", ""))
        for index in range(2)
        for attempt in range(2)
    ]
    assert len({run.log_path(name, "agent.log") for name in names}) == len(names)
    assert run.log_path(names[0], "x").parent.name == "0"
    assert run.log_path(names[1], "x").parent.name == "0-retry1"


def test_lines_are_plain_json(run: RunFolder) -> None:
    """One object a line in ASCII, so that any tool reads it; a lost one without a reward."""
    run.append(FIRST)
    run.append(SECOND)
    first, second = map(json.loads, lines(run).read_text(encoding="ascii").splitlines())
    assert (first["key"], first["reward"]) == ("ship/easy#0", 0.7)
    assert "reward" not in second
