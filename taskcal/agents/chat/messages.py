"""What goes to a chat endpoint and what comes back, without the wire: requests are put together, answers taken apart.

Nothing that a server sends is trusted: a key that is missing, null or of another type is as good as its absence, and an
answer that holds no message at all is a failure of the endpoint. `finish` decides what an answer is by its
`finish_reason`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from taskcal.agents.chat.finish import OK, Content, Finish, judge_finish, meaning
from taskcal.agents.chat.provider_errors import Failure, failure_of, one_line
from taskcal.agents.tools.tool_arguments import history_of
from taskcal.agents.transcript import TokenUsage
from taskcal.core.text.foreign_text import clip, parse_json, sound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from taskcal.agents.spec import ChatSpec
    from taskcal.agents.tools.agent_tool import AgentTool

Json = dict[str, Any]

REASONING = ("reasoning_content", "reasoning", "thinking")
"""Where servers put what the model thought: vLLM and DeepSeek, newer vLLM and OpenRouter, Ollama."""
SEEDS = 2**31
"""Some servers hold a seed in 32 bits with a sign."""
STATUS = re.compile(r"[1-5][0-9]{2}")
DIGITS = re.compile(r"[0-9]{1,15}")
NO_WORDS: Mapping[str, Finish] = {}
NOT_A_NAME = re.compile(r"[^A-Za-z0-9_-]")
LONGEST_NAME = 64
MOST_CALLS = 128
"""Tool calls of one answer that are carried out; a server could put millions into one."""
NOT_AN_ANSWER = "JSON, but no chat completion"


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as the model wrote it; `arguments` is meant to be a JSON object."""

    id: str
    name: str
    arguments: str

    @property
    def is_whole(self) -> bool:
        """Whether its arguments are an object that holds something, so that nothing of them was cut off."""
        try:
            arguments = json.loads(self.arguments)
        except (ValueError, RecursionError):
            return False
        return isinstance(arguments, dict) and bool(arguments)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the model. `finish` is why it ended, `thought` the key of its reasoning.

    `left_out` is the number of tool calls beyond `MOST_CALLS`, which are dropped.
    """

    content: str = ""
    reasoning: str = ""
    thought: str = ""
    refusal: str = ""
    calls: tuple[Call, ...] = ()
    left_out: int = 0
    finish: Finish = Finish.DONE
    usage: TokenUsage = field(default_factory=TokenUsage)

    @property
    def is_refused(self) -> bool:
        """Whether the model, or a filter before it, would not."""
        return self.finish is Finish.REFUSED or (bool(self.refusal) and not self.calls)

    @property
    def is_cut(self) -> bool:
        """Whether it ended at a limit of its length, not because the model was done."""
        return self.finish is Finish.CUT

    @property
    def is_full(self) -> bool:
        """Whether it ended because the context is full."""
        return self.finish is Finish.FULL

    @property
    def is_empty(self) -> bool:
        """Whether it holds nothing that a model could have written."""
        return not (self.content.strip() or self.reasoning.strip() or self.refusal.strip() or self.calls)


def request(spec: ChatSpec, seed: int, messages: Sequence[Json], tools: Sequence[Json]) -> Json:
    """The body of one call; what the agent file leaves open is not in it."""
    settings = spec.sampling
    sampling = {"temperature": settings.temperature, "top_p": settings.top_p, "max_tokens": settings.max_tokens}
    body: Json = {"model": spec.model, "messages": list(messages)}
    body |= {name: value for name, value in sampling.items() if value is not None}
    if settings.sends_seed:
        body["seed"] = (seed + (settings.seed or 0)) % SEEDS
    if tools:
        body["tools"] = list(tools)
    return body | dict(spec.extra_body)


def assistant_message(reply: Reply, *, with_reasoning: bool = False) -> Json:
    """An answer in the form in which the next request repeats it.

    Arguments that are no JSON object are sent as {}, and names that no tool can have without what is wrong in them:
    servers that check the history refuse the whole request otherwise, and the tool's answer says what was wrong.
    Reasoning goes back under the key that it came with: some models want it between tool calls, others refuse it.
    """
    message: Json = {"role": "assistant", "content": reply.content}
    if reply.calls:
        message |= {"content": reply.content or None, "tool_calls": [_call_of_history(call) for call in reply.calls]}
    return message | ({reply.thought: reply.reasoning} if with_reasoning and reply.thought else {})


def length_of(message: Json) -> int:
    """Characters of a message: its texts, and the arguments of its calls."""
    calls = message.get("tool_calls", ())
    texts = [*message.values(), *(call["function"]["arguments"] for call in calls)]
    return sum(len(text) for text in texts if isinstance(text, str))


def _call_of_history(call: Call) -> Json:
    name = NOT_A_NAME.sub("_", call.name)[:LONGEST_NAME] or "unknown"
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": history_of(call.arguments)}}


def tool_message(call: Call, content: str) -> Json:
    """A tool's answer as it goes to the model."""
    return {"role": "tool", "tool_call_id": call.id, "content": content}


