"""The way of a run: prepare, roll out, calibrate, report. Everything that it makes on the engine is gone at its end."""

from __future__ import annotations

import os
import platform
import secrets
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from taskcal import __version__
from taskcal.cli.digests import identify
from taskcal.cli.earlier import OLDER_PRIOR
from taskcal.cli.live_run import Run
from taskcal.cli.options.connect import reach_engine
from taskcal.cli.preflight import is_exempt, preflight, was_seen
from taskcal.cli.preparing import PREPARERS, prepare_images
from taskcal.cli.redacted import printed_aside
from taskcal.cli.resume import changed_groups, refuse_differences, way_on
from taskcal.cli.rolling import roll_out
from taskcal.cli.terminal.interrupts import Interrupts
from taskcal.cli.terminal.progress import Progress, make_progress
from taskcal.cli.terminal.publish import publish
from taskcal.core.gate import exit_code, find_violations
from taskcal.core.run import RunRecord
from taskcal.errors import LostError, MissingError
from taskcal.sandbox.engine.run_resources import RunScope
from taskcal.sandbox.engine.sweep import leftovers, sweep, sweep_layers
from taskcal.sandbox.images.baking import ImageMemory
from taskcal.store.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskcal.agents import Agent
    from taskcal.cli.digests import Identities
    from taskcal.cli.options.request import Request
    from taskcal.core.group_record import GroupRecord
    from taskcal.core.run_result import RunResult
    from taskcal.execution.local_threads import LocalThreads
    from taskcal.sandbox.engine.docker import DockerEngine

END_SECONDS, PAUSE_SECONDS = 4.0, 0.2


def measure(request: Request) -> int:
    """Carry out a request and give the exit code. Raises TaskcalError where nothing could be started."""
    with Interrupts() as interrupts:
        if request.agent.missing:
            raise MissingError(f"{request.agent.missing}; see to it, or mend the agent file, then try again")
        engine = connect(request.concurrency)
        progress = make_progress(quiet=request.quiet, as_json=request.as_json, stream=sys.stderr)
        memory = ImageMemory()
        known = identify(request.taskset, request.agent, request.agent_version)
        asked = make_record(request, engine, known)
        if request.preflight and not (request.resume or is_exempt(request.agent)):
            with printed_aside(request.agent.redactor):
                asked = _try_new_agent(request, asked, engine, progress, memory)
        folder, record = open_folder(request, asked, known.groups)
        return _measure(Run(request, RunScope(engine, record.id), folder, record, progress, interrupts, memory))


def _measure(run: Run) -> int:
    """Carry out a run whose folder is open, report it, and close everything."""
    request, folder, begun = run.request, run.folder, time.monotonic()
    try:
        interrupted = _carry_out(run)
        final = replace(
            run.record,
            seconds=round((run.record.seconds or 0.0) + time.monotonic() - begun, 3),
            interrupted=interrupted,
            stopped=run.stopped,
        )
        folder.write_record(final)
        result = publish(folder, as_json=request.as_json)
        _say_how_to_go_on(run, result)
        return int(exit_code(find_violations(result, request.gate)))
    finally:
        folder.close()
        run.scope.engine.close()


def _try_new_agent(
    request: Request, asked: RunRecord, engine: DockerEngine, progress: Progress, memory: ImageMemory
) -> RunRecord:
    """One trivial task for an agent that no run here has measured yet; a warning about it is a note of the run.

    Raises MissingError for an agent that does not work.
    """
    if was_seen(request.runs, asked.agent_digest):
        return asked
    progress.log(f"trying the agent {request.agent.name} on one trivial task")
    warning = preflight(engine, request.agent, request.bounds, request.groups[0], progress.log, memory)
    return replace(asked, notes=(*asked.notes, warning)) if warning else asked


def open_folder(request: Request, record: RunRecord, groups: Sequence[GroupRecord]) -> tuple[RunFolder, RunRecord]:
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


