"""The file of a chat agent: what arrives, what is refused, and what `--set` changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskcal.agents.agent_file import agent_schema, load_agent
from taskcal.agents.chat.agent import ChatAgent
from taskcal.agents.chat.finish import Finish
from taskcal.agents.choose import choose_agent
from taskcal.agents.spec import ChatSpec, Price, Sampling
from taskcal.errors import InputError, MissingError, UsageError
from tests.agents.chat.openai_server import OpenAIServer

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """\
agent: mine
kind: chat
timeout: 5m
base_url: [http://one:8000/v1/, "https://two/v1/chat/completions", http://one:8000/v1]
model: org/qwen-7b
api_key_env: MY_KEY
system: Be brief.
max_turns: 20
tool_output: 8k
call_timeout: 10m
sampling: {temperature: 0.7, top_p: 0.9, max_tokens: 4096, seed: 11}
extra_body: {top_k: 20, chat_template_kwargs: {enable_thinking: false}, stop: ["</end>"]}
send_reasoning: true
finish_reasons: {EOS: stop, too long: length, none: stop}
price: {input: 3, cached_input: 0.3, output: 15}
"""
LEAST = "agent: mine\nkind: chat\nbase_url: http://localhost:8000/v1\nmodel: qwen\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str) -> str:
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    return "a.yaml"


def test_a_chat_agent_is_as_written(folder: Path) -> None:
    """Every key arrives: addresses without what does not belong there, and each once."""
    assert load_agent(write(folder, WHOLE)) == ChatSpec(
        name="mine",
        base_urls=("http://one:8000/v1", "https://two/v1"),
        model="org/qwen-7b",
        api_key_env="MY_KEY",
        system="Be brief.",
        max_turns=20,
        tool_output=8192,
        call_timeout=600.0,
        sampling=Sampling(0.7, 0.9, 4096, 11),
        extra_body={"top_k": 20, "chat_template_kwargs": {"enable_thinking": False}, "stop": ["</end>"]},
        send_reasoning=True,
        finish_reasons={"eos": Finish.DONE, "too_long": Finish.CUT, "none": Finish.DONE},
        price=Price(input=3.0, output=15.0, cached_input=0.3),
        timeout=300.0,
    )


def test_little_has_to_be_said(folder: Path) -> None:
    """Where the model is, and its name; the rest has defaults, and sampling is the server's."""
    spec = load_agent(write(folder, LEAST))
    assert spec == ChatSpec("mine", ("http://localhost:8000/v1",), "qwen")
    assert (spec.max_turns, spec.tool_output, spec.call_timeout, spec.sampling) == (50, 16384, 600.0, Sampling())
    assert spec.key_name == "OPENAI_API_KEY"


def test_no_seed_can_be_asked_for(folder: Path) -> None:
    """Some servers refuse one."""
    spec = load_agent(write(folder, f"{LEAST}sampling: {{seed: none}}\n"))
    assert isinstance(spec, ChatSpec)
    assert spec.sampling == Sampling(sends_seed=False)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("base_url: localhost:8000", 'base_url: must be a URL such as http://localhost:8000/v1, not "localhost:8000"'),
        ("base_url: ftp://host/v1", "base_url: must be a URL such as"),
        ("base_url: http://host:99999/v1", "base_url: must be a URL such as"),
        ("base_url: 'http://a b/v1'", "base_url: must be a URL such as"),
        ("base_url: http://[::1/v1", "base_url: must be a URL such as"),
        ("base_url: http://me:sk-1@host/v1", "base_url: must be scheme, host and path only; a key belongs into"),
        ("base_url: http://host/v1?key=sk-1", "base_url: must be scheme, host and path only"),
        ("base_url: []", "base_url: must be a URL such as http://localhost:8000/v1, or a list of them"),
        ("base_url: [http://host/v1, 7]", "or a list of them"),
        ("base_url: {a: b}", "or a list of them"),
        ("model: ''", "model: must be one line"),
        ("max_turns: 0", "max_turns: must be at least 1"),
        ("tool_output: 10", 'tool_output: must be a size such as "16k", from 256 bytes to "1m"'),
        ("tool_output: true", "tool_output: must be a size"),
        ("tool_output: 2m", "tool_output: must be a size"),
        ("sampling: {temperature: -1}", "sampling.temperature: must be at least 0"),
        ("sampling: {temperature: .nan}", "sampling.temperature: must be"),
        ("sampling: {top_p: 0}", "sampling.top_p: must be above 0"),
        ("sampling: {max_tokens: 0}", "sampling.max_tokens: must be at least 1"),
        ("sampling: {seed: maybe}", "sampling.seed: must be a whole number from 0, or none to send no seed"),
        ("sampling: {seed: -1}", "sampling.seed: must be a whole number from 0"),
        ("sampling: {top_k: 20}", "sampling.top_k: unknown key, it goes into extra_body: {…}"),
        ("sampling: {beams: 3}", "sampling.beams: unknown key; known are temperature, top_p, max_tokens, seed"),
        ("temperature: 0.7", "temperature: unknown key, it goes into sampling: {…}"),
        ("api_key: sk-123", "api_key: unknown key, did you mean api_key_env: NAME, the variable that holds the key?"),
        ("extra_body: {stream: true}", "extra_body: stream is taskcal's own"),
        ("extra_body: {temperature: 2}", "extra_body: temperature belongs into sampling: {temperature: …}"),
        ("extra_body: {max_completion_tokens: 9}", "max_completion_tokens belongs into sampling: {max_tokens: …}"),
        ("extra_body: {messages: []}", "extra_body: messages is taskcal's own"),
        ("extra_body: [1]", "extra_body: must be a map"),
        ("extra_body: {a: .inf}", "extra_body: "),
        (
            "finish_reasons: {eos: end}",
            "finish_reasons: eos: must be one of stop, length, content_filter, context_full",
        ),
        ("finish_reasons: [eos]", "finish_reasons: must be a map"),
        ("price: {input: 1}", "price.output: missing"),
        ("api_key_env: sk-123", "api_key_env: must be a name that a shell accepts"),
        ("run: ./agent", "run: unknown key"),
    ],
)
def test_mistakes_are_named(folder: Path, line: str, message: str) -> None:
    """File, line and key, and what would be right."""
    key = line.partition(":")[0]
    kept = "".join(f"{one}\n" for one in LEAST.splitlines() if not one.startswith(f"{key}:"))
    with pytest.raises(InputError) as caught:
        load_agent(write(folder, f"{kept}{line}\n"))
    assert str(caught.value).startswith(f"a.yaml:{len(kept.splitlines()) + 1}: ")
    assert message in str(caught.value)


