"""Requests as servers want them, and answers as they really come, also from servers that mean no good."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.agents.chat.messages import Call, Reply, assistant_message, reply_of, request, tool_message
from taskcal.agents.chat.provider_errors import Action, Failure, classify_failure
from taskcal.agents.spec import ChatSpec, Sampling
from taskcal.agents.transcript import TokenUsage

NOW = datetime(2025, 1, 2, tzinfo=UTC)
SPEC = ChatSpec("mine", ("http://localhost:1/v1",), "qwen")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
WELL = {"choices": [{"message": {"role": "assistant", "content": "Done."}, "finish_reason": "stop"}]}


def reply(message: Any, **more: Any) -> Reply:
    """What becomes of an answer with this message."""
    choice = {"index": 0, "message": message, "finish_reason": more.pop("finish_reason", "stop")}
    found = reply_of(json.dumps({"choices": [choice], **more}), NOW)
    assert isinstance(found, Reply)
    return found


def calls(*raw: Any) -> tuple[Call, ...]:
    """The calls of an answer with these raw ones."""
    return reply({"content": None, "tool_calls": list(raw)}).calls


def test_a_request_holds_only_what_is_set() -> None:
    """What the agent file leaves open is left to the server, and not sent as a default of ours."""
    assert request(SPEC, 7, [{"role": "user"}], []) == {"model": "qwen", "messages": [{"role": "user"}], "seed": 7}
    spec = replace(
        SPEC, sampling=Sampling(0.5, 0.9, 100, sends_seed=False), extra_body={"top_k": 20, "temperature": 0.6}
    )
    assert request(spec, 7, [], [{"type": "function"}]) == {
        "model": "qwen", "messages": [], "temperature": 0.6, "top_p": 0.9, "max_tokens": 100,
        "tools": [{"type": "function"}], "top_k": 20,
    }  # fmt: skip


@given(seed=st.integers(0, 2**63 - 1), own=st.integers(0, 2**63 - 1))
def test_seeds_fit_in_32_bits_and_differ_by_rollout(seed: int, own: int) -> None:
    """The file's seed moves those of all rollouts; two rollouts never share one because of it."""
    spec = replace(SPEC, sampling=Sampling(seed=own))
    found, other = request(spec, seed, [], [])["seed"], request(spec, seed + 1, [], [])["seed"]
    assert 0 <= found < 2**31
    assert found != other


def test_what_was_said_goes_back() -> None:
    """Content, and calls with their ids."""
    assert assistant_message(Reply("Done.")) == {"role": "assistant", "content": "Done."}
    with_calls = assistant_message(Reply(calls=(Call("c1", "bash", '{"command": "ls"}'),)))
    function = {"name": "bash", "arguments": '{"command": "ls"}'}
    call = {"id": "c1", "type": "function", "function": function}
    assert with_calls == {"role": "assistant", "content": None, "tool_calls": [call]}
    assert tool_message(Call("c1", "bash", "{}"), "x") == {"role": "tool", "tool_call_id": "c1", "content": "x"}


@pytest.mark.parametrize("arguments", ['{"command": ', "[1]", '"ls"', "null", "", "ls -la", "[" * 100_000])
def test_broken_arguments_do_not_go_back(arguments: str) -> None:
    """Servers parse the history and refuse the whole request for them."""
    sent = assistant_message(Reply(calls=(Call("c1", "bash", arguments),)))["tool_calls"][0]["function"]
    assert sent["arguments"] == "{}"


@pytest.mark.parametrize(
    ("name", "sent"), [("", "unknown"), ("functions.bash", "functions_bash"), ("a b\nc", "a_b_c"), ("x" * 99, "x" * 64)]
)
def test_impossible_names_do_not_go_back(name: str, sent: str) -> None:
    """OpenAI and others check the names in the history."""
    assert assistant_message(Reply(calls=(Call("c1", name, "{}"),)))["tool_calls"][0]["function"]["name"] == sent


def test_an_answer_is_read() -> None:
    """Content, calls, the reason to stop, and the tokens."""
    found = reply(
        {
            "content": "Looking.",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "bash", "arguments": '{"a": 1}'}}],
        },
        finish_reason="tool_calls",
        usage={"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 8}},
    )
    assert found == Reply("Looking.", calls=(Call("c1", "bash", '{"a": 1}'),), usage=TokenUsage(10, 8, 5))


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_kept(key: str) -> None:
    """From the fields where vLLM and DeepSeek, OpenRouter and newer vLLM, and Ollama put it; sent back if wanted."""
    found = reply({"content": "4", key: "two and two"})
    assert found.reasoning == "two and two"
    assert assistant_message(found) == {"role": "assistant", "content": "4"}
    assert assistant_message(found, with_reasoning=True) == {"role": "assistant", "content": "4", key: "two and two"}
    assert reply({"content": "4", key: None}).reasoning == ""


