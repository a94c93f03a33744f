"""Runs a rollout's checks in its sandbox, batch by batch, and blames the agent if it certainly prevents that."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from taskcal.blame import fault_inside, is_crowded
from taskcal.core.script import named_in
from taskcal.core.task import GraderSandbox, Processes
from taskcal.errors import GraderLost, SandboxLost
from taskcal.grading_driver import (
    STOP_EVERYTHING,
    Batch,
    Given,
    Record,
    ScriptJob,
    batches,
    drive,
    output_bound,
    parse,
    seconds,
)
from taskcal.sandbox import ANSWER_FILE, ROOT_USER, Ending, Script
from taskcal.sandbox.interpreters import as_shell
from taskcal.sandbox.processes import END_AGENT, PIDS, RESUME, end_others
from taskcal.sandbox.scripts import READY_SECONDS, start_again

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.task import FileCopy, Grader, Group
    from taskcal.sandbox import GradableSandbox

KILLED = 137
SLACK_SECONDS = 120.0
ENDED_ALL = "no check could run beside the processes that the agent left, so they were ended"


def run_checks(sandbox: GradableSandbox, group: Group) -> tuple[dict[str, Record], tuple[str, ...]]:
    """What each job of a grader came to, and notes for those that fail. Raises GraderLost, SandboxLost, EngineLost."""
    grader, task = group.grader, group.task
    blocked = _deliver(sandbox, grader)
    if blocked is not None:
        failed = [_all_failed(batch, blocked) for batch in batches(grader, task.timeouts.grader)]
        return {name: record for records in failed for name, record in records.items()}, ()
    return _all_records(sandbox, group)


def blame(sandbox: GradableSandbox, grader: Grader) -> str | None:
    """Why the agent is to blame that a check cannot run, if that is certain."""
    fault = fault_inside(sandbox)
    if fault is not None:
        return fault.words
    crowded = grader.processes is Processes.KEEP and is_crowded(sandbox)
    return "the processes that the agent left took all that the sandbox may have" if crowded else None


def _deliver(sandbox: GradableSandbox, grader: Grader) -> str | None:
    """Bring the grader's files where the agent was, after stopping it; if that fails, the checks show why.

    Gives why none of them can be run, if the agent is to blame.
    """
    if not grader.files or grader.sandbox is GraderSandbox.FRESH:
        return None
    with contextlib.suppress(SandboxLost):
        keeps = grader.processes is Processes.KEEP
        return sandbox.deliver(grader.files, END_AGENT if keeps else STOP_EVERYTHING)
    return None


def _all_records(sandbox: GradableSandbox, group: Group) -> tuple[dict[str, Record], tuple[str, ...]]:
    """What each job came to, and a note if processes that the agent left had to be ended for it."""
    grader, task = group.grader, group.task
    clean = _cleaning(sandbox, group)
    keeps, ended = grader.processes is Processes.KEEP, False
    records: dict[str, Record] = {}
    for batch in batches(grader, task.timeouts.grader):
        if keeps and not batch.service:
            beside = _run_beside(sandbox, batch, grader)
            keeps, ended = beside is not None, beside is None
            records.update(beside or _run(sandbox, batch, grader, clean))
        else:
            records.update(_run(sandbox, batch, grader, clean if batch.first else NOTHING))
    return records, (ENDED_ALL,) if ended else ()


@dataclass(frozen=True, slots=True)
class _Cleaning:
    """What comes before the checks: a script's beginning that stops the agent, and a script that runs `start` again."""

    stop: str = ""
    start: Script | None = None


NOTHING = _Cleaning()


def _cleaning(sandbox: GradableSandbox, group: Group) -> _Cleaning:
    """What stops the agent and starts again what died with it; nothing to stop in a fresh sandbox.

    `start` has an exec of its own: in that of the checks, what it starts would keep the params and the grader's
    variables in its environment, where code of the agent that a check runs may read them.
    """
    environment = group.task.environment
    stop = "" if group.grader.sandbox is GraderSandbox.FRESH else STOP_EVERYTHING
    texts, variables = f"{environment.start}\n{environment.ready}", sandbox.variables
    params = named_in(texts, group.variant.params)
    start = start_again(environment.start, environment.ready, params)
    if not start:
        return _Cleaning(stop)
    named = {name: variables[name] for name in (*params, "TASKCAL_ROLLOUT") if name in variables}
    env = {**sandbox.check_variables().kept, **named}
    seconds_left = READY_SECONDS + SLACK_SECONDS
    return _Cleaning("", Script(stop + start, seconds_left, user=ROOT_USER, env=env, hidden=True, clean=True))


