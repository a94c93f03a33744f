"""Connections whose every byte and second is charged to the request that waits for it, for httpcore to speak over.

Counting happens at the socket, below TLS, chunks and headers, so nothing that a server finds to send goes uncounted.
Only looking up a host's name is bounded by the resolver alone.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CONNECT_SECONDS = 10.0
PIECE = 64 * 1024


class NoAnswer(Exception):
    """A request without an answer; its text is one line."""


class Unreachable(NoAnswer):
    """No connection: no such host, nobody who listens, a certificate that is not trusted, a proxy that refuses."""


class Broken(NoAnswer):
    """The connection broke, or carried something else than HTTP."""


class Late(NoAnswer):
    """The answer was not complete in time."""


class TooLong(NoAnswer):
    """More bytes came than any answer needs."""


class RequestLimits:
    """The limits of the current request: seconds until its deadline, and bytes that may still come.

    `received` is the number of bytes that came since it began.
    """

    def __init__(self) -> None:
        """Nothing may be sent yet."""
        self.received = 0
        self._deadline = self._seconds = 0.0
        self._room = self._bound = 0

    def start(self, seconds: float) -> None:
        """Begin a request that must be over in so many seconds."""
        self._deadline, self._seconds = time.monotonic() + seconds, seconds
        self.received = 0

    def limit_bytes(self, size: int) -> None:
        """Begin a part of the answer that may take so many bytes."""
        self._room = self._bound = size

    def seconds_left(self) -> float:
        """Seconds until the deadline. Raises Late after it."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self.late()
        return left

    def late(self) -> Late:
        """The error for a request whose time is over."""
        return Late(f"no complete answer within {self._seconds:.3g} s")

    def count(self, size: int) -> None:
        """Count bytes that came. Raises TooLong."""
        self.received += size
        self._room -= size
        if self._room < 0:
            kib = self._bound // 1024
            raise TooLong(f"an answer of more than {f'{kib // 1024} MiB' if kib >= 1024 else f'{kib} KiB'}")


class CountingBackend(httpcore.NetworkBackend):
    """Connects for httpcore; what its connections do is charged to the same limits."""

    def __init__(self, limits: RequestLimits) -> None:
        """Nothing is connected yet."""
        self._limits = limits

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's; the limits count
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Try the host's addresses in turn, as long as there is time. Raises ConnectError or Late."""
        seconds = min(self._limits.seconds_left(), CONNECT_SECONDS)
        until = time.monotonic() + seconds
        problem: Exception = OSError("it has no address")
        try:
            for family, kind, protocol, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                left = until - time.monotonic()
                if left <= 0:
                    problem = TimeoutError()
                    break
                try:
                    return _CountingStream(_connect(socket.socket(family, kind, protocol), place, left), self._limits)
                except OSError as error:
                    problem = error
        except (OSError, UnicodeError) as error:
            problem = error
        if isinstance(problem, TimeoutError):
            raise Late(f"no connection within {seconds:.3g} s") from problem
        raise httpcore.ConnectError(str(problem)) from problem


class _Stream(httpcore.NetworkStream):
    """A stream on which TLS can begin."""

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's
    ) -> httpcore.NetworkStream:
        return _TlsStream(self, ssl_context, server_hostname)


class _CountingStream(_Stream):
    """A socket whose every read and write is charged to its request."""

    def __init__(self, sock: socket.socket, limits: RequestLimits) -> None:
        self._sock, self._limits = sock, limits

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore's
        self._sock.settimeout(self._limits.seconds_left())
        try:
            data = self._sock.recv(max_bytes)
        except TimeoutError as error:
            raise self._limits.late() from error
        self._limits.count(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - httpcore's
        rest = memoryview(buffer)
        while rest:
            self._sock.settimeout(self._limits.seconds_left())
            try:
                rest = rest[self._sock.send(rest) :]
            except TimeoutError as error:
                raise self._limits.late() from error
            except OSError as error:  # httpcore then reads the answer that a server may have sent too early
                raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        if info != "is_readable":
            return None
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))


class _TlsStream(_Stream):
    """TLS over another stream, so that the bytes below it are the ones that are counted; also TLS within TLS."""

    def __init__(self, below: httpcore.NetworkStream, context: ssl.SSLContext, host: str | None) -> None:
        self._below = below
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_hostname=host)
        try:
            self._carry(self._tls.do_handshake)
        except BaseException as error:
            below.close()
            if isinstance(error, OSError | httpcore.NetworkError):
                raise httpcore.ConnectError(str(error)) from error
            raise

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore's
        try:
            return bytes(self._carry(lambda: self._tls.read(max_bytes)))
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - httpcore's
        for start in range(0, len(buffer), PIECE):
            piece = buffer[start : start + PIECE]
            self._carry(lambda piece=piece: self._tls.write(piece))  # type: ignore[misc]  # bound at once

    def close(self) -> None:
        self._below.close()

    def get_extra_info(self, info: str) -> Any:
        return self._tls if info == "ssl_object" else self._below.get_extra_info(info)

    def _carry(self, step: Callable[[], Any]) -> Any:
        """Do one step of TLS, with the bytes that it needs from below and has for there."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._below.read(PIECE)
                if data:
                    self._came.write(data)
                else:
                    self._came.write_eof()
            except ssl.SSLError:
                self._flush()  # the alert that says why
                raise
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if self._goes.pending:
            self._below.write(self._goes.read())


def _connect(sock: socket.socket, place: Any, seconds: float) -> socket.socket:
    try:
        sock.settimeout(seconds)
        sock.connect(place)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        sock.close()
        raise
    return sock
