"""A model's endpoint as a rollout sees it: it answers, or it is lost, and waiting for it is not the agent's time.

A call is tried at most 5 times and for at most `call_timeout` seconds, our own pauses included. A wait that the server
asks for (Retry-After) is none of these seconds. In the middle of a conversation it is not a try either: the answers so
far are paid for, so the rollout waits as often as it is asked to, as long as `timeouts.wall` allows. Waiting for a
place under the rate limit is bounded by the same time alone.

After a failure that the server itself reports (status 200, or 5xx) the next try has another seed: one that breaks over
what it sampled would sample the same again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from taskcal.agents.chat.finish import EMPTY, OK
from taskcal.agents.chat.limiter import CongestionSignal, Limiter
from taskcal.agents.chat.messages import SEEDS, Reply
from taskcal.agents.chat.provider_errors import (
    BUSY,
    COMPARED_STATUSES,
    TIMED_OUT,
    Action,
    Failure,
    classify_failure,
    leaves_no_room,
    suggest_fix,
    wants_other_name,
)
from taskcal.agents.chat.proxy import proxy_of
from taskcal.core.rollout import Stop
from taskcal.errors import ProviderLost, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskcal.agents.chat.limiter import Clock, Ticket
    from taskcal.agents.spec import ChatSpec

TRIES = 5
FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 16.0
REJECTIONS = 3
"""How many calls may be refused for reasons that we do not know, before any answer, until the run is stopped."""
OVER = "the time of the rollout with all its waiting is over (timeouts.wall; by default an hour beyond timeouts.agent)"
OLD_NAME, NEW_NAME = "max_tokens", "max_completion_tokens"


class Caller(Protocol):
    """Makes one try at one replica."""

    def post(self, replica: int, body: Mapping[str, Any], seconds: float) -> Reply | Failure:
        """Ask for one completion, in at most about `seconds`."""
        ...


@dataclass(frozen=True, slots=True)
class CallContext:
    """The rollout of a call: the replica whose cache has its conversation, its deadline, and where notes go.

    `is_full` says that the conversation has as many tokens as the model's context, as far as both are known.
    """

    replica: int | None
    until: float
    is_first: bool
    note: Callable[[str], None]
    is_full: bool = False


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """A reply, the seconds that the model took for it, and the replica that it came from."""

    reply: Reply
    seconds: float
    replica: int


@dataclass(frozen=True, slots=True)
class ConversationEnd:
    """The endpoint will not go on with this conversation; `stop` is graded."""

    stop: Stop
    reason: str


@dataclass(frozen=True, slots=True)
class RetryState:
    """The failures of one call so far: tries, waits that the server asked for, and seconds without those waits."""

    tries: int = 0
    waits: int = 0
    seconds: float = 0.0
    answers: int = 0
    """The failures among the tries that the server may have sampled an answer for: status 200, or 5xx."""


def backoff(failures: int, failure: Failure, chance: float) -> float:
    """Seconds to wait after that many failures in a row: 1, 2, 4, … times 0.5 to 1 by `chance`.

    A server that asks for a wait gets it whole; one that asks again and again gets our own pause if that is longer.
    """
    own = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures - 1, 10)) * (0.5 + chance / 2.0)
    demanded = failure.retry_after
    return own if demanded is None else demanded if failures <= TRIES else max(demanded, own)


def congestion_signal(outcome: Reply | Failure | None) -> CongestionSignal:
    """What the outcome of a try shows about its replica's load; None is a try that a bug of ours ended."""
    if outcome is None:
        return CongestionSignal.NOTHING
    if isinstance(outcome, Reply):
        return CongestionSignal.WELL
    if outcome.status in BUSY:
        return CongestionSignal.OVERLOADED
    is_broken = classify_failure(outcome) in {Action.RETRY, Action.FATAL}
    return CongestionSignal.BROKEN if is_broken else CongestionSignal.NOTHING


