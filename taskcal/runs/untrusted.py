"""Tasksets of strangers, such as those of a pull request from a fork: what they may ask for, decided before any build.

With --untrusted nothing that comes with the taskset is believed: the project's configuration is not read, containers
and builds have no network, no secret gets into a container, and images are those of an allow list.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.agents.command import CommandAgent
from taskcal.core.task import NetworkMode
from taskcal.errors import UsageError
from taskcal.machine.base_image import BASE_IMAGE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskcal.agents import Agent
    from taskcal.core.plan import OperatorBounds
    from taskcal.core.task import Taskset

MOST_TASKS = 100
MOST_MEMORY = 8 * 1024**3
MOST_CPUS = 4.0
MOST_PIDS = 8192
"""For a sandbox and its services together; four containers of the usual size fit."""


@dataclass(frozen=True, slots=True)
class UntrustedOptions:
    """The command line as typed."""

    max_tasks: int | None = None
    allow_image: tuple[str, ...] = ()
    untrusted: bool = False


def bounds_of(typed: UntrustedOptions, bounds: OperatorBounds) -> OperatorBounds:
    """The bounds, where an untrusted taskset has them all, each at what was typed or at a careful default."""
    images = typed.allow_image or ((BASE_IMAGE,) if typed.untrusted else None)
    if not typed.untrusted:
        return replace(bounds, images=images)
    return replace(
        bounds,
        network=NetworkMode.NONE,
        memory=MOST_MEMORY if bounds.memory is None else bounds.memory,
        cpus=MOST_CPUS if bounds.cpus is None else bounds.cpus,
        images=images,
        pids=MOST_PIDS,
    )


def check_places(typed: UntrustedOptions, files: Iterable[str]) -> None:
    """Raise UsageError if an untrusted taskset is reached through a link, which may be the stranger's.

    Mistakes in a file are shown with its keys, so that a link to a file of the operator's would show those.
    """
    if not typed.untrusted:
        return
    for file in files:
        link = next((part for part in (Path(file), *Path(file).parents) if part.is_symlink()), None)
        if link is not None:
            raise UsageError(
                f"{link} is a link, and --untrusted follows none to a taskset; name {Path(file).resolve()}"
            )


def check_untrusted(typed: UntrustedOptions, agent: Agent, taskset: Taskset) -> None:
    """Raise UsageError where there are too many tasks, or the agent would bring a secret to them."""
    count = sum(1 for _ in taskset.groups())
    most = typed.max_tasks or (MOST_TASKS if typed.untrusted else count)
    if count > most:
        raise UsageError(f"{count:,} task variants are chosen, and --max-tasks allows {most:,}; choose some by --task")
    if not typed.untrusted:
        return
    if isinstance(agent, CommandAgent) and agent.spec.secrets:
        raise UsageError(
            f"the agent {agent.name} takes {agent.spec.secrets[0]} into the containers of an --untrusted taskset; "
            "an agent of kind chat keeps its key on the host"
        )
    if agent.network is not None and agent.network.mode is not NetworkMode.NONE:
        raise UsageError(f"the agent {agent.name} asks for a network, and an --untrusted taskset gets none")
