"""A list of allowed hosts, kept by having no network at all: what is on the list is carried by taskcal itself.

The sandbox's network is `none`. Inside, each allowed name stands for a loopback address of its own (in /etc/hosts), at
which a small container that shares the network listens (`egress_script`). Each connection goes through that container's
standard input and output to this process, which looks the name up and connects to it. Nothing else leads out: no route,
no name server, no proxy that a program must know of; TLS stays between the agent and the host that it asked for.

A host of a taskset's list must have a public address, so that no stranger's taskset reaches what the operator's machine
can reach. What the agent's file lists may be anywhere, `localhost:8000` with the operator's own model among it.

An agent may open and break connections as fast as it can, so few are dialled at one time, one that is broken before its
turn is not dialled at all, and a sandbox has a number of connections for its whole life.
"""

from __future__ import annotations

import contextlib
import queue
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskcal.errors import ServiceLost, SetupLost
from taskcal.sandbox.egress.connect_host import connect_to_host
from taskcal.sandbox.egress.frames import CHUNK, WINDOW, EgressFrame, FrameKind, Unframer, acknowledgement
from taskcal.sandbox.engine.stream import STDERR, WAITING, Demultiplexer, Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskcal.core.network import AllowedHost
    from taskcal.sandbox.engine.stream import AttachedExec

READY_SECONDS = 30.0
MOST_REMARKS = 20
MOST_DIALS = 16
"""Threads that look hosts up and connect to them at one time; a connection that the agent gave up waits for one too."""
MOST_CONNECTED = 20_000
"""Connections of one sandbox in all; an agent could otherwise use an allowed host up, in the operator's name."""


@dataclass(eq=False)
class _Connection:
    """One connection to a host outside: what waits to be sent to it, and how much may be read from it."""

    sock: socket.socket | None = None
    out: bytearray = field(default_factory=bytearray)
    credit: int = WINDOW
    ending: bool = False
    read_all: bool = False
    written_all: bool = False

    @property
    def events(self) -> int:
        """What to wait for."""
        reads = selectors.EVENT_READ if self.credit > 0 and not self.read_all else 0
        return reads | (selectors.EVENT_WRITE if self.out else 0)


