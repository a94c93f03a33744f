"""The network access of a sandbox: the task's, or the agent file's if it has one; lists of hosts are combined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core.task import NetworkMode

if TYPE_CHECKING:
    from taskcal.core.task import Network

USUAL_PORTS = (80, 443)
HERE = "localhost"


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """One host and port outside that a sandbox may reach.

    `trusted` ways stand in the agent's file, which is the operator's: they may lead to this machine or its network.
    """

    host: str
    port: int
    trusted: bool = False

    def __str__(self) -> str:
        """As a list of hosts names it."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class NetworkAccess:
    """The network of one sandbox; the ways are those of a list of hosts."""

    mode: NetworkMode = NetworkMode.NONE
    ways: tuple[AllowedHost, ...] = ()


def network_access_of(task: Network, agent: Network | None = None) -> NetworkAccess:
    """The network of a task's sandbox with an agent whose file asks for `agent` (None where it says nothing)."""
    network = task if agent is None else agent
    if network.mode is not NetworkMode.HOSTS:
        return NetworkAccess(network.mode)
    ways: dict[tuple[str, int], AllowedHost] = {}
    for hosts, trusted in _lists(task, agent):
        for way in (way for host in hosts for way in _ways(host, trusted=trusted)):
            ways.setdefault((way.host, way.port), way)
    return NetworkAccess(NetworkMode.HOSTS, tuple(ways.values()))


def _lists(task: Network, agent: Network | None) -> list[tuple[tuple[str, ...], bool]]:
    return [(task.hosts, False)] if agent is None else [(agent.hosts, True), (task.hosts, False)]


def _ways(host: str, *, trusted: bool) -> list[AllowedHost]:
    name, _, port = host.partition(":")
    return [AllowedHost(name.lower(), number, trusted) for number in ((int(port),) if port else USUAL_PORTS)]
