"""Which proxy stands between this machine and an endpoint, as the environment has it.

`HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY` (in lower case first) name one for each scheme, `NO_PROXY` the hosts that
are reached without it: names with all below them, addresses, networks such as 10.0.0.0/8, each with a port or without,
or `*`. All requests to a model follow this one rule, so that a failure can name the variable that sent it to a proxy.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from taskcal.errors import MissingError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONGEST_PORT = 5
HTTP, SOCKS = ("http", "https"), ("socks5", "socks5h")
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy and the variable that names it; `url` may hold a password, `str` does not."""

    url: str
    variable: str

    @property
    def scheme(self) -> str:
        """http, https, socks5 or socks5h, or whatever the variable has there."""
        return self.url.partition("://")[0].lower()

    def __str__(self) -> str:
        """The proxy in a message, without user and password."""
        place = self.url.partition("://")[2].rpartition("@")[2].rstrip("/")
        return f"the proxy {place} of {self.variable}"


def proxy_of(url: str, host: Mapping[str, str] | None = None) -> Proxy | None:
    """The proxy for a URL by the variables of `host` (this process's), or None."""
    environ = os.environ if host is None else host
    scheme = urlsplit(url).scheme
    if _is_excluded(url, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    for kind in (scheme, "all"):
        for name in (f"{kind}_proxy", f"{kind}_proxy".upper()):
            value = environ.get(name, "").strip()
            if value:
                return Proxy(value if "://" in value else f"http://{value}", name)
    return None


def check_proxies(urls: Iterable[str], host: Mapping[str, str]) -> None:
    """Raise MissingError for a SOCKS proxy without the package that speaks it, UsageError for what is not a proxy."""
    for proxy in filter(None, (proxy_of(url, host) for url in urls)):
        if proxy.scheme in SOCKS and importlib.util.find_spec("socksio") is None:
            raise MissingError(
                f"{proxy.variable} names a SOCKS proxy, which needs the socksio package; "
                "run `pip install 'httpcore[socks]'`, or put the endpoint's host into NO_PROXY"
            )
        if proxy.scheme not in HTTP + SOCKS or not _has_place(proxy):
            raise UsageError(
                f"{proxy.variable} does not name a proxy such as http://host:3128; correct it, or put the endpoint's "
                "host into NO_PROXY"
            )


def _has_place(proxy: Proxy) -> bool:
    try:
        parts = urlsplit(proxy.url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_excluded(url: str, hosts: str) -> bool:
    parts = urlsplit(url)
    name, port = (parts.hostname or "").lower().rstrip("."), parts.port or PORTS.get(parts.scheme)
    return any(_covers(entry, name, port) for entry in hosts.lower().replace(",", " ").split())


def _covers(entry: str, name: str, port: int | None) -> bool:
    """Whether one entry of NO_PROXY is about a host."""
    if entry == "*":
        return True
    network = _network(entry)
    if network is not None:
        address = _network(name)
        return address is not None and address.version == network.version and _contains(network, address)
    place, colon, number = entry.rpartition(":")
    if colon and number.isdecimal() and len(number) <= LONGEST_PORT and ":" not in place.strip("[]"):
        return int(number) == port and _covers(place, name, port)
    bare = entry.removeprefix("*").lstrip(".")
    return bool(bare) and (name == bare or name.endswith(f".{bare}"))


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _contains(network: Network, address: Network) -> bool:
    return network.network_address <= address.network_address <= network.broadcast_address  # type: ignore[operator]  # one version
