"""One rollout from start to end, and the one place where a failure becomes `Lost`."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from taskcal.agents import AgentResult, Attempt, UsageSoFar
from taskcal.agents.transcript import FILE, Transcript, stored
from taskcal.core.plan import rollout_seed
from taskcal.core.rollout import Graded, Lost, Rollout, Timing
from taskcal.core.text.foreign_text import sound
from taskcal.errors import Boundary, CancelledLost, GraderLost, LostError, ReportedLost, UsageError
from taskcal.execution.fault_attribution import AgentFault, attribute_failure, is_disputed, start_a_shell
from taskcal.execution.grading import Judgement, grade
from taskcal.sandbox.container import open_sandbox
from taskcal.sandbox.sandbox_spec import SandboxSpec

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from taskcal.agents import Agent
    from taskcal.core.plan import PlannedRollout
    from taskcal.core.rollout import GroupId, Outcome, RolloutId
    from taskcal.core.task import Group
    from taskcal.sandbox.container import DockerSandbox
    from taskcal.sandbox.engine.run_resources import RunScope
    from taskcal.sandbox.images.baking import PreparedImages

REASON_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class Context:
    """What every rollout of a run shares. `log_path` says where an attempt's log belongs; `keep` chooses failures."""

    scope: RunScope
    agent: Agent
    images: Mapping[GroupId, PreparedImages]
    seed: int
    log_path: Callable[[RolloutId, str], Path]
    cancelled: threading.Event
    keep: Callable[[RolloutId, Graded], bool] = lambda *_: False
    kept: list[str] = field(default_factory=list)


@dataclass
class _Draft:
    """A rollout while it happens; every part is final as soon as it is known."""

    account: UsageSoFar = field(default_factory=UsageSoFar)
    acted: AgentResult | None = None
    answer: str | None = None
    spent: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def timed(self, part: str) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            self.spent[part] = time.monotonic() - begun


def run_rollout(planned: PlannedRollout, context: Context, queued: float = 0.0) -> Rollout:
    """Attempt one task once in a sandbox of its own; `queued` is the seconds that it waited.

    Nothing that it leaves behind (the rollout, the logs, the transcript) holds a secret of the agent. Raises UsageError
    alone, which a person has to mend; everything else becomes an outcome.
    """
    draft = _Draft()
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    begun = time.monotonic()
    redact = context.agent.redactor.text
    outcome = redacted(_outcome(planned, context, draft), redact)
    total = time.monotonic() - begun
    return Rollout(
        id=planned.id,
        outcome=outcome,
        answer=None if draft.answer is None else redact(sound(draft.answer)),
        turns=draft.account.turns,
        usage=draft.account.usage,
        timing=Timing(queue=queued, total=total, **draft.spent),
        started_at=started_at,
        transcript_sha256=draft.acted.transcript_digest if draft.acted else None,
    )


def _outcome(planned: PlannedRollout, context: Context, draft: _Draft) -> Outcome:
    try:
        return _attempt(planned, context, draft)
    except LostError as error:
        boundary = Boundary.CANCELLED if context.cancelled.is_set() else error.boundary
        own_word = isinstance(error, ReportedLost) and boundary is error.boundary
        return Lost(boundary, str(error), own_word=own_word)
    except UsageError as error:
        raise type(error)(context.agent.redactor.text(str(error))) from None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is ours, and the other rollouts go on
        return Lost(Boundary.UNKNOWN, f"{type(error).__name__}: {error}")


def _attempt(planned: PlannedRollout, context: Context, draft: _Draft) -> Graded:
    if context.cancelled.is_set():
        raise CancelledLost("the run was stopped")
    with draft.timed("start"):
        sandbox = open_sandbox(context.scope, _order(planned, context))
    try:
        with draft.timed("agent"):
            draft.acted = _act_to_the_end(sandbox, planned, context, draft.account)
        with draft.timed("grade"):
            judgement = _graded(sandbox, planned, context, draft.acted)
        draft.answer = judgement.answer
        _write_log(planned, context, judgement.log)
        if context.keep(planned.id, judgement.graded):
            context.kept.append(sandbox.keep())
        return judgement.graded
    finally:
        with draft.timed("close"):
            sandbox.finish()
            sandbox.close()


def _graded(sandbox: DockerSandbox, planned: PlannedRollout, context: Context, acted: AgentResult) -> Judgement:
    """Grade; what a broken grader printed is kept as well, since that is what mends it."""
    try:
        return grade(sandbox, planned.group, acted.stop, context.agent.redactor)
    except GraderLost as lost:
        _write_log(planned, context, lost.log)
        raise


def _write_log(planned: PlannedRollout, context: Context, log: str) -> None:
    text = context.agent.redactor.text(sound(log))
    context.log_path(planned.id, "grader.log").write_text(text, encoding="utf-8")


def redacted(outcome: Outcome, redact: Callable[[str], str]) -> Outcome:
    """An outcome without secrets, which the agent may have written where a check or an error quotes them."""
    if isinstance(outcome, Lost):
        return replace(outcome, reason=" ".join(redact(sound(outcome.reason)).split())[:REASON_LENGTH])
    checks = tuple(replace(check, note=redact(sound(check.note))) for check in outcome.checks)
    ended = tuple(redact(sound(words)) for words in outcome.ended_services)
    return replace(outcome, checks=checks, ended_services=ended)


def _order(planned: PlannedRollout, context: Context) -> SandboxSpec:
    group = planned.group
    unique = f"{context.scope.run}-{rollout_seed(context.seed, planned.id):016x}-{planned.id.attempt}"
    return SandboxSpec.of(group, context.images[group.id], context.agent.network, planned.id.key, unique)


def _act_to_the_end(
    sandbox: DockerSandbox, planned: PlannedRollout, context: Context, account: UsageSoFar
) -> AgentResult:
    """Let the agent act; one that has broken its own sandbox has crashed, and is graded."""
    try:
        return _act(sandbox, planned, context, account)
    except Exception as error:
        if context.cancelled.is_set() or not is_disputed(error):
            raise
        user = context.agent.user or planned.group.task.environment.user
        decided = attribute_failure(sandbox, start_a_shell(user))
        if not isinstance(decided, AgentFault):  # it works now, and what the agent could not do cannot be done for it
            raise
        return AgentResult(decided.stop)


def _act(sandbox: DockerSandbox, planned: PlannedRollout, context: Context, account: UsageSoFar) -> AgentResult:
    redactor = context.agent.redactor
    with context.log_path(planned.id, "agent.log").open("wb", buffering=0) as log:
        sink = stored(_bounded(log.write), "agent.log")
        output, errors = redactor.stream(sink), redactor.stream(sink)

        def remark(line: bytes) -> None:
            errors.end()
            output.end()
            sink(redactor.text(line.decode()).encode())

        attempt = Attempt(
            group=planned.group,
            seed=rollout_seed(context.seed, planned.id),
            timeout=agent_seconds(planned.group, context.agent),
            wall=planned.group.task.timeouts.wall,
            log=output.write,
            errors=errors.write,
            remarks=remark,
            transcript=Transcript.at(context.log_path(planned.id, FILE), redactor.text),
            account=account,
        )
        try:
            acted = context.agent.act(sandbox, attempt)
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
