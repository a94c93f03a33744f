"""A run's folder notices what was changed in it: no number comes out that was not put in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskcal.errors import RunFolderError
from taskcal.store.run_folder import RunFolder
from taskcal.store.seal import SEAL, check_seal, sealed
from taskcal.store.typed_json import RowError
from tests.store.store_case import FIRST, GROUP, RECORD, SECOND, edit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

READERS: dict[str, Callable[[RunFolder], object]] = {
    "run.json": RunFolder.record,
    "taskset.json": RunFolder.groups,
    "rollouts.jsonl": lambda run: list(run.rollouts()),
}
WORTH = {"run.json": RECORD, "taskset.json": (GROUP,), "rollouts.jsonl": [FIRST, SECOND]}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Give a run's folder with two rollouts."""
    folder = RunFolder.create(tmp_path, RECORD, [GROUP])
    folder.extend([FIRST, SECOND])
    folder.close()
    return folder


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("run.json", "0.75", "0.55"),
        ("run.json", '"seed": 7', '"seed": 8'),
        ("taskset.json", '"passing": 1.0', '"passing": 0.5'),
        ("rollouts.jsonl", '"reward": 0.7', '"reward": 0.1'),
        ("rollouts.jsonl", '"passed": false', '"passed": true '),
        ("rollouts.jsonl", '"attempt": 0', '"attempt": 1'),
        ("rollouts.jsonl", '"reward": 0.7', '"reward": NaN'),
        ("rollouts.jsonl", '"}\n', '", "reward": 0.1}\n'),
    ],
)
def test_a_changed_value_is_named(run: RunFolder, name: str, old: str, new: str) -> None:
    """One digit, or a key behind the checksum: the error says which file, and what to do if it was meant."""
    path = run.path / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(RunFolderError, match=rf"{name}.*damaged"):
        READERS[name](run)


@pytest.mark.parametrize("name", READERS)
def test_what_was_meant_is_read(run: RunFolder, name: str) -> None:
    """Without its checksum a file is believed; so is one that is only laid out in another way."""
    edit(run.path / name)
    assert SEAL not in (run.path / name).read_text()
    assert READERS[name](run) == WORTH[name]
    lines = sealed(json.loads((run.path / name).read_text().splitlines()[0]) if name == "rollouts.jsonl" else {"a": 1})
    for text in (lines, json.dumps(json.loads(lines), indent=3)):
        check_seal(text.encode())
        with pytest.raises(RowError, match="changed after it was written"):
            check_seal(text.replace("1", "2", 1).encode())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(READERS)), place=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_a_changed_byte_changes_no_value(run: RunFolder, name: str, place: int, byte: int) -> None:
    """Whatever byte stands anywhere: what is read was written, or an error names the file."""
    path = run.path / name
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[place % len(damaged)] = byte
    path.write_bytes(damaged)
    try:
        found = READERS[name](run)
        assert found == WORTH[name] or (name == "rollouts.jsonl" and found == [FIRST])
    except RunFolderError as error:
        assert name in str(error)  # noqa: PT017 - either way is fine, but no other exception
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("gone", ["run.json", "taskset.json", "rollouts.jsonl"])
def test_a_folder_is_a_run_when_it_is_whole(tmp_path: Path, gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at any step of its making, it is no run, for this command and for the next."""

    def killed(_: RunFolder, *args: object) -> None:
        raise KeyboardInterrupt(args)

    step = {"run.json": "write_record", "taskset.json": "write", "rollouts.jsonl": "lock"}[gone]
    monkeypatch.setattr(RunFolder, step, killed)
    with pytest.raises(KeyboardInterrupt):
        RunFolder.create(tmp_path, RECORD, [GROUP])
    with pytest.raises(RunFolderError, match="not a run's folder"):
        RunFolder.open(tmp_path / RECORD.id)


def test_a_draft_that_cannot_be_written_is_taken_away(run: RunFolder) -> None:
    """A disk that is full does not stay full of drafts, and the old file is still there."""
    before = sorted(run.path.iterdir())
    (run.path / "report.md").mkdir()
    with pytest.raises(RunFolderError, match=r"report\.md: Is a directory"):
        run.write("report.md", "x")
    assert sorted(path for path in run.path.iterdir() if path.name != "report.md") == before
