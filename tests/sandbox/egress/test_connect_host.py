"""Which addresses a stranger's taskset may reach, and what the names of a list stand for inside."""

from __future__ import annotations

import socket

import pytest

from taskcal.core.network import AllowedHost
from taskcal.sandbox.egress.connect_host import addresses, connect_to_host, is_public


@pytest.mark.parametrize(
    ("address", "public"),
    [
        *((address, True) for address in ("151.101.2.132", "2a04:4e42::644")),
        *((address, False) for address in ("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.17.0.1")),  # noqa: S104 - no bind
        *((address, False) for address in ("192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "240.0.0.1")),
        *((address, False) for address in ("::1", "::", "fe80::1%eth0", "fd00::1", "ff0e::1")),
        *((address, False) for address in ("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254")),
        *((address, True) for address in ("223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2620:fe::fe")),
        *((address, False) for address in ("255.255.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.19.0.1")),
        *((address, False) for address in ("100.100.100.200", "168.63.129.16", "169.254.169.253", "239.255.255.250")),
        *((address, False) for address in ("fd00:ec2::254", "fd20:ce::254", "fec0::1", "5f00::1", "100::1", "4000::1")),
        *((address, False) for address in ("64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::8.8.8.8")),
        *((address, False) for address in ("2002:7f00:1::1", "2002:808:808::1", "2001:0:1::1", "2001:20::1")),
        *((address, False) for address in ("::8.8.8.8", "::ffff:0:8.8.8.8", "2a00::5efe:10.0.0.1", "3fff::1")),
        *((address, False) for address in ("2a00::200:5efe:8.8.8.8", "2001:db8::1")),
    ],
)
def test_what_is_public(address: str, *, public: bool) -> None:
    """Neither this machine, nor its network, nor a cloud's metadata, however they are written."""
    assert is_public(address) is public


def test_only_the_agents_file_leads_to_this_machine() -> None:
    """The same address, named by a taskset, is refused before anything is sent."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        connect_to_host(AllowedHost("127.0.0.1", port, trusted=True)).close()
        listening.settimeout(5)
        listening.accept()[0].close()
        with pytest.raises(OSError, match=r"127\.0\.0\.1 is not a public address; only the agent's file may name"):
            connect_to_host(AllowedHost("127.0.0.1", port))
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_this_machines_public_address_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service of the machine that also listens outside is not public to its own sandboxes; nothing is sent to it."""
    monkeypatch.setattr("taskcal.sandbox.egress.connect_host.is_public", lambda _: True)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with pytest.raises(OSError, match=r"127\.0\.0\.1 is this machine's own address"):
            connect_to_host(AllowedHost("127.0.0.1", listening.getsockname()[1]))
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_a_host_that_nobody_is_cannot_be_reached() -> None:
    """With the reason of whoever knows it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        connect_to_host(AllowedHost("127.0.0.1", port, trusted=True))
    with pytest.raises(OSError, match=r".+"):
        connect_to_host(AllowedHost("no-such-host.invalid", 80))


def test_each_name_has_an_address_of_its_own() -> None:
    """So that many can have one port; this machine's name has one already."""
    ways = [AllowedHost(f"h{number}", port) for number in range(600) for port in (80, 443)]
    found = addresses([*ways, AllowedHost("localhost", 1)])
    assert len(found) == len(set(found.values())) == 600
    assert (found["h0"], found["h249"], found["h250"]) == ("127.0.1.1", "127.0.1.250", "127.0.2.1")
