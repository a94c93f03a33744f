"""MCP servers inside the sandbox, spoken to from the host over their standard input and output.

The server is a process of the sandbox like any other: it has the sandbox's network and nothing of the host. What it
prints is read line by line; what it is told goes through a named pipe, a short process in the sandbox for each message.
It runs as the agent's user, who can end it: a call is then answered with that, and nothing is lost. Only one that does
not start is our side's failure.
"""

from __future__ import annotations

import contextlib
import json
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import ClientSession, MCPError
from mcp import types as protocol
from mcp.shared.message import SessionMessage
from mcp.types.jsonrpc import jsonrpc_message_adapter

from taskcal import __version__
from taskcal.agents.chat_tools import Used, cut
from taskcal.agents.tools import MOST_OUTPUT, wrong_arguments
from taskcal.errors import LostError, SetupLost
from taskcal.sandbox import ROOM, ROOT_USER, Ending, Script, ScriptResult
from taskcal.sandbox.interpreters import as_shell
from taskcal.taskset.tool_models import is_tool_name, mistake_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from taskcal.core.tool import McpServer
    from taskcal.sandbox import Sandbox

START_SECONDS = 60.0
WRITE_SECONDS = 20.0
LONGEST_LIFE = 7 * 24 * 3600.0
"""Seconds; a server's process ends with its sandbox, long before."""
LONGEST_MESSAGE = 4 * 1024 * 1024
MOST_TOOLS = 128
FAILED = 1

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
STOP = "kill -9 -- -@pid @pid 2>/dev/null; exit 0"


@dataclass(frozen=True, slots=True)
class McpTool:
    """A tool of a server; `bound` is how much of its output a model is told, in bytes."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    bound: int
    connection: _Connection = field(repr=False)

    def reply(self, sandbox: Sandbox, arguments: Mapping[str, Any], seconds: float) -> ScriptResult:  # noqa: ARG002
        """Call it, in the sandbox that its server runs in."""
        try:
            answer = self.connection.call(self.name, arguments, seconds)
        except MCPError as error:
            return ScriptResult(Ending.EXITED, FAILED, b"", error.message.encode(errors="replace") + b"\n")
        text = shown(answer).encode(errors="replace")[:MOST_OUTPUT] + b"\n"
        return ScriptResult(Ending.EXITED, FAILED if answer.is_error else 0, text, b"")

    def call(self, sandbox: Sandbox, arguments: Mapping[str, Any], seconds: float) -> Used:
        """Call it for a model, with arguments that fit."""
        wrong = wrong_arguments(self.parameters, arguments)
        if wrong:
            return Used(f"{self.name} was not called: {wrong}")
        result = self.reply(sandbox, arguments, seconds)
        said = (result.stdout + result.stderr).decode().rstrip("\n")
        return Used(cut(said, self.bound) or "(no output)", result.exit_code)


@contextlib.contextmanager
def connected(sandbox: Sandbox, server: McpServer, user: str | None, bound: int) -> Iterator[tuple[McpTool, ...]]:
    """The tools of a server that runs as long as the context. Raises SetupLost where it does not start, LostError."""
    channel = _Channel(sandbox, server, user)
    with contextlib.ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        stack.callback(channel.stop)
        try:
            channel.start(portal)
            opening = portal.wrap_async_context_manager(_session(channel))
            session = opening.__enter__()
            stack.callback(opening.__exit__, None, None, None)  # what is raised in here is no concern of the session's
            offered = portal.call(_listed, session)
        except (MCPError, TimeoutError, RuntimeError, ValueError, anyio.ClosedResourceError) as error:
            raise channel.failure(str(error)) from error
        connection = _Connection(portal, session)
        yield tuple(_tool(server.name, one, bound, connection) for one in offered)


def _tool(server: str, offered: protocol.Tool, bound: int, connection: _Connection) -> McpTool:
    parameters = {"type": "object", "properties": {}, **offered.input_schema}
    wrong = mistake_in(parameters)
    if wrong or not is_tool_name(offered.name):
        reason = wrong or "its name cannot be called"
        raise SetupLost(f"the MCP server {server} offers a tool that cannot be used, {offered.name[:60]!r}: {reason}")
    return McpTool(offered.name, offered.description or "", parameters, bound, connection)


@dataclass(frozen=True, slots=True)
class _Connection:
    """A session on the portal's own thread, to be used from any other."""

    portal: BlockingPortal
    session: ClientSession

    def call(self, name: str, arguments: Mapping[str, Any], seconds: float) -> protocol.CallToolResult:
        """One call. Raises MCPError where the server refuses, does not answer in time or is gone."""
        try:
            answer: protocol.CallToolResult = self.portal.call(_called, self.session, name, arguments, seconds)
        except (TimeoutError, anyio.ClosedResourceError, anyio.BrokenResourceError, RuntimeError, ValueError) as error:
            raise MCPError(protocol.INTERNAL_ERROR, f"the MCP server did not answer: {error}") from error
        return answer


async def _called(
    session: ClientSession, name: str, arguments: Mapping[str, Any], seconds: float
) -> protocol.CallToolResult:
    """Call a tool; the session's own way would check the answer by a schema of the server's, without a bound."""
    params = protocol.CallToolRequestParams(name=name, arguments=sound(arguments))
    with anyio.fail_after(seconds):
        return await session.send_request(protocol.CallToolRequest(params=params), protocol.CallToolResult)


