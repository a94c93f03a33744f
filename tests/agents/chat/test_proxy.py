"""Which proxy is between: the variables that everybody sets, and the hosts that are reached without one."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskcal.agents.chat.identity import ask_models
from taskcal.agents.chat.messages import Reply
from taskcal.agents.chat.openai_caller import OpenAICaller
from taskcal.agents.chat.provider_errors import UNREACHABLE, Failure
from taskcal.agents.chat.proxy import Proxy, check_proxies, proxy_of
from taskcal.errors import MissingError, UsageError
from tests.agents.chat.openai_server import OpenAIServer, dead_url

if TYPE_CHECKING:
    from collections.abc import Iterator

HTTP, HTTPS = "http://model.example:8000/v1", "https://model.example/v1"
NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take this machine's proxies away."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("url", "variables", "proxy"),
    [
        (HTTP, {}, None),
        (HTTP, {"HTTP_PROXY": "http://a:1"}, Proxy("http://a:1", "HTTP_PROXY")),
        (HTTPS, {"HTTP_PROXY": "http://a:1"}, None),
        (HTTPS, {"HTTPS_PROXY": "http://a:1", "ALL_PROXY": "http://b:2"}, Proxy("http://a:1", "HTTPS_PROXY")),
        (HTTP, {"HTTPS_PROXY": "http://a:1", "ALL_PROXY": "b:2"}, Proxy("http://b:2", "ALL_PROXY")),
        (HTTP, {"http_proxy": "http://a:1", "HTTP_PROXY": "http://b:2"}, Proxy("http://a:1", "http_proxy")),
        (HTTP, {"HTTP_PROXY": " "}, None),
    ],
)
def test_the_variables(url: str, variables: dict[str, str], proxy: Proxy | None) -> None:
    """By scheme, then the one for all of them; lower case first, and a host without a scheme is HTTP's."""
    assert proxy_of(url, variables) == proxy


@pytest.mark.parametrize(
    ("url", "hosts", "excluded"),
    [
        (HTTP, "model.example", True),
        (HTTP, ".example", True),
        (HTTP, "*.example", True),
        (HTTP, "example", True),
        (HTTP, "odel.example", False),
        (HTTP, "model.example:8000", True),
        (HTTP, "model.example:80", False),
        (HTTPS, "model.example:443", True),
        (HTTP, "other, MODEL.example", True),
        (HTTP, "*", True),
        (HTTP, "", False),
        (HTTP, ",", False),
        ("http://127.0.0.1:8000/v1", "127.0.0.1", True),
        ("http://127.0.0.1:8000/v1", "127.0.0.0/8", True),
        ("http://10.1.2.3/v1", "10.0.0.0/8 192.168.0.0/16", True),
        ("http://11.1.2.3/v1", "10.0.0.0/8", False),
        ("http://[::1]:8000/v1", "::1", True),
        ("http://[::1]:8000/v1", "127.0.0.1", False),
        (HTTP, "10.0.0.0/8", False),
        ("http://localhost:8000/v1", "localhost", True),
    ],
)
def test_no_proxy(url: str, hosts: str, *, excluded: bool) -> None:
    """Names with all below them, addresses, networks, each with a port or without, or everything."""
    found = proxy_of(url, {"ALL_PROXY": "http://a:1", "NO_PROXY": hosts})
    assert (found is None) is excluded


@given(hosts=st.text(max_size=30), value=st.text(max_size=30))
@example(hosts=":\N{SUPERSCRIPT ONE}", value="http://a:1")
@example(hosts=":" + "1" * 5000, value="http://a:1")
def test_any_variable_can_be_read(hosts: str, value: str) -> None:
    """Whatever stands in them: a proxy, none, or one line that names the variable."""
    variables = {"ALL_PROXY": value, "NO_PROXY": hosts}
    found = proxy_of(HTTP, variables)
    assert found is None or found.variable == "ALL_PROXY"
    with contextlib.suppress(UsageError, MissingError):
        check_proxies([HTTP], variables)


def test_a_password_is_not_shown() -> None:
    """Neither in a message about the proxy nor in the one that it cannot be used."""
    variables = {"HTTP_PROXY": "socks4://me:secret@squid:3128"}
    assert str(proxy_of(HTTP, variables)) == "the proxy squid:3128 of HTTP_PROXY"
    with pytest.raises(UsageError) as caught:
        check_proxies([HTTP], variables)
    assert "secret" not in str(caught.value)


@pytest.fixture
def caller() -> Iterator[OpenAICaller]:
    """Give connections to a host that only a proxy could know."""
    made = OpenAICaller(("http://model.invalid/v1", "http://127.0.0.1:1/v1"), "")
    yield made
    made.close()


def test_requests_go_through_the_proxy(caller: OpenAICaller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Completions and the list of models alike; a proxy sees the whole URL in the request's first line."""
    lines: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{listening.getsockname()[1]}")

        def answer() -> None:
            for _ in range(2):
                connection, _ = listening.accept()
                with connection:
                    lines.append(connection.recv(65536).decode().splitlines()[0])
                    connection.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        found = caller.post(0, {"model": "m", "messages": []}, 10.0)
        assert ask_models("http://model.invalid/v1", "") is None
        thread.join()
    assert isinstance(found, Failure)
    assert found.status == 407
    assert lines == [
        "POST http://model.invalid/v1/chat/completions HTTP/1.1",
        "GET http://model.invalid/v1/models HTTP/1.1",
    ]


def test_a_host_in_no_proxy_is_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also beside a SOCKS proxy whose package is missing: nothing is said about it."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", dead_url())
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
    with OpenAIServer() as server:
        direct = OpenAICaller((server.url,), "")
        assert isinstance(direct.post(0, {"model": "m", "messages": []}, 10.0), Reply)
        assert ask_models(server.url, "") is not None
        direct.close()


def test_a_dead_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens there: the endpoint may be well, so the message has both."""
    proxy = dead_url().removesuffix("/v1")
    monkeypatch.setenv("http_proxy", proxy)
    place = proxy.removeprefix("http://")
    with pytest.raises(MissingError, match=rf"nothing answers at {HTTP} through the proxy {place} of http_proxy: "):
        ask_models(HTTP, "")
    caller = OpenAICaller((HTTP,), "")
    found = caller.post(0, {"model": "m", "messages": []}, 10.0)
    caller.close()
    assert isinstance(found, Failure)
    assert found.code == UNREACHABLE
