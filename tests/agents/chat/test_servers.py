"""Chat agents against servers that others wrote: LiteLLM's proxy, and LLMock, which judges its clients.

Both are installed into environments of their own, outside this one, and answer on the loopback without any model.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.agents import UsageSoFar
from taskcal.agents.chat.agent import ChatAgent, call_openai
from taskcal.agents.chat.identity import identify_model
from taskcal.agents.spec import ChatSpec
from taskcal.agents.transcript import Message, ToolCall, ToolResult, Transcript, entry_of
from taskcal.core.rollout import Stop
from taskcal.errors import ProviderLost, UsageError
from tests.agents.fake_sandbox import FakeSandbox, attempt, task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskcal.agents import AgentResult
    from taskcal.agents.chat.openai_caller import OpenAICaller
    from taskcal.agents.transcript import Event

pytestmark = pytest.mark.long

LITELLM = "litellm[proxy]==1.106.2"
LLMOCK = "llmock==0.2.2"
START_SECONDS = 180
KEY = "sk-proxy-1234"
MOCKS: dict[str, dict[str, Any]] = {
    "talker": {"mock_response": "All done."},
    "caller": {"mock_tool_calls": [{"id": "c1", "type": "function", "function": {"name": "bash", "arguments": "{}"}}]},
    "busy": {"mock_response": "litellm.RateLimitError"},
    "full": {"mock_response": "litellm.ContextWindowExceededError"},
    "broken": {"mock_response": "litellm.InternalServerError"},
}
PROXY = {
    "model_list": [
        {"model_name": name, "litellm_params": {"model": "openai/none", "api_key": "none", **mock}}
        for name, mock in MOCKS.items()
    ],
    "general_settings": {"master_key": KEY},
    "litellm_settings": {"telemetry": False, "num_retries": 0},
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextlib.contextmanager
def serving(folder: Path, package: str, command: str, *arguments: str) -> Iterator[str]:
    """A server of a package, in an environment of its own; gives its address when it answers at `/v1/models`."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    install = [str(folder / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", package]
    subprocess.run(install, check=True, timeout=900)
    port = free_port()
    started = [str(folder / "bin" / command), *arguments, "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "DO_NOT_TRACK": "1"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(started, stdout=log, stderr=log, env=environment, cwd=folder)
        try:
            await_answer(f"http://127.0.0.1:{port}", process, folder / "server.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def await_answer(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Poll until the server answers."""
    request = urllib.request.Request(f"{url}/v1/models", headers={"Authorization": f"Bearer {KEY}"})  # noqa: S310 - loopback
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5):  # noqa: S310 - loopback
            return
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)


@pytest.fixture(scope="session")
def litellm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give LiteLLM's proxy, with models that are mocks."""
    folder = tmp_path_factory.mktemp("litellm")
    (folder / "proxy.yaml").write_text(json.dumps(PROXY))
    with serving(folder, LITELLM, "litellm", "--config", str(folder / "proxy.yaml")) as url:
        yield f"{url}/v1"


@pytest.fixture(scope="session")
def llmock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give LLMock."""
    with serving(tmp_path_factory.mktemp("llmock"), LLMOCK, "llmock", "serve") as url:
        yield url


def ask(url: str, body: Any = None) -> Any:
    """Talk to LLMock about itself."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
        return json.loads(answer.read() or b"null")


class Talk:
    """One rollout against a server, with everything that came of it."""

    def __init__(self, url: str, model: str, key: str = KEY) -> None:
        """Nothing is asked yet but the list of models."""
        spec = ChatSpec("mine", (url,), model, max_turns=3, call_timeout=20.0)
        self.callers: list[OpenAICaller] = []
        self.agent = ChatAgent(spec, key, identify_model(spec, key).served, call=self.connect)
        self.sandbox = FakeSandbox()
        self.lines: list[bytes] = []
        self.account = UsageSoFar()

    def connect(self, spec: ChatSpec, key: str) -> OpenAICaller:
        """Real connections."""
        self.callers.append(call_openai(spec, key))  # type: ignore[arg-type]  # it is one
        return self.callers[-1]

    def act(self) -> AgentResult:
        """The rollout."""
        made = attempt(task())
        try:
            recorded = replace(made, transcript=Transcript(self.lines.append), account=self.account)
            return self.agent.act(self.sandbox, recorded)
        finally:
            for caller in self.callers:
                caller.close()

    @property
    def events(self) -> list[Event]:
        """What the transcript holds."""
        return [entry.event for line in self.lines if (entry := entry_of(json.loads(line)))]


