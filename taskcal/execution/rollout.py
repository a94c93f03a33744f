"""One rollout from start to end, and the one place where a failure becomes `Lost`."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from taskcal.agents import AgentResult, Attempt, UsageSoFar
from taskcal.agents.transcript import FILE, Transcript, storage_sink
from taskcal.core.rollout import Graded, Lost, Rollout, Timing
from taskcal.core.text.foreign_text import sound
from taskcal.errors import Boundary, CancelledLost, GraderLost, LostError, ReportedLost, UsageError
from taskcal.execution.fault_attribution import AgentFault, attribute_fault, is_disputed, start_a_shell
from taskcal.execution.grading import Judgement, grade
from taskcal.sandbox.sandbox_spec import SandboxSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskcal.agents import Agent
    from taskcal.core.rollout import Outcome, RolloutId
    from taskcal.core.task import Group
    from taskcal.execution.workplace import RolloutJob, RolloutSandbox, Workplace

REASON_LENGTH = 1000


@dataclass
class _Draft:
    """A rollout while it happens; every part is final as soon as it is known."""

    job: RolloutJob
    workplace: Workplace
    agent: Agent
    account: UsageSoFar = field(default_factory=UsageSoFar)
    acted: AgentResult | None = None
    answer: str | None = None
    spent: dict[str, float] = field(default_factory=dict)

    @property
    def id(self) -> RolloutId:
        return self.job.planned.id

    @property
    def group(self) -> Group:
        return self.job.planned.group

    @contextlib.contextmanager
    def timed(self, part: str) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            self.spent[part] = time.monotonic() - begun

    def write_log(self, log: str) -> None:
        with self.workplace.logs.open(self.id, "grader.log") as write:
            write(self.agent.redactor.text(sound(log)).encode())


def run_rollout(job: RolloutJob, workplace: Workplace, queued: float = 0.0) -> Rollout:
    """Attempt one task once in a sandbox of its own; `queued` is the seconds that it waited.

    Nothing that it leaves behind (the rollout, the logs, the transcript) holds a secret of the agent. Raises UsageError
    alone, which a person has to mend; everything else becomes an outcome.
    """
    draft = _Draft(job, workplace, workplace.agents[job.planned.agent])
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    begun = time.monotonic()
    redact = draft.agent.redactor.text
    outcome = redacted(_outcome(draft), redact)
    total = time.monotonic() - begun
    return Rollout(
        id=draft.id,
        outcome=outcome,
        answer=None if draft.answer is None else redact(sound(draft.answer)),
        turns=draft.account.turns,
        usage=draft.account.usage,
        timing=Timing(queue=queued, total=total, **draft.spent),
        started_at=started_at,
        transcript_sha256=draft.acted.transcript_digest if draft.acted else None,
    )


def _outcome(draft: _Draft) -> Outcome:
    try:
        return _attempt(draft)
    except LostError as error:
        boundary = Boundary.CANCELLED if draft.workplace.cancelled.is_set() else error.boundary
        own_word = isinstance(error, ReportedLost) and boundary is error.boundary
        return Lost(boundary, str(error), own_word=own_word)
    except UsageError as error:
        raise type(error)(draft.agent.redactor.text(str(error))) from None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is ours, and the other rollouts go on
        return Lost(Boundary.UNKNOWN, f"{type(error).__name__}: {error}")


def _attempt(draft: _Draft) -> Graded:
    workplace = draft.workplace
    if workplace.cancelled.is_set():
        raise CancelledLost("the run was stopped")
    with draft.timed("start"):
        sandbox = workplace.open_sandbox(_spec(draft))
    try:
        with draft.timed("agent"):
            draft.acted = _act_to_the_end(sandbox, draft)
        with draft.timed("grade"):
            judgement = _grade(sandbox, draft, draft.acted)
        draft.answer = judgement.answer
        draft.write_log(judgement.log)
        if workplace.keep(draft.id, judgement.graded):
            workplace.kept.append(sandbox.keep())
        return judgement.graded
    finally:
        with draft.timed("close"):
            sandbox.finish()
            sandbox.close()


def _grade(sandbox: RolloutSandbox, draft: _Draft, acted: AgentResult) -> Judgement:
    """Grade; what a broken grader printed is kept as well, since that is what mends it."""
    try:
        return grade(sandbox, draft.group, acted.stop, draft.agent.redactor)
    except GraderLost as lost:
        draft.write_log(lost.log)
        raise


def redacted(outcome: Outcome, redact: Callable[[str], str]) -> Outcome:
    """An outcome without secrets, which the agent may have written where a check or an error quotes them."""
    if isinstance(outcome, Lost):
        return replace(outcome, reason=" ".join(redact(sound(outcome.reason)).split())[:REASON_LENGTH])
    checks = tuple(replace(check, note=redact(sound(check.note))) for check in outcome.checks)
    ended = tuple(redact(sound(words)) for words in outcome.ended_services)
    return replace(outcome, checks=checks, ended_services=ended)


def _spec(draft: _Draft) -> SandboxSpec:
    job = draft.job
    unique = f"{job.run}-{job.rollout_seed:016x}-{draft.id.attempt}"
    return SandboxSpec.of(draft.group, draft.workplace.images(job), draft.agent.network, draft.id.key, unique)


def _act_to_the_end(sandbox: RolloutSandbox, draft: _Draft) -> AgentResult:
    """Let the agent act; one that has broken its own sandbox has crashed, and is graded."""
    try:
        return _act(sandbox, draft)
    except Exception as error:
        if draft.workplace.cancelled.is_set() or not is_disputed(error):
            raise
        user = draft.agent.user or draft.group.task.environment.user
        decided = attribute_fault(sandbox, start_a_shell(user))
        if not isinstance(decided, AgentFault):  # it works now, and what the agent could not do cannot be done for it
            raise
        return AgentResult(decided.stop)


def _act(sandbox: RolloutSandbox, draft: _Draft) -> AgentResult:
    redactor, logs = draft.agent.redactor, draft.workplace.logs
    with logs.open(draft.id, "agent.log") as write:
        sink = storage_sink(_bounded(write), "agent.log")
        output, errors = redactor.stream(sink), redactor.stream(sink)

        def remark(line: bytes) -> None:
            errors.end()
            output.end()
            sink(redactor.text(line.decode()).encode())

        attempt = Attempt(
            group=draft.group,
            seed=draft.job.rollout_seed,
            timeout=agent_seconds(draft.group, draft.agent),
            wall=draft.group.task.timeouts.wall,
            log=output.write,
            errors=errors.write,
            remarks=remark,
            transcript=Transcript(storage_sink(logs.open_late(draft.id, FILE), FILE), redactor.text),
            account=draft.account,
        )
        try:
            acted = draft.agent.act(sandbox, attempt)
        finally:
            errors.end()
            output.end()
            for words in sandbox.egress.remarks:
                attempt.remark(words)
        sandbox.egress.check()
        return acted


def agent_seconds(group: Group, agent: Agent) -> float:
    """How long an agent may take: the task's timeout, capped by its own."""
    limit = group.task.timeouts.agent
    return limit if agent.timeout is None else min(limit, agent.timeout)


def _bounded(write: Callable[[bytes], object], limit: int = 16 * 1024 * 1024) -> Callable[[bytes], None]:
    """A sink that stops storing after a bound, since an agent may print for ever."""
    left = limit

    def sink(chunk: bytes) -> None:
        nonlocal left
        if left > 0:
            write(chunk[:left])
            left -= len(chunk)
            if left <= 0:
                write(b"\n[taskcal: the rest of this log was cut off]\n")

    return sink
