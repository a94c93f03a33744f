"""The specifications of agents as frozen, picklable values, one per `kind`. `agent_file` reads them from YAML."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.agents.chat.finish import Finish
    from taskcal.core.task import Network

DEFAULT_KEY = "OPENAI_API_KEY"
CALL_SECONDS = 600.0
"""A reasoning model may think for minutes before its first token is sent."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; cached input costs `input` unless `cached_input` is set."""

    input: float
    output: float
    cached_input: float | None = None


@dataclass(frozen=True, slots=True)
class SimulatedSpec:
    """Runs a solution with a probability: `success` maps task-id globs to it, and the longest match wins."""

    name: str
    success: Mapping[str, float] = field(default_factory=lambda: {"*": 0.5})
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A shell command inside the sandbox. `timeout` (seconds) caps the task's own; None fields are the task's.

    `price` changes no rollout, so it is not part of the agent's digest (`repr=False`).
    """

    name: str
    run: str
    install: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    network: Network | None = None
    user: str | None = None
    workdir: str | None = None
    lost_pattern: str | None = None
    timeout: float | None = None
    price: Price | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PythonSpec:
    """A function `module:callable` in taskcal's own process.

    `folder` is the agent file's, where modules are looked for first. Neither it nor `price` is part of the agent's
    digest: the same file elsewhere is the same agent.
    """

    name: str
    call: str
    install: str = ""
    secrets: tuple[str, ...] = ()
    network: Network | None = None
    timeout: float | None = None
    price: Price | None = field(default=None, repr=False)
    folder: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the model is asked to sample; None leaves it to the server, which has it from the model's own files.

    Every rollout has a seed of its own, and `seed` is mixed into it; without `sends_seed` none is sent at all.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    sends_seed: bool = True


@dataclass(frozen=True, slots=True)
class ChatSpec:
    """A model behind one or more OpenAI-compatible servers, which all serve the same.

    `api_key_env` None means `DEFAULT_KEY` if it is set, else no key. `timeout` (seconds) caps the task's own,
    `call_timeout` is how long one call may go without an answer, retries included, but not the waits that the server
    asks for. `tool_output` is in bytes.
    `extra_body` goes into every request as it stands; `send_reasoning` sends back what the model thought before.
    `finish_reasons` adds the server's own words to those of `finish`, by `finish.key_of`.
    """

    name: str
    base_urls: tuple[str, ...]
    model: str
    api_key_env: str | None = None
    system: str = ""
    max_turns: int = 50
    tool_output: int = 16 * 1024
    call_timeout: float = CALL_SECONDS
    sampling: Sampling = field(default_factory=Sampling)
    send_reasoning: bool = False
    extra_body: Mapping[str, object] = field(default_factory=dict)
    finish_reasons: Mapping[str, Finish] = field(default_factory=dict)
    price: Price | None = None
    timeout: float | None = None

    @property
    def key_name(self) -> str:
        """The variable that holds the key."""
        return self.api_key_env or DEFAULT_KEY


AgentSpec = SimulatedSpec | CommandSpec | ChatSpec | PythonSpec
