"""Why an answer with status 200 ended: the words of `finish_reason` and what each of them means for the rollout.

The model ends an answer, a limit cuts it, a filter refuses it, the context is full, or the server gives up halfway.
Only the last one is the provider's. Servers do not agree about the words, and gateways pass on those of the server
behind them, so the table below is a list of known words. Any other word is a failure of the provider: taken for the end
of a good answer, it could make a low reward out of a new kind of failure. `finish_reasons` of the agent
file adds words to the table.

    what comes                                                    what it is
    ------------------------------------------------------------  ---------------------------------------------------
    an `error` on the choice                                      the failure that it describes, by its code and words
    a word of FAILED, or an unknown word                          the provider's: retried, then lost
    a word of REFUSED; `refusal` without a tool call              refused: graded
    a word of FULL                                                the context is full: graded
    nothing (no text, call, reasoning) and no output token        the provider's: retried, then lost
    a word of CUT                                                 cut: the model is informed and goes on
    a word of CALLS without a call                                the provider's: it did not pass the call on
    another word of DONE                                          the model's answer, also if it is empty
    no word, with output tokens counted                           the model's answer (a server that leaves the key out)
    no word, without a count                                      the provider's: a stream that broke looks like this

The words come from the documentation and source of OpenAI, Azure, vLLM, SGLang, TGI, llama.cpp, Ollama, LiteLLM,
OpenRouter, Gemini, Anthropic, Cohere, Mistral, DeepSeek, Z.ai and Bedrock.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from taskcal.agents.chat.provider_errors import Failure
from taskcal.core.text.foreign_text import clip

if TYPE_CHECKING:
    from collections.abc import Mapping

OK = 200


class Finish(StrEnum):
    """What an answer is, in the words of an agent file's `finish_reasons`."""

    DONE = "stop"
    CUT = "length"
    REFUSED = "content_filter"
    FULL = "context_full"
    FAILED = "error"


CALLS = ("tool_calls", "function_call", "tool_use", "tool_call")
DONE = (
    *CALLS,
    *("stop", "end_turn", "stop_sequence", "stop_token"),
    *("eos", "eos_token", "complete", "completed", "end", "finished", "done"),
    "repetition",  # vLLM ends a model that repeats itself; so would any use of it
)
CUT = ("length", "max_tokens", "max_output_tokens", "max_new_tokens", "max_completion_tokens", "max_length")
REFUSED = (
    *("content_filter", "content_filtered", "refusal", "safety", "sensitive", "blocklist", "prohibited_content"),
    *("spii", "recitation", "guardrail_intervened", "guardrail", "moderation", "error_toxic", "image_safety"),
)
FULL = (
    *("model_length", "model_context_window_exceeded", "context_window_exceeded", "context_length_exceeded"),
    *("context_length", "max_context_length"),
)
FAILED = (
    *("error", "abort", "aborted", "cancelled", "canceled", "network_error", "insufficient_system_resource"),
    *("server_error", "internal_error", "timeout", "overloaded", "failed", "load", "unload"),
    *("malformed_function_call", "unexpected_tool_call", "malformed_response", "other", "finish_reason_unspecified"),
)
"""Gemini's `MALFORMED_FUNCTION_CALL` is here because its server counts no tokens for it, and another try succeeds."""

WORDS: Mapping[str, Finish] = {
    word: finish
    for finish, words in (
        (Finish.DONE, DONE),
        (Finish.CUT, CUT),
        (Finish.REFUSED, REFUSED),
        (Finish.FULL, FULL),
        (Finish.FAILED, FAILED),
    )
    for word in words
}
FILTERS: Mapping[str, Finish] = {"content_filter": Finish.REFUSED, "function_call_filter": Finish.FAILED}
"""Gemini's compatible endpoint writes the filter and then its word: `content_filter: PROHIBITED_CONTENT`."""
EMPTY = "empty"
MISSING = "none"
"""What the agent file calls an answer without a word."""
NO_WORDS = frozenset({"", "none", "null"})
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
YAML_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
LONGEST_WORD = 60


def key_of(word: str) -> str:
    """The form in which words are compared: `MAX_TOKENS`, `max-tokens` and `max tokens` are one."""
    key = re.sub(r"[- ]", "_", word.strip().lower())
    return MISSING if key in NO_WORDS else key


def meaning(word: str, added: Mapping[str, Finish]) -> Finish | None:
    """The meaning of a word, None if it is unknown."""
    key = key_of(word)
    return added.get(key) or WORDS.get(key) or FILTERS.get(key.partition(":")[0] if ":" in key else "")


@dataclass(frozen=True, slots=True)
class Content:
    """The content of an answer, as far as it matters here; `output_tokens` is None if the server did not count."""

    is_empty: bool
    has_calls: bool
    output_tokens: int | None


def judge_finish(word: str, content: Content, added: Mapping[str, Finish]) -> Finish | Failure:
    """Classify an answer by its finish reason and content; `added` is the agent file's `finish_reasons`."""
    finish = meaning(word, added)
    if finish in {Finish.REFUSED, Finish.FULL}:
        return finish
    failure = _failure(word, finish, content)
    return finish or Finish.DONE if failure is None else Failure(OK, *failure, is_own=True)


def _failure(word: str, finish: Finish | None, content: Content) -> tuple[str, str] | None:
    """Code and message of what is wrong with an answer that is neither refused nor full."""
    is_missing = finish is None and key_of(word) == MISSING
    if finish is None and not is_missing:
        return "unknown_finish_reason", describe_unknown(word)
    if finish is Finish.FAILED:
        return key_of(word), f"finish_reason {quote_word(word)}: the server did not complete this answer"
    if content.is_empty and not content.output_tokens:
        return EMPTY, "an answer without text, tool call or output token"
    if is_missing and not content.output_tokens:
        return "no_finish_reason", f"no finish_reason and no token count; {suggest_finish_reason(MISSING)}"
    if key_of(word) in CALLS and not content.has_calls:
        return "no_calls", f"finish_reason {quote_word(word)} without a tool call: the server lost it"
    return None


def describe_unknown(word: str) -> str:
    """The message about a word that is not in the table, with its fix."""
    return f"unknown finish_reason {quote_word(word)}; {suggest_finish_reason(word)}"


def suggest_finish_reason(word: str) -> str:
    """The line of an agent file that makes a word the end of an answer."""
    short = clip(word, LONGEST_WORD)
    is_plain = PLAIN.fullmatch(short) and short.lower() not in YAML_WORDS
    key = short if is_plain else json.dumps(short)
    return f"if it ends a good answer, add finish_reasons: {{{key}: stop}} to the agent file"


def quote_word(word: str) -> str:
    """A word of a server in a message, of bounded length."""
    return json.dumps(clip(word, LONGEST_WORD))
