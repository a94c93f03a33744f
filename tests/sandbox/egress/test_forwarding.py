"""The host's half of an allowed way out, with the test as the half inside and a real server outside."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.network import AllowedHost
from taskcal.errors import ServiceLost, SetupLost
from taskcal.sandbox.egress.connect_host import connect_to_host
from taskcal.sandbox.egress.forwarding import MOST_DIALS, Forwarder
from taskcal.sandbox.egress.frames import CHUNK, WINDOW, EgressFrame, FrameKind, Unframer, acknowledgement
from taskcal.sandbox.engine.stream import HEADER, STDERR, AttachedExec

if TYPE_CHECKING:
    from collections.abc import Iterator

STDOUT = 1


@dataclass
class Inside:
    """The half in the sandbox: writes frames as the engine passes them on, reads what comes back."""

    sock: socket.socket
    waiting: list[EgressFrame] = field(default_factory=list)
    unframer: Unframer = field(default_factory=Unframer)

    def say(self, kind: FrameKind, connection: int = 0, payload: bytes = b"", stream: int = STDOUT) -> None:
        """Send one frame."""
        data = EgressFrame(kind, connection, payload).packed()
        self.sock.sendall(HEADER.pack(stream, len(data)) + data)

    def open(self, connection: int, way: int = 0) -> None:
        """Say that somebody has connected."""
        self.say(FrameKind.OPEN, connection, struct.pack(">I", way))

    def hear(self, connection: int) -> EgressFrame:
        """Wait for the next frame of a connection."""
        while True:
            for place, frame in enumerate(self.waiting):
                if frame.connection == connection:
                    return self.waiting.pop(place)
            data = self.sock.recv(65536)
            assert data, "the other half hung up"
            self.waiting += self.unframer.feed(data)

    def receive(self, connection: int, size: int, *, acknowledge: bool = True) -> bytes:
        """Wait for so many bytes of data."""
        data = b""
        while len(data) < size:
            frame = self.hear(connection)
            if frame.kind is FrameKind.DATA:
                data += frame.payload
                if acknowledge:
                    self.say(
                        FrameKind.ACKNOWLEDGED, connection, acknowledgement(connection, len(frame.payload)).payload
                    )
        return data


@dataclass
class Case:
    """Both halves, and a server outside that gives every connection to the test."""

    inside: Inside
    egress: Forwarder
    listening: socket.socket
    outside: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def accept(self) -> socket.socket:
        """The next connection that arrives outside."""
        made, _ = self.listening.accept()
        made.settimeout(10)
        return self.outside.enter_context(made)


@pytest.fixture
def case() -> Iterator[Case]:
    """Give both halves, ready; the second way leads nowhere."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    with socket.create_server(("127.0.0.1", 0)) as listening, ours, theirs:
        listening.settimeout(10)
        ways = (AllowedHost("127.0.0.1", listening.getsockname()[1], trusted=True), AllowedHost("127.0.0.1", 80))
        egress = Forwarder(AttachedExec(ours, b"", lambda *_: None), ways, connect_to_host)
        inside = Inside(theirs)
        inside.say(FrameKind.READY)
        egress.await_ready()
        made = Case(inside, egress, listening)
        with made.outside:
            yield made
        egress.close()


def test_bytes_go_both_ways_and_ends_are_told(case: Case) -> None:
    """Half a connection may end before the other: a request that ends, then its answer."""
    case.inside.open(1)
    outside = case.accept()
    case.inside.say(FrameKind.DATA, 1, b"question")
    assert case.inside.hear(1) == acknowledgement(1, 8)
    case.inside.say(FrameKind.END, 1)
    assert outside.makefile("rb").read() == b"question"
    outside.sendall(b"answer")
    outside.close()
    assert case.inside.receive(1, 6) == b"answer"
    assert case.inside.hear(1) == EgressFrame(FrameKind.END, 1)


def test_no_more_is_sent_than_there_is_room_for(case: Case) -> None:
    """One that nobody reads takes a window and no more, and another one goes on meanwhile."""
    case.inside.open(1)
    first = case.accept()
    sender = threading.Thread(target=first.sendall, args=(b"x" * 4 * WINDOW,))
    sender.start()
    assert len(case.inside.receive(1, WINDOW, acknowledge=False)) == WINDOW
    case.inside.open(2)
    second = case.accept()
    second.sendall(b"hello")
    assert case.inside.receive(2, 5) == b"hello"
    assert [frame for frame in case.inside.waiting if frame.connection == 1] == []
    case.inside.say(FrameKind.ACKNOWLEDGED, 1, struct.pack(">I", WINDOW))
    assert len(case.inside.receive(1, 3 * WINDOW)) == 3 * WINDOW
    sender.join()


