"""What the file of a chat agent says, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.agents.chat.finish import Finish
    from taskcal.agents.spec import Price

DEFAULT_KEY = "OPENAI_API_KEY"
CALL_SECONDS = 600.0
"""A reasoning model may think for minutes before its first token is sent."""


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

    `api_key_env` None is `DEFAULT_KEY` where it is set, else no key. `timeout` (seconds) caps the task's own,
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
