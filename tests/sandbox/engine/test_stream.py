"""The byte stream of an exec: framed as the engine frames it, cut wherever the transport cuts it."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.sandbox.engine.stream import HEADER, Demultiplexer, ExecCall, Tail, pump

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = 60.0
OUT, ERR = 1, 2
FRAMES = st.lists(st.tuples(st.sampled_from([OUT, ERR]), st.binary(max_size=40)), max_size=8)


def frame(stream: int, payload: bytes) -> bytes:
    return HEADER.pack(stream, len(payload)) + payload


def framed(frames: list[tuple[int, bytes]]) -> bytes:
    return b"".join(frame(stream, payload) for stream, payload in frames)


def of(frames: list[tuple[int, bytes]], wanted: int) -> bytes:
    return b"".join(payload for stream, payload in frames if stream == wanted)


def call(seconds: float = LONG, stdin: bytes | None = None, said: list[bytes] | None = None) -> ExecCall:
    """An exec whose sink is a list."""
    sink = None if said is None else said.append
    return ExecCall(time.monotonic() + seconds, Tail(1 << 20), Tail(1 << 20), stdin=stdin, sink=sink)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give two ends of a real connection: ours, and the engine's."""
    ours, theirs = socket.socketpair()
    with contextlib.closing(ours), contextlib.closing(theirs):
        yield ours, theirs


@given(chunks=st.lists(st.binary(max_size=50), max_size=12), limit=st.integers(1, 60))
def test_a_tail_is_the_last_bytes(chunks: list[bytes], limit: int) -> None:
    """However the stream was cut, its last `limit` bytes, a mark in them if it had more; twice that is held at most."""
    tail = Tail(limit)
    for chunk in chunks:
        tail.write(chunk)
        assert len(tail._data) <= 2 * limit
    whole = b"".join(chunks)
    mark = "…".encode() if len(whole) > limit > 3 else b""
    assert tail.value() == mark + whole[-limit:][len(mark) :]


def test_the_header_is_the_engines() -> None:
    """Stream, three zero bytes, and the length in network order, as the engine's API defines it."""
    assert frame(ERR, b"abc") == b"\x02\x00\x00\x00\x00\x00\x00\x03abc"
    assert list(Demultiplexer().feed(b"\x01\0\0\0\0\0\0\x02ok\x02\0\0\0\0\0\0\x02no")) == [(OUT, b"ok"), (ERR, b"no")]


@given(frames=FRAMES, cuts=st.lists(st.integers(0, 400), max_size=12))
def test_frames_survive_any_cut(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    """Headers and payloads cut anywhere come together again, each stream in its order."""
    data = framed(frames)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    demultiplexer = Demultiplexer()
    pieces = [piece for start, end in itertools.pairwise(places) for piece in demultiplexer.feed(data[start:end])]
    assert (of(pieces, OUT), of(pieces, ERR)) == (of(frames, OUT), of(frames, ERR))


def test_pump_reads_to_the_end(pair: tuple[socket.socket, socket.socket]) -> None:
    """Both streams apart, the sink with both in order, and True where the other side closed."""
    ours, theirs = pair
    said: list[bytes] = []
    theirs.sendall(frame(OUT, b"one ") + frame(ERR, b"oops ") + frame(OUT, b"two"))
    theirs.close()
    exec_call = call(said=said)
    assert pump(ours, b"", exec_call)
    assert (exec_call.stdout.value(), exec_call.stderr.value()) == (b"one two", b"oops ")
    assert b"".join(said) == b"one oops two"


def test_pump_begins_with_what_was_read_early(pair: tuple[socket.socket, socket.socket]) -> None:
    """Bytes that the HTTP layer had taken are part of the stream, also where they end inside a frame."""
    ours, theirs = pair
    data = frame(OUT, b"quick answer")
    theirs.sendall(data[11:])
    theirs.close()
    exec_call = call()
    assert pump(ours, data[:11], exec_call)
    assert exec_call.stdout.value() == b"quick answer"


def test_pump_sends_and_receives_more_than_a_buffer_holds(pair: tuple[socket.socket, socket.socket]) -> None:
    """Four MiB each way at once: neither side waits for the other."""
    ours, theirs = pair
    script, answer = b"s" * (1 << 22), b"a" * (1 << 22)
    received = bytearray()

    def engine() -> None:
        theirs.sendall(frame(OUT, answer))
        while len(received) < len(script):
            received.extend(theirs.recv(1 << 16))
        theirs.close()

    thread = threading.Thread(target=engine, daemon=True)
    thread.start()
    exec_call = call(stdin=script)
    assert pump(ours, b"", exec_call)
    thread.join(LONG)
    assert bytes(received) == script
    assert exec_call.stdout.value() == "…".encode() + answer[: (1 << 20) - 3]


def test_pump_ends_at_the_deadline(pair: tuple[socket.socket, socket.socket]) -> None:
    """A command that neither speaks nor ends costs no more than its time, and what it had said is kept."""
    ours, theirs = pair
    theirs.sendall(frame(OUT, b"working"))
    exec_call = call(seconds=0.2)
    assert not pump(ours, b"", exec_call)
    assert exec_call.stdout.value() == b"working"


def test_pump_ends_at_the_deadline_of_one_who_never_stops(pair: tuple[socket.socket, socket.socket]) -> None:
    """Endless output does not keep the deadline from being seen."""
    ours, theirs = pair

    def talk() -> None:
        with contextlib.suppress(OSError):
            while True:
                theirs.sendall(frame(OUT, b"y\n" * 4096))

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    assert not pump(ours, b"", call(seconds=0.2))
    ours.close()
    thread.join(LONG)
    assert not thread.is_alive()
