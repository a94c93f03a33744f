"""One MCP server's process in the sandbox: its lines become messages, and messages are put into its pipe.

The server is a process of the sandbox like any other: it has the sandbox's network and nothing of the host. What it
prints is read line by line; what it is sent goes through a named pipe, a short process in the sandbox for each message.
A call never waits for an answer that cannot come: a line that is not a valid answer, or too long, ends the call.

The agent may be the one who writes these lines, as fast as a pipe can carry them. So only answers to a call, and a
bounded rate of the server's own requests, reach the session, which has no use for notifications; and a server that
writes on and on is ended.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from mcp import types as protocol
from mcp.shared.message import SessionMessage
from mcp.types.jsonrpc import JSONRPCError, JSONRPCRequest, JSONRPCResponse, jsonrpc_message_adapter

from taskcal.core.text.foreign_text import parse_json
from taskcal.errors import LostError, SetupLost
from taskcal.sandbox import ROOT_USER, TASKCAL_FOLDER, Script
from taskcal.sandbox.interpreters import as_shell

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.from_thread import BlockingPortal
    from anyio.streams.memory import MemoryObjectSendStream
    from mcp.types import JSONRPCMessage

    from taskcal.core.tool import McpServer
    from taskcal.sandbox import Sandbox

START_SECONDS = 60.0
WRITE_SECONDS = 20.0
LONGEST_LIFE = 7 * 24 * 3600.0
"""Seconds; a server's process ends with its sandbox, long before."""
LONGEST_MESSAGE = 4 * 1024 * 1024
MOST_ASKED = 16
"""Requests of the server that wait for their answer at one time; any more get none. Each answer is a process."""
ASKED_AT_ONCE, ASKED_PER_SECOND = 32.0, 2.0
WRITTEN_AT_ONCE, WRITTEN_PER_SECOND = 64.0 * 1024**2, 1024.0**2
"""Bytes that a server may write; the largest answers at full speed stay far below."""
COST_OF_LINE = 256
"""Bytes that a line counts for besides its own: short ones take as long to read as long ones."""
LONGEST_REASON = 500
MARK = b'"jsonrpc"'
"""What tells a message that cannot be read from a line that was never meant to be one."""

START = """mkdir -p @room && rm -f @room/@name && mkfifo @room/@name || exit 1
exec 3<>@room/@name
echo "ready $$"
( :
@run
) <&3 2>@room/@name.err 3>&-
"""
WRITE = """cat 1<>@room/@name <<'TASKCAL_MESSAGE'
@line
TASKCAL_MESSAGE"""
LAST_WORDS = '[ "$(wc -c <@log)" -le 500 ] || printf …; tail -c 500 @log'
STOP = "kill -9 -- -@pid @pid 2>/dev/null; exit 0"


class FloodError(Exception):
    """A server writes more than any server needs to."""


@dataclass
class Bucket:
    """A rate: `most` at once, `rate` a second in the long run."""

    most: float
    rate: float
    now: Callable[[], float] = time.monotonic
    _level: float = field(init=False)
    _seen: float = field(init=False)

    def __post_init__(self) -> None:
        """Full at first."""
        self._level, self._seen = self.most, self.now()

    def take(self, amount: float = 1.0) -> bool:
        """Whether that much is left now; then it is taken."""
        now = self.now()
        self._level = min(self.most, self._level + (now - self._seen) * self.rate)
        self._seen = now
        if self._level < amount:
            return False
        self._level -= amount
        return True


