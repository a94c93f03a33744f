"""What an answer with status 200 is: by its finish reason, by what it holds, and by what the server counted."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.agents.chat.finish import CALLS, WORDS, Content, Finish, judge_finish, key_of, meaning
from taskcal.agents.chat.messages import Reply, reply_of
from taskcal.agents.chat.provider_errors import Action, Failure, classify_failure

DOCS = Path(__file__).parents[3] / "docs" / "agents.md"
NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
CALL = {"id": "c", "type": "function", "function": {"name": "bash", "arguments": '{"command": "true"}'}}
OLD_CALL = {"name": "bash", "arguments": '{"command": "true"}'}
COUNTED = {"prompt_tokens": 100, "completion_tokens": 10}
NO_OUTPUT = {"prompt_tokens": 100, "completion_tokens": 0}
LOST = object()


def answer(word: Any, message: Any, usage: Any = COUNTED, finish_reasons: Any = None, **choice: Any) -> Reply | Failure:
    """What a body with one choice is taken for."""
    body = {"choices": [{"index": 0, "message": message, "finish_reason": word, **choice}], "usage": usage}
    return reply_of(json.dumps(body), NOW, finish_reasons or {})


def outcome(found: Reply | Failure) -> object:
    """A finish, an action, or LOST for what is retried and then lost."""
    if isinstance(found, Reply):
        return found.finish
    action = classify_failure(found)
    return LOST if action is Action.RETRY else action


TEXT, NOTHING, THOUGHT = {"content": "done"}, {"content": None}, {"content": None, "reasoning_content": "hm"}

TABLE = [
    # the model's
    ("stop", TEXT, COUNTED, Finish.DONE),
    ("stop", TEXT, None, Finish.DONE),
    ("stop", THOUGHT, COUNTED, Finish.DONE),
    ("stop", NOTHING, COUNTED, Finish.DONE),
    ("tool_calls", {"tool_calls": [CALL]}, None, Finish.DONE),
    ("function_call", {"content": None, "function_call": OLD_CALL}, COUNTED, Finish.DONE),
    ("STOP", TEXT, COUNTED, Finish.DONE),
    ("end_turn", TEXT, COUNTED, Finish.DONE),
    ("eos_token", TEXT, COUNTED, Finish.DONE),
    ("length", TEXT, COUNTED, Finish.CUT),
    ("MAX_TOKENS", THOUGHT, COUNTED, Finish.CUT),
    ("content_filter", NOTHING, NO_OUTPUT, Finish.REFUSED),
    ("sensitive", NOTHING, COUNTED, Finish.REFUSED),
    ("SAFETY", NOTHING, COUNTED, Finish.REFUSED),
    ("content_filter: PROHIBITED_CONTENT", None, NO_OUTPUT, Finish.REFUSED),
    (None, {"content": None, "refusal": "I can't."}, None, Finish.REFUSED),
    ("model_context_window_exceeded", NOTHING, COUNTED, Finish.FULL),
    ("model_length", TEXT, COUNTED, Finish.FULL),
    (None, TEXT, COUNTED, Finish.DONE),
    ("null", {"tool_calls": [CALL]}, COUNTED, Finish.DONE),
    # the provider's
    ("error", NOTHING, None, LOST),
    ("error", TEXT, COUNTED, LOST),
    ("error", {"tool_calls": [CALL]}, COUNTED, LOST),
    ("abort", TEXT, COUNTED, LOST),
    ("network_error", NOTHING, COUNTED, LOST),
    ("insufficient_system_resource", TEXT, COUNTED, LOST),
    ("MALFORMED_FUNCTION_CALL", NOTHING, NO_OUTPUT, LOST),
    ("function_call_filter: MALFORMED_FUNCTION_CALL", NOTHING, NO_OUTPUT, LOST),
    ("stop", NOTHING, NO_OUTPUT, LOST),
    ("stop", {"content": " \n"}, None, LOST),
    ("length", NOTHING, NO_OUTPUT, LOST),
    ("tool_calls", NOTHING, None, LOST),
    ("tool_calls", NOTHING, COUNTED, LOST),
    ("function_call", TEXT, COUNTED, LOST),
    (None, NOTHING, NO_OUTPUT, LOST),
    (None, TEXT, None, LOST),
    (None, {"tool_calls": [CALL]}, None, LOST),
    ("stop", None, COUNTED, LOST),
    ({"type": "abort"}, TEXT, COUNTED, LOST),
    (1, TEXT, COUNTED, LOST),
    ("finished_oddly", TEXT, COUNTED, LOST),
    ("content: stop", TEXT, COUNTED, LOST),
]


@pytest.mark.parametrize(("word", "message", "usage", "what"), TABLE)
def test_what_an_answer_is(word: Any, message: Any, usage: Any, what: object) -> None:
    """The table of the module, row by row, in the forms that servers send."""
    assert outcome(answer(word, message, usage)) is what


@pytest.mark.parametrize("word", ["stop", "length", "tool_calls", None])
@pytest.mark.parametrize(
    ("error", "what"),
    [
        ({"code": 502, "message": "Upstream connection lost"}, LOST),
        ({"message": "no code"}, LOST),
        ("overloaded", LOST),
        ({"code": 400, "message": "prompt is too long: 2 tokens > 1 maximum"}, Action.CONTEXT_FULL),
        ({"code": "content_filter", "message": "filtered"}, Action.REFUSED),
    ],
)
def test_an_error_on_the_choice_is_the_answer(word: Any, error: Any, what: object) -> None:
    """A gateway that lost its upstream says so there, whatever the finish reason beside it is."""
    assert outcome(answer(word, TEXT, error=error)) is what


@pytest.mark.parametrize("error", [None, {}, "", {"code": 0, "message": "", "type": None}])
def test_an_empty_error_is_none(error: Any) -> None:
    """Some gateways send the form of one with every answer."""
    body = {"error": error, "choices": [{"message": TEXT, "finish_reason": "stop", "error": error}]}
    assert isinstance(reply_of(json.dumps(body), NOW), Reply)


def test_a_gateway_that_hides_a_failure() -> None:
    """One that translates into OpenAI's words keeps the server's own word beside them, and that one counts."""
    for word in ("stop", "length", None):
        assert outcome(answer(word, TEXT, native_finish_reason="network_error")) is LOST
        assert outcome(answer(word, TEXT, native_finish_reason="model_length")) is Finish.FULL
    assert outcome(answer("stop", TEXT, native_finish_reason="end_turn")) is Finish.DONE
    assert outcome(answer("content_filter", TEXT, native_finish_reason="OTHER")) is Finish.REFUSED


@given(word=st.text(max_size=40) | st.from_regex(r"[a-z]{2,12}(_[a-z]{2,12}){0,3}", fullmatch=True))
def test_any_unknown_word_is_the_providers(word: str) -> None:
    """No word outside the table ends an answer, however good the answer looks."""
    known = meaning(word, {})
    found = answer(word, {"content": "done", "tool_calls": [CALL]})
    if known is None and key_of(word) != "none":
        assert outcome(found) is LOST
    else:
        assert not (isinstance(found, Reply) and known is Finish.FAILED)


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("eos2", "finish_reasons: {eos2: stop}"),
        ("two words", 'finish_reasons: {"two words": stop}'),
        ("no", 'finish_reasons: {"no": stop}'),
        ("a: b", 'finish_reasons: {"a: b": stop}'),
        (7, 'finish_reasons: {"7": stop}'),
    ],
)
def test_an_unknown_word_names_the_line_that_mends_it(word: Any, line: str) -> None:
    """As it stands in an agent file, and with that line it works."""
    found = answer(word, TEXT)
    assert isinstance(found, Failure)
    assert line in found.message
    assert outcome(answer(word, TEXT, finish_reasons={key_of(str(word)): Finish.DONE})) is Finish.DONE


def test_a_missing_word_can_be_declared() -> None:
    """For a server that never sends one and counts nothing."""
    found = answer(None, TEXT, None)
    assert isinstance(found, Failure)
    assert "finish_reasons: {none: stop}" in found.message
    assert outcome(answer(None, TEXT, None, {"none": Finish.DONE})) is Finish.DONE


def test_the_agent_file_wins_over_the_table() -> None:
    """An operator who knows the server may declare that its `error` ends a good answer."""
    assert outcome(answer("error", TEXT, COUNTED, {"error": Finish.DONE})) is Finish.DONE
    assert outcome(answer("stop", TEXT, COUNTED, {"stop": Finish.FAILED})) is LOST


@given(word=st.sampled_from(sorted(WORDS)), tokens=st.none() | st.integers(0, 5), empty=st.booleans())
def test_an_answer_of_nothing_is_never_the_models(word: str, tokens: int | None, empty: bool) -> None:
    """Only a refusal or a full context needs no text and no token."""
    found = judge_finish(word, Content(empty, not empty, tokens), {})
    if empty and not tokens:
        assert isinstance(found, Failure) or found in {Finish.REFUSED, Finish.FULL}
    elif WORDS[word] is not Finish.FAILED and not (empty and word in CALLS):
        assert found is WORDS[word]


def test_the_documentation_has_every_word() -> None:
    """Each in the row of what it means; a word that is a failure needs no row of its own."""
    text = DOCS.read_text(encoding="utf-8")
    table = text[text.index("**Finish reasons.**") : text.index("`native_finish_reason`")]
    rows = {finish: {word for word, means in WORDS.items() if means is finish} for finish in Finish}
    for finish, ending in (
        (Finish.DONE, "| the model's |"),
        (Finish.CUT, "| cut: the model goes on |"),
        (Finish.REFUSED, "| refused |"),
        (Finish.FULL, "| the context is full |"),
    ):
        (row,) = (line for line in table.splitlines() if line.endswith(ending) and "`" in line)
        assert set(re.findall(r"`(\w+)`", row)) == rows[finish]