def _run_beside(sandbox: GradableSandbox, batch: Batch, grader: Grader) -> dict[str, Record] | None:
    """The records of a batch beside the processes that the agent left; None if these certainly prevent it.

    Raises what was raised if that is not certain: a slow host must not cost a right solution its server.
    """
    first = batch.first
    try:
        return _driven(sandbox, batch, END_AGENT if first else "", grader, between=RESUME if first else "")
    except (GraderLost, SandboxLost):
        if blame(sandbox, grader) is None:
            raise
    return None


def _run(sandbox: GradableSandbox, batch: Batch, grader: Grader, clean: _Cleaning) -> dict[str, Record]:
    """The records of a batch; all failed where the agent is to blame that there are none, else what was raised."""
    try:
        if clean.start is not None:
            sandbox.run(clean.start)
        return _driven(sandbox, batch, clean.stop, grader)
    except SandboxLost:
        words = _end_of_service(sandbox, batch.service) if batch.service else blame(sandbox, grader)
        if words is None:
            raise
        return _all_failed(batch, words)
    except GraderLost:
        words = None if batch.service else blame(sandbox, grader)
        if words is None:
            raise
        return _all_failed(batch, words)


def _driven(
    sandbox: GradableSandbox, batch: Batch, before: str, grader: Grader, between: str = ""
) -> dict[str, Record]:
    if batch.user:
        return _run_as(sandbox, batch, grader.files)
    own = {**sandbox.variables, **grader.env, "TASKCAL_ANSWER_FILE": ANSWER_FILE}
    given = Given(sandbox.check_variables(batch.service).kept, own)
    script = Script(
        drive(batch.jobs, secrets.token_hex(8), before, given, between=between, runs_agents_code=batch.alone),
        timeout=seconds(batch.jobs) + SLACK_SECONDS,
        user=ROOT_USER,
        hidden=True,
        service=batch.service,
        clean=True,
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


def _run_as(sandbox: GradableSandbox, batch: Batch, files: Sequence[FileCopy]) -> dict[str, Record]:
    """The record of a script that a user other than root runs: no driver, no params, and none of its processes left.

    It is the agent's user, as a rule, and runs what the agent wrote. So files of the grader are readable only if the
    script's text names them, and only while it runs.
    """
    (job,) = (job for job in batch.jobs if isinstance(job, ScriptJob))
    shown = tuple(copy for copy in files if copy.destination.rstrip("/") in job.source)
    bare = Script("", SLACK_SECONDS, ROOT_USER, hidden=True, service=batch.service, workdir="/", clean=True)
    before = sandbox.run(replace(bare, source=PIDS)).stdout.decode()
    sandbox.show(shown, readable=True)
    safe = {} if batch.alone else {"PYTHONSAFEPATH": "1"}
    kept = sandbox.check_variables(batch.service).kept
    variables = {name: text for name, text in {**safe, **kept}.items() if name != "HOME"}  # it has one of its own
    script = Script(as_shell(job.source), job.timeout, batch.user, variables, service=batch.service, clean=True)
    try:
        done = sandbox.run(script, limit=job.limit)
    finally:
        sandbox.run(replace(bare, source=end_others(before.split()), user=batch.user))
        sandbox.show(shown, readable=False)
    late = done.ending is Ending.TIMED_OUT
    status = KILLED if done.exit_code is None else done.exit_code
    record = Record(status, late, len(done.stdout), done.stdout, done.stderr)
    return dict.fromkeys(batch.names, record)


def _end_of_service(sandbox: GradableSandbox, service: str) -> str | None:
    words = sandbox.service_ended(service)
    return None if words is None else f"service {service} had ended: {words}"


def _all_failed(batch: Batch, note: str) -> dict[str, Record]:
    return dict.fromkeys(batch.names, Record(KILLED, late=False, size=0, stdout=b"", stderr=note.encode(), ran=False))