class ChatEndpoint:
    """Shared by all rollouts of a run; its limiter knows all of them."""

    def __init__(self, spec: ChatSpec, caller: Caller, clock: Clock) -> None:
        """`clock` also bounds the waits."""
        self._spec, self._caller, self._clock = spec, caller, clock
        self._limiter = Limiter(len(spec.base_urls), clock)
        self._chance = random.Random()  # noqa: S311 - spreads retries, keeps no secret
        self._has_answered = False
        self._rejections = 0
        self._limit_name = OLD_NAME

    def complete(self, body: Mapping[str, Any], context: CallContext) -> ModelAnswer | ConversationEnd:
        """One answer of the model.

        Raises ProviderLost if the endpoint gives no answer in time, UsageError if it never will.
        """
        state = RetryState()
        while True:
            ticket, sent = self._wait_for_ticket(context), change_seed(self._rename_limit(body), state.answers)
            begun = self._clock.now()
            outcome = self._try_once(sent, ticket, state, context.until - begun)
            seconds = self._clock.now() - begun
            if isinstance(outcome, Reply):
                self._has_answered = True
                return ModelAnswer(outcome, seconds, ticket.replica)
            state = count_failure(state, outcome, context, seconds)
            if OLD_NAME in sent and wants_other_name(outcome):
                self._limit_name = NEW_NAME
                continue
            end = self._conversation_end(outcome, ticket, context)
            if end is not None:
                return end
            state = self._pause(state, outcome, ticket, context)

    def _try_once(self, body: Mapping[str, Any], ticket: Ticket, state: RetryState, left: float) -> Reply | Failure:
        outcome: Reply | Failure | None = None
        pause = 0.0
        try:
            outcome = self._caller.post(ticket.replica, body, min(left, self._spec.call_timeout - state.seconds))
            if isinstance(outcome, Failure):
                pause = backoff(state.tries + state.waits + 1, outcome, self._chance.random())
        finally:
            self._limiter.release(ticket, congestion_signal(outcome), pause)
        return outcome

    def _wait_for_ticket(self, context: CallContext) -> Ticket:
        patience = context.until - self._clock.now()
        ticket = self._limiter.acquire(context.replica, patience)
        if ticket is None:
            raise ProviderLost(f"{self._where()}: waited {max(0.0, patience):.0f} s for its turn there; {OVER}")
        return ticket

    def _rename_limit(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._limit_name == OLD_NAME or OLD_NAME not in body:
            return body
        return {NEW_NAME if key == OLD_NAME else key: value for key, value in body.items()}

    def _conversation_end(self, failure: Failure, ticket: Ticket, context: CallContext) -> ConversationEnd | None:
        """The end of the conversation, or None to try again. Raises ProviderLost or UsageError if neither helps."""
        action = classify_failure(failure)
        if action is Action.REFUSED:
            return ConversationEnd(Stop.REFUSED, str(failure))
        is_unexplained = failure.code == EMPTY or (action is Action.LOST and failure.status in COMPARED_STATUSES)
        if context.is_full and is_unexplained:
            return ConversationEnd(Stop.CONTEXT_FULL, f"{failure} (the conversation is as long as the model's context)")
        if action is Action.CONTEXT_FULL and not (context.is_first and self._asks_for_too_much(failure)):
            return ConversationEnd(Stop.CONTEXT_FULL, str(failure))
        if action is Action.CONTEXT_FULL:
            failure = replace(failure, message=f"sampling.max_tokens leaves no room for the prompt: {failure.message}")
        if action in {Action.LOST, Action.CONTEXT_FULL}:
            self._reject(failure, ticket)
        if action is Action.FATAL and not self._has_answered:
            fix = suggest_fix(failure, self._spec.model, self._spec.key_name)
            raise UsageError(f"{self._where(ticket)} ({failure}): {fix}")
        return None

    def _asks_for_too_much(self, failure: Failure) -> bool:
        return self._spec.sampling.max_tokens is not None and leaves_no_room(failure)

    def _reject(self, failure: Failure, ticket: Ticket) -> NoReturn:
        self._rejections += 1
        if not self._has_answered and self._rejections >= REJECTIONS:
            raise UsageError(f"{self._where(ticket)} refuses every request: {failure}")
        raise ProviderLost(f"{self._where(ticket)}: {failure}")

    def _pause(self, state: RetryState, failure: Failure, ticket: Ticket, context: CallContext) -> RetryState:
        """Wait before the next try; raises ProviderLost if there is none left."""
        wait = backoff(state.tries + state.waits, failure, self._chance.random())
        spent = state.seconds if asks_to_wait(failure) else state.seconds + wait
        if state.tries >= TRIES or spent >= self._spec.call_timeout:
            raise ProviderLost(self._describe_failures(state, failure, ticket))
        if self._clock.now() + wait >= context.until:
            asks = f", and it asks to wait {wait:.0f} s" if failure.retry_after else ""
            raise ProviderLost(f"{self._where(ticket)}: {failure}{asks}; {OVER}")
        number = state.tries + state.waits
        context.note(f"try {number} at {self._where(ticket)} failed, the next in {wait:.1f} s: {failure}")
        self._clock.sleep(wait)
        return replace(state, seconds=spent)

    def _describe_failures(self, state: RetryState, failure: Failure, ticket: Ticket) -> str:
        number = state.tries + state.waits
        tries = f"{number} tries" if number > 1 else "one try"
        spent = f"{self._where(ticket)}: {failure} ({tries}, {state.seconds:.1f} s"
        if failure.code == TIMED_OUT:
            return f"{spent}; a slow model needs a longer call_timeout in the agent file)"
        if classify_failure(failure) is Action.FATAL:
            return f"{spent}): {suggest_fix(failure, self._spec.model, self._spec.key_name)}"
        return f"{spent})"

    def _where(self, ticket: Ticket | None = None) -> str:
        """The address in a message, with the proxy that is between, if there is one."""
        url = self._spec.base_urls[0 if ticket is None else ticket.replica]
        proxy = proxy_of(url)
        return url if proxy is None else f"{url} through {proxy}"


def asks_to_wait(failure: Failure) -> bool:
    """Whether a server will answer after a wait that it names; no wait mends a missing key or credit."""
    return bool(failure.retry_after) and classify_failure(failure) is Action.RETRY


def count_failure(state: RetryState, failure: Failure, context: CallContext, seconds: float) -> RetryState:
    """The state of a call after one more failure, which took `seconds`."""
    if asks_to_wait(failure) and not context.is_first:
        return replace(state, waits=state.waits + 1)
    status = failure.status or 0
    answers = state.answers + (status == OK or (status >= 500 and status not in BUSY))
    return replace(state, tries=state.tries + 1, seconds=state.seconds + seconds, answers=answers)


def change_seed(body: Mapping[str, Any], answers: int) -> Mapping[str, Any]:
    """A request whose seed is not that of the `answers` tries before; one without a seed stays as it is."""
    seed = body.get("seed")
    return body if not answers or not isinstance(seed, int) else {**body, "seed": (seed + answers) % SEEDS}
