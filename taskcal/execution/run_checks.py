"""Runs a rollout's checks in its sandbox, batch by batch, and blames the agent if it certainly prevents that."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

from taskcal.core.shell.script import names_in_script
from taskcal.core.task import GraderSandbox, Processes
from taskcal.errors import GraderLost, SandboxLost
from taskcal.execution.fault_attribution import AgentFault, is_crowded, try_in
from taskcal.execution.grading_driver import (
    STOP_EVERYTHING,
    Batch,
    JobRecord,
    ScriptJob,
    ScriptVariables,
    batches,
    drive,
    output_bound,
    parse_records,
    seconds,
)
from taskcal.sandbox import ANSWER_FILE, ROOT_USER, Script, ScriptEnding
from taskcal.sandbox.interpreters import as_shell
from taskcal.sandbox.processes import END_AGENT, PIDS, RESUME, end_others
from taskcal.sandbox.scripts import READY_SECONDS, start_again

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.task import FileCopy, Grader, Group
    from taskcal.execution.fault_attribution import Operation
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
    """Shell texts around the jobs of a batch: `before` all of them, and `between` the files and the scripts.

    `start` is a script that runs before them, in an exec of its own.
    """

    before: str = ""
    between: str = ""
    start: Script | None = None


class _First(Enum):
    """What comes before the first batch of a sandbox; None for the other batches."""

    WITHOUT_AGENT = "nothing of the agent runs any more"
    BESIDE_AGENT = "the agent's own processes are ended, and what it detached goes on"


def arrive(sandbox: GradableSandbox, grader: Grader) -> Arrival:
    """Bring artifacts and the grader's files to where the checks run. Raises a LostError if our side fails."""
    found = try_in(sandbox, partial(_bring, grader=grader))
    return Arrival(blocked=found.words) if isinstance(found, AgentFault) else found


def run_checks(
    sandbox: GradableSandbox, group: Group, blocked: str | None
) -> tuple[dict[str, JobRecord], tuple[str, ...]]:
    """What each job of a grader came to, and a note if processes that the agent left had to be ended for it.

    `blocked` says why no check can be run but those in services. So does the first batch that the agent prevents: the
    others are not tried, since each could take its whole timeout. Raises a LostError if our side fails.
    """
    grader = group.grader
    keeps, ended = grader.processes is Processes.KEEP, False
    records: dict[str, JobRecord] = {}
    for batch in batches(grader, group.task.timeouts.grader):
        if blocked is not None and not batch.service:
            records.update(_fail_all(batch, blocked))
            continue
        is_first = batch.first
        if keeps and not batch.service:
            beside = _run_beside(sandbox, batch, group)
            records.update(beside or {})
            keeps, ended = beside is not None, beside is None
            if keeps:
                continue
            is_first = True
        first = _First.WITHOUT_AGENT if is_first else None
        found = try_in(sandbox, _as_operation(sandbox, batch, group, first), batch.service)
        if isinstance(found, AgentFault):
            records.update(_fail_all(batch, _why(sandbox, batch, found)))
            blocked = blocked if batch.service else found.words
        else:
            records.update(found)
    return records, (ENDED_ALL,) if ended else ()


def run_anew(sandbox: GradableSandbox, group: Group, *, arrived: bool) -> dict[str, JobRecord]:
    """The same as one operation that nothing is decided about; the grader comes first unless it has `arrived`."""
    if not arrived:
        _bring(sandbox, group.grader)
    records: dict[str, JobRecord] = {}
    first = _First.BESIDE_AGENT if group.grader.processes is Processes.KEEP else _First.WITHOUT_AGENT
    for batch in batches(group.grader, group.task.timeouts.grader):
        records.update(_drive(sandbox, batch, group, first if batch.first else None))
    return records


def _around(sandbox: GradableSandbox, group: Group, first: _First | None) -> _Around:
    if first is None:
        return _Around()
    return _Around(END_AGENT, RESUME) if first is _First.BESIDE_AGENT else _without_agent(sandbox, group)


