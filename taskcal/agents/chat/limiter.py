"""One endpoint is shared by many rollouts: who may call which of its replicas now, and what overload teaches.

No limit is known at first. A replica that says 429 (or 503, 529) is given half as many calls at a time as it had, at
most once for all the calls that were under way together, and none until the moment that it asks for; every call that
goes well while the limit is in use adds 1/limit, about one more call at a time per round. That is how TCP finds its
rate (additive increase, multiplicative decrease: Chiu and Jain 1989). A replica that fails is left alone for 2, 4, …
60 seconds while others are there, and then tried by one call at a time: it fails fast, looks idle, and would draw every
call otherwise.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST = 1.0
LONGEST_PAUSE = 60.0
POLL_SECONDS = 1.0


class Clock(Protocol):
    """The agent's source of time; tests use one that does not wait."""

    def now(self) -> float:
        """Seconds of a clock that only goes forward."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        """Wait until notified, at most so long; the condition's lock is held."""
        ...


class RealClock:
    """The machine's."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        """Wait for a notice."""
        condition.wait(seconds)


class CongestionSignal(Enum):
    """What one call showed about the load of its replica."""

    WELL = auto()
    OVERLOADED = auto()
    BROKEN = auto()
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Load:
    """A replica now: calls under way, how many may be, until when none may start (as it asked), and failures in a row.

    `shunned_until` bars it while others work. `bad_at` is when it last failed or was overloaded: a call that began
    before it teaches nothing more.
    """

    in_flight: int = 0
    limit: float = math.inf
    paused_until: float = -math.inf
    shunned_until: float = -math.inf
    failures: int = 0
    bad_at: float = -math.inf

    def has_room(self, now: float, *, shuns: bool) -> bool:
        """Whether one more call may start; `shuns` says that there are others to take in place of a failing one."""
        if now < self.paused_until:
            return False
        if shuns and self.failures:
            return now >= self.shunned_until and self.in_flight == 0
        return self.in_flight + 1 <= self.limit


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to make one call."""

    replica: int
    granted_at: float


def choose_replica(loads: Sequence[Load], preferred: int | None, now: float) -> int | None:
    """The replica for a call: the preferred one, whose cache knows the conversation, else the least loaded one."""
    shuns = any(not load.failures for load in loads)
    open_ = [place for place, load in enumerate(loads) if load.has_room(now, shuns=shuns)]
    if preferred in open_ and not loads[preferred].failures:
        return preferred
    return min(open_, key=lambda place: (loads[place].in_flight, loads[place].failures), default=None)


def update_load(load: Load, ticket: Ticket, signal: CongestionSignal, now: float, pause: float) -> Load:
    """A replica's load after a call has ended; `pause` is the seconds that it asks to wait before the next call."""
    after = replace(load, in_flight=load.in_flight - 1)
    if signal is CongestionSignal.WELL:
        grows = load.in_flight >= load.limit / 2.0
        return replace(after, limit=load.limit + grows / load.limit, failures=0)
    if signal is CongestionSignal.OVERLOADED:
        after = replace(after, paused_until=max(load.paused_until, now + pause))
    if signal is CongestionSignal.NOTHING or ticket.granted_at <= load.bad_at:
        return after
    if signal is CongestionSignal.OVERLOADED:
        had = load.in_flight if math.isinf(load.limit) else load.limit
        return replace(after, limit=max(LEAST, had / 2.0), bad_at=now)
    shunned = now + min(LONGEST_PAUSE, 2.0 ** (load.failures + 1))
    return replace(after, shunned_until=shunned, failures=load.failures + 1, bad_at=now)


class Limiter:
    """Hands out tickets to the threads of a run."""

    def __init__(self, replicas: int, clock: Clock) -> None:
        """All replicas open, without a limit."""
        self._loads = [Load()] * replicas
        self._clock = clock
        self._changed = threading.Condition()

    @property
    def loads(self) -> tuple[Load, ...]:
        """The replicas now."""
        with self._changed:
            return tuple(self._loads)

    def acquire(self, preferred: int | None, patience: float) -> Ticket | None:
        """Wait for a place, at most `patience` seconds; None if there was none."""
        deadline = self._clock.now() + patience
        with self._changed:
            while True:
                now = self._clock.now()
                place = choose_replica(self._loads, preferred, now)
                if place is not None:
                    self._loads[place] = replace(self._loads[place], in_flight=self._loads[place].in_flight + 1)
                    return Ticket(place, now)
                if now >= deadline:
                    return None
                self._clock.wait(self._changed, min(self._seconds_to_open(now), deadline - now, POLL_SECONDS))

    def release(self, ticket: Ticket, signal: CongestionSignal, pause: float = 0.0) -> None:
        """Give the ticket back with what the call taught."""
        with self._changed:
            load = self._loads[ticket.replica]
            self._loads[ticket.replica] = update_load(load, ticket, signal, self._clock.now(), pause)
            self._changed.notify(2)

    def _seconds_to_open(self, now: float) -> float:
        ends = [end for load in self._loads for end in (load.paused_until, load.shunned_until) if end > now]
        return min(ends, default=now + POLL_SECONDS) - now
