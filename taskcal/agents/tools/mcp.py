"""The tools of MCP servers inside the sandbox, as an agent of any kind calls them.

A server runs as the agent's user, who can end it or print nonsense in its place: a call is then answered with that, and
nothing is lost. Our side's failures are a server that does not start, and a sandbox or an engine that breaks.
"""

from __future__ import annotations

import contextlib
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import ClientSession, MCPError
from mcp import types as protocol
from mcp.shared.message import SessionMessage

from taskcal import __version__
from taskcal.agents.tools.agent_tool import MOST_OUTPUT, PreparedCall, ToolReply, cut_reply
from taskcal.agents.tools.mcp_process import START_SECONDS, ServerProcess
from taskcal.core.text.excerpt import excerpt
from taskcal.core.text.foreign_text import clip
from taskcal.errors import SetupLost
from taskcal.sandbox import ScriptEnding, ScriptResult
from taskcal.taskset.models.tool import is_tool_name, mistake_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from anyio.streams.memory import MemoryObjectReceiveStream

    from taskcal.core.tool import McpServer
    from taskcal.sandbox import Sandbox

MOST_TOOLS = 128
MOST_OFFER = 1024 * 1024
"""Characters of all of a server's tools with their descriptions and schemas; no context holds as many."""
FAILED = 1


@dataclass(frozen=True, slots=True)
class McpTool:
    """A tool of a server; `bound` is the largest reply to a model, in bytes."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    bound: int
    connection: _Connection = field(repr=False)

    def prepare(self, arguments: Mapping[str, Any], seconds: float) -> PreparedCall:
        """Make sure that the arguments can be sent."""
        json.dumps(arguments, allow_nan=False)
        return PreparedCall(lambda _: self._call(arguments, seconds), self._show)

    def _call(self, arguments: Mapping[str, Any], seconds: float) -> ScriptResult:
        """Call it, in the sandbox that its server runs in."""
        try:
            answer = self.connection.call(self.name, arguments, seconds)
        except MCPError as error:
            return ScriptResult(ScriptEnding.EXITED, FAILED, b"", error.message.encode(errors="replace") + b"\n")
        text = answer_text(answer).encode(errors="replace")[:MOST_OUTPUT] + b"\n"
        return ScriptResult(ScriptEnding.EXITED, FAILED if answer.is_error else 0, text, b"")

    def _show(self, result: ScriptResult) -> ToolReply:
        output = (result.stdout + result.stderr).decode(errors="replace").rstrip("\n")
        return cut_reply(ToolReply(output or "(no output)", result.exit_code), self.bound)


@contextlib.contextmanager
def connect_server(sandbox: Sandbox, server: McpServer, user: str | None, bound: int) -> Iterator[tuple[McpTool, ...]]:
    """Run a server while the context lasts and yield its tools. Raises SetupLost if it does not start, LostError."""
    process = ServerProcess(sandbox, server, user)
    with contextlib.ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        stack.callback(process.stop)
        try:
            process.start(portal)
            opening = portal.wrap_async_context_manager(_session(process))
            session = opening.__enter__()
            stack.callback(opening.__exit__, None, None, None)  # what is raised in here is no concern of the session's
            offered = portal.call(_list_tools, session)
        except (MCPError, TimeoutError, RuntimeError, ValueError, anyio.ClosedResourceError) as error:
            raise process.failure(str(error)) from error
        connection = _Connection(portal, session, process)
        yield tuple(_tool(server.name, tool, bound, connection) for tool in offered)


def _tool(server: str, offered: protocol.Tool, bound: int, connection: _Connection) -> McpTool:
    parameters = {"type": "object", "properties": {}, **offered.input_schema}
    wrong = mistake_in(parameters)
    if wrong or not is_tool_name(offered.name):
        reason, name = wrong or "its name cannot be called", clip(offered.name, 60)
        raise SetupLost(f"the MCP server {server} offers a tool that cannot be used, {name!r}: {reason}")
    return McpTool(offered.name, offered.description or "", parameters, bound, connection)


@dataclass(frozen=True, slots=True)
class _Connection:
    """A session on the portal's own thread, to be used from any other."""

    portal: BlockingPortal
    session: ClientSession
    process: ServerProcess

    def call(self, name: str, arguments: Mapping[str, Any], seconds: float) -> protocol.CallToolResult:
        """One call.

        Raises LostError if the sandbox or the engine broke, and MCPError for whatever the server does instead of
        answering: the session only handles what the server wrote.
        """
        try:
            answer: protocol.CallToolResult = self.portal.call(_call, self.session, name, arguments, seconds)
        except Exception as error:
            if self.process.lost is not None:
                raise self.process.lost from error
            if isinstance(error, MCPError):
                raise
            reason = excerpt(str(error), 300) or f"within {seconds:.0f} s"
            raise MCPError(protocol.INTERNAL_ERROR, f"the MCP server did not answer: {reason}") from error
        return answer


async def _call(
    session: ClientSession, name: str, arguments: Mapping[str, Any], seconds: float
) -> protocol.CallToolResult:
    """Call a tool; the session's own way would check the answer by a schema of the server's, without a bound."""
    params = protocol.CallToolRequestParams(name=name, arguments=dict(arguments))
    with anyio.fail_after(seconds):
        return await session.send_request(protocol.CallToolRequest(params=params), protocol.CallToolResult)


async def _list_tools(session: ClientSession) -> list[protocol.Tool]:
    """Greet the server, and ask for every tool, page by page, as far as a bound."""
    tools: list[protocol.Tool] = []
    cursor: str | None = None
    size = 0
    with anyio.fail_after(START_SECONDS):
        await session.initialize()
        for _ in range(MOST_TOOLS):  # pages, of which each may be empty
            page = await session.list_tools(params=protocol.PaginatedRequestParams(cursor=cursor))
            tools += page.tools
            size += len(page.model_dump_json())
            if size > MOST_OFFER or len(tools) > MOST_TOOLS:
                break
            cursor = page.next_cursor
            if not cursor:
                return tools
    raise ValueError(f"it offers more than {MOST_TOOLS} tools, or they take more than {MOST_OFFER // 1024**2} MiB")


@asynccontextmanager
async def _session(process: ServerProcess) -> AsyncIterator[ClientSession]:
    process.incoming, read = anyio.create_memory_object_stream[SessionMessage | Exception](64)
    write, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    async with process.incoming, read, write, anyio.create_task_group() as tasks:
        tasks.start_soon(_write_all, process, outgoing)
        who = protocol.Implementation(name="taskcal", version=__version__)
        async with ClientSession(read, write, client_info=who) as session:
            process.opened.set()
            if process.ended.is_set():  # before anybody could be told: the session would wait for its answer
                await process.incoming.aclose()
            yield session
        tasks.cancel_scope.cancel()


async def _write_all(process: ServerProcess, outgoing: MemoryObjectReceiveStream[SessionMessage]) -> None:
    async with outgoing:
        async for item in outgoing:
            await anyio.to_thread.run_sync(process.write, item.message)


def answer_text(answer: protocol.CallToolResult) -> str:
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