def _without_agent(sandbox: GradableSandbox, group: Group) -> _Around:
    """Nothing of the agent runs any more, and what `start` had started runs again.

    `start` has an exec of its own: in that of the checks, what it starts would keep the params and the grader's
    variables in its environment, where code of the agent that a check runs may read them.
    """
    environment = group.task.environment
    stop = "" if group.grader.sandbox is GraderSandbox.FRESH else STOP_EVERYTHING
    texts, variables = f"{environment.start}\n{environment.ready}", sandbox.variables
    params = names_in_script(texts, group.variant.params)
    start = start_again(environment.start, environment.ready, params)
    if not start:
        return _Around(stop)
    named = {name: variables[name] for name in (*params, "TASKCAL_ROLLOUT") if name in variables}
    env = {**sandbox.check_variables().kept, **named}
    most = READY_SECONDS + SLACK_SECONDS
    return _Around(start=Script(stop + start, most, user=ROOT_USER, env=env, hidden=True, clean=True))


def _bring(sandbox: GradableSandbox, grader: Grader) -> Arrival:
    if grader.sandbox is GraderSandbox.FRESH:
        return Arrival(notes=sandbox.move_to_fresh_container(grader.artifacts, grader.files))
    if not grader.files:
        return Arrival()
    keeps = grader.processes is Processes.KEEP
    return Arrival(blocked=sandbox.deliver(grader.files, END_AGENT if keeps else STOP_EVERYTHING))


def _as_operation(
    sandbox: GradableSandbox, batch: Batch, group: Group, first: _First | None
) -> Operation[dict[str, JobRecord]]:
    """A batch as an operation: in another sandbox than this one, the grader has to arrive first."""

    def operation(box: GradableSandbox) -> dict[str, JobRecord]:
        if box is not sandbox and not batch.service:
            _bring(box, group.grader)
        return _drive(box, batch, group, first)

    return operation


def _run_beside(sandbox: GradableSandbox, batch: Batch, group: Group) -> dict[str, JobRecord] | None:
    """The records of a batch beside the processes that the agent left; None if these certainly prevent it.

    Raises what was raised if that is not certain: a slow host must not cost a right solution its server.
    """
    try:
        found = try_in(sandbox, _as_operation(sandbox, batch, group, _First.BESIDE_AGENT if batch.first else None))
    except (GraderLost, SandboxLost):
        if not is_crowded(sandbox):
            raise
        return None
    return None if isinstance(found, AgentFault) else found


def _why(sandbox: GradableSandbox, batch: Batch, fault: AgentFault) -> str:
    """Why a batch failed: the last words of its service, if that has ended."""
    words = sandbox.service_ended(batch.service) if batch.service else None
    return fault.words if words is None else f"service {batch.service} had ended: {words}"


def _drive(sandbox: GradableSandbox, batch: Batch, group: Group, first: _First | None) -> dict[str, JobRecord]:
    """The records of a batch. Raises GraderLost if there are none, or what the sandbox raises."""
    if batch.user:
        return _run_as(sandbox, batch, group.grader.files)
    around = _around(sandbox, group, first)
    if around.start is not None:
        sandbox.run(around.start)
    own = {**sandbox.variables, **group.grader.env, "TASKCAL_ANSWER_FILE": ANSWER_FILE}
    given, nonce = ScriptVariables(sandbox.check_variables(batch.service).kept, own), secrets.token_hex(8)
    script = Script(
        drive(batch.jobs, nonce, around.before, given, between=around.between, runs_agents_code=batch.alone),
        timeout=seconds(batch.jobs) + SLACK_SECONDS,
        user=ROOT_USER,
        hidden=True,
        service=batch.service,
        clean=True,
    )
    result = sandbox.run(script, limit=output_bound(batch.jobs))
    records = parse_records(result.stdout, len(batch.jobs)) if result.ok else None
    if batch.alone and records is None:
        return _fail_all(batch, f"it ended or stopped everything around it ({result.how})")
    if result.ending is not ScriptEnding.EXITED:
        raise GraderLost(f"grading did not finish ({result.ending.value}): {result.tail}")
    if records is None:
        where = f"service {batch.service}" if batch.service else "the sandbox"
        raise GraderLost(f"the checks could not run in {where} (exit {result.exit_code}): {result.tail}")
    return dict(zip(batch.names, records, strict=True))


def _run_as(sandbox: GradableSandbox, batch: Batch, files: Sequence[FileCopy]) -> dict[str, JobRecord]:
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
    late = done.ending is ScriptEnding.TIMED_OUT
    status = KILLED if done.exit_code is None else done.exit_code
    record = JobRecord(status, late, len(done.stdout), done.stdout, done.stderr)
    return dict.fromkeys(batch.names, record)


def _fail_all(batch: Batch, note: str) -> dict[str, JobRecord]:
    return dict.fromkeys(
        batch.names, JobRecord(KILLED, late=False, size=0, stdout=b"", stderr=note.encode(), ran=False)
    )
