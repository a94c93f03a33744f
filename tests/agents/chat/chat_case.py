"""A chat agent against a scripted endpoint, in a sandbox without a container."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from taskcal.agents import UsageSoFar
from taskcal.agents.chat.agent import ChatAgent
from taskcal.agents.chat.openai_caller import OpenAICaller
from taskcal.agents.spec import ChatSpec, Sampling
from taskcal.agents.transcript import Event, Note, Transcript, entry_of
from tests.agents.chat.fake_clock import FakeClock
from tests.agents.chat.openai_server import OpenAIServer, Step
from tests.agents.fake_sandbox import FakeSandbox, attempt, task

if TYPE_CHECKING:
    from taskcal.agents import AgentResult, Attempt
    from taskcal.agents.chat.identity import Served
    from taskcal.sandbox import Script, ScriptResult, Sink

SAMPLING = Sampling(temperature=0.7, top_p=0.9, max_tokens=500)
KEY = "sk-secret-key"


@dataclass
class SlowSandbox(FakeSandbox):
    """Every script takes this long on the fake clock."""

    clock: FakeClock = field(default_factory=FakeClock)
    takes: float = 0.0

    def run(
        self, script: Script, *, sink: Sink | None = None, errors: Sink | None = None, limit: int = 65536
    ) -> ScriptResult:
        """Move the clock on."""
        self.clock.time += self.takes
        return super().run(script, sink=sink, errors=errors, limit=limit)


@dataclass
class ChatCase:
    """An agent with what it talks to, acts in, and is recorded by."""

    server: OpenAIServer
    clock: FakeClock
    spec: ChatSpec
    sandbox: SlowSandbox
    timeout: float = 60.0
    wall: float | None = None
    lines: list[bytes] = field(default_factory=list)
    callers: list[OpenAICaller] = field(default_factory=list)
    account: UsageSoFar = field(default_factory=UsageSoFar)
    served: tuple[Served, ...] = ()
    _agent: ChatAgent | None = None

    def connect(self, spec: ChatSpec, key: str) -> OpenAICaller:
        """Real connections, closed at the end."""
        self.callers.append(OpenAICaller(spec.base_urls, key, spec.finish_reasons))
        return self.callers[-1]

    @property
    def agent(self) -> ChatAgent:
        """One agent for all rollouts."""
        if self._agent is None:
            self._agent = ChatAgent(self.spec, KEY, self.served, call=self.connect, clock=self.clock)
        return self._agent

    def attempt(self, seed: int = 7, prompt: str = "Ship it.") -> Attempt:
        """A rollout's."""
        transcript = Transcript(self.lines.append, self.agent.redactor.text, self.clock.now)
        made = replace(attempt(task(), seed=seed, prompt=prompt), transcript=transcript)
        self.account = made.account
        return replace(made, timeout=self.timeout, wall=self.wall)

    def act(self, *steps: Step, **how: Any) -> AgentResult:
        """One rollout against these answers."""
        if steps:
            self.server.script(*steps)
        return self.agent.act(self.sandbox, self.attempt(**how))

    @property
    def events(self) -> list[Event]:
        """What the transcript holds."""
        return [entry.event for line in self.lines if (entry := entry_of(json.loads(line)))]

    @property
    def notes(self) -> list[str]:
        """The remarks in the transcript."""
        return [event.text for event in self.events if isinstance(event, Note)]

    @property
    def told(self) -> list[str]:
        """What the model was told by its tools, in the last request."""
        return [one["content"] for one in self.server.requests[-1]["messages"] if one["role"] == "tool"]

    def close(self) -> None:
        """Hang up."""
        for caller in self.callers:
            caller.close()
        self.server.close()


def chat_case() -> ChatCase:
    """Ready, and with everything at its default."""
    clock = FakeClock()
    server = OpenAIServer(clock=clock)
    spec = ChatSpec("mine", (server.url,), "m", sampling=SAMPLING)
    return ChatCase(server, clock, spec, SlowSandbox(clock=clock))
