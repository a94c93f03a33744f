"""From what a person names to the rollouts of a run that are meant, and to all that is stored of one."""

from __future__ import annotations

import fnmatch
import json
import os
from typing import TYPE_CHECKING

from taskcal.agents.transcript import FILE, line_of, read_transcript
from taskcal.errors import RunFolderError, UsageError
from taskcal.report.show import StoredRollout
from taskcal.store import safe_files
from taskcal.store.rollout_rows import rollout_row
from taskcal.store.run_folder import RunFolder, find, newest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskcal.core.rollout import Rollout

MOST_LOG = 64 * 1024 * 1024


def find_run(run: str | None, task: str | None, root: Path) -> tuple[RunFolder, str | None]:
    """The run that is meant, and the task; one name that is no run is a task of the newest. Raises RunFolderError.

    A name with a `#` is a rollout's, whether the newest run has it or not.
    """
    if run is None or task is not None:
        return find(run, root), task
    try:
        return find(run, root), None
    except RunFolderError as error:
        folder = newest(root)
        if "#" not in run and not _named(tuple(folder.rollouts()), run):
            raise RunFolderError(f"{error}, and no task of {folder.path}") from error
        return folder, run


def chosen(folder: RunFolder, name: str | None, attempt: int | None) -> tuple[tuple[Rollout, ...], bool]:
    """The rollouts of that name in the order of their keys, and whether it names one. Raises UsageError."""
    rollouts = tuple(folder.rollouts())
    if not rollouts:
        raise UsageError(f"{folder.path}: no rollout has ended yet")
    found = rollouts if name is None else _named(rollouts, name)
    if not found:
        known = ", ".join(dict.fromkeys(str(rollout.id.group) for rollout in rollouts))
        raise UsageError(f"{name} names no rollout of {folder.path}; it has {known}"[:400])
    is_one = name is not None and "#" in name and len({rollout.id.key for rollout in found}) == 1
    if not is_one:
        return tuple(sorted(found, key=lambda rollout: rollout.id)), False
    by_attempt = {rollout.id.attempt: rollout for rollout in found}
    wanted = max(by_attempt) if attempt is None else attempt
    if wanted not in by_attempt:
        raise UsageError(f"{name} has no attempt {wanted}; it has {', '.join(map(str, sorted(by_attempt)))}")
    return (by_attempt[wanted],), True


def _named(rollouts: Sequence[Rollout], name: str) -> tuple[Rollout, ...]:
    """Those that a name fits: exactly first, then as a glob."""
    exact = tuple(one for one in rollouts if name in {one.id.key, str(one.id.group), one.id.group.task})
    return exact or tuple(one for one in rollouts if _matches(one, name))


def _matches(rollout: Rollout, pattern: str) -> bool:
    key = rollout.id.key if "#" in pattern else str(rollout.id.group)
    return fnmatch.fnmatchcase(key, pattern)


def record_of(folder: RunFolder, rollout: Rollout) -> StoredRollout:
    """Everything that is stored of one attempt. Raises RunFolderError where it cannot be read."""
    place = folder.attempt_folder(rollout.id)
    group = next((group for group in folder.groups() if group.id == rollout.id.group), None)
    if group is None:
        raise RunFolderError(f"{folder.path}/taskset.json: does not hold {rollout.id.group}")
    try:
        entries = tuple(read_transcript(place / FILE)) if os.path.lexists(place / FILE) else ()
        log = _text(place / "agent.log")
    except OSError as error:
        raise RunFolderError(f"{place}: {error.strerror or error}") from error
    return StoredRollout(rollout, group, entries, log, str(place))


def _text(path: Path) -> str:
    if not os.path.lexists(path):
        return ""
    with safe_files.open_to_read(path) as file:
        return file.read(MOST_LOG).decode(errors="replace")


def list_as_json(rollouts: Sequence[Rollout]) -> str:
    """The rows of the rollouts."""
    return json.dumps({"schema": "taskcal/show@1", "rollouts": [rollout_row(one) for one in rollouts]}, indent=1)


def rollout_as_json(record: StoredRollout) -> str:
    """One rollout's row, its prompt and transcript, and where its files are."""
    transcript = [json.loads(line_of(entry)) for entry in record.entries]
    row = {"rollout": rollout_row(record.rollout), "prompt": record.group.prompt, "transcript": transcript}
    return json.dumps({"schema": "taskcal/show@1", **row, "log": record.log, "folder": record.place}, indent=1)
