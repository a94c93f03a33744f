"""What may stand in an agent file: one model per `kind`, with the rules that need no other key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from taskcal.agents.agent_hints import AGENT_HINTS, CHAT_HINTS, SAMPLING_HINTS
from taskcal.agents.chat.finish import Finish, key_of
from taskcal.agents.spec import CALL_SECONDS
from taskcal.yamlfile.fields import (
    Destination,
    Env,
    EnvName,
    Id,
    Line,
    Model,
    NetworkField,
    Pattern,
    ScriptText,
    Seconds,
    Share,
    User,
)
from taskcal.yamlfile.quantities import BYTES, LONGEST_TEXT, MEMORY

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_SEED = -1
LEAST_OUTPUT, MOST_OUTPUT = 256, 1024**2
OWN_KEYS = frozenset({"model", "messages", "tools", "stream", "n"})
"""What the loop itself decides; a second answer (`n`) or a stream would be paid for and dropped."""
SAMPLED = {
    **dict.fromkeys(("max_tokens", "max_completion_tokens"), "max_tokens"),
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
}
"""What belongs into `sampling`: there it is reported, and an answer that is cut is known to be cut by it."""

Dollars = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class AgentModel(Model):
    """The keys of every kind of agent. `inner_maps` are the keys whose entries `--set key.entry=value` can change."""

    inner_maps: ClassVar[frozenset[str]] = frozenset()

    agent: Id
    """Name of the agent in reports."""
    timeout: Seconds | None = None
    """Longest time for the agent, such as 5m, at most the task's own. Default: the task's."""


class PriceModel(Model):
    """US dollars per million tokens."""

    input: Dollars
    """Price of a million input tokens, in US dollars."""
    output: Dollars
    """Price of a million output tokens, in US dollars."""
    cached_input: Dollars | None = None
    """Price of a million cached input tokens, in US dollars. Default: the price of input."""


class SimulatedModel(AgentModel):
    """An agent that plays a solution with a probability."""

    inner_maps: ClassVar[frozenset[str]] = frozenset({"success"})
    hints = AGENT_HINTS

    kind: Literal["simulated"]
    """Kind of agent: simulated."""
    success: Annotated[dict[str, Share], Field(min_length=1)] = Field(default_factory=lambda: {"*": 0.5})
    """Probability of a solution, 0 to 1, by task or pattern of tasks. Default {"*": 0.5}."""


class CommandModel(AgentModel):
    """An agent that is a shell command inside the sandbox."""

    inner_maps: ClassVar[frozenset[str]] = frozenset({"env", "price"})
    hints = AGENT_HINTS

    kind: Literal["command"]
    """Kind of agent: command."""
    run: Annotated[ScriptText, Field(min_length=1)]
    """Script that is the agent, run in the sandbox with the prompt in its environment."""
    install: ScriptText = ""
    """Script that installs the agent into the task's image, run once as root. Default: none."""
    env: Env = Field(default_factory=dict)
    """Environment variables of the agent, by name. Default: none."""
    secrets: list[EnvName] = Field(default_factory=list)
    """Names of variables of this machine that the agent gets. Default: none."""
    network: NetworkField | None = None
    """Network access of the agent: none, bridge or a list of hosts. Default: the task's."""
    user: User | None = None
    """User that runs the agent. Default: the task's."""
    workdir: Destination | None = None
    """Working directory of the agent, an absolute path. Default: the task's."""
    lost_pattern: Pattern | None = None
    """Regular expression of output that means that the provider failed. Default: none."""
    price: PriceModel | None = None
    """Price of tokens, to compute costs from usage. Default: unknown."""


def _call(text: str) -> str:
    module, colon, function = text.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *function.split("."))):
        raise ValueError(f'must be module:function, not "{text[:60]}"')
    return text


class PythonModel(AgentModel):
    """An agent that is a Python function."""

    inner_maps: ClassVar[frozenset[str]] = frozenset({"price"})

    kind: Literal["python"]
    """Kind of agent: python."""
    call: Annotated[str, AfterValidator(_call)]
    """Function that is the agent, as module:function, importable next to this file."""
    install: ScriptText = ""
    """Script that installs the agent into the task's image, run once as root. Default: none."""
    secrets: list[EnvName] = Field(default_factory=list)
    """Names of variables of this machine that the agent gets. Default: none."""
    network: NetworkField | None = None
    """Network access of the agent: none, bridge or a list of hosts. Default: the task's."""
    price: PriceModel | None = None
    """Price of tokens, to compute costs from usage. Default: unknown."""


