"""A server on a Unix socket that plays an engine's first answers, and then hangs, hangs up or refuses."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = {"Version": "1.0", "ApiVersion": "1.41", "Arch": "amd64", "Components": [{"Name": "Engine"}]}
ANSWERS: dict[str, Any] = {
    "version": VERSION,
    "info": {"DockerRootDir": "/var/lib/docker"},
    "containers/json": [],
    "networks": [],
    "_ping": "OK",
}


@dataclass
class EngineServer:
    """Answers the paths of `answers`; every other one waits until the server is closed, or is refused with `status`.

    If it `drips`, it sends a byte of a header now and then meanwhile.
    """

    path: Path
    answers: tuple[str, ...]
    status: int | None = None
    drips: bool = False
    asked: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        """As DOCKER_HOST."""
        return f"unix://{self.path}"


@contextlib.contextmanager
def engine_server(path: Path, *answers: str, status: int | None = None) -> Iterator[EngineServer]:
    """Serve until it is left."""
    told = EngineServer(path, answers, status)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.partition("?")[0].removeprefix("/v1.41").removeprefix("/")
            told.asked.append(name)
            if name not in told.answers and told.status is None:
                while not told.closing.wait(0.1 if told.drips else None):
                    self.wfile.write(b"x")
                self.close_connection = True
                return
            found = ANSWERS[name] if name in told.answers else {"message": "not allowed"}
            body = found.encode() if isinstance(found, str) else json.dumps(found).encode()
            self.send_response(200 if name in told.answers else told.status or 500)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

        def address_string(self) -> str:
            """A Unix socket's peer has no address."""
            return "-"

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    with Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield told
        finally:
            told.closing.set()
            server.shutdown()
            thread.join()