def test_parts_of_content_are_joined() -> None:
    """Some servers send a list of parts."""
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, "x", {"type": "text", "text": "b"}]
    assert reply({"content": parts}).content == "ab"


def test_ids_are_made_unique() -> None:
    """Servers leave them out or give one twice; the model's answers must find their calls."""
    function = {"name": "bash", "arguments": "{}"}
    found = calls({"function": function}, {"id": "x", "function": function}, {"id": "x", "function": function})
    assert [call.id for call in found] == ["call_0", "x", "call_2"]


def test_arguments_in_other_forms() -> None:
    """An object in place of its text, and nothing in place of an empty object."""
    for value, text in (({"a": 1}, '{"a": 1}'), (None, "{}"), ("", "{}"), ([1], "[1]"), ("{bro", "{bro")):
        assert calls({"id": "x", "function": {"name": "bash", "arguments": value}})[0].arguments == text


@pytest.mark.parametrize("raw", [None, 7, "bash", {}, {"function": None}, {"function": {"name": 7}}])
def test_a_call_without_a_name_is_still_a_call(raw: object) -> None:
    """It is answered that there is no such tool."""
    assert calls(raw) == (Call("call_0", "", "{}"),)


def test_refusals() -> None:
    """OpenAI's field, and the filters of others; a refusal beside tool calls is talk."""
    assert reply({"content": None, "refusal": "I can't."}).is_refused
    assert reply({"content": ""}, finish_reason="content_filter").is_refused
    assert not reply({"content": "I can't."}).is_refused
    call = {"id": "x", "function": {"name": "bash", "arguments": "{}"}}
    assert not reply({"content": "", "refusal": "No.", "tool_calls": [call]}).is_refused


def test_half_a_surrogate_pair_is_mended() -> None:
    """It could not be sent back: UTF-8 has no place for it."""
    found = reply({"content": "a\ud83db", "reasoning": "\udc00", "tool_calls": [{"function": {"name": "\ud83d"}}]})
    assert (found.content, found.reasoning, found.calls[0].name) == ("a?b", "?", "?")
    json.dumps(assistant_message(found), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "body",
    ["", "<html>", "[]", "7", '"x"', "{}", '{"choices": []}', '{"choices": null}', '{"choices": [{}]}',
     '{"choices": [7]}', '{"choices": [{"message": null}]}', '{"choices": {"0": 1}}', '{"choices": [{"message": {"con',
     "[" * 100_000],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_what_is_no_answer_is_retried(body: str) -> None:
    """A truncated body, a web page, empty choices: the endpoint's failure, never an empty answer of the model."""
    found = reply_of(body, NOW)
    assert isinstance(found, Failure)
    assert classify_failure(found) is Action.RETRY


@pytest.mark.parametrize(
    ("error", "action"),
    [
        ({"message": "Provider returned error", "code": 429}, Action.RETRY),
        ({"message": "Provider returned error", "code": "502"}, Action.RETRY),
        ({"message": "No auth credentials found", "code": 401}, Action.FATAL),
        ({"message": "prompt is too long: 2 tokens > 1 maximum", "code": 400}, Action.CONTEXT_FULL),
        ("overloaded", Action.RETRY),
        ({"message": "oh no", "code": 99999}, Action.RETRY),
    ],
)
def test_an_error_with_status_200_is_an_error(error: object, action: Action) -> None:
    """OpenRouter and others wrap the status of the server behind them."""
    found = reply_of(json.dumps({"error": error, **WELL}), NOW)
    assert isinstance(found, Failure)
    assert classify_failure(found) is action


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (None, TokenUsage()),
        ("many", TokenUsage()),
        ({"prompt_tokens": -1, "completion_tokens": 1.5}, TokenUsage()),
        ({"prompt_tokens": 100.0, "completion_tokens": "10"}, TokenUsage(100, None, 10)),
        ({"prompt_tokens": True, "completion_tokens": 10**30}, TokenUsage()),
        ({"prompt_tokens": 5, "prompt_tokens_details": None}, TokenUsage(5)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": "x"}}, TokenUsage(5)),
        ({"prompt_tokens": 5, "prompt_cache_hit_tokens": 4}, TokenUsage(5, 4)),
    ],
)
def test_token_counts_are_counts_or_unknown(usage: object, counted: TokenUsage) -> None:
    """Never a guess, never a 0 for what the server does not say."""
    assert reply({"content": "x"}, usage=usage).usage == counted


@given(body=JSON)
def test_no_answer_is_believed_blindly(body: Any) -> None:
    """Any JSON is read as an answer or a failure, and what is read can be sent and stored."""
    for value in (
        body,
        {"choices": [{"message": body}], "usage": body},
        {"choices": [{"message": {"tool_calls": body}}]},
    ):
        found = reply_of(json.dumps(value), NOW)
        if isinstance(found, Reply):
            json.dumps(assistant_message(found), ensure_ascii=False).encode()