async def _listed(session: ClientSession) -> list[protocol.Tool]:
    """Greet the server, and ask for every tool, page by page, as far as a bound."""
    found: list[protocol.Tool] = []
    cursor: str | None = None
    with anyio.fail_after(START_SECONDS):
        await session.initialize()
        while len(found) < MOST_TOOLS:
            page = await session.list_tools(params=protocol.PaginatedRequestParams(cursor=cursor))
            found += page.tools
            cursor = page.next_cursor
            if not cursor:
                return found
    raise ValueError(f"it offers more than {MOST_TOOLS} tools")


@asynccontextmanager
async def _session(channel: _Channel) -> AsyncIterator[ClientSession]:
    channel.incoming, read = anyio.create_memory_object_stream[SessionMessage | Exception](64)
    write, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    async with channel.incoming, read, write, anyio.create_task_group() as tasks:
        tasks.start_soon(_write_all, channel, outgoing)
        who = protocol.Implementation(name="taskcal", version=__version__)
        async with ClientSession(read, write, client_info=who) as session:
            channel.opened.set()
            if channel.ended.is_set():  # before anybody could be told: the session would wait for its answer
                await channel.incoming.aclose()
            yield session
        tasks.cancel_scope.cancel()


async def _write_all(channel: _Channel, outgoing: MemoryObjectReceiveStream[SessionMessage]) -> None:
    async with outgoing:
        async for item in outgoing:
            line = item.message.model_dump_json(by_alias=True, exclude_unset=True)
            await anyio.to_thread.run_sync(channel.write, line)


@dataclass
class _Channel:
    """One server's process: its lines become messages, and messages are put into its pipe."""

    sandbox: Sandbox
    server: McpServer
    user: str | None
    incoming: MemoryObjectSendStream[SessionMessage | Exception] = field(init=False)
    opened: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    _portal: BlockingPortal = field(init=False)
    _ready: threading.Event = field(default_factory=threading.Event)
    _heard: bytes = b""
    _pid: int | None = None
    _lost: LostError | None = None
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
        if self._lost is not None:
            return self._lost
        said = ""
        with contextlib.suppress(LostError):
            said = self.sandbox.run(self._script(f"tail -c 500 {ROOM}/mcp/{self.server.name}.err")).tail
        words = ": ".join(part for part in (reason or "it did not answer in time", said) if part)
        return SetupLost(f"the MCP server {self.server.name} does not work: {words}")

    def write(self, line: str) -> None:
        """Put a message into the pipe; one that the server does not read is given up, and its answer never comes."""
        with contextlib.suppress(LostError):
            self.sandbox.run(self._script(WRITE.replace("@line", line)))

    def stop(self) -> None:
        """End the server's process, in a group of its own."""
        self._stopped = True
        if self._pid is not None:
            with contextlib.suppress(LostError):
                self.sandbox.run(Script(STOP.replace("@pid", str(self._pid)), WRITE_SECONDS, user=ROOT_USER))

    def _script(self, source: str) -> Script:
        placed = source.replace("@room", f"{ROOM}/mcp", 1).replace("@name", self.server.name, 1)
        return Script(placed, WRITE_SECONDS, user=self.user, hidden=True)

    def _listen(self) -> None:
        source = START.replace("@room", f"{ROOM}/mcp").replace("@name", self.server.name)
        script = Script(source.replace("@run", as_shell(self.server.run)), LONGEST_LIFE, user=self.user)
        try:
            self.sandbox.run(script, sink=self._hear)
        except LostError as error:
            self._lost = error
        self._ready.set()
        self.ended.set()
        if self.opened.is_set():
            self._pass_on(None)

    def _hear(self, chunk: bytes) -> None:
        *lines, self._heard = (self._heard + chunk)[-LONGEST_MESSAGE:].split(b"\n")
        for line in lines:
            if self._pid is None and line.startswith(b"ready ") and line[6:].isdigit():
                self._pid = int(line[6:])
                self._ready.set()
            elif self.opened.is_set() and line.strip():
                with contextlib.suppress(ValueError):  # what is no message is no concern of ours
                    self._pass_on(SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False)))

    def _pass_on(self, message: SessionMessage | None) -> None:
        """Give the session a message; None is the end. A session that is gone needs none."""
        if self._stopped:
            return
        with contextlib.suppress(RuntimeError, anyio.ClosedResourceError, anyio.BrokenResourceError):
            if message is None:
                self._portal.call(self.incoming.aclose)
            else:
                self._portal.call(self.incoming.send, message)


def sound(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that UTF-8 can hold: a model's JSON may escape half a surrogate pair."""
    return dict(json.loads(json.dumps(arguments, ensure_ascii=False).encode(errors="replace")))


def shown(answer: protocol.CallToolResult) -> str:
    """A call's answer as text: its texts, what else there is by its kind, or its structured content alone."""
    parts = [_part(block) for block in answer.content]
    if not parts and answer.structured_content is not None:
        return json.dumps(answer.structured_content)
    return "\n".join(parts)


def _part(block: protocol.ContentBlock) -> str:
    if isinstance(block, protocol.TextContent):
        return block.text
    if isinstance(block, protocol.EmbeddedResource) and isinstance(block.resource, protocol.TextResourceContents):
        return block.resource.text
    kind = getattr(block, "mime_type", None) or block.type
    return f"[{kind}]"
