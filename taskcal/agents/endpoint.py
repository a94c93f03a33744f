"""A model's endpoint as a rollout sees it: it answers, or it is lost, and waiting for it is nobody's working time.

A call is tried at most 5 times and for at most `call_timeout` seconds, backoff included. Waiting for a place under the
rate limit comes on top and is bounded by the patience of the caller alone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from taskcal.agents.chat_messages import Reply
from taskcal.agents.limiter import Limiter, Signal
from taskcal.agents.trouble import (
    TIMED_OUT,
    Action,
    Failure,
    advice,
    classify,
    leaves_no_room,
    wants_other_name,
)
from taskcal.core.rollout import Stop
from taskcal.errors import ProviderLost, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskcal.agents.chat_spec import ChatSpec
    from taskcal.agents.limiter import Clock, Ticket

TRIES = 5
FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 16.0
REJECTIONS = 3
"""How many calls may be refused for reasons that we do not know, before any answer, until the run is stopped."""
OVER = "the time of the rollout with all its waiting is over (timeouts.wall; by default an hour beyond timeouts.agent)"
OVERLOAD = frozenset({429, 503, 529})
OLD_NAME, NEW_NAME = "max_tokens", "max_completion_tokens"


class Caller(Protocol):
    """Makes one try at one replica."""

    def post(self, replica: int, body: Mapping[str, Any], seconds: float) -> Reply | Failure:
        """Ask for one completion, in at most about `seconds`."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What a rollout says beside the body: which replica knows it, until when it can wait, and where remarks go."""

    replica: int | None
    until: float
    is_first: bool
    note: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply, the seconds that the model took for it, and the replica that it came from."""

    reply: Reply
    seconds: float
    replica: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The endpoint will not go on with this conversation; `stop` is graded."""

    stop: Stop
    reason: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """What one call went through so far: failed tries and the seconds that they and the waits after them took."""

    tries: int = 0
    seconds: float = 0.0


def backoff(tries: int, failure: Failure, chance: float) -> float:
    """Seconds to wait after that many failed tries: as the server asks, else 1, 2, 4, … times 0.5 to 1 by `chance`."""
    if failure.retry_after is not None:
        return failure.retry_after
    return min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** (tries - 1)) * (0.5 + chance / 2.0)


def signal_of(outcome: Reply | Failure | None) -> Signal:
    """What a try teaches about its replica; None is one that a bug of ours ended."""
    if outcome is None:
        return Signal.NOTHING
    if isinstance(outcome, Reply):
        return Signal.WELL
    if outcome.status in OVERLOAD:
        return Signal.OVERLOADED
    return Signal.BROKEN if classify(outcome) in {Action.RETRY, Action.FATAL} else Signal.NOTHING


