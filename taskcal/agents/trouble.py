"""What an endpoint's failure means for a rollout: one pure function, since the same words must always mean the same.

Whose failure is what:

    no answer, 408, 409, 425, 429, 5xx, nonsense     retried, then lost: the provider's
      with 200
    401, 402, 403, 404; a key or model not known,    stops the run where the endpoint never answered well, since every
      no credit, a parameter or tools that the         other rollout would fail likewise; after an answer it is retried,
      server does not take                             then lost
    the context is full                              a graded stop: the agent has used it up
    the content is refused                           a graded stop: so would it be in use
    any other 4xx                                    lost: our request, or the server's mood; three of them before any
                                                       answer stop the run

Servers agree about status codes only roughly and about words not at all: a full context is 400 here, 422 there and 500
behind some proxies, and a wrong key may be a 400. So words are looked at before the status, except with 429 and the
statuses of gateways, whose "exceeded" means a quota or a deadline.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from taskcal.core.foreign_text import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Action(StrEnum):
    """What to do about a failure."""

    RETRY = "retry"
    LOST = "lost"
    FATAL = "fatal"
    CONTEXT_FULL = "context-full"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Failure:
    """An endpoint's failure: `status` None where no answer came, `retry_after` in seconds where the server says it."""

    status: int | None
    code: str
    message: str
    retry_after: float | None = None

    def __str__(self) -> str:
        """One line for reasons: the status, if there is one, and the server's words."""
        words = self.message or self.code or "no words"
        return words if self.status is None else f"{self.status}: {words}"


LONGEST_WORDS = 400
LONGEST_WAIT = 7 * 24 * 3600.0
RETRIED = frozenset({408, 409, 425, 429})
UNTOLD = frozenset({401, 429, 502, 503, 504})
"""Where "exceeded" speaks of a rate, a quota or a deadline, and "violated" of an account."""
WORDED = frozenset({400, 422, 429, 500, 501})
"""Where only the words tell a wrong key, model or parameter."""
TIMED_OUT = "timed-out"
UNREACHABLE = "unreachable"

CONTEXT_CODES = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "model_context_window_exceeded", "prompt_too_long"}
)
REFUSAL_CODES = frozenset(
    {
        *("content_filter", "content_policy_violation", "invalid_prompt"),
        *("responsibleaipolicyviolation", "data_inspection_failed"),
    }
)
RATE_CODES = frozenset(
    {"rate_limit_exceeded", "rate_limit_error", "too_many_requests", "slow_down", "overloaded_error"}
)
"""A server that says so wants to be asked again, whatever it writes about paid plans beside it."""
FATAL_CODES = frozenset(
    {
        *("invalid_api_key", "model_not_found", "unsupported_parameter", "unsupported_value", "unknown_parameter"),
        *("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"),
    }
)

CONTEXT = re.compile(
    r"""
      maximum\ (context|prompt)\ length | maximum\ model\ length | context[ _]length[ _]exceeded
    | exceeds?\ the\ (model's\ )?(maximum\ )?(available\ )?context\ (length|window|size)
    | exceed\ context\ limit | context\ (window|size|length)\ (exceeds|exceeded|has\ been\ exceeded)
    | contextwindowexceedederror
    | (longer|greater)\ than\ the\ (model's\ )?(maximum\ )?context\ length
    | (prompt|input|messages)\ is\ too\ long | length\ of\ all\ messages\ is\ too\ long
    | input\ length\b.{0,40}exceeds\ the\ maximum\ allowed | prompt\ token\ count\b.{0,40}exceeds\ the\ limit
    | input\ token\ count\b.{0,40}exceeds\ the\ maximum | input\ tokens\ exceed\ the\ configured\ limit
    | reduce\ the\ length\ of\ the\ (messages|input|prompt)
    | max_tokens\ must\ be\ at\ least\ 1,\ got\ -
    | inputs`?\ tokens\ \+\ `?max_new_tokens`?\ must\ be
    | exceeded\ model\ token\ limit | too\ many\ (input\ )?tokens\b(?!\ per)
    """,
    re.VERBOSE | re.IGNORECASE,
)
REFUSAL = re.compile(
    r"""
      content\ management\ policy | content[ _]policy | contentpolicyviolationerror
    | (prompt|input|request|content|response)\b(?!.*\baccount\b).{0,80}?(flagged|violat|inappropriate|safety\ system)
    """,
    re.VERBOSE | re.IGNORECASE,
)
KEY = re.compile(
    r"(incorrect|invalid) api[ _]key|api[ _]key (is )?(not valid|invalid)|invalid authentication", re.IGNORECASE
)
MODEL = re.compile(
    r"invalid model\b|not a valid model|model\b.{0,200}?\b(not found|does not exist|not exist)", re.IGNORECASE
)
MONEY = re.compile(
    r"insufficient[ _](balance|quota|credits)|exceeded your current quota|plan and billing|billing[ _](hard|not)",
    re.IGNORECASE,
)
REQUEST = re.compile(
    r"enable-auto-tool-choice|requires --jinja|does not support (tools|function)|unsupported (parameter|value)",
    re.IGNORECASE,
)
FATAL = (KEY, MODEL, MONEY, REQUEST)
TOO_LARGE = re.compile(r"request too large", re.IGNORECASE)
CONTEXT_SIZE = re.compile(r"context length (?:is|of) (?:only )?(\d+)|exceed context limit: \d+ \+ \d+ > (\d+)")
INPUT_SIZE = re.compile(
    r"\((\d+) (?:in the messages|in your prompt|of text input)|(?:has|contains at least) (\d+) input tokens"
    r"|: (\d+) tokens from the input messages|exceed context limit: (\d+) \+"
)
RENAMED = re.compile(r"\buse\b.{0,20}max_completion_tokens", re.IGNORECASE)