class Forwarder:
    """The half in this process: a thread that moves bytes until it is closed or the other half ends."""

    def __init__(
        self,
        line: AttachedExec,
        ways: Sequence[AllowedHost],
        connect: Callable[[AllowedHost], socket.socket] = connect_to_host,
    ) -> None:
        """`line` leads to the script in the sandbox's network, which listens for the ways in their order."""
        self.remarks: list[str] = []
        self._line, self._allowed, self._connect = line, ways, connect
        self._frames, self._unframer, self._errors = Demultiplexer(), Unframer(), Tail(500)
        self._connections: dict[int, _Connection] = {}
        self._outgoing = bytearray()
        self._undialled: dict[int, AllowedHost] = {}
        self._dialling = self._opened = 0
        self._dialled: queue.SimpleQueue[tuple[int, socket.socket | OSError]] = queue.SimpleQueue()
        self._bell, self._ear = socket.socketpair()
        self._ready, self._closing, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="egress", daemon=True)
        self._thread.start()

    def await_ready(self) -> None:
        """Wait until the other half listens. Raises SetupLost where it does not."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready.wait(0.05):
            if self._ended.is_set() or time.monotonic() > deadline:
                raise SetupLost(f"the allowed hosts cannot be offered in the sandbox: {self._last_words()}")

    def check(self) -> None:
        """Raise ServiceLost where the way out has ended under the agent, which then failed for our reasons."""
        if self._ended.is_set() and not self._closing.is_set():
            raise ServiceLost(f"the way to the allowed hosts ended: {self._last_words()}")

    def close(self) -> None:
        """Cut every connection."""
        self._closing.set()
        self._ring()
        self._thread.join()
        self._bell.close()

    def _last_words(self) -> str:
        return self._errors.value().decode(errors="replace").strip() or "it said nothing"

    def _ring(self) -> None:
        with contextlib.suppress(OSError):
            self._bell.send(b"!")

    def _run(self) -> None:
        try:
            self._move()
        except (OSError, ValueError) as error:
            self._errors.write(str(error).encode())
        finally:
            self._ended.set()
            for number in tuple(self._connections):
                self._drop(number)
            self._hang_up()
            self._selector.close()
            self._ear.close()

    def _move(self) -> None:
        sock = self._line.sock
        sock.setblocking(False)
        self._ear.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._selector.register(sock, selectors.EVENT_READ)
        self._hear(self._line.early)
        while not self._closing.is_set():
            self._selector.modify(sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outgoing else 0))
            for key, events in self._selector.select():
                if key.fileobj is self._ear:
                    self._answer_the_bell()
                elif key.fileobj is sock:
                    if not self._exchange(sock, events):
                        return
                else:
                    self._serve(key.data, events)

    def _exchange(self, sock: socket.socket, events: int) -> bool:
        """Read from the other half all that is there and send what waits; False at its end."""
        if events & selectors.EVENT_WRITE:
            with contextlib.suppress(*WAITING):
                del self._outgoing[: sock.send(self._outgoing)]
        while True:
            try:
                data = sock.recv(4 * CHUNK)
            except WAITING:
                return True
            if not data:
                return False
            self._hear(data)

    def _hear(self, data: bytes) -> None:
        for stream, piece in self._frames.feed(data):
            if stream == STDERR:
                self._errors.write(piece)
                continue
            for frame in self._unframer.feed(piece):
                self._take(frame)

    def _take(self, frame: EgressFrame) -> None:
        number = frame.connection
        if frame.kind is FrameKind.READY:
            self._ready.set()
        elif frame.kind is FrameKind.OPEN:
            self._open(number, self._allowed[frame.number])
        elif number in self._connections:
            self._advance(self._connections[number], number, frame)

    def _open(self, number: int, allowed: AllowedHost) -> None:
        """Take in a connection; it is dialled in its turn."""
        self._connections[number] = _Connection()
        self._opened += 1
        if self._opened > MOST_CONNECTED:
            if self._opened == MOST_CONNECTED + 1:
                self.remarks.append(f"more than {MOST_CONNECTED:,} connections were opened; the rest is refused")
            self._drop(number, tell=True)
        else:
            self._undialled[number] = allowed
            self._dial_next()

    def _dial_next(self) -> None:
        while self._undialled and self._dialling < MOST_DIALS:
            number = next(iter(self._undialled))
            allowed = self._undialled.pop(number)
            self._dialling += 1
            threading.Thread(target=self._call, args=(number, allowed), name=f"egress {allowed}", daemon=True).start()

    def _advance(self, connection: _Connection, number: int, frame: EgressFrame) -> None:
        if frame.kind is FrameKind.DATA:
            connection.out += frame.payload
        elif frame.kind is FrameKind.ACKNOWLEDGED:
            connection.credit += frame.number
        elif frame.kind is FrameKind.END:
            connection.ending = True
        elif frame.kind is FrameKind.BROKEN:
            self._drop(number)
            return
        self._flush(number)

    def _call(self, number: int, allowed: AllowedHost) -> None:
        """Connect, in a thread of its own: looking a name up may take its time."""
        try:
            self._dialled.put((number, self._connect(allowed)))
        except OSError as error:
            if len(self.remarks) < MOST_REMARKS:
                self.remarks.append(f"{allowed} could not be reached: {error}")
            self._dialled.put((number, error))
        self._ring()
        if self._ended.is_set():
            self._hang_up()

    def _hang_up(self) -> None:
        """Nobody takes over what was dialled any more."""
        with contextlib.suppress(queue.Empty):
            while True:
                _, made = self._dialled.get_nowait()
                if not isinstance(made, OSError):
                    made.close()

    def _answer_the_bell(self) -> None:
        with contextlib.suppress(*WAITING):
            self._ear.recv(CHUNK)
        while not self._dialled.empty():
            number, made = self._dialled.get()
            self._dialling -= 1
            connection = self._connections.get(number)
            if isinstance(made, OSError):
                self._drop(number, tell=True)
            elif connection is None:
                made.close()
            else:
                made.setblocking(False)
                connection.sock = made
                self._selector.register(made, selectors.EVENT_READ, number)
                self._flush(number)
        self._dial_next()

    def _serve(self, number: int, events: int) -> None:
        """What a connection is ready for; it may have been dropped since."""
        if events & selectors.EVENT_WRITE and number in self._connections:
            self._flush(number)
        if events & selectors.EVENT_READ and number in self._connections:
            self._fetch(self._connections[number], number)

    def _fetch(self, connection: _Connection, number: int) -> None:
        """Read from outside what the other half has room for."""
        if connection.sock is None or connection.read_all or connection.credit <= 0:
            return
        try:
            data = connection.sock.recv(min(CHUNK, connection.credit))
        except WAITING:
            return
        except OSError:
            self._drop(number, tell=True)
            return
        connection.credit -= len(data)
        connection.read_all = not data
        self._send(EgressFrame(FrameKind.DATA if data else FrameKind.END, number, data))
        self._settle(connection, number)

    def _flush(self, number: int) -> None:
        """Send outside what waits, and let the other half send as much again."""
        connection = self._connections[number]
        if connection.sock is None:
            return
        try:
            if connection.out:
                sent = connection.sock.send(connection.out)
                del connection.out[:sent]
                self._send(acknowledgement(number, sent))
            if connection.ending and not connection.out and not connection.written_all:
                connection.written_all = True
                connection.sock.shutdown(socket.SHUT_WR)
        except WAITING:
            pass
        except OSError:
            self._drop(number, tell=True)
            return
        self._settle(connection, number)

    def _settle(self, connection: _Connection, number: int) -> None:
        """Forget a connection that is over both ways; else wait for what it waits for."""
        if connection.sock is None:
            return
        if connection.read_all and connection.written_all:
            self._drop(number)
            return
        is_known = connection.sock in self._selector.get_map()
        if connection.events and is_known:
            self._selector.modify(connection.sock, connection.events, number)
        elif connection.events:
            self._selector.register(connection.sock, connection.events, number)
        elif is_known:
            self._selector.unregister(connection.sock)

    def _drop(self, number: int, *, tell: bool = False) -> None:
        connection = self._connections.pop(number, None)
        self._undialled.pop(number, None)
        if connection is None:
            return
        if tell:
            self._send(EgressFrame(FrameKind.BROKEN, number))
        if connection.sock is not None:
            with contextlib.suppress(KeyError):
                self._selector.unregister(connection.sock)
            connection.sock.close()

    def _send(self, frame: EgressFrame) -> None:
        self._outgoing += frame.packed()