def test_litellm_answers(litellm: str) -> None:
    """In words, with tokens counted, under a name that its list has."""
    talk = Talk(litellm, "talker")
    acted = talk.act()
    assert (acted.stop, talk.account.turns) == (Stop.FINISHED, 1)
    assert Message("assistant", "All done.") in talk.events
    assert (talk.account.usage.input_tokens or 0) > 0
    assert [one.id for one in talk.agent.served] == ["talker"]


def test_litellm_calls_tools(litellm: str) -> None:
    """Without the argument that bash needs: it is answered, and the conversation goes on."""
    talk = Talk(litellm, "caller")
    assert talk.act().stop is Stop.MAX_TURNS
    told = [event.content for event in talk.events if isinstance(event, ToolResult)]
    assert len(told) == 3
    assert all(text.startswith("bash was not run: command is missing") for text in told)


def test_litellm_fails(litellm: str) -> None:
    """A full context is graded; a rate limit and a broken server are lost; an unknown model stops the run."""
    assert Talk(litellm, "full").act().stop is Stop.CONTEXT_FULL
    with pytest.raises(ProviderLost, match=r"429: litellm\.RateLimitError.*5 tries"):
        Talk(litellm, "busy").act()
    with pytest.raises(ProviderLost, match=r"500: litellm\.InternalServerError.*5 tries"):
        Talk(litellm, "broken").act()
    with pytest.raises(UsageError, match=r"Invalid model name.*is the model 'nobody' served there"):
        Talk(litellm, "nobody").act()


def broken(llmock: str, *behaviors: dict[str, Any]) -> Talk:
    """An agent that has asked for the list of models, before LLMock begins to misbehave."""
    ask(f"{llmock}/_llmock/reset", {})
    talk = Talk(f"{llmock}/v1", "gpt-4o")
    ask(f"{llmock}/_llmock/scenario", {"behaviors": list(behaviors)})
    return talk


def judged(llmock: str) -> list[str]:
    """What LLMock finds wrong with its client."""
    return [finding["code"] for finding in ask(f"{llmock}/_llmock/verdict")["findings"]]


def test_llmock_has_nothing_to_say_about_retries(llmock: str) -> None:
    """Rate limits, with and without Retry-After, and errors of the server: waited for as it asks, and survived."""
    limited = {"type": "fail", "status": 429, "retry_after": 1.5, "times": 2}
    talk = broken(
        llmock, limited, {"type": "fail", "status": 500, "times": 1}, {"type": "fail", "status": 529, "times": 1}
    )
    acted = talk.act()
    assert (acted.stop, talk.account.turns) == (Stop.FINISHED, 2)
    assert [event.name for event in talk.events if isinstance(event, ToolCall)] == ["bash"]
    assert judged(llmock) == []


@pytest.mark.parametrize("kind", ["malformed_arguments", "unknown_tool"])
def test_llmock_breaks_a_tool_call(llmock: str, kind: str) -> None:
    """The model is answered what was wrong, and ends in words."""
    talk = broken(llmock, {"type": "tool_fault", "kind": kind, "times": 1})
    assert talk.act().stop is Stop.FINISHED
    (told,) = [event.content for event in talk.events if isinstance(event, ToolResult)]
    assert told.startswith(("bash was not run: the arguments are not JSON", "there is no tool"))
    assert judged(llmock) == []


@pytest.mark.parametrize(
    ("status", "error"), [(401, UsageError), (403, UsageError), (404, UsageError), (400, ProviderLost)]
)
def test_llmock_refuses(llmock: str, status: int, error: type[Exception]) -> None:
    """What would fail again is not tried again."""
    with pytest.raises(error):
        broken(llmock, {"type": "fail", "status": status, "times": None}).act()
    assert judged(llmock) == []
    assert len([one for one in ask(f"{llmock}/_llmock/requests")["requests"] if "chat" in one["path"]]) == 1


def test_llmock_is_down(llmock: str) -> None:
    """Five tries, growing further apart, and then lost."""
    with pytest.raises(ProviderLost, match=r"503.*5 tries"):
        broken(llmock, {"type": "fail", "status": 503, "times": None}).act()
    assert set(judged(llmock)) <= {"no_backoff"}
