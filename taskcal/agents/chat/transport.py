"""The one place where taskcal speaks HTTP: every request has a deadline and a bound on every byte that comes back.

The server is not trusted. It may begin an answer and never end it, send headers or interim answers for ever, compress
gigabytes into kilobytes, or point to another address. So seconds and bytes are counted where they come in (`wire`), no
redirect is followed, and a compressed body is refused.

httpcore does the rest (HTTP/1.1, TLS, proxies). A connection is kept for the next request, as long as 30 seconds.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

import httpcore

from taskcal import __version__
from taskcal.agents.chat.proxy import PORTS, proxy_of
from taskcal.agents.chat.wire import Broken, CountingBackend, NoAnswer, RequestLimits, Unreachable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from urllib.parse import SplitResult

    from taskcal.agents.chat.proxy import Proxy

IDLE_SECONDS = 30.0
MOST_HEAD = 256 * 1024
"""Bytes before a body: certificates, a proxy's own answers, interim answers, the status line and the headers."""
MOST_ERROR = 256 * 1024
"""Bytes of an answer that is not a success; its beginning says what is wrong."""
SAFE_IN_PATH = "/%:@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A GET, or a POST of a JSON `body`; `key` is the bearer's, '' for none."""

    url: str
    key: str = field(repr=False, default="")
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer; names of headers are in lower case. The body of one that is not a success may be cut."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is one of 200 to 299."""
        return 200 <= self.status < 300

    @property
    def is_redirect(self) -> bool:
        """Whether the server points to another address."""
        return 300 <= self.status < 400

    @property
    def text(self) -> str:
        """The body as text; '' for one that is compressed."""
        return "" if self.compression else self.body.decode(errors="replace")

    @property
    def compression(self) -> str:
        """How the body is compressed, which no request asked for; '' if it is not."""
        named = self.headers.get("content-encoding", "").strip().lower()
        return "" if named in {"", "identity"} else named


class Transport:
    """Connections to any number of servers, to be used from any thread."""

    def __init__(self) -> None:
        """Nothing is connected yet."""
        self._idle: dict[tuple[str, str], list[_PooledConnection]] = {}
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def send(self, request: HttpRequest, seconds: float, most: int) -> Answer:
        """Send a request and read its whole answer, of at most `most` bytes on the wire, within `seconds`.

        Raises NoAnswer. A body that is not a success is only read for its words: what came of it until one of the
        bounds is returned.
        """
        parts, proxy = urlsplit(request.url), proxy_of(request.url)
        place = (parts.scheme + "://" + parts.netloc, "" if proxy is None else proxy.url)
        line = self._take(place, proxy)
        try:
            answer = line.exchange(request, parts, seconds, most)
        except NoAnswer:
            line.close()
            raise
        except (httpcore.ConnectError, httpcore.ProxyError, httpcore.UnsupportedProtocol) as error:
            line.close()
            raise Unreachable(_words(error)) from error
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError) as error:
            line.close()
            raise Broken(_words(error)) from error
        line.idle_since = time.monotonic()
        with self._lock:
            self._idle.setdefault(place, []).append(line)
        return answer

    def close(self) -> None:
        """Close the connections that are not in use."""
        with self._lock:
            lines = [line for place in self._idle.values() for line in place]
            self._idle.clear()
        for line in lines:
            line.close()

    def _take(self, place: tuple[str, str], proxy: Proxy | None) -> _PooledConnection:
        """The connection that was used last, or a new one; those that are old are closed."""
        oldest = time.monotonic() - IDLE_SECONDS
        with self._lock:
            lines = self._idle.pop(place, [])
            old = [line for line in lines if line.idle_since < oldest]
            fresh = [line for line in lines if line.idle_since >= oldest]
            taken = fresh.pop() if fresh else None
            if fresh:
                self._idle[place] = fresh
            needs_tls = any(url.lower().startswith("https:") for url in place)
            if self._context is None and needs_tls:  # takes some 50 ms
                self._context = httpcore.default_ssl_context()
        for line in old:
            line.close()
        return taken or _PooledConnection(proxy, self._context)


class _PooledConnection:
    """One connection, and the limits of the request that uses it."""

    def __init__(self, proxy: Proxy | None, context: ssl.SSLContext | None) -> None:
        self.idle_since = 0.0
        self._limits = RequestLimits()
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            proxy=None if proxy is None else _proxy(proxy, context),
            max_connections=1,
            network_backend=CountingBackend(self._limits),
        )

    def exchange(self, request: HttpRequest, parts: SplitResult, seconds: float, most: int) -> Answer:
        """One request and its answer. Raises NoAnswer, OSError, or what httpcore raises."""
        self._limits.start(seconds)
        self._limits.limit_bytes(MOST_HEAD)
        method = "GET" if request.body is None else "POST"
        url, headers = _url(parts), _headers(request, parts)
        with self._pool.stream(method, url, headers=headers, content=request.body) as response:
            if not self._limits.received:  # a server that sends more than one answer to the request before
                raise Broken("the answer was there before its request")
            headers_received = {
                name.lower().decode("latin-1"): value.decode("latin-1") for name, value in reversed(response.headers)
            }
            is_success = 200 <= response.status < 300
            self._limits.limit_bytes(most if is_success else MOST_ERROR)
            body = bytearray()
            try:
                for piece in response.iter_stream():
                    body += piece
            except (NoAnswer, httpcore.NetworkError, httpcore.ProtocolError, OSError):
                if is_success:
                    raise
        return Answer(response.status, headers_received, bytes(body))

    def close(self) -> None:
        self._pool.close()


def _proxy(proxy: Proxy, context: ssl.SSLContext | None) -> httpcore.Proxy:
    parts = urlsplit(proxy.url)
    user, password = (unquote(text or "").encode() for text in (parts.username, parts.password))
    is_tls = parts.scheme == "https"
    return httpcore.Proxy(_url(parts), (user, password) if user else None, None, context if is_tls else None)


def _url(parts: SplitResult) -> httpcore.URL:
    target = quote(parts.path or "/", safe=SAFE_IN_PATH).encode()
    return httpcore.URL(scheme=parts.scheme.lower(), host=_host(parts), port=parts.port, target=target)


def _host(parts: SplitResult) -> bytes:
    """The host as it is sent. Raises ValueError for one that is not a name."""
    name = parts.hostname or ""
    return name.encode() if name.isascii() else name.encode("idna")


def _headers(request: HttpRequest, parts: SplitResult) -> list[tuple[str, str]]:
    host = _host(parts).decode()
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in {None, PORTS[parts.scheme]} else f":{parts.port}"
    headers = [
        ("Host", f"{host}{port}"),
        ("Accept", "application/json"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", f"taskcal/{__version__}"),
    ]
    if request.key:
        headers.append(("Authorization", f"Bearer {request.key}"))
    if request.body is not None:
        headers += [("Content-Type", "application/json"), ("Content-Length", str(len(request.body)))]
    return headers


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
