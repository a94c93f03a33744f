"""Runs a rollout's checks in its sandbox, batch by batch, and blames the agent if it certainly prevents that."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from taskcal.blame import Fault, is_crowded, try_in
from taskcal.core.task import GraderSandbox, Processes
from taskcal.errors import GraderLost, SandboxLost
from taskcal.grading_driver import (
    STOP_EVERYTHING,
    Batch,
    Record,
    batches,
    drive,
    output_bound,
    parse,
    seconds,
)
from taskcal.sandbox import ANSWER_FILE, ROOT_USER, Ending, Script
from taskcal.sandbox.processes import END_AGENT, RESUME
from taskcal.sandbox.scripts import start_again

if TYPE_CHECKING:
    from taskcal.blame import Operation
    from taskcal.core.task import Grader, Group
    from taskcal.sandbox import GradableSandbox

KILLED = 137
SLACK_SECONDS = 120.0
ENDED_ALL = "no check could run beside the processes that the agent left, so they were ended"


@dataclass(frozen=True, slots=True)
class Arrival:
    """How the grader came into a sandbox.

    `notes` are for checks that fail; `blocked` says why none can be run there, if the agent is to blame for it.
    """

    notes: tuple[str, ...] = ()
    blocked: str | None = None


@dataclass(frozen=True, slots=True)
class _Around:
    """Shell texts around the jobs of a batch: `before` all of them, and `between` the files and the scripts."""

    before: str = ""
    between: str = ""


BESIDE = _Around(END_AGENT, RESUME)


def arrive(sandbox: GradableSandbox, grader: Grader) -> Arrival:
    """Bring artifacts and the grader's files to where the checks run. Raises a LostError if our side fails."""
    found = try_in(sandbox, partial(_bring, grader=grader))
    return Arrival(blocked=found.words) if isinstance(found, Fault) else found


def run_checks(
    sandbox: GradableSandbox, group: Group, blocked: str | None
) -> tuple[dict[str, Record], tuple[str, ...]]:
    """What each job of a grader came to, and a note if processes that the agent left had to be ended for it.

    `blocked` says why no check can be run but those in services. So does the first batch that the agent prevents: the
    others are not tried, since each could take its whole timeout. Raises a LostError if our side fails.
    """
    grader = group.grader
    keeps, ended = grader.processes is Processes.KEEP, False
    records: dict[str, Record] = {}
    for batch in batches(grader, group.task.timeouts.grader):
        if blocked is not None and not batch.service:
            records.update(_all_failed(batch, blocked))
            continue
        is_first = batch.first
        if keeps and not batch.service:
            beside = _run_beside(sandbox, batch, group)
            records.update(beside or {})
            keeps, ended = beside is not None, beside is None
            if keeps:
                continue
            is_first = True
        around = _without_agent(group) if is_first else _Around()
        found = try_in(sandbox, _again(sandbox, batch, group, around), batch.service)
        if isinstance(found, Fault):
            records.update(_all_failed(batch, _why(sandbox, batch, found)))
            blocked = blocked if batch.service else found.words
        else:
            records.update(found)
    return records, (ENDED_ALL,) if ended else ()


def run_anew(sandbox: GradableSandbox, group: Group, *, arrived: bool) -> dict[str, Record]:
    """The same as one operation that nothing is decided about; the grader comes first unless it has `arrived`."""
    if not arrived:
        _bring(sandbox, group.grader)
    records: dict[str, Record] = {}
    first = BESIDE if group.grader.processes is Processes.KEEP else _without_agent(group)
    for batch in batches(group.grader, group.task.timeouts.grader):
        records.update(_driven(sandbox, batch, group, first if batch.first else _Around()))
    return records


def _without_agent(group: Group) -> _Around:
    """Nothing of the agent runs any more, and what `start` had started runs again."""
    environment = group.task.environment
    stop = "" if group.grader.sandbox is GraderSandbox.FRESH else STOP_EVERYTHING
    return _Around(stop + start_again(environment.start, environment.ready))


def _bring(sandbox: GradableSandbox, grader: Grader) -> Arrival:
    if grader.sandbox is GraderSandbox.FRESH:
        return Arrival(notes=sandbox.freshen(grader.artifacts, grader.files))
    if not grader.files:
        return Arrival()
    keeps = grader.processes is Processes.KEEP
    return Arrival(blocked=sandbox.deliver(grader.files, END_AGENT if keeps else STOP_EVERYTHING, alone=keeps))


def _again(sandbox: GradableSandbox, batch: Batch, group: Group, around: _Around) -> Operation[dict[str, Record]]:
    """A batch as an operation: in another sandbox than this one, the grader has to arrive first."""

    def operation(box: GradableSandbox) -> dict[str, Record]:
        if box is not sandbox and not batch.service:
            _bring(box, group.grader)
        return _driven(box, batch, group, around)

    return operation


def _run_beside(sandbox: GradableSandbox, batch: Batch, group: Group) -> dict[str, Record] | None:
    """The records of a batch beside the processes that the agent left; None if these certainly prevent it.

    Raises what was raised if that is not certain: a slow host must not cost a right solution its server.
    """
    try:
        found = try_in(sandbox, _again(sandbox, batch, group, BESIDE if batch.first else _Around()))
    except (GraderLost, SandboxLost):
        if not is_crowded(sandbox):
            raise
        return None
    return None if isinstance(found, Fault) else found


def _why(sandbox: GradableSandbox, batch: Batch, fault: Fault) -> str:
    """Why a batch failed: the last words of its service, if that has ended."""
    words = sandbox.service_ended(batch.service) if batch.service else None
    return fault.words if words is None else f"service {batch.service} had ended: {words}"


def _driven(sandbox: GradableSandbox, batch: Batch, group: Group, around: _Around) -> dict[str, Record]:
    """The records of a batch. Raises GraderLost if there are none, or what the sandbox raises."""
    nonce = secrets.token_hex(8)
    script = Script(
        drive(batch.jobs, nonce, around.before, between=around.between, runs_agents_code=batch.alone),
        timeout=seconds(batch.jobs) + SLACK_SECONDS,
        user=ROOT_USER,
        env={**sandbox.variables, **group.grader.env, "TASKCAL_ANSWER_FILE": ANSWER_FILE},
        hidden=True,
        service=batch.service,
    )
    result = sandbox.run(script, limit=output_bound(batch.jobs))
    records = parse(result.stdout, len(batch.jobs)) if result.ok else None
    if batch.alone and records is None:
        return _all_failed(batch, f"it ended or stopped everything around it ({result.how})")
    if result.ending is not Ending.EXITED:
        raise GraderLost(f"grading did not finish ({result.ending.value}): {result.tail}")
    if records is None:
        where = f"service {batch.service}" if batch.service else "the sandbox"
        raise GraderLost(f"the checks could not run in {where} (exit {result.exit_code}): {result.tail}")
    return dict(zip(batch.names, records, strict=True))


def _all_failed(batch: Batch, note: str) -> dict[str, Record]:
    return dict.fromkeys(batch.names, Record(KILLED, late=False, size=0, stdout=b"", stderr=note.encode(), ran=False))
