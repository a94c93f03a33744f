"""Asks an OpenAI-compatible endpoint for one completion.

It makes one try and returns what came of it as a value; whether to try again is decided elsewhere.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from taskcal.agents.chat.finish import OK
from taskcal.agents.chat.messages import NO_WORDS, Reply, reply_of
from taskcal.agents.chat.provider_errors import TIMED_OUT, UNREACHABLE, Failure, failure_of, one_line
from taskcal.agents.chat.transport import HttpRequest, Transport
from taskcal.agents.chat.wire import Late, NoAnswer, TooLong

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.agents.chat.finish import Finish
    from taskcal.agents.chat.transport import Answer

MOST_BYTES = 32 * 1024 * 1024


class OpenAICaller:
    """The replicas of an endpoint over one pool of connections."""

    def __init__(self, base_urls: Sequence[str], key: str, finish_reasons: Mapping[str, Finish] = NO_WORDS) -> None:
        """Nothing is connected yet; an empty `key` is none, `finish_reasons` are the agent file's."""
        self._urls = tuple(f"{url}/chat/completions" for url in base_urls)
        self._key, self._finish_reasons = key, finish_reasons
        self._transport = Transport()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def post(self, replica: int, body: Mapping[str, Any], seconds: float) -> Reply | Failure:
        """Ask for one completion and wait at most `seconds` for the whole of it."""
        data = json.dumps(dict(body), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        try:
            answer = self._transport.send(HttpRequest(self._urls[replica], self._key, data), seconds, MOST_BYTES)
        except Late as error:
            return Failure(None, TIMED_OUT, str(error))
        except TooLong as error:
            return Failure(OK, "", str(error), is_own=True)
        except NoAnswer as error:
            return Failure(None, UNREACHABLE, one_line(str(error)))
        return outcome_of(answer, datetime.now(UTC), self._finish_reasons)


def outcome_of(answer: Answer, now: datetime, finish_reasons: Mapping[str, Finish]) -> Reply | Failure:
    """The completion in an answer, or the failure that it reports or is."""
    if answer.is_redirect:
        return _redirect_failure(answer)
    if not answer.is_success:
        return failure_of(answer.status, answer.headers, answer.text, now)
    if answer.compression:
        words = f"the body is compressed ({answer.compression}), which was not asked for"
        return Failure(answer.status, "", one_line(words), is_own=True)
    return reply_of(answer.text, now, finish_reasons)


def _redirect_failure(answer: Answer) -> Failure:
    """A redirect is not followed: the request, and its key, are for the address in the agent file alone."""
    address = answer.headers.get("location", "").removesuffix("/chat/completions")
    shown = "".join(character if character.isprintable() else "?" for character in address)
    hint = f"it redirects to {shown or 'no address'}; write that into base_url"
    return Failure(answer.status, "", one_line(hint), is_own=True)
