"""Who a chat agent is: its digest, what it says of itself, its key, and what it needs."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from taskcal.agents.chat.agent import ChatAgent, describe_sampling, open_chat, read_key
from taskcal.agents.chat.identity import Served
from taskcal.agents.spec import ChatSpec, Price, Sampling
from taskcal.errors import MissingError, ProviderLost, UsageError
from taskcal.sandbox import ScriptEnding, ScriptResult
from tests.agents.chat.chat_case import KEY, ChatCase
from tests.agents.chat.openai_server import calls, dead_url, fails, says
from tests.agents.fake_sandbox import task
from tests.planted import ENCODINGS, traces

SPEC = ChatSpec("mine", ("http://a/v1",), "qwen")


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "other"}, {"system": "Be brief."}, {"max_turns": 9}, {"tool_output": 999}, {"timeout": 9.0},
        {"sampling": Sampling(temperature=0.5)}, {"sampling": Sampling(seed=1)}, {"extra_body": {"top_k": 1}},
        {"name": "yours"}, {"send_reasoning": True},
    ],
)  # fmt: skip
def test_what_makes_another_agent(changed: dict[str, object]) -> None:
    """Model, weights, sampling and limits: rollouts of two of them are never one group."""
    assert repr(ChatAgent(replace(SPEC, **changed))) != repr(ChatAgent(SPEC))  # type: ignore[arg-type]  # by name
    assert repr(ChatAgent(SPEC, served=(Served("qwen", "/step-1200"),))) != repr(ChatAgent(SPEC))


def test_what_does_not_make_another_agent() -> None:
    """Where it is served, what it costs, who pays, and how long we wait for it; the key is in no digest."""
    moved = replace(SPEC, base_urls=("http://b/v1",), price=Price(1, 2), api_key_env="MINE", call_timeout=600.0)
    assert repr(ChatAgent(moved, "sk-other")) == repr(ChatAgent(SPEC, KEY))
    assert KEY not in repr(ChatAgent(SPEC, KEY))


def test_an_agent_travels_to_other_processes(case: ChatCase) -> None:
    """Without its connections, also after it has acted."""
    case.act(says("ok"))
    travelled = pickle.loads(pickle.dumps(case.agent))  # noqa: S301 - our own bytes
    assert repr(travelled) == repr(case.agent)


def test_what_is_left_to_the_server_is_said() -> None:
    """In one sentence for every report, with the weights behind the name."""
    assert (
        describe_sampling(Sampling(0.7, 1.0, 4096))
        == "sampling: temperature 0.7, top_p 1.0, max_tokens 4096, a seed per rollout"
    )
    assert describe_sampling(Sampling(temperature=0.0, sends_seed=False)) == (
        "sampling: temperature 0.0, top_p server default, max_tokens server default, no seed sent; "
        "a server default comes from the model's own files"
    )
    agent = ChatAgent(SPEC, served=(Served("qwen", "/models/a"), Served("qwen", "qwen")))
    assert agent.about.startswith("qwen is /models/a; sampling: temperature server default")


def test_a_chat_agent_asks_nothing_of_the_sandbox() -> None:
    """No install step, no network of its own: the container stays as the task wants it."""
    agent = ChatAgent(replace(SPEC, timeout=9.0))
    assert (agent.name, agent.install, agent.network, agent.timeout) == ("mine", "", None, 9.0)
    assert agent.refusal(task()) is None


@pytest.mark.parametrize(("key", "hidden"), [("sk-secret-key", True), ("none", False), ("", False)])
def test_a_key_is_hidden_and_a_word_is_not(key: str, hidden: bool) -> None:
    """Local servers are happy with any word, which must not be blotted out of every text."""
    agent = ChatAgent(SPEC, key)
    assert agent.redactor.text(f"the key {key} there") == f"the key {'[OPENAI_API_KEY]' if hidden else key} there"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_server_that_repeats_the_key(case: ChatCase, encoding: str) -> None:
    """In an answer, a call, its result, or an error, written in any way: it is in no line of the transcript."""
    said = ENCODINGS[encoding](KEY * 2)
    case.sandbox.result = ScriptResult(ScriptEnding.EXITED, 1, said[:9].encode(), said[9:].encode())
    with pytest.raises(ProviderLost):
        case.act(
            calls(("bash", {"command": f"echo {said}"}), content=said),
            calls((said, {}), ("bash", said)),
            *[fails(500, f"{'x' * 380} {said} and more")] * 20,
        )
    assert traces(b"".join(case.lines), KEY * 2) == []
    assert sum(line.count(b"[OPENAI_API_KEY]") for line in case.lines) >= 5


def test_the_key_comes_from_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that the file names must be set; without one, a server that wants no key is fine."""
    spec = replace(SPEC, base_urls=(dead_url(),))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert open_chat(spec).redactor.text("x") == "x"
    named = replace(spec, api_key_env="MY_KEY")
    with pytest.raises(UsageError, match="needs the key MY_KEY, which is not set; run `export MY_KEY="):
        open_chat(named)
    monkeypatch.setenv("MY_KEY", KEY)
    assert open_chat(named).redactor.text(KEY) == "[MY_KEY]"


@pytest.mark.parametrize("key", ["sk-\N{RIGHT DOUBLE QUOTATION MARK}", "sk-a\nb", "sk-\x00"])
def test_a_key_that_cannot_be_sent_is_refused_unseen(key: str) -> None:
    """As it comes from a careless copy; an error deep in the connection would show it. A line's end is cut off."""
    with pytest.raises(UsageError, match="the key in OPENAI_API_KEY holds a character that no header can") as caught:
        read_key(SPEC, {"OPENAI_API_KEY": key})
    assert "sk-" not in str(caught.value)
    assert read_key(SPEC, {"OPENAI_API_KEY": "sk-1\n"}) == "sk-1"


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """With how to get it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingError, match=r"run `pip install 'taskcal\[chat\]'`"):
        open_chat(SPEC)