def classify(failure: Failure) -> Action:
    """What a failure means, from its status, code and words; the module's docstring has the reasons."""
    status, code, words = failure.status, failure.code.lower(), failure.message
    if status is not None and status not in UNTOLD:
        if code in REFUSAL_CODES or REFUSAL.search(words):
            return Action.REFUSED
        if code in CONTEXT_CODES or CONTEXT.search(words):
            return Action.CONTEXT_FULL
    if code in RATE_CODES and (status is None or status in RETRIED or status >= 500):
        return Action.LOST if TOO_LARGE.search(words) else Action.RETRY
    if code in FATAL_CODES or status in {401, 402, 403, 404} or (status in WORDED and _are_fatal(words)):
        return Action.FATAL
    if TOO_LARGE.search(words):
        return Action.LOST
    retried = status is None or status in RETRIED or status >= 500 or status < 300
    return Action.RETRY if retried else Action.LOST


def _are_fatal(words: str) -> bool:
    return any(pattern.search(words) for pattern in FATAL)


def advice(failure: Failure, model: str, key: str) -> str:
    """What a person should do about a failure that no rollout can survive; `key` is the name of the key's variable."""
    words = failure.message
    if failure.status == 402 or MONEY.search(failure.code) or MONEY.search(words):
        return "there is no credit left; nothing can be measured there now"
    if failure.code == "model_not_found" or MODEL.search(words):
        return f"is the model {model!r} served there? /v1/models lists what is"
    if failure.status in {401, 403} or KEY.search(words):
        return f"the key in {key}, or its absence, is not accepted; set it with `export {key}=…`"
    if failure.status == 404:
        return f"is base_url right (most end in /v1), and is the model {model!r} served there?"
    return "no rollout can succeed like this; change the agent file, or how the server was started"


def leaves_no_room(failure: Failure) -> bool:
    """Whether a full context is `max_tokens`' doing: the input alone would fit, as far as the server gives numbers."""
    size, given = CONTEXT_SIZE.search(failure.message), INPUT_SIZE.search(failure.message)
    return bool(size and given and _number(given) < _number(size))


def wants_other_name(failure: Failure) -> bool:
    """Whether the server takes `max_completion_tokens` in place of `max_tokens`, as newer ones of OpenAI do."""
    return failure.status in {400, 422} and bool(RENAMED.search(failure.message))


def _number(match: re.Match[str]) -> int:
    return int(next(group for group in match.groups() if group))


def failure_of(status: int, headers: Mapping[str, str], text: str, now: datetime) -> Failure:
    """The failure that an answer tells, in whichever form its body has."""
    code, message = _told(text)
    return Failure(status, code, one_line(message), retry_after(headers, now))


def _told(text: str) -> tuple[str, str]:
    """Code and words of an error's body: OpenAI's form, vLLM's older one, FastAPI's, or plain text."""
    try:
        body = parse_json(text)
    except ValueError:
        return "", text
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return "", str(error)
    code = error.get("code")
    if not isinstance(code, str) or code.isdigit():
        code = error.get("type")
    words = error.get("message") or error.get("detail") or error.get("error") or text
    return code if isinstance(code, str) else "", words if isinstance(words, str) else json.dumps(words)


def one_line(text: str) -> str:
    """Words of bounded length on one line."""
    return " ".join(text[: 10 * LONGEST_WORDS].split())[:LONGEST_WORDS]


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait as the server asks, by `retry-after-ms` or Retry-After (RFC 9110: seconds, or a date)."""
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000.0
    text = headers.get("retry-after")
    seconds = _seconds(text)
    return _until(text, now) if seconds is None else seconds


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return min(max(0.0, seconds), LONGEST_WAIT) if math.isfinite(seconds) else None


def _until(text: str | None, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=now.tzinfo)
    return min(max(0.0, (moment - now).total_seconds()), LONGEST_WAIT)
