"""The way of a run: open its folder, prepare, roll out, end. All that it made on the engine is gone at its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.errors import LostError, MissingError
from taskcal.runs.identities import gather_identities
from taskcal.runs.images.moved import refuse_moved
from taskcal.runs.images.prepare_images import prepare_images
from taskcal.runs.live_run import Run
from taskcal.runs.preflight import is_exempt, preflight, was_seen
from taskcal.runs.record import make_record
from taskcal.runs.redacted_stdout import divert_stdout
from taskcal.runs.resume import changed_groups, refuse_differences
from taskcal.runs.roll_out import roll_out
from taskcal.store.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskcal.agents import Agent
    from taskcal.core.group_record import GroupRecord
    from taskcal.core.run import RunRecord
    from taskcal.execution.listener import Listener, SignalGuard
    from taskcal.runs.engine import SandboxEngine
    from taskcal.runs.request import Request

STEPS: tuple[Callable[[Run], None], ...] = (
    refuse_moved,  # a resumed run: no tag may stand for another image than it measured
    prepare_images,  # each group's images and environment, once; what has none is lost once
    roll_out,  # all rollouts that are owed, each on disk as it ends
)
"""What happens between an open folder and a finished one, in this order. A KeyboardInterrupt skips what is left."""

END_SECONDS, PAUSE_SECONDS = 4.0, 0.2


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that is over: its final record, which is on disk, and the names of the containers that were left."""

    record: RunRecord
    kept: tuple[str, ...] = ()


def require_agent(agent: Agent) -> None:
    """Raise MissingError if an agent lacks something that it needs, so that no rollout could succeed."""
    if agent.missing:
        raise MissingError(f"{agent.missing}; see to it, or mend the agent file, then try again")


def open_run(request: Request, engine: SandboxEngine, listener: Listener, guard: SignalGuard) -> Run:
    """A run with its folder, which it holds the lock of; a new agent has done one trivial task before.

    Raises MissingError for an agent that does not work, UsageError if a resumed run differs, RunFolderError.
    """
    known = gather_identities(request.taskset, request.agent, request.agent_version)
    record = make_record(request, engine.name, known)
    if request.preflight and not (request.resume or is_exempt(request.agent)):
        with divert_stdout(request.agent.redactor):
            record = _try_new_agent(request, record, engine, listener)
    folder, record = _open_folder(request, record, known.groups)
    return Run(request, engine, engine.begin(record.id), folder, record, listener, guard, list(folder.rollouts()))


def carry_out(run: Run) -> EndedRun:
    """Take every step of a run whose folder is open, clean up, and put the final record on disk."""
    begun = time.monotonic()
    interrupted = _take_steps(run)
    seconds = (run.record.seconds or 0.0) + time.monotonic() - begun
    final = replace(run.record, seconds=round(seconds, 3), interrupted=interrupted, stopped=run.stopped)
    run.folder.write_record(final)
    return EndedRun(final, tuple(run.kept))


def _take_steps(run: Run) -> bool:
    """Whether the run was interrupted. Nothing of it is left on the engine afterwards."""
    try:
        with divert_stdout(run.request.agent.redactor), run.listener:
            for step in STEPS:
                step(run)
    except KeyboardInterrupt:
        return True
    finally:
        run.cancelled.set()
        _end(run)
    return False


def _try_new_agent(request: Request, record: RunRecord, engine: SandboxEngine, listener: Listener) -> RunRecord:
    """One trivial task for an agent that no run here has measured yet; a warning about it is a note of the run.

    Raises MissingError for an agent that does not work.
    """
    if was_seen(request.runs, record.agent_digest):
        return record
    listener.log(f"trying the agent {request.agent.name} on one trivial task")
    warning = preflight(engine, request.agent, request.bounds, request.groups[0], listener.log)
    return replace(record, notes=(*record.notes, warning)) if warning else record


def _open_folder(request: Request, record: RunRecord, groups: Sequence[GroupRecord]) -> tuple[RunFolder, RunRecord]:
    """A new run's folder, or the one to go on with; locked. Raises RunFolderError, or UsageError where it differs."""
    if request.resume is None:
        return RunFolder.create(request.runs, record, groups), record
    folder = RunFolder.open(Path(request.resume))
    before = folder.record()
    changes = changed_groups(before, folder.groups(), groups)
    refuse_differences(before, record, extend=request.extend, changes=changes)
    folder.lock()
    kept = replace(record, id=before.id, started_at=before.started_at, seconds=before.seconds)
    notes = tuple(dict.fromkeys((*before.notes, *record.notes)))
    return folder, replace(kept, images=before.images, groups=before.groups, notes=notes)


def _end(run: Run) -> None:
    """Remove what the run has on the engine until its threads have ended: one of them may just make a container."""
    deadline = time.monotonic() + END_SECONDS
    while _clean_up(run) is None and not all(threads.close(PAUSE_SECONDS) for threads in run.pools):
        if time.monotonic() > deadline:
            break
    error = _clean_up(run)
    if error is not None:  # an engine that does not answer must not hide the results
        run.listener.warn(f"not everything could be removed ({error}); `taskcal clean` does it later")


def _clean_up(run: Run) -> LostError | None:
    try:
        run.on_engine.close()
    except LostError as error:
        return error
    return None
