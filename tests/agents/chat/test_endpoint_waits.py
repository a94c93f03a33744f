"""How long one call of a rollout may take: our own pauses, the waits that a server asks for, and what is between."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.agents.chat.endpoint import TRIES, CallContext, ConversationEnd, ModelAnswer, backoff
from taskcal.agents.chat.finish import EMPTY
from taskcal.agents.chat.provider_errors import Failure
from taskcal.core.rollout import Stop
from taskcal.errors import ProviderLost, UsageError
from tests.agents.chat.test_endpoint import BODY, BROKEN, BUSY, DEAD, DONE, SILENT, SPEC, desk


@pytest.mark.parametrize("asked", [90.0, 3000.0])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_wait_that_the_server_asks_for_is_not_the_calls_time(asked: float, *, is_first: bool) -> None:
    """Longer than call_timeout, the conversation goes on after it; the try after it has the whole time again."""
    at = desk(replace(BUSY, retry_after=asked), DONE, spec=replace(SPEC, call_timeout=8.0))
    assert isinstance(at.ask(is_first=is_first, patience=3600.0), ModelAnswer)
    assert at.clock.time == asked
    assert at.calls.allowed == [8.0, 8.0]


def test_a_conversation_waits_as_often_as_it_is_asked_to() -> None:
    """Its answers are paid for: only the rollout's time bounds the waiting; before the first answer 5 tries do."""
    asked = [replace(BUSY, retry_after=20.0)] * 30
    at = desk(*asked, DONE)
    assert isinstance(at.ask(is_first=False, patience=3600.0), ModelAnswer)
    assert at.clock.time == 600.0
    at = desk(*asked)
    assert "(5 tries, 0.0 s)" in at.loses(is_first=True, patience=3600.0)
    assert at.clock.time == 80.0
    at = desk(*asked)
    reason = at.loses(is_first=False, patience=100.0)
    assert reason.startswith("http://a/v1: 429: slow down, and it asks to wait 20 s; the time of the rollout with all")
    assert at.clock.time == 80.0


def test_no_wait_mends_a_missing_credit() -> None:
    """A server that asks for waits and will never answer is lost after five tries, also in a conversation."""
    broke = Failure(429, "insufficient_quota", "You exceeded your current quota", 20.0)
    at = desk(DONE, broke)
    at.ask()
    assert "(5 tries, 80.0 s): there is no credit left" in at.loses(is_first=False, patience=3600.0)


@given(retries=st.integers(0, 60), asked=st.floats(0.001, 30))
def test_a_server_that_asks_for_ever_is_not_asked_all_the_time(retries: int, asked: float) -> None:
    """After five of its waits our own growing pause is the shortest, so that a conversation does not flood it."""
    waits = [backoff(number, replace(BUSY, retry_after=asked), 0.5) for number in range(1, retries + 1)]
    assert all(wait >= asked for wait in waits)
    assert all(wait == asked for wait in waits[:TRIES])
    assert all(wait >= 8.0 for wait in waits[TRIES:])


def test_the_time_of_a_call_is_bounded() -> None:
    """Failed tries and our own pauses count together; each try gets what is left."""
    at = desk(BROKEN, takes=20.0, spec=replace(SPEC, call_timeout=60.0))
    reason = at.loses()
    assert "3 tries" in reason
    assert at.clock.time <= 80.0
    assert [round(allowed) <= left for allowed, left in zip(at.calls.allowed, (60, 40, 20), strict=True)] == [True] * 3


def test_a_model_may_think_for_minutes() -> None:
    """Ten of them, unless the agent file says otherwise; silence is lost then, with the key to change."""
    at = desk(SILENT)
    reason = at.loses()
    assert at.calls.allowed == [600.0]
    assert reason.startswith("http://a/v1: no complete answer within 60 s (one try, 600.0 s; ")
    assert reason.endswith("a slow model needs a longer call_timeout in the agent file)")


def test_a_full_window_explains_a_refused_request() -> None:
    """A 4xx in unknown words or an empty answer, if the conversation is as long as the context; never else."""
    rejected = Failure(400, "", "request rejected")
    for is_full, failure, ends in (
        (True, rejected, True),
        (True, replace(rejected, status=413), True),
        (True, Failure(200, EMPTY, "an answer without text"), True),
        (False, Failure(200, EMPTY, "an answer without text"), False),
        (False, rejected, False),
        (True, replace(rejected, status=404), False),
        (True, replace(rejected, status=500), False),
    ):
        at = desk(failure)
        context = CallContext(None, 1000.0, is_first=False, note=at.notes.append, is_full=is_full)
        at.endpoint._has_answered = True
        if ends:
            found = at.endpoint.complete(BODY, context)
            assert isinstance(found, ConversationEnd)
            assert found.stop is Stop.CONTEXT_FULL
        else:
            with pytest.raises(ProviderLost):
                at.endpoint.complete(BODY, context)


def test_a_failed_answer_is_asked_for_with_another_seed() -> None:
    """The same seed could fail for ever; a rate limit or a lost connection has nothing to do with it."""
    gone = Failure(200, "error", "the server did not complete this answer")
    at = desk(gone, BROKEN, BUSY, DEAD, DONE)
    at.ask({**BODY, "seed": 2**31 - 1})
    assert [body["seed"] for body in at.calls.bodies] == [2**31 - 1, 0, 1, 1, 1]
    at = desk(gone, DONE)
    at.ask(BODY)
    assert at.calls.bodies == [BODY, BODY]


def test_a_failure_names_the_proxy_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the variable that set it, without the password in it."""
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@squid:3128")
    reason = desk(DEAD).loses()
    assert reason.startswith("http://a/v1 through the proxy squid:3128 of HTTP_PROXY: ConnectError: refused")
    with pytest.raises(UsageError, match=r"the proxy wants a user and a password; put them into the variable"):
        desk(Failure(407, "", "Proxy Authentication Required")).ask()
    monkeypatch.setenv("NO_PROXY", "a")
    assert desk(DEAD).loses().startswith("http://a/v1: ConnectError")
