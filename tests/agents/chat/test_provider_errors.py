"""What failures mean, in the words that servers really use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.agents.chat.provider_errors import (
    LONGEST_WORDS,
    Action,
    Failure,
    classify_failure,
    failure_of,
    leaves_no_room,
    retry_after,
    suggest_fix,
    wants_other_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
WORDS = Path(__file__).with_name("provider_words.tsv")


@dataclass(frozen=True)
class Told:
    """What a server told: `words` are real, from its source or from what its users reported."""

    action: Action
    server: str
    failure: Failure


def told() -> Iterator[Told]:
    for line in WORDS.read_text().splitlines()[1:]:
        action, status, code, server, words = line.split("\t")
        yield Told(Action(action), server, Failure(int(status) if status else None, code, words))


TOLD = tuple(told())


def failure(server: str, begins: str) -> Failure:
    """The failure of a server whose words begin so."""
    return next(one.failure for one in TOLD if one.server == server and one.failure.message.startswith(begins))


@pytest.mark.parametrize("one", TOLD, ids=lambda one: f"{one.action}: {one.server}: {one.failure.message[:40]}")
def test_real_words_are_understood(one: Told) -> None:
    """A graded stop is never mistaken for a loss, a loss never for a stop, and what is wrong for good is seen."""
    assert classify_failure(one.failure) is one.action


@given(status=st.none() | st.integers(100, 599), code=st.text(), message=st.text(max_size=500))
def test_any_failure_means_something(status: int | None, code: str, message: str) -> None:
    """Nothing that a server sends raises."""
    assert classify_failure(Failure(status, code, message)) in Action


@pytest.mark.parametrize(
    ("server", "begins", "blamed"),
    [
        (
            "vLLM",
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (1000 in",
            True,
        ),
        (
            "vLLM",
            "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946",
            False,
        ),
        ("vLLM", "'max_tokens' or 'max_completion_tokens' is too large", True),
        ("vLLM", "This model's maximum context length is 128000 tokens. However, you requested 65535 output", True),
        ("vLLM", "max_tokens must be at least 1", False),
        ("SGLang", "Requested token count exceeds the model's maximum context length of 202752", True),
        ("SGLang", "Requested token count exceeds the model's maximum context length of 4096", False),
        ("LiteLLM", "litellm.BadRequestError: AnthropicException - input length and `max_tokens` exceed", True),
        ("Anthropic", "input length and `max_tokens` exceed context limit: 279413", False),
        ("OpenRouter", "This endpoint's maximum context length", False),
        ("llama.cpp", "the request exceeds the available context size", False),
    ],
)
def test_who_fills_the_context(server: str, begins: str, blamed: bool) -> None:
    """Where the numbers say that the input alone would fit, it is the answer's reserve that is too large."""
    assert leaves_no_room(failure(server, begins)) is blamed


def test_the_new_name_of_max_tokens_is_seen() -> None:
    """As OpenAI's newer models ask for it; vLLM's error names both and means neither."""
    newer = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    assert wants_other_name(Failure(400, "unsupported_parameter", newer))
    assert not wants_other_name(Failure(500, "", newer))
    assert not any(wants_other_name(one.failure) for one in TOLD)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"message": "no", "type": "t", "code": "c"}}, "c", "no"),
        ({"error": {"message": "no", "type": "t", "code": None}}, "t", "no"),
        ({"error": {"message": "no", "type": "t", "code": 400}}, "t", "no"),
        ({"error": {"message": "no", "type": None, "code": "400"}}, "", "no"),
        ({"object": "error", "message": "no", "type": "BadRequestError", "code": 400}, "BadRequestError", "no"),
        ({"error": "no"}, "", "no"),
        ({"detail": "Not Found"}, "", "Not Found"),
        ({"detail": [{"loc": ["body"], "msg": "bad"}]}, "", '[{"loc": ["body"], "msg": "bad"}]'),
        ({"error": {}}, "", '{"error": {}}'),
        ([1], "", "[1]"),
        (None, "", "None"),
    ],
)
def test_bodies_of_errors(body: object, code: str, message: str) -> None:
    """OpenAI's form, vLLM's older one, FastAPI's, and whatever else is JSON."""
    assert failure_of(400, {}, json.dumps(body), NOW) == Failure(400, code, message)


def test_bodies_that_are_no_json() -> None:
    """Plain text and HTML, on one bounded line."""
    found = failure_of(502, {}, "<html>\n" + "bad gateway " * 100, NOW)
    assert found.message.startswith("<html> bad gateway bad")
    assert len(found.message) <= LONGEST_WORDS
    assert failure_of(500, {}, "[" * 100_000, NOW).status == 500


@given(text=st.text(max_size=200), value=st.text(max_size=30))
def test_any_answer_is_a_failure(text: str, value: str) -> None:
    """Whatever stands in body and headers."""
    found = failure_of(500, {"retry-after": value}, text, NOW)
    assert found.retry_after is None or found.retry_after >= 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Thu, 02 Jan 2025 03:04:35 GMT"}, 30.0),
        ({"retry-after": "Thu, 02 Jan 2025 05:04:35 +0200"}, 30.0),
        ({"retry-after": "Thu, 02 Jan 2025 03:00:00 GMT"}, 0.0),
        ({"retry-after": "Thu, 02 Jan 2025 03:04:35"}, 30.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Thu, 99 Xxx 2025 03:04:35 GMT"}, None),
        ({"retry-after": "1e30"}, timedelta(days=7).total_seconds()),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds or a date (RFC 9110, section 10.2.3), and the milliseconds that OpenAI adds."""
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("server", "begins", "help_"),
    [
        (
            "OpenAI",
            "Incorrect API key",
            "the key in MY_KEY, or its absence, is not accepted; set it with `export MY_KEY=…`",
        ),
        ("OpenAI", "Project", "is the model 'qwen' served there?"),
        ("Gemini", "API key not valid", "the key in MY_KEY"),
        ("OpenAI", "The model `gpt-9`", "is the model 'qwen' served there?"),
        ("FastAPI", "Not Found", "is base_url right"),
        ("DeepSeek", "Insufficient Balance", "no credit"),
        ("OpenAI", "You exceeded your current quota", "no credit"),
        ("vLLM", '"auto" tool choice', "change the agent file, or how the server was started"),
    ],
)
def test_a_person_is_told_what_to_do(server: str, begins: str, help_: str) -> None:
    """The key's variable by name, the model, the address, or the request."""
    assert help_ in suggest_fix(failure(server, begins), "qwen", "MY_KEY")
