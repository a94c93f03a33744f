"""What an endpoint's failure means for a rollout: one pure function, since the same words must always mean the same.

    what comes                                        what becomes of it
    ------------------------------------------------  ------------------------------------------------------------
    no answer, 408, 409, 425, 429, 5xx, nonsense      the provider's: retried, then lost
      with 200
    401, 402, 403, 404, 407; an unknown key or        stops the run if the endpoint never answered well, since every
      model, no credit, a parameter or tools that       other rollout would fail likewise; after an answer it is
      the server does not take                          retried, then lost
    the context is full                               a graded stop: the agent has used it up
    the content is refused                            a graded stop: it would be in use as well
    any other 4xx                                     lost: our request, or the server's mood; three of them before
                                                        any answer stop the run

Servers agree about status codes only roughly and about words not at all: a full context is 400 here, 422 there and 500
behind some proxies, and a wrong key may be a 400. So words are looked at before the status, except for the statuses
whose "exceeded" means a rate, a quota or a deadline. A failure is graded only if its code or a whole phrase says why
(`provider_words`), or if it names a limit in tokens and a number beyond it. A refusal never comes with 5xx. A page of
HTML is never more than its status: it is from something between, not from the model's server. The same holds for JSON
without a message, which may repeat the conversation.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from taskcal.agents.chat import provider_words as known
from taskcal.core.text.foreign_text import clip, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Action(StrEnum):
    """The consequence of a failure."""

    RETRY = "retry"
    LOST = "lost"
    FATAL = "fatal"
    CONTEXT_FULL = "context-full"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Failure:
    """An endpoint's failure: `status` None if no answer came, `retry_after` seconds if the server asks for a wait.

    `is_own` marks a message in taskcal's words. It may quote a page or an unknown word, which decide nothing.
    """

    status: int | None
    code: str
    message: str
    retry_after: float | None = None
    is_own: bool = False

    def __str__(self) -> str:
        """One line for reasons: the status, if there is one, and the server's words."""
        words = self.message or self.code or "no words"
        return words if self.status is None else f"{self.status}: {words}"


LONGEST_WORDS = 400
LONGEST_WAIT = 7 * 24 * 3600.0
RETRIED = frozenset({408, 409, 425, 429})
BUSY = frozenset({429, 503, 529})
FULL_STATUSES = frozenset({200, 400, 413, 422, 500})
"""Elsewhere "exceeded" means a rate, a quota or a deadline."""
COMPARED_STATUSES = frozenset({400, 413, 422})
REFUSAL_STATUSES = frozenset({200, 400, 403, 422, 451})
WORDED = frozenset({400, 422, 429, 500, 501})
"""Where only the words tell a wrong key, model or parameter."""
FATAL_STATUSES = frozenset({401, 402, 403, 404, 407})
TIMED_OUT = "timed-out"
UNREACHABLE = "unreachable"

CONTEXT_SIZE = re.compile(r"context length (?:is|of) (?:only )?(\d+)|exceed context limit: \d+ \+ \d+ > (\d+)")
INPUT_SIZE = re.compile(
    r"\((\d+) (?:in the messages|in your prompt|of text input)|(?:has|contains at least) (\d+) input tokens"
    r"|: (\d+) tokens from the input messages|exceed context limit: (\d+) \+"
)
RENAMED = re.compile(r"\buse\b.{0,20}max_completion_tokens", re.IGNORECASE)


def classify_failure(failure: Failure) -> Action:
    """The consequence of a failure by its status, code and words; the module's docstring has the reasons."""
    status, code, words = failure.status, failure.code.lower(), failure.message
    if refuses_content(failure):
        return Action.REFUSED
    if is_full(failure):
        return Action.CONTEXT_FULL
    if code in known.RATE_CODES:
        return Action.LOST if known.TOO_LARGE.search(words) else Action.RETRY
    if code in known.FATAL_CODES or status in FATAL_STATUSES or (status in WORDED and _are_fatal(words)):
        return Action.FATAL
    if known.TOO_LARGE.search(words):
        return Action.LOST
    retried = status is None or status in RETRIED or status >= 500 or status < 300
    return Action.RETRY if retried else Action.LOST


