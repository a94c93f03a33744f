"""The one place that talks to a model over the network, and the only importer of the openai SDK.

It makes one try and says what came of it as a value; whether to try again is decided elsewhere. The answer is read in
pieces against a deadline, since a server may begin an answer and never end it: a timeout of single reads would let it
go on for ever.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import openai

from taskcal.agents.chat_messages import NO_WORDS, Reply, reply_of
from taskcal.agents.finish import OK
from taskcal.agents.proxy import proxy_of
from taskcal.agents.trouble import TIMED_OUT, UNREACHABLE, Failure, failure_of, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskcal.agents.finish import Finish

CONNECT_SECONDS = 10.0
MOST_BYTES = 32 * 1024 * 1024
NO_KEY = "none"
"""The SDK wants some key; servers that want none do not look at it."""


class ByEnvironment(httpx.BaseTransport):
    """Sends each request the way that `proxy_of` finds for it; the client's own reading of the variables is off."""

    def __init__(self) -> None:
        """Nothing is connected yet."""
        self._limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=30.0)
        self._ways: dict[str | None, httpx.HTTPTransport] = {}
        self._opening = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        proxy = proxy_of(str(request.url))
        url = None if proxy is None else proxy.url
        with self._opening:
            if url not in self._ways:
                self._ways[url] = httpx.HTTPTransport(limits=self._limits, proxy=url)
            way = self._ways[url]
        return way.handle_request(request)

    def close(self) -> None:
        """Close all connections."""
        for way in self._ways.values():
            way.close()


class OpenAICaller:
    """The replicas of an endpoint over one pool of connections."""

    def __init__(self, base_urls: Sequence[str], key: str, finish_reasons: Mapping[str, Finish] = NO_WORDS) -> None:
        """Nothing is connected yet; an empty `key` is none, `finish_reasons` are the agent file's."""
        http = httpx.Client(transport=ByEnvironment(), follow_redirects=True, trust_env=False)
        self._http, self._finish_reasons = http, finish_reasons
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
                found = _read(answer.iter_bytes(), deadline, seconds)
                came_from = answer.http_response
            if isinstance(found, Failure) or came_from.request.method != "POST":
                return found if isinstance(found, Failure) else _redirected(came_from)
            return reply_of(found, datetime.now(UTC), self._finish_reasons)
        except openai.APIStatusError as error:
            return failure_of(error.status_code, error.response.headers, error.response.text, datetime.now(UTC))
        except (openai.APITimeoutError, httpx.TimeoutException):
            return _late(seconds)
        except (openai.OpenAIError, httpx.HTTPError, httpx.StreamError, OSError) as error:
            return Failure(None, UNREACHABLE, one_line(_words(error)))


def _read(pieces: Iterable[bytes], deadline: float, seconds: float) -> str | Failure:
    body = bytearray()
    for piece in pieces:
        body += piece
        if time.monotonic() > deadline:
            return _late(seconds)
        if len(body) > MOST_BYTES:
            return Failure(OK, "", f"an answer of more than {MOST_BYTES // 1024**2} MiB")
    return body.decode(errors="replace")


def _redirected(answer: httpx.Response) -> Failure:
    """What an old kind of redirect made of the request: a GET without its body."""
    address = str(answer.url).removesuffix("/chat/completions")
    return Failure(answer.history[0].status_code, "", one_line(f"it redirects to {address}; write that into base_url"))


def _late(seconds: float) -> Failure:
    return Failure(None, TIMED_OUT, f"no complete answer within {seconds:.3g} s")


def _words(error: BaseException) -> str:
    """What lies at the bottom of a connection error; the SDK's own says no more than that it is one."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"
