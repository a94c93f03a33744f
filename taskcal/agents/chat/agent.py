"""The agent that is a model behind an OpenAI-compatible endpoint, in a loop with tools.

The loop runs on the host and acts in the sandbox through tools, so the sandbox needs no network. Every rollout asks for
its own answers: nothing is remembered between rollouts. Its timeout counts working time, the model's and the tools';
waiting for a rate limit, for a failed try and for the next one is not the agent's.
"""

from __future__ import annotations

import importlib.util
import os
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from taskcal.agents.chat.conversation import Conversation
from taskcal.agents.chat.endpoint import ChatEndpoint
from taskcal.agents.chat.limiter import RealClock
from taskcal.agents.chat.proxy import check_proxies
from taskcal.agents.tools.bash import bash_of
from taskcal.agents.tools.task_tools import open_tools
from taskcal.agents.transcript import Note
from taskcal.errors import MissingError, ProviderLost, UsageError
from taskcal.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskcal.agents import AgentResult, Attempt
    from taskcal.agents.chat.endpoint import Caller
    from taskcal.agents.chat.identity import Served
    from taskcal.agents.chat.limiter import Clock
    from taskcal.agents.spec import ChatSpec, Sampling
    from taskcal.core.task import Network, Task
    from taskcal.sandbox import Sandbox

SHORTEST_SECRET = 8
"""A key below it is a word that local servers are happy with, such as `none`; replacing it would damage texts."""


def open_chat(spec: ChatSpec) -> ChatAgent:
    """The agent of a file.

    Raises MissingError without a package that it needs, UsageError without the key it names or with a broken proxy.
    """
    if importlib.util.find_spec("httpcore") is None:
        raise MissingError("agents of kind chat need the httpcore package; run `pip install 'taskcal[chat]'`")
    key = read_key(spec, os.environ)
    check_proxies(spec.base_urls, os.environ)
    from taskcal.agents.chat.identity import identify_model  # noqa: PLC0415 - needs the extra `chat`

    identity = identify_model(spec, key)
    return ChatAgent(spec, key, identity.served, missing=identity.missing)


def read_key(spec: ChatSpec, host: Mapping[str, str]) -> str:
    """The endpoint's key, '' for none. Raises UsageError for one that is named and not set, or that cannot be sent."""
    name = spec.key_name
    key = host.get(name, "").strip()
    if spec.api_key_env and not key:
        raise UsageError(f"the agent needs the key {name}, which is not set; run `export {name}=…` first")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"the key in {name} holds a character that no header can; set it again with `export {name}=…`")
    return key


def call_openai(spec: ChatSpec, key: str) -> Caller:
    """The endpoint over the network."""
    from taskcal.agents.chat.openai_caller import OpenAICaller  # noqa: PLC0415 - needs the extra `chat`

    return OpenAICaller(spec.base_urls, key, spec.finish_reasons)


class ChatAgent:
    """One model, shared by all rollouts of a run; its `repr` is all that makes it this agent, for digests."""

    def __init__(
        self,
        spec: ChatSpec,
        key: str = "",
        served: tuple[Served, ...] = (),
        *,
        missing: str = "",
        call: Callable[[ChatSpec, str], Caller] = call_openai,
        clock: Clock | None = None,
    ) -> None:
        """`key` is the endpoint's, '' for none; `served` are the models that the endpoint lists.

        `missing` is the reason why it cannot be reached now, '' if it can.
        """
        self.spec, self._key, self.served, self.missing = spec, key, served, missing
        self._clock: Clock = clock or RealClock()
        self._call = call
        self._endpoint: ChatEndpoint | None = None
        self._opening = threading.Lock()

    def __repr__(self) -> str:
        """Everything that changes the conversation: prompts, sampling and weights, but not the address or the price."""
        spec = self.spec
        limits = (spec.max_turns, spec.tool_output, spec.timeout)
        request = (spec.system, spec.sampling, spec.send_reasoning, spec.extra_body)
        words = sorted((word, finish.value) for word, finish in spec.finish_reasons.items())
        parts = (spec.name, spec.model, self.served, request, limits, *words)
        return f"ChatAgent{parts!r}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Other processes get it without what it has open."""
        return ChatAgent, (self.spec, self._key, self.served)

    @property
    def name(self) -> str:
        """The name in its file."""
        return self.spec.name

    @property
    def about(self) -> str:
        """The weights, if the model's name does not show them, and the sampling."""
        roots = {entry.root for entry in self.served if entry.root and entry.root != self.spec.model}
        weights = [f"{self.spec.model} is {' and '.join(sorted(roots))}"] if roots else []
        return "; ".join((*weights, describe_sampling(self.spec.sampling)))

    @property
    def install(self) -> str:
        """Nothing: it runs on the host."""
        return ""

    @property
    def timeout(self) -> float | None:
        """The file's cap."""
        return self.spec.timeout

    @property
    def network(self) -> Network | None:
        """The task's own: the model is reached from the host."""
        return None

    @property
    def user(self) -> str | None:
        """The environment's."""
        return None

    def refusal(self, task: Task) -> str | None:  # noqa: ARG002 - the protocol's
        """A model can attempt every task."""
        return None

    @cached_property
    def redactor(self) -> Redactor:
        """Of the key, if it is more than a word."""
        return Redactor({self.spec.key_name: self._key} if len(self._key) >= SHORTEST_SECRET else {})

    def act(self, sandbox: Sandbox, attempt: Attempt) -> AgentResult:
        """Run the conversation. Raises UsageError if the endpoint can never answer (key, model, request)."""
        task, bound = attempt.group.task, self.spec.tool_output
        try:
            with open_tools(sandbox, task, task.environment.user, bound) as own:
                tools = (bash_of(task, bound), *own)
                endpoint, window = self._shared_endpoint(), self._window()
                return Conversation(self.spec, endpoint, sandbox, attempt, self._clock, tools, window).run()
        except (ProviderLost, UsageError) as error:
            attempt.transcript.add(Note(str(error)))
            raise

    def _window(self) -> int | None:
        return min((entry.window for entry in self.served if entry.window is not None), default=None)

    def _shared_endpoint(self) -> ChatEndpoint:
        with self._opening:
            if self._endpoint is None:
                self._endpoint = ChatEndpoint(self.spec, self._call(self.spec, self._key), self._clock)
            return self._endpoint


def describe_sampling(sampling: Sampling) -> str:
    """The sampling in words, with a warning if a value is the server's default."""
    values = {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_tokens}
    settings = [f"{name} {'server default' if value is None else value}" for name, value in values.items()]
    seed = "a seed per rollout" if sampling.sends_seed else "no seed sent"
    warning = "; a server default comes from the model's own files" if None in values.values() else ""
    return f"sampling: {', '.join((*settings, seed))}{warning}"
