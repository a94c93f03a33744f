"""One rollout from start to end, the one place where a failure becomes `Lost`; and the loop over a plan of them."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from taskcal.agents import Attempt
from taskcal.core.plan import rollout_seed
from taskcal.core.rollout import Graded, Lost, Rollout, Timing, Usage
from taskcal.errors import Boundary, CancelledLost, LostError, UsageError
from taskcal.grading import Judgement, grade
from taskcal.sandbox.container import Order, open_sandbox

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from taskcal.agents import Acted, Agent
    from taskcal.core.plan import PlannedRollout
    from taskcal.core.rollout import GroupId, Outcome, RolloutId
    from taskcal.core.task import Group
    from taskcal.sandbox.container import DockerSandbox
    from taskcal.sandbox.images import PreparedImages
    from taskcal.sandbox.scope import RunScope

REASON_LENGTH = 1000
POLL_SECONDS = 0.2
RESTART_SECONDS = 120.0


class Engine(Protocol):
    """Calls `run_rollout` somewhere: in threads here, or on other machines."""

    @property
    def free(self) -> bool:
        """Whether another rollout can start at once."""
        ...

    def submit(self, planned: PlannedRollout) -> None:
        """Start a rollout."""
        ...

    def next(self, timeout: float) -> Rollout | None:
        """The next finished rollout, or None after `timeout` seconds without one."""
        ...


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

    acted: Acted | None = None
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

    Raises UsageError alone, which a person has to mend; everything else becomes an outcome.
    """
    draft = _Draft()
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    begun = time.monotonic()
    outcome = _outcome(planned, context, draft)
    total = time.monotonic() - begun
    return Rollout(
        id=planned.id,
        outcome=outcome,
        answer=draft.answer,
        turns=draft.acted.turns if draft.acted else None,
        usage=draft.acted.usage if draft.acted else Usage(),
        timing=Timing(queue=queued, total=total, **draft.spent),
        started_at=started_at,
    )


def _outcome(planned: PlannedRollout, context: Context, draft: _Draft) -> Outcome:
    try:
        return _attempt(planned, context, draft)
    except LostError as error:
        boundary = Boundary.CANCELLED if context.cancelled.is_set() else error.boundary
        return Lost(boundary, _one_line(str(error)))
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is ours, and the other rollouts go on
        return Lost(Boundary.UNKNOWN, _one_line(f"{type(error).__name__}: {error}"))


def _attempt(planned: PlannedRollout, context: Context, draft: _Draft) -> Graded:
    if context.cancelled.is_set():
        raise CancelledLost("the run was stopped")
    with draft.timed("start"):
        sandbox = open_sandbox(context.scope, _order(planned, context))
    try:
        with draft.timed("agent"):
            draft.acted = _act(sandbox, planned, context)
        with draft.timed("grade"):
            judgement = grade(sandbox, planned.group, draft.acted.stop)
        judgement = redacted(judgement, context.agent)
        draft.answer = judgement.answer
        context.log_path(planned.id, "grader.log").write_text(judgement.log, encoding="utf-8")
        if context.keep(planned.id, judgement.graded):
            context.kept.append(sandbox.keep())
        return judgement.graded
    finally:
        with draft.timed("close"):
            sandbox.finish()
            sandbox.close()


def redacted(judgement: Judgement, agent: Agent) -> Judgement:
    """A judgement without the agent's secrets, which it may have written into its answer or into a file."""
    graded = judgement.graded
    checks = tuple(replace(check, note=agent.redact(check.note)) for check in graded.checks)
    answer = None if judgement.answer is None else agent.redact(judgement.answer)
    return Judgement(replace(graded, checks=checks), answer, agent.redact(judgement.log))


def _order(planned: PlannedRollout, context: Context) -> Order:
    group = planned.group
    return Order(
        environment=group.task.environment,
        images=context.images[group.id],
        params=group.variant.params,
        network=context.agent.network or group.task.environment.network,
        rollout=planned.id.key,
        unique=f"{context.scope.run}-{rollout_seed(context.seed, planned.id):016x}-{planned.id.attempt}",
    )


