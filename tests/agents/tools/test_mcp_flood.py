"""An MCP server that means harm: whatever it writes, calls are answered, and taskcal does a bounded amount of work."""

from __future__ import annotations

import contextlib
import json
import queue
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.agents.tools.mcp import MOST_TOOLS, McpTool, connect_server
from taskcal.agents.tools.mcp_process import ASKED_AT_ONCE, MOST_ASKED, Bucket
from taskcal.core.tool import McpServer
from taskcal.errors import SetupLost
from taskcal.sandbox import ScriptEnding, ScriptResult
from tests.agents.fake_sandbox import FakeSandbox, carried_out

if TYPE_CHECKING:
    from taskcal.sandbox import Script, Sink

Json = dict[str, Any]
Lines = Iterable[bytes]
SECONDS = 60.0
DONE = ScriptResult(ScriptEnding.EXITED, 0, b"", b"")


def line(**message: Any) -> bytes:
    """A message as a server writes it."""
    return json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"


def fine(message: Json) -> bytes:
    """The answer to a call."""
    return line(id=message["id"], result={"content": [{"type": "text", "text": "ok"}]})


def tool(name: str = "t", description: str = "") -> Json:
    """A tool as it is offered."""
    return {"name": name, "description": description, "inputSchema": {"type": "object"}}


def list_one(message: Json) -> Lines:
    """Offer one tool."""
    yield line(id=message["id"], result={"tools": [tool()]})


@dataclass
class ServerSandbox(FakeSandbox):
    """A sandbox with a server in it, which answers its list and its calls as it is told, and anything else well."""

    called: Callable[[Json], Lines] = lambda message: [fine(message)]
    listed: Callable[[Json], Lines] = list_one
    written: list[Json] = field(default_factory=list)
    output: queue.SimpleQueue[Lines | None] = field(default_factory=queue.SimpleQueue)

    def run(
        self, script: Script, *, sink: Sink | None = None, errors: Sink | None = None, limit: int = 65536
    ) -> ScriptResult:
        """Be the server, write to it, or end it."""
        assert errors is None
        assert limit > 0
        if sink is not None:
            sink(b"ready 1\n")
            while (lines := self.output.get()) is not None:
                for data in lines:
                    sink(data)
        elif "TASKCAL_MESSAGE" in script.source:
            message = json.loads(script.source.splitlines()[1])
            self.written.append(message)
            self.output.put(self._answers(message))
        elif script.source.startswith("kill"):
            self.output.put(None)
        return DONE

    def _answers(self, message: Json) -> Lines:
        method = message.get("method")
        if method == "initialize":
            version = message["params"]["protocolVersion"]
            info = {"name": "s", "version": "1"}
            result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
            return [line(id=message["id"], result=result)]
        known = {"tools/list": self.listed, "tools/call": self.called}
        return known[method](message) if method in known else ()

    @property
    def answered(self) -> int:
        """The number of the server's own requests that were answered."""
        return sum("method" not in message for message in self.written)


@contextlib.contextmanager
def offering(sandbox: ServerSandbox) -> Iterator[McpTool]:
    """The one tool of a server."""
    with connect_server(sandbox, McpServer("m", "run"), None, 1000) as (offered,):
        yield offered


def ask(sandbox: ServerSandbox) -> str:
    """What one call is answered."""
    with offering(sandbox) as offered:
        return carried_out(offered, sandbox, {}, SECONDS).content


def requests(message: Json) -> Lines:
    """Ask for something, thousands of times, before the answer."""
    yield from (line(id=number, method="ping") for number in range(3000))
    yield from (line(id=f"s{number}", method="sampling/createMessage", params={}) for number in range(1000))
    yield fine(message)


def notifications(message: Json) -> Lines:
    """Report, thousands of times, and cancel the call that is being answered."""
    yield line(method="notifications/cancelled", params={"requestId": message["id"]})
    yield from (line(method="notifications/message", params={"level": "error", "data": "x"}) for _ in range(5000))
    yield fine(message)


def answers_to_nothing(message: Json) -> Lines:
    """Answer calls that nobody made."""
    yield from (line(id=number, result={}) for number in range(10_000, 15_000))
    yield fine(message)