def test_what_is_not_allowed_is_refused_with_a_remark(case: Case) -> None:
    """The connection breaks inside, and why is kept for the log, a bounded number of times."""
    for number in range(1, 31):
        case.inside.open(number, way=1)
        assert case.inside.hear(number) == EgressFrame(FrameKind.BROKEN, number)
    assert len(case.egress.remarks) == 20
    assert set(case.egress.remarks) == {
        "127.0.0.1:80 could not be reached: 127.0.0.1 is not a public address; only the agent's file may name others"
    }


def test_a_connection_that_breaks_inside_is_cut_outside(case: Case) -> None:
    """And one that breaks outside is told of."""
    case.inside.open(1)
    first = case.accept()
    case.inside.say(FrameKind.BROKEN, 1)
    assert first.recv(1) == b""
    case.inside.open(2)
    second = case.accept()
    second.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    second.close()
    assert case.inside.hear(2) == EgressFrame(FrameKind.BROKEN, 2)


def test_what_was_in_flight_when_it_closes_is_cut(case: Case) -> None:
    """Nothing outside stays connected, and closing it is no failure."""
    case.inside.open(1)
    outside = case.accept()
    case.egress.close()
    assert outside.recv(1) == b""
    case.egress.check()


def test_few_connections_are_dialled_at_one_time() -> None:
    """However many are opened and broken: those that are over before their turn are never dialled."""
    dialled: list[int] = []
    going = threading.Event()

    def hang(way: AllowedHost) -> socket.socket:
        dialled.append(way.port)
        going.wait(10)
        raise OSError("refused")

    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    with ours, theirs:
        ways = tuple(AllowedHost("h", port) for port in range(1, 1001))
        egress = Forwarder(AttachedExec(ours, b"", lambda *_: None), ways, hang)
        inside = Inside(theirs)
        for number in range(1, 1001):
            inside.open(number, way=number - 1)
        for number in range(1, 1000):
            inside.say(FrameKind.BROKEN, number)
        inside.say(FrameKind.READY)
        egress.await_ready()
        threads = [one for one in threading.enumerate() if one.name.startswith("egress h:")]
        going.set()
        assert inside.hear(1000) == EgressFrame(FrameKind.BROKEN, 1000)
        egress.close()
    assert len(threads) == MOST_DIALS
    assert dialled == [*range(1, MOST_DIALS + 1), 1000]


def test_a_sandbox_has_a_number_of_connections(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it every one is refused, and one remark says so."""
    monkeypatch.setattr("taskcal.sandbox.egress.forwarding.MOST_CONNECTED", 1)
    case.inside.open(1)
    case.accept().sendall(b"hello")
    assert case.inside.receive(1, 5) == b"hello"
    for number in (2, 3):
        case.inside.open(number)
        assert case.inside.hear(number) == EgressFrame(FrameKind.BROKEN, number)
    assert case.egress.remarks == ["more than 1 connections were opened; the rest is refused"]


def test_a_half_that_ends_is_ours_to_answer_for(case: Case) -> None:
    """The rollout is lost then, with what it said last: its agent could reach nothing any more."""
    case.egress.check()
    data = b"panic: no memory"
    case.inside.sock.sendall(HEADER.pack(STDERR, len(data)) + data)
    case.inside.sock.close()
    case.egress._thread.join(10)
    with pytest.raises(ServiceLost, match="the way to the allowed hosts ended: panic: no memory"):
        case.egress.check()


def test_a_half_that_never_listens_is_lost_at_setup() -> None:
    """At once where it has ended, with its words."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        data = b"127.0.1.1:80: Address already in use"
        theirs.sendall(HEADER.pack(STDERR, len(data)) + data)
        theirs.shutdown(socket.SHUT_WR)
        egress = Forwarder(AttachedExec(ours, b"", lambda *_: None), (), connect_to_host)
        with pytest.raises(
            SetupLost, match=r"cannot be offered in the sandbox: 127\.0\.1\.1:80: Address already in use"
        ):
            egress.await_ready()
        egress.close()


FRAMES = st.lists(
    st.builds(EgressFrame, st.sampled_from(FrameKind), st.integers(0, 2**32 - 1), st.binary(max_size=40)), max_size=10
)


@given(frames=FRAMES, size=st.integers(1, 50))
def test_frames_survive_any_cut(frames: list[EgressFrame], size: int) -> None:
    """However transport cuts them."""
    data = b"".join(frame.packed() for frame in frames)
    unframer = Unframer()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert [frame for piece in pieces for frame in unframer.feed(piece)] == frames
    assert CHUNK < WINDOW
