"""Whose network a sandbox has, and where the ways of a list lead."""

from __future__ import annotations

import pytest

from taskcal.core.network import AllowedHost, NetworkAccess, network_access_of
from taskcal.core.task import Network, NetworkMode

NONE, BRIDGE = Network(), Network(NetworkMode.BRIDGE)


def hosts(*names: str) -> Network:
    return Network(NetworkMode.HOSTS, names)


@pytest.mark.parametrize(
    ("task", "agent", "mode"),
    [
        (NONE, None, NetworkMode.NONE),
        (BRIDGE, None, NetworkMode.BRIDGE),
        (BRIDGE, NONE, NetworkMode.NONE),
        (NONE, BRIDGE, NetworkMode.BRIDGE),
        (hosts("a"), BRIDGE, NetworkMode.BRIDGE),
        (hosts("a"), NONE, NetworkMode.NONE),
        (BRIDGE, hosts("a"), NetworkMode.HOSTS),
    ],
)
def test_the_agents_word_counts(task: Network, agent: Network | None, mode: NetworkMode) -> None:
    """Where its file says something, wider or narrower; only a list has ways."""
    assert network_access_of(task, agent).mode is mode
    assert bool(network_access_of(task, agent).ways) is (mode is NetworkMode.HOSTS)


def test_lists_add_up_and_only_the_agents_is_trusted() -> None:
    """An agent that needs its model must not take the task's own hosts away, nor lend them its trust."""
    assert network_access_of(hosts("example.org:443"), hosts("localhost:8000")) == NetworkAccess(
        NetworkMode.HOSTS, (AllowedHost("localhost", 8000, trusted=True), AllowedHost("example.org", 443))
    )


def test_a_host_without_a_port_has_the_usual_ones() -> None:
    """80 and 443, once each."""
    assert network_access_of(hosts("a.org", "a.org:443")).ways == (AllowedHost("a.org", 80), AllowedHost("a.org", 443))


def test_who_names_a_host_twice_trusts_it() -> None:
    """A host that both list is one way, the agent's."""
    assert network_access_of(hosts("a:1"), hosts("a:1")).ways == (AllowedHost("a", 1, trusted=True),)
