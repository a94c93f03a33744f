"""Tasksets of strangers: what they cannot ask for, decided before anything is built."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.agents.command import CommandAgent
from taskcal.agents.spec import CommandSpec
from taskcal.cli.options.configuration import Configuration
from taskcal.cli.options.request import resolve_request
from taskcal.core.plan import OperatorBounds, task_refusal
from taskcal.core.task import Limits, Network, NetworkMode, Service
from taskcal.errors import UsageError
from taskcal.runs.untrusted import MOST_CPUS, MOST_MEMORY, MOST_PIDS, UntrustedOptions, bounds_of, check_untrusted
from taskcal.taskset.load import load
from tests.cli.options.options_case import NOTHING, TASKSET

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.core.task import Taskset

UNTRUSTED = UntrustedOptions(untrusted=True)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Taskset:
    """Give a taskset of three variants in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(TASKSET)
    return load(["shop.yaml"])


def command(**said: object) -> CommandAgent:
    return CommandAgent(replace(CommandSpec("mine", "true"), **said))  # type: ignore[arg-type] # any field


def test_an_untrusted_taskset_has_every_bound() -> None:
    """No network, also while building; bounded memory, CPUs and processes; no image but the base image."""
    found = bounds_of(UNTRUSTED, OperatorBounds())
    assert found == OperatorBounds(NetworkMode.NONE, MOST_MEMORY, MOST_CPUS, ("debian:bookworm-slim",), MOST_PIDS)


def test_an_untrusted_sandbox_is_bounded_with_its_services(shop: Taskset) -> None:
    """Four containers of the usual size fit, a fifth does not, and pids are bounded as one sum too."""
    environment = replace(shop.tasks[0].environment, limits=Limits())
    bounds = bounds_of(UNTRUSTED, OperatorBounds())

    def told(services: int, limits: Limits) -> str | None:
        made = tuple(Service(f"s{number}", environment.source, limits=limits) for number in range(services))
        return task_refusal(replace(shop.tasks[0], environment=replace(environment, services=made)), bounds)

    assert told(3, Limits()) is None
    assert told(4, Limits()) == "with its services it asks for 10 GiB of memory, and --max-memory allows 8 GiB"
    assert "with its service it asks for 4,194,816 processes (pids)" in str(told(1, Limits(pids=4_194_304)))


def test_the_operator_may_still_choose() -> None:
    """What is typed stands, but for the network."""
    asked = UntrustedOptions(allow_image=("ghcr.io/us/*",), untrusted=True)
    found = bounds_of(asked, OperatorBounds(NetworkMode.BRIDGE, 2**30, 8))
    assert found == OperatorBounds(NetworkMode.NONE, 2**30, 8, ("ghcr.io/us/*",), MOST_PIDS)


def test_a_trusted_taskset_is_not_bound() -> None:
    """Without the flag nothing changes, and an allow list works alone."""
    assert bounds_of(UntrustedOptions(), OperatorBounds()) == OperatorBounds()
    assert bounds_of(UntrustedOptions(allow_image=("a",)), OperatorBounds()).images == ("a",)


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (("debian:*",), None),
        (("build",), "the image debian:bookworm-slim, and --allow-image"),
        ((), "the image debian:bookworm-slim, and --allow-image"),
    ],
)
def test_an_image_off_the_list_is_refused(shop: Taskset, images: tuple[str, ...], reason: str | None) -> None:
    """The task is unmeasured with that reason; nothing is pulled or built for it."""
    found = task_refusal(shop.tasks[0], OperatorBounds(images=images))
    assert found is None if reason is None else reason in str(found)


def test_too_many_tasks_are_refused(shop: Taskset) -> None:
    """A pull request with thousands of variants costs nothing but this line."""
    check_untrusted(UntrustedOptions(max_tasks=3), command(), shop)
    with pytest.raises(UsageError, match="3 task variants are chosen, and --max-tasks allows 2"):
        check_untrusted(UntrustedOptions(max_tasks=2), command(), shop)


def test_no_secret_gets_into_a_container(shop: Taskset) -> None:
    """A command agent's key would be in the stranger's reach."""
    check_untrusted(UntrustedOptions(), command(secrets=("KEY",)), shop)
    with pytest.raises(UsageError, match="takes KEY into the containers"):
        check_untrusted(UNTRUSTED, command(secrets=("KEY",)), shop)


def test_an_agents_network_is_refused(shop: Taskset) -> None:
    """The agent's file cannot open what the flag closes."""
    with pytest.raises(UsageError, match="asks for a network"):
        check_untrusted(UNTRUSTED, command(network=Network(NetworkMode.BRIDGE)), shop)


def test_no_link_leads_to_an_untrusted_taskset(shop: Taskset, tmp_path: Path) -> None:
    """Neither the file nor a folder on the way, typed or found; what it leads to is not read and can be named."""
    assert shop
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "tasks.yaml").write_text("taskset: t\npassword: 1\n")
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "sub").symlink_to("../home")
    (tmp_path / "clone" / "shop.yaml").symlink_to("../shop.yaml")
    for path in ("clone/sub/tasks.yaml", "clone/sub", "clone/*/*.yaml", "clone/shop.yaml", str(tmp_path / "clone/sub")):
        with pytest.raises(UsageError, match="is a link, and --untrusted follows none to a taskset; name /"):
            resolve_request(replace(NOTHING, files=(path,), strangers=UNTRUSTED), Configuration())
    assert resolve_request(replace(NOTHING, strangers=UNTRUSTED), Configuration()).taskset.tasks


def test_the_projects_configuration_is_not_believed(shop: Taskset) -> None:
    """A fork's taskcal.yaml could name an agent of its own, or a group size of a million."""
    assert shop
    configured = Configuration(agent="noop", group_size=10**6, concurrency=500)
    found = resolve_request(replace(NOTHING, strangers=UNTRUSTED), configured)
    assert (found.agent.name, found.group_size) == ("oracle", 8)
    with pytest.raises(UsageError, match="agent"):
        resolve_request(replace(NOTHING, agent=None, strangers=UNTRUSTED), configured)
