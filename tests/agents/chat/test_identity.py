"""Which weights answer: what the list of models says, and what is done where it says nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from taskcal.agents.chat.identity import Identity, Served, ask_models, find_model, identify_model
from taskcal.agents.spec import ChatSpec
from taskcal.errors import MissingError
from tests.agents.chat.openai_server import OpenAIServer, Step, dead_url, fails
from tests.agents.chat.test_messages import JSON


def spec(*urls: str) -> ChatSpec:
    return ChatSpec("mine", urls, "qwen")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"data": [{"id": "other", "root": "/o"}, {"id": "qwen", "root": "/step-1"}]}, Served("qwen", "/step-1")),
        ({"data": [{"id": "qwen"}]}, Served("qwen")),
        ({"data": [{"id": "qwen", "root": None}]}, Served("qwen")),
        ({"data": [{"id": "qwen", "root": "\x1b[31mred"}]}, Served("qwen")),
        ({"data": [{"id": "qwen", "root": "r" * 2000}]}, Served("qwen")),
        ({"data": [{"id": "other"}]}, None),
        ({"data": []}, None),
        ({"models": ["qwen"]}, None),
        ([], None),
        (7, None),
    ],
)
def test_the_models_entry_is_found(body: object, found: Served | None) -> None:
    """Its id, and the root that vLLM adds: the path or name of the weights."""
    assert find_model(json.dumps(body), "qwen") == found


@pytest.mark.parametrize(
    ("entry", "window"),
    [
        ({"max_model_len": 4096}, 4096),
        ({"context_length": 131072}, 131072),
        ({"context_window": 8192}, 8192),
        ({"max_context_length": 32768}, 32768),
        ({"max_model_len": None, "context_length": "many"}, None),
        ({"max_model_len": 0}, None),
        ({"max_model_len": True}, None),
        ({}, None),
    ],
)
def test_the_size_of_the_context_is_found(entry: dict[str, object], window: int | None) -> None:
    """Under the keys of the servers that list it; the smallest of the replicas, and not part of what the agent is."""
    body = json.dumps({"data": [{"id": "qwen", **entry}]})
    found = find_model(body, "qwen")
    assert found is not None
    assert found.window == window
    assert repr(found) == repr(Served("qwen"))
    small = json.dumps({"data": [{"id": "qwen", "max_model_len": 2048}]})
    (both,) = identify_model(spec("a", "b"), "", lambda url, _: body if url == "a" else small).served
    assert both.window == min(2048, window or 2048)


@given(body=JSON)
def test_any_list_can_be_read(body: Any) -> None:
    """Whatever the endpoint sends."""
    for value in (body, {"data": body}, {"data": [body]}):
        assert find_model(json.dumps(value), "qwen") is None or value
    assert find_model("no json", "qwen") is None


def test_replicas_that_agree_are_one_answer() -> None:
    """And those that do not are as many as there are, in an order of their own."""
    answers = {"a": "/step-2", "b": "/step-1", "c": "/step-2", "d": None}

    def ask(url: str, key: str) -> str | None:
        assert key == "sk"
        root = answers[url]
        return None if root is None else json.dumps({"data": [{"id": "qwen", "root": root}]})

    both = (Served("qwen", "/step-1"), Served("qwen", "/step-2"))
    assert identify_model(spec("a", "b", "c", "d"), "sk", ask) == Identity(both)
    assert identify_model(spec("d"), "sk", ask) == Identity()


def test_one_replica_that_answers_is_enough() -> None:
    """Only where none of them can be reached is something missing, and then it says what."""
    with OpenAIServer() as server:
        assert identify_model(replace(spec(dead_url(), server.url), model="m"), "") == Identity(
            (Served("m", "/models/m"),)
        )
    gone = dead_url()
    assert identify_model(spec(gone), "").missing == f"nothing answers at {gone}: [Errno 111] Connection refused"
    assert identify_model(spec(gone, gone), "").missing.count("Connection refused") == 2


def test_the_list_is_asked_for_with_the_key() -> None:
    """And without a header where there is none."""
    with OpenAIServer() as server:
        text = ask_models(server.url, "sk-1")
        ask_models(server.url, "")
    assert text is not None
    assert json.loads(text)["data"][0]["id"] == "m"
    assert server.keys == ["Bearer sk-1", ""]


def test_an_endpoint_that_does_not_say_is_no_reason_to_stop() -> None:
    """Without such a list, or with an error of its own where it should be: the first rollout will tell."""
    with OpenAIServer() as server:
        assert ask_models(server.url.removesuffix("/v1"), "") is None


def test_no_redirection_is_followed() -> None:
    """Neither request nor key are for whoever an endpoint points at; it has no list then."""
    with OpenAIServer() as other, OpenAIServer() as server:
        server.redirect = Step(302, "", {"Location": f"{other.url}/models"})
        assert ask_models(server.url, "sk-1") is None
        assert other.keys == []
        server.redirect = fails(401)
        assert ask_models(server.url, "sk-1") is None


def test_a_busy_endpoint_is_asked_again() -> None:
    """As long as it wants to be waited for, within reason: what serves the model is part of what the agent is."""
    slept: list[float] = []
    with OpenAIServer() as server:
        server.redirect = fails(429, retry_after="2")

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            server.redirect = fails(503, retry_after="99") if len(slept) == 1 else None

        assert ask_models(server.url, "", sleep) is not None
        server.redirect = fails(500)
        assert ask_models(server.url, "", slept.append) is None
        assert slept == [2.0, 10.0]


def test_what_was_not_said_is_not_taken_for_no_answer() -> None:
    """A server that still loads would be another agent than the same one a minute later."""
    slept: list[float] = []
    with OpenAIServer() as server:
        server.redirect = fails(503, "loading")
        with pytest.raises(MissingError, match=r"/models still answers 503 after 3 tries"):
            ask_models(server.url, "", slept.append)
        assert identify_model(spec(server.url), "", lambda *_: ask_models(server.url, "", slept.append)).missing
    assert slept == [1.0, 2.0, 4.0] * 2
