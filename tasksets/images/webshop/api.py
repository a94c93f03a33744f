"""What the shop and its payment service share: JSON over HTTP, state kept on disk, and a record of the calls."""
# ruff: noqa: INP001 - three scripts that are copied into one folder of an image

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

STATE = Path("/var/lib/api/state.json")
INITIAL = Path("/var/lib/api/initial.json")

State = dict[str, Any]


class RefusedError(Exception):
    """A call that is answered with an HTTP error status and its reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Request:
    """One call: `key` is the header X-Shop-Key, by which the payment service knows the shop."""

    method: str
    path: str
    key: str
    body: dict[str, Any]

    def text(self, name: str) -> str:
        """Give a field of the body that must be there and be text."""
        value = self.body.get(name)
        if not isinstance(value, str):
            raise RefusedError(400, f"the field {name} must be there, and be text")
        return value

    def whole(self, name: str) -> int:
        """Give a field of the body that must be a whole number above zero."""
        value = self.body.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise RefusedError(400, f"the field {name} must be a whole number above 0")
        return value


@dataclass(frozen=True)
class Route:
    """A method and a path such as /carts/{cart}, what they do, and an example of the body."""

    method: str
    path: str
    act: Callable[..., object]
    body: str = ""

    def match(self, request: Request) -> tuple[str, ...] | None:
        """Give the values of the names in braces, if this route is meant."""
        found = re.fullmatch(re.sub(r"\{\w+\}", r"([\\w.-]+)", self.path), request.path)
        return found.groups() if found and request.method == self.method else None


def respond(routes: tuple[Route, ...], state: State, request: Request) -> tuple[int, object]:
    """Give the status and the body that `request` is answered with; act on `state`."""
    if request.path == "/":
        return 200, [f"{route.method} {route.path} {route.body}".strip() for route in routes]
    for route in routes:
        values = route.match(request)
        if values is None:
            continue
        try:
            return 200 if request.method == "GET" else 201, route.act(state, request, *values)
        except RefusedError as refused:
            return refused.status, {"error": str(refused)}
    return 404, {"error": "no such route; GET / lists them"}


def keep(path: Path, state: State) -> None:
    """Write `state` in one step, so that no reader sees half of it."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(state, indent=1))
    draft.replace(path)


def serve(port: int, routes: tuple[Route, ...], seed: Path) -> None:
    """Answer calls on `port` for ever; the state starts as `seed` says, and is on disk before a call is answered."""
    state: State = {**json.loads(seed.read_text()), "calls": []}
    for path in (INITIAL, STATE):
        keep(path, state)

    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # seconds that a silent caller keeps the others waiting

        def answer(self) -> None:
            request = self.read()
            status, result = respond(routes, state, request)
            if request.method != "GET":
                call = {"call": f"{request.method} {request.path}", "status": status, "body": request.body}
                state["calls"].append(call)
                keep(STATE, state)
            self.write(status, result)

        def read(self) -> Request:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                body = json.loads(raw or b"{}")
            except ValueError:
                body = {}
            key = self.headers.get("X-Shop-Key", "")
            return Request(self.command, self.path, key, body if isinstance(body, dict) else {})

        def write(self, status: int, result: object) -> None:
            raw = json.dumps(result, indent=1).encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815 - the names that http.server calls

    HTTPServer(("127.0.0.1", port), Handler).serve_forever()