@pytest.mark.parametrize("called", [requests, notifications, answers_to_nothing])
def test_a_call_is_answered_through_a_flood(called: Callable[[Json], Lines]) -> None:
    """A bounded rate of the server's requests is answered, each by a process; nothing else of it costs any."""
    sandbox = ServerSandbox(called=called)
    assert ask(sandbox) == "ok"
    assert sandbox.answered <= ASKED_AT_ONCE + MOST_ASKED
    assert (sandbox.answered > 0) == (called is requests)


@pytest.mark.parametrize("data", [b"x" * 65536, b"{}\n" * 5000, line(method="notifications/x") * 500])
def test_a_server_that_writes_for_ever_is_ended(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call that it was to answer has the reason, the next ones are answered at once."""
    monkeypatch.setattr("taskcal.agents.tools.mcp_process.WRITTEN_AT_ONCE", 8.0 * 1024**2)
    sandbox = ServerSandbox(called=lambda _: repeat(data))
    with offering(sandbox) as offered:
        first, second = (carried_out(offered, sandbox, {}, SECONDS).content for _ in range(2))
    assert first in {"its answer is longer than 4 MiB", "it wrote far more than any answer needs, and was ended"}
    assert "within" not in second


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"tools": [tool("t", "d" * 3_000_000)]}, "they take more than 1 MiB"),
        ({"tools": [tool(f"t{number}", "d" * 10_000) for number in range(110)]}, "they take more than 1 MiB"),
        ({"tools": [tool(f"t{number}") for number in range(MOST_TOOLS + 1)]}, f"offers more than {MOST_TOOLS} tools"),
        ({"tools": [], "nextCursor": "more"}, f"offers more than {MOST_TOOLS} tools"),
        ({"tools": [tool("t", "d" * 300_000)], "nextCursor": "more"}, "they take more than 1 MiB"),
    ],
)
def test_what_a_server_offers_is_bounded(result: Json, reason: str) -> None:
    """Its tools, their descriptions and the pages that list them."""
    sandbox = ServerSandbox(listed=lambda message: [line(id=message["id"], result=result)])
    with pytest.raises(SetupLost, match=reason):
        ask(sandbox)
    assert len(sandbox.written) <= MOST_TOOLS + 2


def test_an_error_about_no_request_ends_the_call() -> None:
    """A server that could not read a request does not know its id."""
    broken = line(id=None, error={"code": -32700, "message": "what?"})
    assert ask(ServerSandbox(called=lambda _: [broken])) == "what?"


def test_an_answer_under_the_id_as_text_is_taken() -> None:
    """Some servers turn numbers into text."""
    assert ask(ServerSandbox(called=lambda message: [fine({"id": str(message["id"])})])) == "ok"


JUNK: tuple[Callable[[Json], bytes], ...] = (
    fine,
    lambda _: b"\n",
    lambda _: b"\xff\xfe\x00\n",
    lambda _: b'{"jsonrpc"\n',
    lambda _: b"[" * 300 + b"]" * 300 + b"\n",
    lambda _: b"x" * 5_000_000 + b"\n",
    lambda _: line(id=[1], result={}),
    lambda _: line(id=1.5, result={}),
    lambda _: line(id=None, result={}),
    lambda _: line(id=7, method="ping"),
    lambda _: line(id="x" * 10_000, method="roots/list"),
    lambda message: line(id=message["id"]),
    lambda message: line(id=message["id"], result={"content": 5}),
    lambda message: line(id=message["id"], error={"code": 1, "message": "e" * 1_000_000}),
    lambda message: line(id=message["id"], method="tools/call", params={}),
    lambda message: line(id=message["id"], result={"content": [{"type": "image", "data": "", "mimeType": "\x1b[2J"}]}),
)


@pytest.mark.parametrize("seed", range(10))
def test_any_lines_are_survived(seed: int) -> None:
    """In any order and cut anywhere: the call has some answer of bounded length in the end."""
    dice = random.Random(seed)  # noqa: S311 - makes tests, keeps no secret

    def called(message: Json) -> Lines:
        data = b"".join(dice.choice(JUNK)(message) for _ in range(20)) + fine(message)
        while data:
            size = dice.choice((1, 10, 1000, 65536, len(data)))
            yield data[:size]
            data = data[size:]

    assert 0 < len(ask(ServerSandbox(called=called))) < 3000


def test_a_rate() -> None:
    """So many at once, and then as time goes by."""
    time = [0.0]
    bucket = Bucket(3.0, 2.0, lambda: time[0])
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    time[0] = 1.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    time[0] = 100.0
    assert [bucket.take(2.0), bucket.take(2.0)] == [True, False]
