"""Whose network a sandbox has, and where the ways of a list lead."""

from __future__ import annotations

import pytest

from taskcal.core.network import Reach, Way, reach_of
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
    assert reach_of(task, agent).mode is mode
    assert bool(reach_of(task, agent).ways) is (mode is NetworkMode.HOSTS)


def test_lists_add_up_and_only_the_agents_is_trusted() -> None:
    """An agent that needs its model must not take the task's own hosts away, nor lend them its trust."""
    assert reach_of(hosts("example.org:443"), hosts("localhost:8000")) == Reach(
        NetworkMode.HOSTS, (Way("localhost", 8000, trusted=True), Way("example.org", 443))
    )


def test_a_host_without_a_port_has_the_usual_ones() -> None:
    """80 and 443, once each."""
    assert reach_of(hosts("a.org", "a.org:443")).ways == (Way("a.org", 80), Way("a.org", 443))


def test_who_names_a_host_twice_trusts_it() -> None:
    """A host that both list is one way, the agent's."""
    assert reach_of(hosts("a:1"), hosts("a:1")).ways == (Way("a", 1, trusted=True),)
