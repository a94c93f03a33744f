"""Whole conversations with a provider in trouble: its failures are lost, and none of them becomes a reward."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskcal.agents.chat.finish import key_of, meaning
from taskcal.core.rollout import Stop
from taskcal.errors import ProviderLost, UsageError
from tests.agents.chat.chat_case import chat_case
from tests.agents.chat.openai_server import Step, completion, fails, runs, says

if TYPE_CHECKING:
    from tests.agents.chat.chat_case import ChatCase

COUNTED = {"prompt_tokens": 100, "completion_tokens": 10}


def ends(content: Any, word: Any, usage: Any = None, error: Any = None, **message: Any) -> Step:
    """An answer with status 200 that ends by this word."""
    body = completion({"content": content, **message}, word, COUNTED if usage is None else usage)
    if error is not None:
        body["choices"][0]["error"] = error
    return Step(body=body)


def says_error() -> Step:
    """An answer whose message has an error in the place of a text."""
    return Step(body=completion({"content": "", "error": UPSTREAM}, "stop", COUNTED))


@dataclass(frozen=True)
class Trouble:
    """An answer in the middle of a conversation, how often it is given, and how the rollout ends."""

    name: str
    answer: Step
    ends: Stop | str = "lost"
    more: tuple[Step, ...] = field(default=(says("done"),))


UPSTREAM = {"code": 502, "message": "Upstream connection lost"}
ALWAYS: tuple[Step, ...] = ()
TABLE = (
    Trouble("error on the choice", ends("", "error", {"prompt_tokens": None}, UPSTREAM), more=ALWAYS),
    Trouble("half an answer", ends("I will now wri", "error"), more=ALWAYS),
    Trouble("no resources", ends("", "insufficient_system_resource"), more=ALWAYS),
    Trouble("network error", ends("", "network_error"), more=ALWAYS),
    Trouble("aborted", ends("I will", "abort"), more=ALWAYS),
    Trouble("malformed call", ends(None, "MALFORMED_FUNCTION_CALL"), more=ALWAYS),
    Trouble("nothing at all", ends(None, "stop", {"prompt_tokens": 100, "completion_tokens": 0}), more=ALWAYS),
    Trouble("an unknown word", ends("done", "fin"), more=ALWAYS),
    Trouble("an unknown word of policy", ends("done", "violates our content policy"), more=ALWAYS),
    Trouble("a page of words", Step(body="<h1>maximum context length; violates our content policy</h1>"), more=ALWAYS),
    Trouble("an error on the message", says_error(), more=ALWAYS),
    Trouble("content in another form", ends({"text": "done"}, "stop"), more=ALWAYS),
    Trouble("a list of texts", ends(["done"], "stop"), more=ALWAYS),
    Trouble("a number for content", ends(42, "stop"), more=ALWAYS),
    Trouble("parts without a text", ends([{"type": "text", "content": "done"}], "stop"), more=ALWAYS),
    Trouble("parts", ends([{"type": "thinking"}, {"type": "text", "text": "done"}], "stop"), Stop.FINISHED),
    Trouble("thoughts alone", ends([{"type": "thinking", "thinking": []}], "stop"), Stop.FINISHED),
    Trouble(
        "an event stream", Step(body='data: {"choices":[{"delta":{"content":"x"}}]}\n\ndata: [DONE]\n'), more=ALWAYS
    ),
    Trouble("a schema", fails(400, "Invalid request: messages[1] violates the JSON schema (content: expected string)")),
    Trouble("a database", fails(500, 'ERROR: duplicate key violates constraint "request_logs_pkey"'), more=ALWAYS),
    Trouble("a health check", fails(500, "Request failed: worker 3 was flagged unhealthy"), more=ALWAYS),
    Trouble("a firewall", Step(403, "<html><body>Request blocked: it violates a rule</body></html>"), more=ALWAYS),
    Trouble("a filter's 500", fails(500, "content management policy", "content_filter"), more=ALWAYS),
    Trouble("one error, then well", ends("", "error", error=UPSTREAM), Stop.FINISHED),
    Trouble("one 500, then well", fails(500, "oops"), Stop.FINISHED),
    Trouble("one long wait, then well", fails(429, "slow down", retry_after="1800"), Stop.FINISHED),
    Trouble("a wait in words", fails(429, "Please retry after 900 seconds."), Stop.FINISHED),
    Trouble("a full window", ends("", "model_context_window_exceeded"), Stop.CONTEXT_FULL),
    Trouble("the model's length", ends("I will", "model_length"), Stop.CONTEXT_FULL),
    Trouble("DashScope's range", fails(400, "Range of input length should be [1, 204800]"), Stop.CONTEXT_FULL),
    Trouble("Z.ai's length", fails(400, "Prompt exceeds max length", "1261"), Stop.CONTEXT_FULL),
    Trouble("a code alone", fails(400, "request rejected", "context_window_exceeded"), Stop.CONTEXT_FULL),
    Trouble(
        "TGI's numbers",
        Step(422, {"error": "`inputs` must have less than 4095 tokens. Given: 5000", "error_type": "validation"}),
        Stop.CONTEXT_FULL,
    ),
    Trouble("sensitive", ends("", "sensitive"), Stop.REFUSED),
    Trouble("Gemini's safety", ends("", "SAFETY"), Stop.REFUSED),
    Trouble("reasoning alone", ends(None, "stop", reasoning_content="I should"), Stop.FINISHED),
    Trouble("cut, then well", ends("Let me think", "length"), Stop.FINISHED),
    Trouble("always cut", ends("Let me think", "length"), Stop.MAX_TURNS, more=ALWAYS),
)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_provider_in_trouble(case: ChatCase, row: Trouble) -> None:
    """After one good answer: lost, or the stop that is the model's own, with the conversation intact."""
    steps = (runs("work"), row.answer, *row.more)
    if isinstance(row.ends, Stop):
        assert case.act(*steps).stop is row.ends
        assert case.account.turns is not None
        assert case.account.turns > 0
    else:
        with pytest.raises(ProviderLost):
            case.act(*steps)
        assert case.account.turns == 1


SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEMPTING = """content prompt request flagged violates schema safety context window tokens limit blocked firewall
database worker unhealthy rule key value model is was not the of by for length max"""
WORDS = st.sampled_from(TEMPTING.split())
MESSAGES = st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=60)
BODIES = st.one_of(
    MESSAGES,
    MESSAGES.map(lambda text: {"error": {"message": text, "type": "error", "code": None}}),
    MESSAGES.map(lambda text: {"detail": text}),
    MESSAGES.map(lambda text: {"error": text}),
    MESSAGES.map(lambda text: f"<html><body>{text}</body></html>"),
    MESSAGES.map(lambda text: {"choices": [], "prompt": text}),
)


def is_lost(case: ChatCase, *steps: Step) -> bool:
    """Whether a conversation ends without anything to grade."""
    try:
        case.act(*steps)
    except (ProviderLost, UsageError):
        return True
    return False


@SLOW
@given(status=st.integers(400, 599), body=BODIES, is_first=st.booleans())
def test_no_error_in_random_words_is_graded(status: int, body: Any, *, is_first: bool) -> None:
    """Whatever a 4xx or 5xx says without a phrase that is known: no stop comes of it, so no reward."""
    case = chat_case()
    try:
        assert is_lost(case, *(() if is_first else (runs("work"),)), Step(status, body))
    finally:
        case.close()


@SLOW
@given(
    word=st.text(min_size=1, max_size=20) | st.from_regex(r"[a-z]{3,9}(_[a-z]{3,9}){0,2}", fullmatch=True),
    is_first=st.booleans(),
)
def test_no_unknown_finish_reason_is_graded(word: str, *, is_first: bool) -> None:
    """However good the answer looks that it comes with."""
    case = chat_case()
    try:
        if meaning(word, {}) is None and key_of(word) != "none":
            assert is_lost(case, *(() if is_first else (runs("work"),)), ends("done", word))
            assert any("unknown finish_reason" in note for note in case.notes)
    finally:
        case.close()
