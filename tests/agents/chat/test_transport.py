"""One transport for every request: connections that are kept, TLS and proxies, and the bounds below all of them."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from taskcal.agents.chat.transport import Answer, HttpRequest, Transport
from taskcal.agents.chat.wire import Broken, Late, NoAnswer, TooLong, Unreachable
from tests.agents.chat.hostile_server import FINE, MODES, HostileServer, Talk, goes_on, head, read_request, sends, whole
from tests.agents.chat.openai_server import dead_url
from tests.agents.chat.tls import serving

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

SECONDS, SOON = 20.0, 0.2
MOST = 1024 * 1024
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take this machine's proxies away."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def transport() -> Iterator[Transport]:
    """Give a transport, closed at the end."""
    made = Transport()
    yield made
    made.close()


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Give a server's side of TLS whose certificate is trusted here."""
    context = serving(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    return context


def ask(transport: Transport, url: str, seconds: float = SECONDS) -> Answer:
    """Send one request."""
    return transport.send(HttpRequest(f"{url}/x", "sk-secret", b"{}"), seconds, MOST)


def test_a_connection_is_kept_for_the_next_request(transport: Transport) -> None:
    """One after the other over one connection; at the same time each over its own, never more than that."""
    with HostileServer(MODES["an answer"]) as server:
        assert [ask(transport, server.url).body for _ in range(5)] == [FINE] * 5
        assert server.connections == 1
        server.play = fine_once
        assert ask(transport, server.url).status == 200
        server.play = MODES["an answer"]
        assert ask(transport, server.url).status == 200
        assert server.connections == 2


def test_an_answer_to_no_request_is_none(transport: Transport) -> None:
    """A server that answers twice: the second answer is not the next request's, which gets one of its own."""
    with HostileServer(sends(whole(FINE) + whole(b"stale"))) as server:
        assert ask(transport, server.url).body == FINE
        with pytest.raises(Broken, match="before its request"):
            ask(transport, server.url)
        assert ask(transport, server.url).body == FINE


def fine_once(talk: Talk) -> None:
    """Answer, and end the connection."""
    talk.fine()
    talk.hang_up()


def test_what_is_sent(transport: Transport) -> None:
    """No compression is asked for; a key and a body are sent only if there is one; a GET has neither."""
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for _ in range(2):
                sock, _ = listening.accept()
                with sock:
                    heads.append(read_request(sock))
                    sock.sendall(whole(FINE, b"Connection: close"))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        place = f"127.0.0.1:{listening.getsockname()[1]}"
        transport.send(HttpRequest(f"http://{place}/ü/models"), SECONDS, MOST)
        transport.send(HttpRequest(f"http://{place}/v1/chat", "sk-1", b"{}"), SECONDS, MOST)
        thread.join()
    first, second = (set(one.decode().split("\r\n")) for one in heads)
    assert {"GET /%C3%BC/models HTTP/1.1", f"Host: {place}", "Accept-Encoding: identity"} <= first
    assert {"POST /v1/chat HTTP/1.1", "Authorization: Bearer sk-1", "Content-Length: 2"} <= second
    assert not any(line.startswith(("Authorization", "Content")) for line in first)


def test_the_deadline_holds_while_a_request_is_sent(transport: Transport) -> None:
    """A server that does not read keeps nobody waiting."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        request = HttpRequest(f"http://127.0.0.1:{listening.getsockname()[1]}/v1", "", b"x" * (32 << 20))
        with pytest.raises(Late):
            transport.send(request, SOON, MOST)


def test_an_answer_that_comes_too_early_is_read(transport: Transport) -> None:
    """A server that refuses a request while it is being sent has said why."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            sock, _ = listening.accept()
            sock.recv(1000)
            sock.sendall(whole(b"too much", b"Connection: close", status=b"413 Large"))
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
            sock.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        answer = transport.send(HttpRequest(url, "", b"x" * (8 << 20)), SECONDS, MOST)
        thread.join()
    assert (answer.status, answer.text) == (413, "too much")


def test_over_tls(transport: Transport, tls: ssl.SSLContext) -> None:
    """Answers, kept connections, and bounds below TLS: bytes, time, and a certificate that nobody here knows."""
    with HostileServer(MODES["an answer"], tls) as server:
        assert [ask(transport, server.url).body for _ in range(3)] == [FINE] * 3
        assert server.connections == 1
    with HostileServer(goes_on(head(b"200 OK"), b"x" * 65536), tls) as server, pytest.raises(TooLong):
        ask(transport, server.url)
    with HostileServer(MODES["a body that drips"], tls) as server, pytest.raises(Late):
        ask(transport, server.url, 1.0)


def test_a_certificate_that_is_not_trusted(transport: Transport, tmp_path: Path) -> None:
    """No key is sent there."""
    with (
        HostileServer(MODES["an answer"], serving(tmp_path)) as server,
        pytest.raises(Unreachable, match="CERTIFICATE"),
    ):
        ask(transport, server.url)


def test_a_handshake_ends_in_time(transport: Transport) -> None:
    """A TLS record that drips; an end of the connection in the place of one; something else than TLS."""
    with HostileServer(Talk.fine) as server:
        url = server.url.replace("http://127.0.0.1", "https://localhost")
        server._serve = drip  # type: ignore[method-assign]  # there is no request to wait for
        with pytest.raises(Late):
            ask(transport, url, SOON)
        for answer in (b"", whole(FINE)):
            server._serve = partial(answer_at_once, answer)  # type: ignore[method-assign]
            with pytest.raises(Unreachable):
                ask(transport, url)


def answer_at_once(answer: bytes, sock: socket.socket) -> None:
    """Send it without waiting for a request, and hang up."""
    with contextlib.suppress(OSError), sock:
        sock.sendall(answer)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(65536)


def drip(sock: socket.socket) -> None:
    """A TLS record of 16 KiB, byte by byte, until the client hangs up."""
    with contextlib.suppress(OSError), sock:
        sock.settimeout(0.02)
        sock.sendall(b"\x16\x03\x03\x40\x00")
        while True:
            sock.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                if not sock.recv(65536):
                    return


class Tunnel:
    """A proxy that answers CONNECT with `reply` and then passes bytes on, over TLS with a context."""

    def __init__(self, tls: ssl.SSLContext | None = None, reply: bytes = b"HTTP/1.1 200 Connected\r\n\r\n") -> None:
        self.heads: list[bytes] = []
        self._tls, self._reply = tls, reply
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What a variable calls it."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://me:pass%21@localhost:{self._listening.getsockname()[1]}"

    def close(self) -> None:
        """Wait for the one connection that there was."""
        self._thread.join(10)
        self._listening.close()

    def _run(self) -> None:
        raw, _ = self._listening.accept()
        with contextlib.suppress(OSError), self._tls.wrap_socket(raw, server_side=True) if self._tls else raw as sock:
            self.heads.append(read_request(sock))
            sock.sendall(self._reply)
            host, _, port = self.heads[0].split()[1].decode().rpartition(":")
            with socket.create_connection((host, int(port))) as there:
                back = threading.Thread(target=self._pass_on, args=(there, sock), daemon=True)
                back.start()
                self._pass_on(sock, there)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("over_tls", [False, True], ids=["http proxy", "https proxy"])
def test_through_a_proxy(
    transport: Transport, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, *, over_tls: bool
) -> None:
    """An https endpoint through a tunnel, which learns the proxy's password and never the key; also TLS within TLS."""
    tunnel = Tunnel(tls if over_tls else None)
    monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
    with HostileServer(MODES["an answer"], tls) as server:
        assert ask(transport, server.url).body == FINE
        transport.close()
        tunnel.close()
        place = f"localhost:{server.port}".encode()
    (asked,) = tunnel.heads
    assert asked.startswith(b"CONNECT " + place + b" HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6cGFzcyE=" in asked
    assert b"sk-secret" not in asked


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (b"HTTP/1.1 407 Who are you\r\n\r\n", Unreachable, "407 Who are you"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000, TooLong, "256 KiB"),
        (b"nonsense\r\n\r\n", Broken, "illegal status line"),
        (b"HTTP/1.1 2", Late, "1 s"),
    ],
    ids=["refused", "endless", "nonsense", "stalled"],
)
def test_a_proxy_is_no_more_trusted_than_an_endpoint(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, reply: bytes, error: type[NoAnswer], words: str
) -> None:
    """What it answers to CONNECT is bounded as well."""
    with HostileServer(MODES["an answer"]) as server:
        tunnel = Tunnel(reply=reply)
        monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
        with pytest.raises(error, match=words):
            ask(transport, f"https://127.0.0.1:{server.port}", 1.0 if error is Late else SECONDS)
        tunnel.close()


def test_the_first_of_two_headers_counts(transport: Transport) -> None:
    """Names in lower case, whatever stands in them."""
    with HostileServer(sends(whole(FINE, b"X-A: 1", b"x-a: 2", b"X-B: \xff"))) as server:
        answer = ask(transport, server.url)
    assert (answer.headers["x-a"], answer.headers["x-b"]) == ("1", "\xff")
    assert json.loads(answer.text)["object"] == "chat.completion"


def test_nobody_there(transport: Transport) -> None:
    """No such host, and nobody who listens."""
    for url in (dead_url(), "http://no-such-host.invalid/v1"):
        with pytest.raises(Unreachable):
            ask(transport, url)
