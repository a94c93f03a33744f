"""A model for tests that says what it was told to: one command an answer, to any client of chat completions.

It runs in a service of the sandbox (`python3 scripted_model.py PORT KEY COMMAND…`), so that nothing leaves the machine.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
CACHED = {"prompt_tokens_details": {"cached_tokens": 40}}
WRONG = {"message": "Incorrect API key provided", "type": "invalid_request_error", "code": "invalid_api_key"}


class Model(BaseHTTPRequestHandler):
    """Counts the turns of a conversation by the answers in it, and gives the next command."""

    key = ""
    commands: tuple[str, ...] = ()

    def do_POST(self) -> None:
        """Answer a chat completion."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers.get("authorization") != f"Bearer {self.key}":
            self._answer(401, {"error": WRONG})
            return
        turn = sum(message["role"] == "assistant" for message in asked["messages"])
        arguments = json.dumps({"command": self.commands[min(turn, len(self.commands) - 1)]})
        call = {"id": f"call_{turn}", "type": "function", "function": {"name": "bash", "arguments": arguments}}
        message = {"role": "assistant", "content": f"step {turn}", "tool_calls": [call]}
        choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
        facts = {"id": "1", "object": "chat.completion", "created": 0, "model": asked["model"]}
        self._answer(200, {**facts, "choices": choices, "usage": USAGE | CACHED})

    def do_GET(self) -> None:
        """Say that it is there."""
        self._answer(200, {})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep silent."""


if __name__ == "__main__":
    Model.key, Model.commands = sys.argv[2], tuple(sys.argv[3:])
    ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), Model).serve_forever()