def _act(sandbox: DockerSandbox, planned: PlannedRollout, context: Context) -> Acted:
    with context.log_path(planned.id, "agent.log").open("wb", buffering=0) as log:
        attempt = Attempt(
            group=planned.group,
            seed=rollout_seed(context.seed, planned.id),
            timeout=agent_seconds(planned.group, context.agent),
            log=_bounded(log.write),
        )
        return context.agent.act(sandbox, attempt)


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


def _one_line(text: str) -> str:
    return " ".join(text.split())[:REASON_LENGTH]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A rollout in the queue, not to be started before `ready` (`time.monotonic` seconds)."""

    planned: PlannedRollout
    ready: float = 0.0


class Queue:
    """What is still to run, in the order of the plan, retries behind it; honours each task's `max_parallel`."""

    def __init__(self, planned: Iterable[PlannedRollout]) -> None:
        """Start with a whole plan."""
        self._waiting = deque(Waiting(one) for one in planned)
        self._running: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def take(self, now: float) -> PlannedRollout | None:
        """The first one that may start now."""
        for place, waiting in enumerate(self._waiting):
            if waiting.ready <= now and self._has_room(waiting.planned):
                del self._waiting[place]
                self._running[waiting.planned.id.group.task] += 1
                return waiting.planned
        return None

    def done(self, planned: PlannedRollout, *, retry_at: float | None) -> None:
        """One has ended; with `retry_at` its next attempt waits until then."""
        self._running[planned.id.group.task] -= 1
        if retry_at is not None:
            again = replace(planned, id=replace(planned.id, attempt=planned.id.attempt + 1))
            self._waiting.append(Waiting(again, retry_at))

    def _has_room(self, planned: PlannedRollout) -> bool:
        limit = planned.group.task.max_parallel
        return limit is None or self._running[planned.id.group.task] < limit


class Patience:
    """Holds back new rollouts while the container engine is away, for as long as it may take to be restarted."""

    def __init__(self, is_back: Callable[[], bool]) -> None:
        """`is_back` says whether the engine answers; it is asked only after a rollout was lost at the engine."""
        self._is_back = is_back
        self._until: float | None = None

    def note(self, outcome: Outcome, now: float) -> None:
        """Begin to wait where an outcome says that the engine is away."""
        if isinstance(outcome, Lost) and outcome.boundary is Boundary.ENGINE and self._until is None:
            self._until = now + RESTART_SECONDS

    def is_over(self, now: float) -> bool:
        """Whether rollouts may start: the engine answers, or has been away for too long to wait for it."""
        if self._until is None or (now < self._until and not self._is_back()):
            return self._until is None
        self._until = None
        return True


def run_plan(
    plan: Iterable[PlannedRollout],
    engine: Engine,
    retries: int,
    record: Callable[[Rollout], None],
    is_back: Callable[[], bool] = lambda: True,
) -> None:
    """Run a plan to its end, `record` each result as it comes, and retry what was lost.

    Retries wait 1, 2, 4, … seconds; after a loss at the container engine nothing starts until it `is_back`, so that a
    restart costs what was in flight and no more. Raises what `record` raises.
    """
    patience = Patience(is_back)
    everything = tuple(plan)
    queue = Queue(everything)
    first = {planned.id.key: planned.id.attempt for planned in everything}
    running: dict[RolloutId, PlannedRollout] = {}
    while queue or running:
        ready = engine.free and patience.is_over(time.monotonic())
        while ready and engine.free and (planned := queue.take(time.monotonic())) is not None:
            running[planned.id] = planned
            engine.submit(planned)
        rollout = engine.next(POLL_SECONDS)
        if rollout is None:
            continue
        record(rollout)
        patience.note(rollout.outcome, time.monotonic())
        tried = rollout.id.attempt - first[rollout.id.key]
        again = isinstance(rollout.outcome, Lost) and tried < retries
        retry_at = time.monotonic() + 2.0**tried if again else None
        queue.done(running.pop(rollout.id), retry_at=retry_at)
