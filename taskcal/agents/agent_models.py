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
    timeout: Seconds | None = None


class PriceModel(Model):
    """US dollars per million tokens."""

    input: Dollars
    output: Dollars
    cached_input: Dollars | None = None


class SimulatedModel(AgentModel):
    """An agent that plays a solution with a probability."""

    inner_maps: ClassVar[frozenset[str]] = frozenset({"success"})
    hints = AGENT_HINTS

    kind: Literal["simulated"]
    success: Annotated[dict[str, Share], Field(min_length=1)] = Field(default_factory=lambda: {"*": 0.5})


class CommandModel(AgentModel):
    """An agent that is a shell command inside the sandbox."""

    inner_maps: ClassVar[frozenset[str]] = frozenset({"env", "price"})
    hints = AGENT_HINTS

    kind: Literal["command"]
    run: Annotated[ScriptText, Field(min_length=1)]
    install: ScriptText = ""
    env: Env = Field(default_factory=dict)
    secrets: list[EnvName] = Field(default_factory=list)
    network: NetworkField | None = None
    user: User | None = None
    workdir: Destination | None = None
    lost_pattern: Pattern | None = None
    price: PriceModel | None = None


def _call(text: str) -> str:
    module, colon, function = text.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *function.split("."))):
        raise ValueError(f'must be module:function, not "{text[:60]}"')
    return text


class PythonModel(AgentModel):
    """An agent that is a Python function."""

    inner_maps: ClassVar[frozenset[str]] = frozenset({"price"})

    kind: Literal["python"]
    call: Annotated[str, AfterValidator(_call)]
    install: ScriptText = ""
    secrets: list[EnvName] = Field(default_factory=list)
    network: NetworkField | None = None
    price: PriceModel | None = None


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
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10**9)] | None = None
    seed: Seed | None = None


class ChatModel(AgentModel):
    """A model behind an OpenAI-compatible endpoint, in a loop with tools."""

    inner_maps: ClassVar[frozenset[str]] = frozenset({"sampling", "price", "extra_body", "finish_reasons"})
    hints = CHAT_HINTS

    kind: Literal["chat"]
    base_url: BaseUrls
    model: Line
    api_key_env: EnvName | None = None
    system: str = ""
    max_turns: Annotated[int, Field(ge=1, le=100_000)] = 50
    tool_output: Output = 16 * 1024
    call_timeout: Seconds = CALL_SECONDS
    sampling: SamplingModel = Field(default_factory=SamplingModel)
    send_reasoning: bool = False
    extra_body: ExtraBody = Field(default_factory=dict)
    finish_reasons: FinishReasons = Field(default_factory=dict)
    price: PriceModel | None = None


AnyModel = SimulatedModel | CommandModel | ChatModel | PythonModel
KINDS: Mapping[str, type[AnyModel]] = {
    "simulated": SimulatedModel,
    "command": CommandModel,
    "chat": ChatModel,
    "python": PythonModel,
}
