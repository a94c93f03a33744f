"""What goes to a chat endpoint and what comes back, without the wire: requests are put together, answers taken apart.

Nothing that a server sends is trusted: a key that is missing, null or of another type is as good as its absence, and an
answer that holds no message at all is a failure of the endpoint.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taskcal.agents.tool_arguments import history_of
from taskcal.agents.transcript import TokenUsage
from taskcal.agents.trouble import Failure, failure_of
from taskcal.core.foreign_text import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from taskcal.agents.chat_spec import ChatSpec

Json = dict[str, Any]

REASONING = ("reasoning_content", "reasoning", "thinking")
"""Where servers put what the model thought: vLLM and DeepSeek, newer vLLM and OpenRouter, Ollama."""
SEEDS = 2**31
"""Some servers hold a seed in 32 bits with a sign."""
OK = 200
STATUS = re.compile(r"[1-5][0-9]{2}")
NOT_A_NAME = re.compile(r"[^A-Za-z0-9_-]")
LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as the model wrote it; `arguments` is meant to be a JSON object."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the model. `finish` is the server's word for why it ended, `thought` the key of its reasoning."""

    content: str = ""
    reasoning: str = ""
    thought: str = ""
    refusal: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = ""
    usage: TokenUsage = field(default_factory=TokenUsage)

    @property
    def is_refused(self) -> bool:
        """Whether the model, or a filter before it, would not."""
        return self.finish == "content_filter" or (bool(self.refusal) and not self.calls)

    @property
    def is_cut(self) -> bool:
        """Whether it ended at a limit, not because the model was done."""
        return self.finish == "length"


def request(spec: ChatSpec, seed: int, messages: Sequence[Json], tools: Sequence[Json]) -> Json:
    """The body of one call; what the agent file leaves open is not in it."""
    asked = spec.sampling
    sampling = {"temperature": asked.temperature, "top_p": asked.top_p, "max_tokens": asked.max_tokens}
    body: Json = {"model": spec.model, "messages": list(messages)}
    body |= {name: value for name, value in sampling.items() if value is not None}
    if asked.sends_seed:
        body["seed"] = (seed + (asked.seed or 0)) % SEEDS
    if tools:
        body["tools"] = list(tools)
    return body | dict(spec.extra_body)


def said(reply: Reply, *, with_reasoning: bool = False) -> Json:
    """An answer as it goes back with the next request.

    Arguments that are no JSON object are sent as {}, and names that no tool can have without what is wrong in them:
    servers that check the history refuse the whole request otherwise, and the tool's answer says what was wrong.
    Reasoning goes back under the key that it came with: some models want it between tool calls, others refuse it.
    """
    message: Json = {"role": "assistant", "content": reply.content}
    if reply.calls:
        message |= {"content": reply.content or None, "tool_calls": [_said_call(call) for call in reply.calls]}
    return message | ({reply.thought: reply.reasoning} if with_reasoning and reply.thought else {})


def _said_call(call: Call) -> Json:
    name = NOT_A_NAME.sub("_", call.name)[:LONGEST_NAME] or "unknown"
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": history_of(call.arguments)}}


def answered(call: Call, content: str) -> Json:
    """A tool's answer as it goes to the model."""
    return {"role": "tool", "tool_call_id": call.id, "content": content}


def reply_of(text: str, now: datetime) -> Reply | Failure:
    """The answer in a body that came with status 200, or the failure that it tells or is."""
    try:
        body = parse_json(text)
    except ValueError:
        return Failure(OK, "", f"not JSON, though the status is 200: {text[:100]}")
    if not isinstance(body, dict):
        return Failure(OK, "", "JSON, but no chat completion")
    if body.get("error"):
        return _inner_failure(body["error"], text, now)
    choice = _first(body.get("choices"))
    message = choice.get("message")
    if not isinstance(message, dict):
        return Failure(OK, "", "an answer without a message (no choices)")
    thought = next((key for key in REASONING if _text(message.get(key))), "")
    return Reply(
        content=_content(message.get("content")),
        reasoning=_text(message.get(thought)),
        thought=thought,
        refusal=_text(message.get("refusal")),
        calls=_calls(message.get("tool_calls")),
        finish=_text(choice.get("finish_reason")),
        usage=_usage(body.get("usage")),
    )


def _inner_failure(error: object, text: str, now: datetime) -> Failure:
    """Some proxies send the error of the server behind them with status 200; its own status is the code then."""
    code = str(error.get("code")) if isinstance(error, dict) else ""
    return failure_of(int(code) if STATUS.fullmatch(code) else OK, {}, text, now)


def _first(choices: object) -> Mapping[str, Any]:
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _content(value: object) -> str:
    """Text, or the texts of a list of parts."""
    if not isinstance(value, list):
        return _text(value)
    return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))


def _calls(value: object) -> tuple[Call, ...]:
    """The calls, each under an id of its own: servers may leave ids out, or give one twice."""
    calls: list[Call] = []
    for number, raw in enumerate(value if isinstance(value, list) else []):
        given = raw if isinstance(raw, dict) else {}
        function = given.get("function")
        function = function if isinstance(function, dict) else {}
        name = _text(given.get("id"))
        unique = name if name and all(name != call.id for call in calls) else f"call_{number}"
        calls.append(Call(unique, _text(function.get("name")), _arguments(function.get("arguments"))))
    return tuple(calls)


def _arguments(value: object) -> str:
    """The text of the arguments; servers that send an object in its place are forgiven, and so is nothing at all."""
    if value is None or value == "":
        return "{}"
    return value if isinstance(value, str) else json.dumps(value)


def _usage(value: object) -> TokenUsage:
    usage = value if isinstance(value, dict) else {}
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return TokenUsage(
        input_tokens=_count(usage.get("prompt_tokens")),
        cached_tokens=_count(usage.get("prompt_cache_hit_tokens") if cached is None else cached),
        output_tokens=_count(usage.get("completion_tokens")),
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None
