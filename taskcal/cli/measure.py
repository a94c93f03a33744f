"""The way of a run: prepare, roll out, calibrate, report. Everything that it makes on the engine is gone at its end."""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import signal
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from taskcal import __version__
from taskcal.baseimage import BASE_IMAGE
from taskcal.cli.digests import agent_digest, taskset_digest
from taskcal.cli.progress import Progress, make_progress
from taskcal.cli.publish import publish
from taskcal.cli.resume import command_to_resume, refuse_differences, remaining
from taskcal.core.gate import exit_code
from taskcal.core.plan import plan
from taskcal.core.question import fixed
from taskcal.core.rollout import Graded, Lost, Rollout, RolloutId
from taskcal.core.rows import group_record
from taskcal.core.run import RunRecord
from taskcal.engines.local import LocalThreads
from taskcal.errors import Boundary, LostError
from taskcal.prepare import prepare_group
from taskcal.runner import Context, run_rollout
from taskcal.sandbox.docker import DockerEngine
from taskcal.sandbox.images import Images, PreparedImages
from taskcal.sandbox.scope import RunScope
from taskcal.sandbox.sweep import leftovers, sweep
from taskcal.schedule import FixedSchedule, run_schedule
from taskcal.store import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.agents import Agent
    from taskcal.cli.options import Request
    from taskcal.core.plan import PlannedRollout
    from taskcal.core.rollout import GroupId
    from taskcal.core.task import Group

PREPARERS = 4
END_SECONDS = 5.0
LOCAL_BASE = f"the base image {BASE_IMAGE} was built on this machine with debootstrap, not pulled"


@dataclass
class Run:
    """A run while it happens: what was asked, where it is stored, and what it has on the engine."""

    request: Request
    scope: RunScope
    folder: RunFolder
    record: RunRecord
    progress: Progress
    cancelled: threading.Event = field(default_factory=threading.Event)
    kept: list[str] = field(default_factory=list)


def measure(request: Request) -> int:
    """Carry out a request and give the exit code. Raises TaskcalError where nothing could be started."""
    engine = connect(request.concurrency)
    folder, record = open_folder(request, make_record(request, engine))
    progress = make_progress(quiet=request.quiet, as_json=request.as_json, stream=sys.stderr)
    run = Run(request, RunScope(engine, record.id), folder, record, progress)
    begun = time.monotonic()
    try:
        with terminate_as_interrupt():
            interrupted = _carry_out(run)
        final = replace(
            run.record,
            seconds=round((run.record.seconds or 0.0) + time.monotonic() - begun, 3),
            interrupted=interrupted,
        )
        folder.write_record(final)
        calibrations = publish(folder, as_json=request.as_json)
        _say_how_to_go_on(run, interrupted=interrupted)
        return int(exit_code(calibrations, request.gate, interrupted=interrupted, group_size=request.group_size))
    finally:
        folder.close()
        engine.close()


def open_folder(request: Request, record: RunRecord) -> tuple[RunFolder, RunRecord]:
    """A new run's folder, or the one to go on with; locked. Raises RunFolderError, or UsageError where it differs."""
    if request.resume is None:
        return RunFolder.create(request.runs, record, [group_record(group) for group in request.groups]), record
    folder = RunFolder.open(Path(request.resume))
    before = folder.record()
    refuse_differences(before, record, extend=request.extend)
    folder.lock()
    seconds, images = before.seconds, before.images
    return folder, replace(record, id=before.id, started_at=before.started_at, seconds=seconds, images=images)


def connect(concurrency: int) -> DockerEngine:
    """The engine, cleaned of what dead runs left. Raises MissingError."""
    engine = DockerEngine.connect(connections=concurrency + PREPARERS)
    sweep(engine, leftovers(engine))
    return engine


def make_record(request: Request, engine: DockerEngine) -> RunRecord:
    """What is asked, for the run's folder."""
    now = datetime.now(UTC)
    name = "".join(c if c.isalnum() or c in "-._" else "-" for c in request.taskset.name)[:40]
    return RunRecord(
        id=f"{now:%Y%m%d-%H%M%S}-{name}-{secrets.token_hex(2)}",
        taskset=request.taskset.name,
        taskset_files=request.taskset.files,
        taskset_digest=taskset_digest(request.taskset),
        agent=request.agent.name,
        agent_source=request.agent_source,
        agent_digest=agent_digest(request.agent),
        question=fixed(request.group_size, request.band),
        seed=request.seed,
        concurrency=request.concurrency,
        retries=request.retries,
        started_at=now.isoformat(timespec="seconds"),
        version=__version__,
        engine=f"{engine.product} {engine.version}",
        host=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        notes=tuple(_notes(request.agent)),
    )


def _notes(agent: Agent) -> Iterator[str]:
    if agent.about:
        yield f"the agent {agent.name}: {agent.about}"
    if agent.network is not None:
        yield f"the agent's file gives every sandbox network: {agent.network.mode.value}, whatever the task says"


