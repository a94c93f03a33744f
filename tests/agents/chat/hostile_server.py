"""An endpoint on this machine that means harm: every known way by name, and ways that a seed makes up."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import socket
import struct
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from tests.agents.chat.openai_server import completion

if TYPE_CHECKING:
    import ssl

PACE = 0.02
"""Seconds between the bytes of something that drips."""
FINE = json.dumps(completion({"content": "done"})).encode()


class Gone(Exception):
    """The client has hung up, or the server is being closed."""


class Talk:
    """One request of a client, and the ways to answer it. All of them raise Gone."""

    def __init__(self, sock: socket.socket, closing: threading.Event) -> None:
        """`closing` ends whatever would go on for ever."""
        self._sock, self._closing = sock, closing

    def send(self, *pieces: bytes) -> None:
        """Send all of it at once."""
        try:
            self._sock.sendall(b"".join(pieces))
        except OSError as error:
            raise Gone from error

    def drip(self, data: bytes) -> None:
        """Send it byte by byte."""
        for place in range(len(data)):
            self.send(data[place : place + 1])
            self._pause(PACE)

    def repeat(self, data: bytes, pace: float = 0.0) -> None:
        """Send it for ever."""
        while True:
            self.send(data)
            self._pause(pace)

    def stall(self) -> None:
        """Send nothing more, and stay."""
        self._pause(60.0)

    def reset(self) -> None:
        """Break the connection."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    def hang_up(self) -> None:
        """End the connection."""
        raise Gone

    def fine(self) -> None:
        """Answer well."""
        self.send(head(b"200 OK", f"Content-Length: {len(FINE)}".encode()), FINE)

    def _pause(self, seconds: float) -> None:
        if self._closing.is_set() or (seconds and self._closing.wait(seconds)):
            raise Gone


Play = Callable[[Talk], None]


class HostileServer:
    """Answers each request by `play`, over TLS with a context; everything ends when it is closed."""

    def __init__(self, play: Play, tls: ssl.SSLContext | None = None) -> None:
        """Listen at a port of the kernel's choice."""
        self.play, self.connections = play, 0
        self._tls = tls
        self._closing = threading.Event()
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    @property
    def url(self) -> str:
        """What an agent file calls base_url."""
        return f"https://localhost:{self.port}/v1" if self._tls else f"http://127.0.0.1:{self.port}/v1"

    def cut(self) -> None:
        """Break all connections."""
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self.cut()
        self._listening.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._threads.append(threading.Thread(target=self._serve, args=(sock,), daemon=True))
            self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(Gone, OSError), sock:
            sock.settimeout(10)
            with self._tls.wrap_socket(sock, server_side=True) if self._tls else sock as line:
                self._open.append(line)
                while read_request(line):
                    self.play(Talk(line, self._closing))


