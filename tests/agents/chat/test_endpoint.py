"""One call of a rollout: tried as often as promised, waited for as asked, then an answer, a stop or a loss."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.agents.chat.endpoint import TRIES, CallContext, ChatEndpoint, ConversationEnd, ModelAnswer, backoff
from taskcal.agents.chat.messages import Reply
from taskcal.agents.chat.provider_errors import TIMED_OUT, UNREACHABLE, Failure
from taskcal.agents.spec import ChatSpec, Sampling
from taskcal.core.rollout import Stop
from taskcal.errors import ProviderLost, UsageError
from tests.agents.chat.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Mapping

SPEC = ChatSpec("mine", ("http://a/v1",), "qwen")
BODY = {"model": "qwen", "messages": []}
DONE = Reply("done")
BUSY = Failure(429, "rate_limit_exceeded", "slow down")
BROKEN = Failure(500, "", "oops")
DEAD = Failure(None, UNREACHABLE, "ConnectError: refused")
SILENT = Failure(None, TIMED_OUT, "no complete answer within 60 s")
WRONG_KEY = Failure(401, "invalid_api_key", "Incorrect API key provided")
NO_MODEL = Failure(404, "model_not_found", "The model `qwen` does not exist")
FULL = Failure(400, "context_length_exceeded", "too long")
ODD = Failure(400, "", "Can only get item pairs from a mapping")


@dataclass
class Calls:
    """Obeys `agents.chat.endpoint.Caller`: answers in their order, the last one for ever, each after `takes` s."""

    answers: list[Reply | Failure]
    clock: FakeClock
    takes: float = 0.0
    bodies: list[Mapping[str, Any]] = field(default_factory=list)
    replicas: list[int] = field(default_factory=list)
    allowed: list[float] = field(default_factory=list)

    def post(self, replica: int, body: Mapping[str, Any], seconds: float) -> Reply | Failure:
        """The next answer."""
        self.bodies.append(body)
        self.replicas.append(replica)
        self.allowed.append(seconds)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.clock.time += seconds if answer is SILENT else self.takes
        return answer


@dataclass
class Desk:
    """An endpoint with its caller and its clock."""

    endpoint: ChatEndpoint
    calls: Calls
    clock: FakeClock
    notes: list[str] = field(default_factory=list)

    def ask(
        self, body: Mapping[str, Any] = BODY, *, is_first: bool = True, patience: float = 1000.0
    ) -> ModelAnswer | ConversationEnd:
        """One call of a rollout."""
        context = CallContext(None, self.clock.now() + patience, is_first, self.notes.append)
        return self.endpoint.complete(body, context)

    def loses(self, **how: Any) -> str:
        """One call that is lost, and why."""
        with pytest.raises(ProviderLost) as caught:
            self.ask(**how)
        return str(caught.value)


def desk(*answers: Reply | Failure, spec: ChatSpec = SPEC, takes: float = 0.0) -> Desk:
    """An endpoint that answers so."""
    clock = FakeClock()
    calls = Calls(list(answers), clock, takes)
    return Desk(ChatEndpoint(spec, calls, clock), calls, clock)


def test_an_answer_is_given_with_the_models_time() -> None:
    """The seconds of the try that succeeded, and of no other."""
    at = desk(BROKEN, DONE, takes=3.0)
    found = at.ask()
    assert isinstance(found, ModelAnswer)
    assert (found.reply, found.replica) == (DONE, 0)
    assert found.seconds == pytest.approx(3.0)
    assert at.calls.bodies == [BODY, BODY]
    (slept,) = at.clock.slept
    assert at.clock.time == pytest.approx(6.0 + slept)


@pytest.mark.parametrize("failure", [BUSY, BROKEN, DEAD, Failure(200, "", "not JSON"), Failure(408, "", "")], ids=str)
def test_trouble_is_tried_five_times_and_then_lost(failure: Failure) -> None:
    """With growing waits that add up to less than the call may take; the reason says all of it."""
    at = desk(failure)
    reason = at.loses()
    assert len(at.calls.bodies) == TRIES == 5
    assert sum(at.clock.slept) <= 60.0
    assert reason.startswith(f"http://a/v1: {failure} (5 tries, ")
    assert len(at.notes) == 4
    assert all(
        note.startswith(f"try {number} at http://a/v1 failed, the next in ") for number, note in enumerate(at.notes, 1)
    )


def test_a_retry_after_is_honoured() -> None:
    """To the second; no try is made before."""
    at = desk(replace(BUSY, retry_after=17.0), DONE)
    at.ask()
    assert at.clock.time == 17.0


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (
            WRONG_KEY,
            r"http://a/v1 \(401: Incorrect API key provided\): the key in OPENAI_API_KEY, or its absence, is not",
        ),
        (Failure(403, "", "Forbidden"), "the key in OPENAI_API_KEY"),
        (NO_MODEL, r"http://a/v1 \(404: The model `qwen` does not exist\): is the model 'qwen' served there\?"),
        (Failure(404, "", "Not Found"), "is base_url right"),
        (Failure(429, "insufficient_quota", "You exceeded your current quota"), "no credit"),
    ],
)
def test_what_no_rollout_can_survive_stops_the_run(failure: Failure, words: str) -> None:
    """At the first try, in one line, instead of losing thousands."""
    at = desk(failure)
    with pytest.raises(UsageError, match=words) as caught:
        at.ask()
    assert len(at.calls.bodies) == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("failure", [WRONG_KEY, NO_MODEL], ids=str)
def test_an_endpoint_that_has_answered_is_never_a_reason_to_stop(failure: Failure) -> None:
    """A key that is revoked, a model that is unloaded: tried again, then lost; the others go on."""
    at = desk(DONE, failure)
    at.ask()
    assert "5 tries" in at.loses()
    at = desk(DONE, failure, DONE)
    at.ask()
    assert isinstance(at.ask(), ModelAnswer)


def test_requests_that_are_refused_for_unknown_reasons_stop_the_run_in_the_end() -> None:
    """One may be the task's, three before any answer are the agent file's."""
    at = desk(ODD)
    assert at.loses() == at.loses() == "http://a/v1: 400: Can only get item pairs from a mapping"
    with pytest.raises(UsageError, match="http://a/v1 refuses every request: 400: Can only get item pairs"):
        at.ask()
    at = desk(DONE, ODD)
    at.ask()
    for _ in range(5):
        at.loses()


@pytest.mark.parametrize(
    ("failure", "stop"),
    [(FULL, Stop.CONTEXT_FULL), (Failure(400, "content_filter", "filtered"), Stop.REFUSED)],
)
def test_what_ends_a_conversation_is_a_stop(failure: Failure, stop: Stop) -> None:
    """Graded, at once, without another try."""
    at = desk(failure)
    assert at.ask(is_first=False) == ConversationEnd(stop, str(failure))
    assert at.ask(is_first=True) == ConversationEnd(stop, str(failure))
    assert len(at.calls.bodies) == 2


def test_a_reserve_that_leaves_no_room_is_not_the_agents_fault() -> None:
    """max_tokens beyond the context would make every rollout a zero: first calls are lost, then the run ends."""
    words = (
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (1000 in the messages, "
    )
    failure = Failure(400, "BadRequestError", words + "4000 in the completion).")
    at = desk(failure, spec=replace(SPEC, sampling=Sampling(max_tokens=4000)))
    assert at.ask(is_first=False) == ConversationEnd(Stop.CONTEXT_FULL, str(failure))
    assert "sampling.max_tokens leaves no room for the prompt" in at.loses()
    at.loses()
    with pytest.raises(UsageError, match=r"refuses every request: 400: sampling\.max_tokens leaves no room"):
        at.ask()
    assert desk(failure).ask() == ConversationEnd(Stop.CONTEXT_FULL, str(failure))


def test_max_tokens_takes_its_other_name_where_it_must() -> None:
    """Newer models of OpenAI refuse the old one; all later calls have the new one at once."""
    newer = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    at = desk(Failure(400, "unsupported_parameter", newer), DONE, spec=replace(SPEC, sampling=Sampling(max_tokens=9)))
    body = {**BODY, "max_tokens": 9}
    at.ask(body)
    at.ask(body)
    renamed = {**BODY, "max_completion_tokens": 9}
    assert at.calls.bodies == [body, renamed, renamed]
    assert at.clock.slept == []


def test_a_call_goes_back_to_the_replica_that_knows_it() -> None:
    """And to another one where that one fails."""
    spec = replace(SPEC, base_urls=("http://a/v1", "http://b/v1"))
    at = desk(DONE, DONE, DEAD, DONE, spec=spec)
    for _ in range(3):
        found = at.endpoint.complete(BODY, CallContext(1, 1000.0, is_first=False, note=at.notes.append))
    assert at.calls.replicas == [1, 1, 1, 0]
    assert found == ModelAnswer(DONE, 0.0, 0)
    assert at.notes[0].startswith("try 1 at http://b/v1 failed")


def test_waiting_for_the_rate_limit_is_no_try() -> None:
    """The pause that one rollout was given holds for all; it is bounded by the rollout's patience alone."""
    at = desk(replace(BUSY, retry_after=50.0), BUSY, DONE)
    at.ask(patience=1000.0)
    at = desk(replace(BUSY, retry_after=500.0), DONE)
    at.loses(patience=400.0)
    assert at.loses(patience=100.0).startswith("http://a/v1: waited 100 s for its turn there; the time of the rollout")
    assert isinstance(at.ask(patience=1000.0), ModelAnswer)
    assert at.clock.time == 500.0


def test_a_bug_of_ours_keeps_no_place() -> None:
    """Whatever a try raises: the next rollout finds the endpoint as it was."""
    at = desk(DONE)
    at.calls.answers = []
    for _ in range(3):
        with pytest.raises(IndexError):
            at.ask()
    at.calls.answers = [DONE]
    at.ask()
    assert at.endpoint._limiter.loads[0].in_flight == 0


@given(tries=st.integers(1, 50), chance=st.floats(0, 1, exclude_max=True))
def test_waits_grow_and_are_spread(tries: int, chance: float) -> None:
    """Between half and all of 1, 2, 4, … 16 seconds, so that rollouts which failed together do not return together."""
    assert min(16.0, 2.0 ** (tries - 1)) / 2 <= backoff(tries, BROKEN, chance) <= min(16.0, 2.0 ** (tries - 1))
    assert backoff(min(tries, TRIES), replace(BROKEN, retry_after=3.5), chance) == 3.5
