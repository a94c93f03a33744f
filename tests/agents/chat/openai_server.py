"""A chat endpoint on this machine that does as it is told: good answers and all kinds of bad ones."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.agents.chat.fake_clock import FakeClock

Json = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One answer. `takes` moves a fake clock on; `sends` is how many bytes of the body go out before `ends`.

    `ends` is "well", "torn" (the connection closes in the middle) or "stalled" (it stays open and nothing comes).
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    takes: float = 0.0
    sends: int | None = None
    ends: str = "well"

    @property
    def data(self) -> bytes:
        """The body as it is sent."""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


def completion(message: Json, finish: str = "stop", usage: Json | None = None) -> Json:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    counted = usage or {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": counted}


def says(content: str, finish: str = "stop", takes: float = 0.0, **message: Any) -> Step:
    """An answer in words."""
    return Step(body=completion({"content": content, **message}, finish), takes=takes)


def calls(*wanted: tuple[str, Any], content: str | None = None, takes: float = 0.0, finish: str = "tool_calls") -> Step:
    """An answer that calls tools; arguments that are text are sent as they are."""
    raw = [
        {
            "id": f"id_{number}",
            "type": "function",
            "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
        }
        for number, (name, given) in enumerate(wanted)
    ]
    return Step(body=completion({"content": content, "tool_calls": raw}, finish), takes=takes)


def runs(command: str, takes: float = 0.0) -> Step:
    """An answer that runs a command."""
    return calls(("bash", {"command": command}), takes=takes)


def fails(status: int, message: str = "no", code: str | None = None, **headers: str) -> Step:
    """An error in OpenAI's form; `retry_after` is the header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Step(status, {"error": {"message": message, "type": "t", "param": None, "code": code}}, named)


class Script:
    """Answers in their order, the last one for ever."""

    def __init__(self, steps: Iterable[Step]) -> None:
        """At least one step."""
        self._steps = list(steps)
        self._lock = threading.Lock()

    def __call__(self, request: Json) -> Step:
        """The answer to a request."""
        assert request
        with self._lock:
            return self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]


class OpenAIServer:
    """Serves `/v1/chat/completions` and `/v1/models` on the loopback, until it is closed."""

    def __init__(self, *steps: Step, clock: FakeClock | None = None, models: Any = None, port: int = 0) -> None:
        """Answer with these steps, or as `answer` says; at a port of the kernel's choice, or at the one given."""
        self.requests: list[Json] = []
        self.keys: list[str] = []
        self.answer: Callable[[Json], Step] = Script(steps or [says("done")])
        self.models = models if models is not None else {"object": "list", "data": [{"id": "m", "root": "/models/m"}]}
        self.redirect: Step | None = None
        self.closing = threading.Event()
        self._clock = clock
        server = self
        handler = type("Handler", (_Handler,), {"owner": server})
        self._http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What an agent file calls base_url."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._http.server_address[1])

    def script(self, *steps: Step) -> None:
        """Answer with these from now on."""
        self.answer = Script(steps)

    def close(self) -> None:
        """Let go of every client."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, step: Step) -> None:
        """The time that the model takes."""
        if self._clock is not None:
            self._clock.time += step.takes


class _Handler(BaseHTTPRequestHandler):
    owner: OpenAIServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The list of models, or `redirect`."""
        self.owner.keys.append(self.headers.get("Authorization", ""))
        listing = Step(body=self.owner.models) if self.path == "/v1/models" else fails(404, "Not Found")
        self._send(self.owner.redirect or listing)

    def do_POST(self) -> None:
        """A completion."""
        self.owner.keys.append(self.headers.get("Authorization", ""))
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":
            self._send(Step(404, {"detail": "Not Found"}))
            return
        self.owner.requests.append(request)
        step = self.owner.answer(request)
        self.owner.take(step)
        self._send(step)

    def _send(self, step: Step) -> None:
        data = step.data
        self.send_response(step.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in step.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data if step.sends is None else data[: step.sends])
        self.wfile.flush()
        if step.ends == "stalled":
            self.owner.closing.wait()
        self.close_connection = step.ends != "well"

    def log_message(self, *_: object) -> None:
        """Be quiet."""


def dead_url() -> str:
    """An address where nobody listens."""
    with OpenAIServer() as server:
        return server.url
