"""Where an allowed host really is: looked up and connected to on this side, and refused where a stranger may not go."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

from taskcal.core.reach import HERE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.reach import Way

DIAL_SECONDS = 20.0


def addresses(ways: Sequence[Way]) -> dict[str, str]:
    """The loopback address that each host stands for inside; this machine's own name has one there already."""
    names = dict.fromkeys(way.host for way in ways if way.host != HERE)
    return {name: f"127.0.{1 + number // 250}.{1 + number % 250}" for number, name in enumerate(names)}


def dial(way: Way) -> socket.socket:
    """A connection to an allowed host. Raises OSError, also for one of a taskset that has no public address."""
    problem = OSError("it has no address")
    for family, kind, protocol, _, place in socket.getaddrinfo(way.host, way.port, type=socket.SOCK_STREAM):
        if not way.trusted and not is_public(str(place[0])):
            problem = OSError(f"{place[0]} is no public address, and only the agent's file may name others")
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
    """Whether an address is one of the public network, also where it is written as one of IPv6."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_global and not found.is_multicast