@dataclass
class ServerProcess:
    """One server: started, spoken to by line, and stopped."""

    sandbox: Sandbox
    server: McpServer
    user: str | None
    incoming: MemoryObjectSendStream[SessionMessage | Exception] = field(init=False)
    opened: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    _portal: BlockingPortal = field(init=False)
    _ready: threading.Event = field(default_factory=threading.Event)
    lost: LostError | None = None
    """What our side failed with."""
    _heard: bytes = b""
    _is_cut: bool = False
    _waiting: set[int | str] = field(default_factory=set)
    """Ids of the requests without an answer."""
    _asked: set[int | str] = field(default_factory=set)
    """Ids of the server's own requests that are being answered."""
    _asks: Bucket = field(default_factory=lambda: Bucket(ASKED_AT_ONCE, ASKED_PER_SECOND))
    _writes: Bucket = field(default_factory=lambda: Bucket(WRITTEN_AT_ONCE, WRITTEN_PER_SECOND))
    _pid: int | None = None
    _stopped: bool = False

    def start(self, portal: BlockingPortal) -> None:
        """Start the server. Raises SetupLost, or what the sandbox raises."""
        self._portal = portal
        threading.Thread(target=self._listen, name=f"mcp {self.server.name}", daemon=True).start()
        self._ready.wait(START_SECONDS)
        if self._pid is None:
            raise self.failure("it could not be started")

    def failure(self, reason: str) -> LostError:
        """Why the server is of no use, with its own last words."""
        if self.lost is not None:
            return self.lost
        last_words = ""
        with contextlib.suppress(LostError):
            log = f"{TASKCAL_FOLDER}/mcp/{self.server.name}.err"
            last_words = self.sandbox.run(self._script(LAST_WORDS.replace("@log", log))).tail
        words = ": ".join(part for part in (reason or "it did not answer in time", last_words) if part)
        return SetupLost(f"the MCP server {self.server.name} does not work: {words}")

    def write(self, message: JSONRPCMessage) -> None:
        """Put a message into the pipe; one that the server does not read is given up, and its answer never comes."""
        if isinstance(message, JSONRPCRequest):
            self._waiting.add(message.id)
        line = message.model_dump_json(by_alias=True, exclude_unset=True)
        try:
            self.sandbox.run(self._script(WRITE.replace("@line", line)))
        except LostError as error:
            self.lost = error
            self._pass_on(None)
        if isinstance(message, JSONRPCResponse | JSONRPCError) and message.id is not None:
            self._asked.discard(message.id)

    def stop(self) -> None:
        """End the server's process, in a group of its own."""
        self._stopped = True
        self._end()

    def _end(self) -> None:
        if self._pid is not None:
            with contextlib.suppress(LostError):
                self.sandbox.run(
                    Script(STOP.replace("@pid", str(self._pid)), WRITE_SECONDS, user=ROOT_USER, clean=True)
                )

    def _script(self, source: str) -> Script:
        placed = source.replace("@room", f"{TASKCAL_FOLDER}/mcp", 1).replace("@name", self.server.name, 1)
        return Script(placed, WRITE_SECONDS, user=self.user, hidden=True)

    def _listen(self) -> None:
        source = START.replace("@room", f"{TASKCAL_FOLDER}/mcp").replace("@name", self.server.name)
        script = Script(source.replace("@run", as_shell(self.server.run)), LONGEST_LIFE, user=self.user)
        try:
            self.sandbox.run(script, sink=self._hear)
        except LostError as error:
            self.lost = error
        except FloodError:
            self._refuse_all("it wrote far more than any answer needs, and was ended")
            self._end()
        self._ready.set()
        self.ended.set()
        if self.opened.is_set():
            self._pass_on(None)

    def _hear(self, chunk: bytes) -> None:
        *lines, rest = (self._heard + chunk).split(b"\n")
        if not self._writes.take(len(chunk) + COST_OF_LINE * len(lines)):
            raise FloodError
        for line in lines:
            if self._is_cut or len(line) > LONGEST_MESSAGE:
                self._is_cut = False
                self._refuse_all(f"its answer is longer than {LONGEST_MESSAGE // 1024**2} MiB")
            elif self._pid is None and line.startswith(b"ready ") and line[6:].isdigit():
                self._pid = int(line[6:])
                self._ready.set()
            elif self.opened.is_set() and line.strip():
                self._take(line)
        self._is_cut = self._is_cut or len(rest) > LONGEST_MESSAGE
        self._heard = b"" if self._is_cut else rest

    def _take(self, line: bytes) -> None:
        message = message_of(line)
        if isinstance(message, JSONRPCError) and message.id is None:
            self._refuse_all(message.error.message[:LONGEST_REASON])
        elif isinstance(message, JSONRPCResponse | JSONRPCError):
            request_id = next((request for request in tuple(self._waiting) if str(request) == str(message.id)), None)
            if request_id is not None:
                self._waiting.discard(request_id)
                self._pass_on(SessionMessage(message))
        elif isinstance(message, JSONRPCRequest):
            if message.id not in self._asked and len(self._asked) < MOST_ASKED and self._asks.take():
                self._asked.add(message.id)
                self._pass_on(SessionMessage(message))
        elif message is None and MARK in line:
            self._refuse_all("its answer is not valid JSON-RPC")

    def _refuse_all(self, reason: str) -> None:
        for request in tuple(self._waiting):
            self._waiting.discard(request)
            self._pass_on(SessionMessage(error_response(request, reason)))

    def _pass_on(self, message: SessionMessage | None) -> None:
        """Give the session a message; None is the end. A session that is gone needs none."""
        if self._stopped:
            return
        with contextlib.suppress(RuntimeError, anyio.ClosedResourceError, anyio.BrokenResourceError):
            if message is None:
                self._portal.call(self.incoming.aclose)
            else:
                self._portal.call(self.incoming.send, message)


def message_of(line: bytes) -> JSONRPCMessage | None:
    """The message that a line is, or None."""
    try:
        return jsonrpc_message_adapter.validate_python(parse_json(line.decode(errors="replace")), by_name=False)
    except ValueError:
        return None


def error_response(request: int | str, reason: str) -> JSONRPCError:
    """The answer to a request, if the server's own cannot be used."""
    return JSONRPCError(
        jsonrpc="2.0", id=request, error=protocol.ErrorData(code=protocol.INTERNAL_ERROR, message=reason)
    )