class Endpoint:
    """Shared by all rollouts of a run; its limiter knows all of them."""

    def __init__(self, spec: ChatSpec, caller: Caller, clock: Clock) -> None:
        """Nothing has been asked yet."""
        self._spec, self._caller, self._clock = spec, caller, clock
        self._limiter = Limiter(len(spec.base_urls), clock)
        self._chance = random.Random()  # noqa: S311 - spreads retries, keeps no secret
        self._has_answered = False
        self._rejections = 0
        self._limit_name = OLD_NAME

    def complete(self, body: Mapping[str, Any], wish: Wish) -> Answered | Ended:
        """One answer of the model.

        Raises ProviderLost where the endpoint does not give one in time, UsageError where it never will.
        """
        trouble = Trouble()
        while True:
            ticket, sent = self._admitted(wish), self._named(body)
            begun = self._clock.now()
            outcome = self._tried(sent, ticket, trouble, wish.until - begun)
            seconds = self._clock.now() - begun
            if isinstance(outcome, Reply):
                self._has_answered = True
                return Answered(outcome, seconds, ticket.replica)
            trouble = Trouble(trouble.tries + 1, trouble.seconds + seconds)
            if OLD_NAME in sent and wants_other_name(outcome):
                self._limit_name = NEW_NAME
                continue
            ended = self._settled(outcome, ticket, wish)
            if ended is not None:
                return ended
            trouble = self._waited(trouble, outcome, ticket, wish)

    def _tried(self, body: Mapping[str, Any], ticket: Ticket, trouble: Trouble, left: float) -> Reply | Failure:
        outcome: Reply | Failure | None = None
        pause = 0.0
        try:
            outcome = self._caller.post(ticket.replica, body, min(left, self._spec.call_timeout - trouble.seconds))
            if isinstance(outcome, Failure):
                pause = backoff(trouble.tries + 1, outcome, self._chance.random())
        finally:
            self._limiter.release(ticket, signal_of(outcome), pause)
        return outcome

    def _admitted(self, wish: Wish) -> Ticket:
        patience = wish.until - self._clock.now()
        ticket = self._limiter.acquire(wish.replica, patience)
        if ticket is None:
            raise ProviderLost(f"{self._where()}: waited {max(0.0, patience):.0f} s for its turn there; {OVER}")
        return ticket

    def _named(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._limit_name == OLD_NAME or OLD_NAME not in body:
            return body
        return {NEW_NAME if key == OLD_NAME else key: value for key, value in body.items()}

    def _settled(self, failure: Failure, ticket: Ticket, wish: Wish) -> Ended | None:
        """The end of the conversation, or None to try again; raises where neither helps."""
        action = classify(failure)
        if action is Action.REFUSED:
            return Ended(Stop.REFUSED, str(failure))
        if action is Action.CONTEXT_FULL and not (wish.is_first and self._asks_for_too_much(failure)):
            return Ended(Stop.CONTEXT_FULL, str(failure))
        if action is Action.CONTEXT_FULL:
            failure = replace(failure, message=f"sampling.max_tokens leaves no room for the prompt: {failure.message}")
        if action in {Action.LOST, Action.CONTEXT_FULL}:
            self._reject(failure, ticket)
        if action is Action.FATAL and not self._has_answered:
            told = advice(failure, self._spec.model, self._spec.key_name)
            raise UsageError(f"{self._where(ticket)} ({failure}): {told}")
        return None

    def _asks_for_too_much(self, failure: Failure) -> bool:
        return self._spec.sampling.max_tokens is not None and leaves_no_room(failure)

    def _reject(self, failure: Failure, ticket: Ticket) -> NoReturn:
        self._rejections += 1
        if not self._has_answered and self._rejections >= REJECTIONS:
            raise UsageError(f"{self._where(ticket)} refuses every request: {failure}")
        raise ProviderLost(f"{self._where(ticket)}: {failure}")

    def _waited(self, trouble: Trouble, failure: Failure, ticket: Ticket, wish: Wish) -> Trouble:
        """Wait before the next try; raises ProviderLost where there is none left."""
        wait = backoff(trouble.tries, failure, self._chance.random())
        after = Trouble(trouble.tries, trouble.seconds + wait)
        if trouble.tries >= TRIES or after.seconds >= self._spec.call_timeout:
            raise ProviderLost(self._exhausted(trouble, wait, failure, ticket))
        if self._clock.now() + wait >= wish.until:
            raise ProviderLost(f"{self._where(ticket)}: {failure}; {OVER}")
        wish.note(f"try {trouble.tries} at {self._where(ticket)} failed, the next in {wait:.1f} s: {failure}")
        self._clock.sleep(wait)
        return after

    def _exhausted(self, trouble: Trouble, wait: float, failure: Failure, ticket: Ticket) -> str:
        tried = f"{trouble.tries} tries" if trouble.tries > 1 else "one try"
        told = f"{self._where(ticket)}: {failure} ({tried}, {trouble.seconds:.1f} s"
        if failure.code == TIMED_OUT:
            return f"{told}; a slow model needs a longer call_timeout in the agent file)"
        asks = failure.retry_after is not None and trouble.tries < TRIES
        return f"{told}, and it asks to wait {wait:.0f} s)" if asks else f"{told})"

    def _where(self, ticket: Ticket | None = None) -> str:
        return self._spec.base_urls[0 if ticket is None else ticket.replica]