def test_values_can_be_set(folder: Path) -> None:
    """`--set` reaches into sampling, price and the request's further keys, as numbers where they are meant."""
    spec = load_agent(
        write(folder, WHOLE),
        {
            "sampling.temperature": "0", "max_turns": "7", "send_reasoning": "false", "extra_body.top_k": "5",
            "tool_output": "2k", "base_url": "http://three/v1", "price.input": "4", "finish_reasons.fin": "stop",
        },
    )  # fmt: skip
    assert isinstance(spec, ChatSpec)
    assert (spec.sampling.temperature, spec.max_turns, spec.extra_body["top_k"]) == (0.0, 7, 5)
    assert spec.finish_reasons["fin"] is Finish.DONE
    assert (spec.tool_output, spec.base_urls) == (2048, ("http://three/v1",))
    with pytest.raises(UsageError, match=r"--set max_turns: must be a whole number"):
        load_agent("a.yaml", {"max_turns": "many"})
    with pytest.raises(UsageError, match=r"--set sampling: sets single values only"):
        load_agent("a.yaml", {"sampling": "hot"})


def test_editors_know_the_keys() -> None:
    """The JSON Schema of agent files has this kind."""
    definitions = agent_schema()["$defs"]
    assert isinstance(definitions, dict)
    assert set(definitions["ChatModel"]["required"]) == {"agent", "kind", "base_url", "model"}


def test_a_file_becomes_an_agent_that_knows_its_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint is asked once what the model's name stands for; that is part of what the agent is."""
    monkeypatch.setenv("MY_KEY", "sk-secret-key")
    with OpenAIServer(models={"data": [{"id": "qwen", "root": "/step-1200"}]}) as server:
        text = f"agent: a\nkind: chat\nbase_url: {server.url}\nmodel: qwen\napi_key_env: MY_KEY\n"
        agent = choose_agent(write(folder, text), {})
        assert server.keys == ["Bearer sk-secret-key"]
    assert isinstance(agent, ChatAgent)
    assert "/step-1200" in repr(agent)
    assert agent.about.startswith("qwen is /step-1200; sampling: temperature server default")


def test_words_of_a_server_are_part_of_the_agent(folder: Path) -> None:
    """They decide what is measured, so a run with other ones is another run; without them nothing changes."""
    plain, more = (load_agent(write(folder, LEAST + line)) for line in ("", "finish_reasons: {eos: stop}\n"))
    assert isinstance(plain, ChatSpec)
    assert isinstance(more, ChatSpec)
    assert repr(ChatAgent(plain)) != repr(ChatAgent(more))
    assert "eos" not in repr(ChatAgent(plain))


def test_a_proxy_that_cannot_work_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the endpoint is asked for anything; a host in NO_PROXY needs none of it."""
    write(folder, LEAST.replace("localhost", "model.example"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "socksio" else name)
    monkeypatch.setenv("ALL_PROXY", "socks5://localhost:1080")
    with pytest.raises(MissingError, match=r"^ALL_PROXY names a SOCKS proxy, which needs the socksio package; run "):
        choose_agent("a.yaml", {})
    monkeypatch.setenv("ALL_PROXY", "gopher://localhost:70")
    with pytest.raises(UsageError, match=r"^ALL_PROXY does not name a proxy such as http://host:3128"):
        choose_agent("a.yaml", {})