def refuses_content(failure: Failure) -> bool:
    """Whether the content was refused: by a code for it, or in words of policy about nothing else."""
    words = failure.message
    if failure.is_own or failure.status not in REFUSAL_STATUSES or known.NOT_WORDS.match(words):
        return False
    by_words = known.REFUSAL.search(words) and not known.ELSEWHERE.search(words)
    return failure.code.lower() in known.REFUSAL_CODES or bool(by_words)


def is_full(failure: Failure) -> bool:
    """Whether the conversation does not fit into the context: by a code, a phrase, or a number beyond a limit."""
    words = failure.message
    if failure.is_own or failure.status not in FULL_STATUSES or known.NOT_WORDS.match(words):
        return False
    if failure.code.lower() in known.CONTEXT_CODES:
        return True
    if known.INFRASTRUCTURE.search(words):
        return False
    by_numbers = failure.status in COMPARED_STATUSES and known.are_beyond_limit(words)
    return by_numbers or bool(known.CONTEXT.search(words))


def _are_fatal(words: str) -> bool:
    return any(
        pattern.search(words) for pattern in (known.KEY, known.MODEL, known.MONEY, known.REQUEST, known.REASONING)
    )


def suggest_fix(failure: Failure, model: str, key: str) -> str:
    """What a person should do about a failure that no rollout can survive; `key` is the name of the key's variable."""
    words, status = failure.message, failure.status
    is_money = status == 402 or known.MONEY.search(failure.code) or known.MONEY.search(words)
    is_model = failure.code == "model_not_found" or known.MODEL.search(words)
    rules = (
        (status == 407, "the proxy wants a user and a password; put them into the variable that names it"),
        (known.PAGE.match(words), "that is a page, so something before the endpoint (a proxy, a firewall) refuses"),
        (is_money, "there is no credit left; nothing can be measured there now"),
        (is_model, f"is the model {model!r} served there? /v1/models lists what is"),
        (
            status in {401, 403} or known.KEY.search(words),
            f"the key in {key}, or its absence, is not accepted; set it with `export {key}=…`",
        ),
        (status == 404, f"is base_url right (most end in /v1), and is the model {model!r} served there?"),
        (known.REASONING.search(words), "set send_reasoning: true in the agent file"),
    )
    general = "no rollout can succeed like this; change the agent file, or how the server was started"
    return next((help_ for applies, help_ in rules if applies), general)


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
    """The failure that an answer reports, in whichever form its body has."""
    code, message = _code_and_words(text)
    wait = retry_after(headers, now)
    if wait is None and status in BUSY:
        wait = _written_wait(message)
    return Failure(status, code, one_line(message), wait)


def _written_wait(words: str) -> float | None:
    """Seconds to wait as a message has it: OpenAI's "try again in 20s", Azure's "retry after 60 seconds"."""
    match = known.AGAIN.search(words[: 10 * LONGEST_WORDS])
    if match is None:
        return None
    unit = match[2].lower()
    scale = 0.001 if unit == "ms" else 60.0 if unit.startswith("m") else 1.0
    return min(float(match[1]) * scale, LONGEST_WAIT)


def _code_and_words(text: str) -> tuple[str, str]:
    """Code and words of an error's body: OpenAI's form, vLLM's older one, FastAPI's, or plain text."""
    try:
        body = parse_json(text)
    except ValueError:
        return "", text
    body = _only(body)
    error = body.get("error") or _only(body.get("errors")) or body if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return "", str(error)
    code = error.get("code")
    if not isinstance(code, str) or (code.isdigit() and code not in known.VENDOR_CODES):
        code = error.get("type")
    words = error.get("message") or error.get("detail") or error.get("error") or text
    words = words if isinstance(words, str) else json.dumps(words)
    return code if isinstance(code, str) else "", f"{words}{_behind(error)}"


def _only(value: object) -> object:
    """What a list of one holds: Gemini's compatible endpoint and Cloudflare's wrap an error in one."""
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) else value


def _behind(error: Mapping[str, object]) -> str:
    """The error of the server behind OpenRouter, whose own message is no more than "Provider returned error"."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return f": {raw}" if isinstance(raw, str) and raw else ""


def one_line(text: str) -> str:
    """Words of bounded length on one line."""
    return clip(" ".join(clip(text, 10 * LONGEST_WORDS).split()), LONGEST_WORDS)


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
