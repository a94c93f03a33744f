"""Where an allowed host really is: looked up and connected to on this side, and refused where a stranger may not go."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any

from taskcal.core.network import HERE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.network import AllowedHost

DIAL_SECONDS = 20.0

PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
            *("203.0.113.0/24", "224.0.0.0/3", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
            "168.63.129.16/32",  # Azure answers its virtual machines there
        ),
    )
)
"""What is not public, by IANA's registries: Python's own list depends on its version, and 3.11 calls fec0::1 global.

2001::/23 holds Teredo and 2002::/16 is 6to4: both carry packets to an IPv4 address inside the IPv6 one.
"""
CARRIERS = tuple(map(ipaddress.IPv6Network, ("::ffff:0:0/96", "64:ff9b::/96")))
"""IPv6 networks whose last 32 bits are the IPv4 address that is reached: mapped ones, and those of a NAT64."""
ISATAP = (0x5EFE, 0x02005EFE)
"""The 32 bits before the IPv4 address that such an IPv6 one ends with."""


def addresses(ways: Sequence[AllowedHost]) -> dict[str, str]:
    """The loopback address that each host stands for inside; this machine's own name has one there already."""
    names = dict.fromkeys(allowed.host for allowed in ways if allowed.host != HERE)
    return {name: f"127.0.{1 + number // 250}.{1 + number % 250}" for number, name in enumerate(names)}


def connect_to_host(allowed: AllowedHost) -> socket.socket:
    """A connection to an allowed host. Raises OSError, also for one of a taskset that has no public address."""
    problem = OSError("it has no address")
    for family, kind, protocol, _, place in socket.getaddrinfo(allowed.host, allowed.port, type=socket.SOCK_STREAM):
        if not allowed.trusted and not is_public(str(place[0])):
            problem = OSError(f"{place[0]} is not a public address; only the agent's file may name others")
            continue
        if not allowed.trusted and is_own(family, place):
            problem = OSError(f"{place[0]} is this machine's own address; only the agent's file may name it")
            continue
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(DIAL_SECONDS)
            made.connect(place)
        except OSError as error:
            made.close()
            problem = error
        else:
            return made
    raise problem


def is_public(address: str) -> bool:
    """Whether an address, in whatever notation, belongs to the public network, and packets to it stay there."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if any(found in network for network in CARRIERS):
            return is_public(str(inner))
        if found not in PUBLIC_6 or int(found) >> 32 & 0xFFFFFFFF in ISATAP:
            return False
    return not any(found in network for network in SPECIAL)


def is_own(family: int, place: tuple[Any, ...]) -> bool:
    """Whether an address is one of this machine: packets to it would start from it. Nothing is sent to find out."""
    with socket.socket(family, socket.SOCK_DGRAM) as trial:
        try:
            trial.connect(place)
        except OSError:
            return False
        return bool(trial.getsockname()[0] == place[0])