def read_request(sock: socket.socket) -> bytes:
    """The next request, b"" at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return b""
        data += piece
    top, _, body = data.partition(b"\r\n\r\n")
    sizes = [line.partition(b":")[2] for line in top.split(b"\r\n") if line.lower().startswith(b"content-length")]
    while sizes and len(body) < int(sizes[0]):
        piece = sock.recv(65536)
        if not piece:
            return b""
        body += piece
    return top


def head(status: bytes, *lines: bytes) -> bytes:
    """A status line and headers."""
    return b"HTTP/1.1 " + b"".join(line + b"\r\n" for line in (status, *lines)) + b"\r\n"


def whole(body: bytes, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """A complete answer."""
    return head(status, f"Content-Length: {len(body)}".encode(), *lines) + body


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    """One chunk of a body."""
    return f"{len(data):x}".encode() + extension + b"\r\n" + data + b"\r\n"


def with_calls(number: int, call: Any) -> bytes:
    """An answer with so many tool calls."""
    return json.dumps(completion({"content": None, "tool_calls": [call] * number}, "tool_calls")).encode()


def deep(levels: int) -> bytes:
    """An answer with arguments that nest."""
    text = with_calls(1, {"id": "a", "function": {"name": "bash", "arguments": "HERE"}})
    return text.replace(b'"HERE"', b'{"a":' * levels + b"1" + b"}" * levels)


CHUNKED = b"Transfer-Encoding: chunked"
BOMB = gzip.compress(bytes(8 << 20))
LONG = b"x" * 65536


def sends(answer: bytes) -> Play:
    """Answer with these bytes."""
    return lambda talk: talk.send(answer)


def goes_on(begin: bytes, again: bytes, pace: float = 0.0) -> Play:
    """Begin an answer, and go on for ever."""

    def play(talk: Talk) -> None:
        talk.send(begin)
        talk.repeat(again, pace)

    return play


def hint(talk: Talk) -> None:
    """An interim answer that any server may send, and a good one."""
    talk.send(head(b"103 Early Hints", b"Link: </x>"))
    talk.fine()


def stop_short(talk: Talk) -> None:
    """A length, and nothing of it."""
    talk.send(head(b"200 OK", b"Content-Length: 1000000000000"))
    talk.stall()


OPEN = head(b"200 OK", CHUNKED)
MODES: dict[str, Play] = {
    "an answer": Talk.fine,
    "early hints before the answer": hint,
    "an error without an end": goes_on(head(b"500 No", CHUNKED), chunk(LONG)),
    "an error that drips": goes_on(head(b"500 No", CHUNKED), chunk(b"x"), PACE),
    "interim answers without an end": goes_on(b"", head(b"100 Continue") * 100),
    "interim answers that drip": goes_on(b"", head(b"102 Processing"), PACE),
    "a status line without an end": goes_on(b"", LONG),
    "a header that drips": goes_on(b"HTTP/1.1 200 OK\r\nx: ", b"y", PACE),
    "headers without an end": goes_on(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 100),
    "a body that drips": goes_on(OPEN, chunk(b" "), PACE),
    "a body without an end": goes_on(head(b"200 OK"), LONG),
    "chunks without an end": goes_on(OPEN, chunk(b" " * 40) * 100),
    "an extension of a chunk without an end": goes_on(OPEN + b"1;x=", LONG),
    "trailers without an end": goes_on(OPEN + chunk(FINE) + b"0\r\n", b"x: y\r\n" * 100),
    "a length that never comes": stop_short,
    "a compressed bomb": sends(whole(BOMB, b"Content-Encoding: gzip")),
    "a bomb in a bomb": sends(whole(gzip.compress(BOMB), b"Content-Encoding: gzip, gzip")),
    "a compressed error": sends(whole(BOMB, b"Content-Encoding: br", status=b"500 No")),
    "empty calls": sends(whole(with_calls(5000, {}))),
    "calls with one id": sends(whole(with_calls(300, {"id": "a", "function": {"name": "bash"}}))),
    "more values than memory": sends(whole(b"[" + b"{}," * 300_000 + b"1]")),
    "deep JSON": sends(whole(deep(100_000))),
    "a redirect": sends(whole(b"", b"Location: http://127.0.0.1:1/v1", status=b"307 There")),
    "a redirect to a GET": sends(whole(b"", b"Location: /stop?now=1", status=b"303 There")),
    "a redirect to nowhere": sends(whole(b"", b"Location: \xe9\xff", status=b"301 There")),
    "a wait of a week": sends(whole(b"{}", b"Retry-After: 604800", status=b"429 Slow")),
    "a wait that is no number": sends(whole(b"{}", b"Retry-After: 9e999", status=b"429 Slow")),
    "escapes in an error": sends(whole(b"\x1b]0;x\x07\x1b[2J", status=b"401 No")),
    "a reset": Talk.reset,
    "nothing": Talk.hang_up,
    "silence": Talk.stall,
}


STATUSES = (
    *(b"200 OK",) * 12,
    *(b"204 None", b"206 Part", b"301 There", b"304 Same", b"307 There", b"400 Bad", b"401 No", b"404 None"),
    *(b"407 Proxy", b"413 Large", b"429 Slow", b"500 Oops", b"503 Busy", b"999 ?", b"000", b"2OO OK", b""),
)
INTERIM = (b"100 Continue", b"102 Processing", b"103 Early Hints", b"101 Switching Protocols", b"199 Odd")
ODD = (b"x: y", b" folded", b"no colon", b": empty", b"x: " + LONG, b"x: \x00", b"\xff: \xff", b"Connection: close")
CODINGS = (b"gzip", b"deflate", b"br", b"identity", b"gzip, gzip", b"")
WAITS = (b"1", b"-5", b"1e9", b"nan", b"Mon, 01 Jan 9999 00:00:00 GMT")
PLACES = (b"/", b"http://127.0.0.1:1/", b"//[", b"\xff\x00", LONG)
TEXTS = (
    *(FINE,) * 6,
    *(BOMB, b"", b"{", b"\xff" * 1000, b"<html>", b'"' + b"\\ud83d" * 1000 + b'"', LONG * 40, b"[" * 5000),
    *(with_calls(400, {}), deep(50), deep(20_000), b"[" + b"[]," * 200_000 + b"1]"),
)
EXTENSIONS = (b"", b"", b"", b";a=b", b";" + LONG, b" ")
ENDS = (b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nx: y\r\n\r\n", b"-1\r\n", b"")


def invented(seed: int) -> Play:
    """A way to answer that a seed makes up: any head before any body, at any pace and to any end."""

    def play(talk: Talk) -> None:
        dice = random.Random(seed)  # noqa: S311 - makes tests, keeps no secret
        for data in _parts(dice):
            _pace(dice, talk, data)
        dice.choice((talk.stall, talk.hang_up, talk.reset, *(lambda: None,) * 3))()

    return play


def _parts(dice: random.Random) -> list[bytes]:
    interim = [head(dice.choice(INTERIM), *_odd_lines(dice))] * dice.choice((0, 0, 0, 0, 0, 1, 3, 5000))
    lines, body = _body(dice)
    for name, values in ((b"Content-Encoding", CODINGS), (b"Retry-After", WAITS), (b"Location", PLACES)):
        if dice.random() < 0.2:
            lines.append(name + b": " + dice.choice(values))
    begun = head(dice.choice(STATUSES), *lines, *_odd_lines(dice))
    return [*interim, dice.choice((*(begun,) * 15, b"\x16\x03\x01\x02", b"HTTP/0.9 200\r\n\r\n")), *body]


def _odd_lines(dice: random.Random) -> list[bytes]:
    return [dice.choice(ODD) for _ in range(dice.choice((0, 0, 0, 0, 0, 0, 1, 2, 300)))]


def _body(dice: random.Random) -> tuple[list[bytes], list[bytes]]:
    """The header lines that announce a body, which may lie, and its parts."""
    data = dice.choice(TEXTS)
    length = str(len(data)).encode()
    if dice.random() < 0.5:
        lengths = (*(length,) * 6, b"", b"-1", b"x", b"1" * 30, length + b"\r\nContent-Length: 5", b"0", b"7, 7")
        return ([b"Content-Length: " + dice.choice(lengths)] if dice.random() < 0.9 else []), [data]
    size = dice.choice((1, 7, 1000, len(data) or 1))
    pieces = [data[start : start + size] for start in range(0, min(len(data), 3000 * size), size)]
    extension = dice.choice(EXTENSIONS)
    extension = extension if len(pieces) < 10 else extension[:10]
    coding = dice.choice((b"chunked", b"chunked", b"chunked", b"gzip, chunked", b"x"))
    return [b"Transfer-Encoding: " + coding], [*(chunk(piece, extension) for piece in pieces), dice.choice(ENDS)]


def _pace(dice: random.Random, talk: Talk, data: bytes) -> None:
    """Send a part: whole, in two, byte by byte, cut short, again and again."""
    place, pace = dice.randrange(len(data) + 1), dice.random()
    if pace < 0.03:
        talk.drip(data)
    elif pace < 0.06:
        talk.repeat(data or b" ", dice.choice((0.0, PACE)))
    elif pace < 0.09:
        talk.send(data[:place])
        dice.choice((talk.stall, talk.hang_up, talk.reset))()
    else:
        talk.send(data[:place])
        talk.send(data[place:])