@contextlib.contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """SIGTERM, and a terminal that is closed, end a run like Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _carry_out(run: Run) -> bool:
    """Prepare and roll out; True where it was interrupted. Nothing of the run is left on the engine afterwards."""
    pools: list[LocalThreads[Any, Any]] = []
    try:
        with run.progress:
            images = _prepare(run, pools)
            _roll_out(run, images, pools)
    except KeyboardInterrupt:
        run.cancelled.set()
        return True
    finally:
        run.cancelled.set()
        _clean_up(run)
        for threads in pools:
            threads.close(END_SECONDS)
        _clean_up(run)
    return False


def _clean_up(run: Run) -> None:
    """Remove what the run has on the engine; an engine that does not answer must not hide the results."""
    try:
        run.scope.close()
    except LostError as error:
        typer.echo(f"not everything could be removed ({error}); `taskcal clean` does it later", err=True)


def _prepare(run: Run, pools: list[LocalThreads[Any, Any]]) -> dict[GroupId, PreparedImages]:
    """The images of every group that has them; the other groups are recorded as lost, once each."""
    images = Images(run.scope, network=run.request.bounds.network != "none", log=run.progress.log)
    made: dict[GroupId, PreparedImages] = {}
    unmeasurable: dict[Lost, list[str]] = {}

    def work(group: Group, _: float) -> tuple[Group, PreparedImages | Lost]:
        if run.cancelled.is_set():
            return group, Lost(Boundary.CANCELLED, "the run was stopped")
        return group, prepare_group(group, images, run.request.agent, run.request.bounds)

    threads: LocalThreads[Group, tuple[Group, PreparedImages | Lost]] = LocalThreads(work, PREPARERS)
    pools.append(threads)
    recorded = tuple(run.folder.rollouts())
    for group, result in _all(threads, _unfinished(run, recorded)):
        if isinstance(result, Lost):
            owed = remaining(plan([group], run.request.group_size), recorded)[0]
            run.folder.append(Rollout(owed.id, result, started_at=run.record.started_at))
            unmeasurable.setdefault(result, []).append(str(group.id))
        else:
            made[group.id] = result
    for lost, names in unmeasurable.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        run.progress.log(f"{names[0]}{more} cannot be measured: {lost.boundary.value}: {lost.reason}")
    notes = (*run.record.notes, LOCAL_BASE) if images.local_base else run.record.notes
    named = {**run.record.images, **{str(group): made[group].sandbox for group in made}}
    run.record = replace(run.record, notes=notes, images=named)
    run.folder.write_record(run.record)
    return made


def _unfinished(run: Run, recorded: tuple[Rollout, ...]) -> tuple[Group, ...]:
    """The groups that still have a rollout to run."""
    owed = remaining(plan(run.request.groups, run.request.group_size), recorded)
    groups = {planned.id.group for planned in owed}
    return tuple(group for group in run.request.groups if group.id in groups)


def _all(
    threads: LocalThreads[Group, tuple[Group, PreparedImages | Lost]], groups: tuple[Group, ...]
) -> Iterator[tuple[Group, PreparedImages | Lost]]:
    for group in groups:
        threads.submit(group)
    for _ in groups:
        while (result := threads.next(1.0)) is None:
            pass
        yield result


def _roll_out(run: Run, images: dict[GroupId, PreparedImages], pools: list[LocalThreads[Any, Any]]) -> None:
    groups = [group for group in run.request.groups if group.id in images]
    context = Context(
        scope=run.scope,
        agent=run.request.agent,
        images=images,
        seed=run.request.seed,
        log_path=run.folder.log_path,
        cancelled=run.cancelled,
        keep=_first_failures() if run.request.keep_failed else lambda *_: False,
        kept=run.kept,
    )

    def work(planned: PlannedRollout, queued: float) -> Rollout:
        run.progress.started(planned.id)
        return run_rollout(planned, context, queued)

    def record(rollout: Rollout) -> None:
        run.folder.append(rollout)
        run.progress.finished(rollout)

    threads: LocalThreads[PlannedRollout, Rollout] = LocalThreads(work, run.request.concurrency)
    pools.append(threads)
    run.progress.begin([group.id for group in run.request.groups], run.request.group_size)
    recorded = tuple(run.folder.rollouts())
    for rollout in recorded:
        run.progress.finished(rollout)
    owed = remaining(plan(groups, run.request.group_size), recorded)
    run_schedule(FixedSchedule(owed, run.request.retries), threads, record, run.scope.engine.answers)


class _first_failures:  # noqa: N801 - reads as the function that it is
    """Says yes to the first failed rollout of each group."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[GroupId] = set()

    def __call__(self, rollout: RolloutId, graded: Graded) -> bool:
        with self._lock:
            first = not graded.passed and rollout.group not in self._groups
            if first:
                self._groups.add(rollout.group)
        return first


def _say_how_to_go_on(run: Run, *, interrupted: bool) -> None:
    for name in run.kept:
        typer.echo(f"kept: docker exec -it {name} sh   (remove with `taskcal clean --kept`)", err=True)
    if interrupted:
        typer.echo(f"interrupted; go on with: {command_to_resume(run.record.id)}", err=True)
