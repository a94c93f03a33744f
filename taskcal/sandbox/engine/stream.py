"""The byte stream of one exec: what goes in, what comes out, and the deadline, over any socket of the engine."""

from __future__ import annotations

import selectors
import ssl
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping

    from taskcal.sandbox import Sink

HEADER = struct.Struct(">BxxxL")
STDERR = 2
CHUNK = 65536
CUT = "…".encode()
WAITING = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Tail:
    """Keeps the last `limit` bytes of a stream without ever holding more than twice that.

    They begin with `…` if they are not all: a redactor looks there for what is left of a secret.
    """

    def __init__(self, limit: int) -> None:
        """Start empty."""
        self._limit = limit
        self._data = bytearray()
        self._size = 0

    def write(self, chunk: bytes) -> None:
        """Append, and forget what is too old."""
        self._data += chunk
        self._size += len(chunk)
        if len(self._data) > 2 * self._limit:
            del self._data[: -self._limit]

    def value(self) -> bytes:
        """All bytes, or a mark and the last ones: at most `limit`."""
        if self._size <= self._limit or self._limit <= len(CUT):
            return bytes(self._data[-self._limit :])
        return CUT + self._data[len(CUT) - self._limit :]


@dataclass(frozen=True, slots=True)
class ExecCall:
    """How to run one command: `deadline` in `time.monotonic` seconds, `stdin` None for no standard input."""

    deadline: float
    stdout: Tail
    stderr: Tail
    user: str | None = None
    workdir: str | None = None
    env: Mapping[str, str | None] = field(default_factory=dict)
    stdin: bytes | None = None
    sink: Sink | None = None
    errors: Sink | None = None


@dataclass(frozen=True, slots=True)
class AttachedExec:
    """A terminal inside a container: its socket, and the bytes that came first.

    `resize` sets its rows and columns, `status` gives its exit status, None as long as that is not known.
    """

    sock: socket.socket
    early: bytes
    resize: Callable[[int, int], None]
    status: Callable[[], int | None] = lambda: None


class Demultiplexer:
    """Splits the engine's framed stream (an 8-byte header, then a payload) however it was cut in transport."""

    def __init__(self) -> None:
        """Start before the first header."""
        self._head = bytearray()
        self._stream = 0
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Each piece of payload with its stream: 1 is standard output, 2 standard error."""
        view = memoryview(data)
        while view:
            if not self._left:
                need = HEADER.size - len(self._head)
                self._head += view[:need]
                view = view[need:]
                if len(self._head) == HEADER.size:
                    self._stream, self._left = HEADER.unpack(self._head)
                    self._head.clear()
                continue
            piece, view = bytes(view[: self._left]), view[self._left :]
            self._left -= len(piece)
            yield self._stream, piece


def pump(sock: socket.socket, early: bytes, call: ExecCall) -> bool:
    """Move bytes until the other side closes (True) or the deadline passes (False).

    `early` is what the HTTP layer had already read past its headers: without it, the output of a quick command is lost
    whenever this thread was slow to look.
    """
    frames = Demultiplexer()
    _deliver(frames, early, call)
    outgoing = memoryview(call.stdin or b"")
    sock.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if outgoing else 0))
        while (left := call.deadline - time.monotonic()) > 0:
            for _, events in selector.select(left):
                if events & selectors.EVENT_WRITE:
                    outgoing = outgoing[_send(sock, outgoing) :]
                    if not outgoing:
                        selector.modify(sock, selectors.EVENT_READ)
                # TLS may hold bytes that no selector sees: read until there are no more.
                while events & selectors.EVENT_READ:
                    try:
                        data = sock.recv(CHUNK)
                    except WAITING:
                        break
                    if not data:
                        return True
                    _deliver(frames, data, call)
                    if time.monotonic() > call.deadline:
                        break
    return False


def _send(sock: socket.socket, data: memoryview) -> int:
    try:
        return sock.send(data[:CHUNK])
    except WAITING:
        return 0


def _deliver(frames: Demultiplexer, data: bytes, call: ExecCall) -> None:
    for stream, piece in frames.feed(data):
        (call.stderr if stream == STDERR else call.stdout).write(piece)
        sink = call.errors if stream == STDERR and call.errors else call.sink
        if sink is not None:
            sink(piece)