def connect(concurrency: int) -> DockerEngine:
    """The engine, cleaned of what dead runs left. Raises MissingError."""
    engine = reach_engine(concurrency + PREPARERS)
    sweep(engine, leftovers(engine))
    sweep_layers(engine)
    return engine


def make_record(request: Request, engine: DockerEngine, known: Identities) -> RunRecord:
    """What is asked, for the run's folder."""
    now = datetime.now(UTC)
    name = "".join(c if c.isalnum() or c in "-._" else "-" for c in request.taskset.name)[:40]
    return RunRecord(
        id=f"{now:%Y%m%d-%H%M%S}-{name}-{secrets.token_hex(2)}",
        taskset=request.taskset.name,
        taskset_files=request.taskset.files,
        taskset_digest=known.taskset_digest,
        agent=request.agent.name,
        agent_source=request.agent_source,
        agent_version=request.agent_version,
        agent_digest=known.agent_digest,
        settings=request.settings,
        prior_run=request.earlier.run,
        seed=request.seed,
        concurrency=request.concurrency,
        retries=request.retries,
        started_at=now.isoformat(timespec="seconds"),
        version=__version__,
        engine=f"{engine.product} {engine.version}",
        host=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        notes=(*_notes(request.agent), *_overrides(known.groups), *([OLDER_PRIOR] if request.earlier.is_older else [])),
    )


def _overrides(groups: Sequence[GroupRecord]) -> list[str]:
    """A sentence for each user that the agent's file names instead of the tasks' own."""
    tasks: dict[str, dict[str, None]] = {}
    for group in groups:
        if group.override is not None:
            tasks.setdefault(group.override.words, {})[group.id.task] = None
    return [
        f"the agent's file makes it act as {words} in {first}{f' and {len(more)} more tasks' if more else ''}"
        for words, (first, *more) in tasks.items()
    ]


def _notes(agent: Agent) -> Iterator[str]:
    if agent.about:
        yield agent.redactor.text(f"the agent {agent.name}: {agent.about}")
    if agent.network is None:
        return
    if agent.network.hosts:
        yield f"the agent's file lets every sandbox reach {', '.join(agent.network.hosts)} beside what its task lists"
    else:
        yield f"the agent's file gives every sandbox network: {agent.network.mode.value}, whatever the task says"


def terminate_as_interrupt() -> Interrupts:
    """SIGTERM, and a terminal that is closed, are like Ctrl-C; a second one does not wait."""
    return Interrupts()


def _carry_out(run: Run) -> bool:
    """Prepare and roll out; True where it was interrupted. Nothing of the run is left on the engine afterwards."""
    pools: list[LocalThreads[Any, Any]] = []
    try:
        with printed_aside(run.request.agent.redactor), run.progress:
            run.stopped = roll_out(run, prepare_images(run, pools), pools) or ""
    except KeyboardInterrupt:
        return True
    finally:
        run.cancelled.set()
        _end(run, pools)
    return False


def _end(run: Run, pools: list[LocalThreads[Any, Any]]) -> None:
    """Remove what the run has on the engine until its threads have ended: one of them may just make a container."""
    deadline = time.monotonic() + END_SECONDS
    while _clean_up(run) is None and not all(threads.close(PAUSE_SECONDS) for threads in pools):
        if time.monotonic() > deadline:
            break
    error = _clean_up(run)
    if error is not None:  # an engine that does not answer must not hide the results
        typer.echo(f"not everything could be removed ({error}); `taskcal clean` does it later", err=True)


def _clean_up(run: Run) -> LostError | None:
    try:
        run.scope.close()
    except LostError as error:
        return error
    return None


def _say_how_to_go_on(run: Run, result: RunResult) -> None:
    for name in run.kept:
        typer.echo(f"kept: docker exec -it {name} sh   (remove with `taskcal clean --kept`)", err=True)
    way = way_on(result)
    if way:
        typer.echo(way, err=True)