def tool_definition(tool: AgentTool) -> dict[str, Any]:
    """A tool as a function in a request."""
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def reply_of(text: str, now: datetime, finish_reasons: Mapping[str, Finish] = NO_WORDS) -> Reply | Failure:
    """The answer in a body that came with status 200, or the failure that it reports or is.

    `finish_reasons` are the agent file's own words, by `finish.key_of`.
    """
    try:
        body = parse_json(text)
    except ValueError:
        return Failure(OK, "", f"not JSON, though the status is 200: {one_line(clip(text, 100))}", is_own=True)
    if not isinstance(body, dict):
        return Failure(OK, "", NOT_AN_ANSWER, is_own=True)
    return _read_body(body, text, now, finish_reasons)


def _read_body(body: Json, text: str, now: datetime, finish_reasons: Mapping[str, Finish]) -> Reply | Failure:
    if _is_error(body.get("error")):
        return _inner_failure(body["error"], text, now)
    choice = _first(body.get("choices"))
    message, word = choice.get("message"), _word(choice)
    for error in (choice.get("error"), message.get("error") if isinstance(message, dict) else None):
        if _is_error(error):
            return _inner_failure(error, json.dumps({"error": error}), now)
    if isinstance(message, dict):
        if not _is_readable(message.get("content")):
            return Failure(OK, "", "an answer whose content is neither text nor a list of parts", is_own=True)
        return _with_finish(_reply(message, _usage(body.get("usage"))), word, finish_reasons)
    if meaning(word, finish_reasons) is Finish.REFUSED:
        return Reply(finish=Finish.REFUSED, usage=_usage(body.get("usage")))  # as Gemini's compatible endpoint refuses
    return _without_message(body)


def _is_error(value: object) -> bool:
    """Whether something stands there; some gateways send the form of an error with every answer, and leave it empty."""
    return any(value.values()) if isinstance(value, dict) else bool(value)


def _with_finish(reply: Reply, word: str, finish_reasons: Mapping[str, Finish]) -> Reply | Failure:
    if reply.is_refused and not word:
        return replace(reply, finish=Finish.REFUSED)
    content = Content(reply.is_empty, bool(reply.calls), reply.usage.output_tokens)
    finish = judge_finish(word, content, finish_reasons)
    return finish if isinstance(finish, Failure) else replace(reply, finish=finish)


def _reply(message: Mapping[str, Any], usage: TokenUsage) -> Reply:
    thought = next((key for key in REASONING if _text(message.get(key))), "")
    calls = message.get("tool_calls")
    raw: list[object] = calls if isinstance(calls, list) else []
    return Reply(
        content=_content(message.get("content")),
        reasoning=_text(message.get(thought)),
        thought=thought,
        refusal=_text(message.get("refusal")),
        calls=_calls(raw[:MOST_CALLS]) or _old_call(message.get("function_call")),
        left_out=len(raw[MOST_CALLS:]),
        usage=usage,
    )


def _word(choice: Mapping[str, Any]) -> str:
    """Why the answer ended, in the server's word; '' if it has none.

    A gateway may translate a failure of its own upstream into `stop` and keep the original word in another key.
    """
    own = choice.get("finish_reason")
    word = own if isinstance(own, str) else "" if own is None else json.dumps(own)
    native = _text(choice.get("native_finish_reason"))
    is_worse = native and meaning(native, NO_WORDS) in {Finish.FAILED, Finish.FULL}
    return native if is_worse and meaning(word, NO_WORDS) in {Finish.DONE, Finish.CUT, None} else sound(word)


def _without_message(body: Json) -> Failure:
    """The failure in a body without a message; some servers put their errors there."""
    words = next((body[key] for key in ("message", "msg", "detail") if isinstance(body.get(key), str)), "")
    problem = "an answer without a message (no choices)"
    return Failure(OK, "", one_line(f"{problem}: {words}") if words else problem)


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


def _is_readable(content: object) -> bool:
    """Whether content has a form that is known here; any other may hold an answer, and must not count as an empty one.

    Parts without a text are known if they name another kind, such as `thinking`.
    """
    if not isinstance(content, list):
        return content is None or isinstance(content, str)
    parts = [part if isinstance(part, dict) else {} for part in content]
    has_text = any(isinstance(part.get("text"), str) for part in parts)
    kinds = [_text(part.get("type")) for part in parts]
    return has_text or all(kind and "text" not in kind for kind in kinds)


def _calls(raw_calls: Sequence[object]) -> tuple[Call, ...]:
    """The calls, each under an id of its own: servers may leave ids out, or give one twice."""
    calls: list[Call] = []
    for number, raw in enumerate(raw_calls):
        call_row = raw if isinstance(raw, dict) else {}
        function = call_row.get("function")
        function = function if isinstance(function, dict) else {}
        name = _text(call_row.get("id"))
        unique = name if name and all(name != call.id for call in calls) else f"call_{number}"
        calls.append(Call(unique, _text(function.get("name")), _arguments(function.get("arguments"))))
    return tuple(calls)


def _old_call(value: object) -> tuple[Call, ...]:
    """The one call of an answer in the form that came before `tool_calls`; some gateways still send it."""
    return _calls([{"function": value}]) if isinstance(value, dict) and value.get("name") else ()


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
    """A count of tokens; servers that send `100.0` or `"100"` mean 100."""
    if isinstance(value, str) and DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return None
    return int(value) if value == int(value) else None
