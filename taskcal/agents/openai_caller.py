"""The one place that talks to a model over the network, and the only importer of the openai SDK.

It makes one try and says what came of it as a value; whether to try again is decided elsewhere. The answer is read in
pieces against a deadline, since a server may begin an answer and never end it: a timeout of single reads would let it
go on for ever.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import openai

from taskcal.agents.chat_messages import OK, Reply, reply_of
from taskcal.agents.trouble import TIMED_OUT, UNREACHABLE, Failure, failure_of, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CONNECT_SECONDS = 10.0
MOST_BYTES = 32 * 1024 * 1024
NO_KEY = "none"
"""The SDK wants some key; servers that want none do not look at it."""


class OpenAICaller:
    """The replicas of an endpoint over one pool of connections."""

    def __init__(self, base_urls: Sequence[str], key: str) -> None:
        """Nothing is connected yet; an empty `key` is none."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=30.0)
        http = httpx.Client(limits=limits, follow_redirects=True)
        self._http = http
        self._clients = [
            openai.OpenAI(api_key=key or NO_KEY, base_url=url, max_retries=0, http_client=http) for url in base_urls
        ]

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def post(self, replica: int, body: Mapping[str, Any], seconds: float) -> Reply | Failure:
        """Ask for one completion and wait at most about `seconds` for the whole of it."""
        deadline = time.monotonic() + seconds
        completions = self._clients[replica].chat.completions
        timeout = httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))
        try:
            # All of the body goes as `extra_body`, which the SDK sends as it is; it would walk through every message of
            # the conversation otherwise.
            with completions.with_streaming_response.create(
                model=body["model"], messages=[], extra_body=dict(body), timeout=timeout
            ) as answer:
                return _read(answer.iter_bytes(), deadline, seconds)
        except openai.APIStatusError as error:
            return failure_of(error.status_code, error.response.headers, error.response.text, datetime.now(UTC))
        except (openai.APITimeoutError, httpx.TimeoutException):
            return _late(seconds)
        except (openai.OpenAIError, httpx.HTTPError, httpx.StreamError, OSError) as error:
            return Failure(None, UNREACHABLE, one_line(_words(error)))


def _read(pieces: Iterable[bytes], deadline: float, seconds: float) -> Reply | Failure:
    body = bytearray()
    for piece in pieces:
        body += piece
        if time.monotonic() > deadline:
            return _late(seconds)
        if len(body) > MOST_BYTES:
            return Failure(OK, "", f"an answer of more than {MOST_BYTES // 1024**2} MiB")
    return reply_of(body.decode(errors="replace"), datetime.now(UTC))


def _late(seconds: float) -> Failure:
    return Failure(None, TIMED_OUT, f"no complete answer within {seconds:.3g} s")


def _words(error: BaseException) -> str:
    """What lies at the bottom of a connection error; the SDK's own says no more than that it is one."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"