def _base_urls(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    urls = [_base_url(url) for url in values if isinstance(url, str)]
    if not urls or len(urls) < len(values):
        raise ValueError("must be a URL such as http://localhost:8000/v1, or a list of them")
    return urls


def _base_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(c.isspace() for c in url):
        raise ValueError(f'must be a URL such as http://localhost:8000/v1, not "{url[:60]}"')
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must be scheme, host and path only; a key belongs into the variable that api_key_env names")
    return url.rstrip("/").removesuffix("/chat/completions")


def _extra_body(value: object) -> object:
    """Plain JSON, free of the file that it was read from."""
    keys = set(value) if isinstance(value, dict) else set()
    for key in sorted(OWN_KEYS & keys):
        raise ValueError(f"{key} is taskcal's own; set it where the agent file has it, or not at all")
    for name in sorted(set(SAMPLED) & keys):
        raise ValueError(f"{name} belongs into sampling: {{{SAMPLED[name]}: …}}, where reports tell it")
    return json.loads(json.dumps(value, allow_nan=False))


def _output(value: object) -> int:
    match = MEMORY.fullmatch(value) if isinstance(value, str) and len(value) <= LONGEST_TEXT else None
    size = float(match[1]) * BYTES[match[2].lower()] if match else value
    if isinstance(size, bool) or not isinstance(size, int | float) or not LEAST_OUTPUT <= size <= MOST_OUTPUT:
        raise ValueError('must be a size such as "16k", from 256 bytes to "1m"')
    return int(size)


def _seed(value: object) -> int:
    """A seed, or `NO_SEED` for the word none."""
    if value == "none":
        return NO_SEED
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError("must be a whole number from 0, or none to send no seed")
    return value


def _finish_reasons(value: object) -> object:
    """Words of a server, each with what it means here; the words in the form in which they are compared."""
    if not isinstance(value, dict):
        return value
    meanings = [finish.value for finish in Finish]
    for word, means in value.items():
        if means not in meanings:
            raise ValueError(f"{word}: must be one of {', '.join(meanings)}")
    return {key_of(str(word)): Finish(means) for word, means in value.items()}


URLS_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
SIZE_SCHEMA = {
    "anyOf": [{"type": "string", "pattern": r"^[0-9.]+ ?[bkmBKM]?"}, {"type": "integer", "minimum": LEAST_OUTPUT}],
    "description": "16k, or bytes",
}
BaseUrls = Annotated[list[str], BeforeValidator(_base_urls), WithJsonSchema(URLS_SCHEMA)]
Seed = Annotated[int, BeforeValidator(_seed), WithJsonSchema({"anyOf": [{"type": "integer"}, {"const": "none"}]})]
Output = Annotated[int, BeforeValidator(_output), WithJsonSchema(SIZE_SCHEMA)]
FINISH_SCHEMA = {"type": "object", "additionalProperties": {"enum": [finish.value for finish in Finish]}}
FinishReasons = Annotated[
    dict[str, Finish], BeforeValidator(_finish_reasons), WithJsonSchema(FINISH_SCHEMA, mode="validation")
]
ExtraBody = Annotated[dict[str, object], BeforeValidator(_extra_body), WithJsonSchema({"type": "object"})]


class SamplingModel(Model):
    """How the model is asked to sample; what is missing is left to the server."""

    hints = SAMPLING_HINTS

    temperature: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    """Sampling temperature, 0 to 100. Default: the server's."""
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    """Nucleus sampling, above 0 and at most 1. Default: the server's."""
    max_tokens: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """Maximum number of tokens of one answer. Default: the server's."""
    seed: Seed | None = None
    """Seed from 0, or none to send no seed. Default: one seed for each rollout."""


class ChatModel(AgentModel):
    """A model behind an OpenAI-compatible endpoint, in a loop with tools."""

    inner_maps: ClassVar[frozenset[str]] = frozenset({"sampling", "price", "extra_body", "finish_reasons"})
    hints = CHAT_HINTS

    kind: Literal["chat"]
    """Kind of agent: chat."""
    base_url: BaseUrls
    """URL of an OpenAI-compatible endpoint, or a list of them to share the load."""
    model: Line
    """Name of the model at the endpoint."""
    api_key_env: EnvName | None = None
    """Variable of this machine that holds the API key. Default: OPENAI_API_KEY, if it is set."""
    system: str = ""
    """System prompt. Default: none."""
    max_turns: Annotated[int, Field(ge=1, le=100_000)] = 50
    """Maximum number of answers of the model in a rollout. Default 50."""
    tool_output: Output = 16 * 1024
    """Maximum size of a tool's output for the model, 256 bytes to 1m. Default 16k."""
    call_timeout: Seconds = CALL_SECONDS
    """Longest time for one call to the model with its retries, such as 10m. Default 10m."""
    sampling: SamplingModel = Field(default_factory=SamplingModel)
    """Sampling settings to send to the model."""
    send_reasoning: bool = False
    """Whether earlier reasoning of the model is sent back to it. Default false."""
    extra_body: ExtraBody = Field(default_factory=dict)
    """Further keys of every request, such as top_k. Default: none."""
    finish_reasons: FinishReasons = Field(default_factory=dict)
    """Meaning of finish reasons that taskcal does not know, such as {word: stop}. Default: none."""
    price: PriceModel | None = None
    """Price of tokens, to compute costs from usage. Default: unknown."""


AnyModel = SimulatedModel | CommandModel | ChatModel | PythonModel
KINDS: Mapping[str, type[AnyModel]] = {
    "simulated": SimulatedModel,
    "command": CommandModel,
    "chat": ChatModel,
    "python": PythonModel,
}
