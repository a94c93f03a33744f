"""What must be there before a group's first rollout: its images, made once, or the reason why it cannot be measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from taskcal.agents.tools import missing_for_tools
from taskcal.core.plan import refusal
from taskcal.core.reach import reach_of
from taskcal.core.rollout import Lost
from taskcal.core.task import NetworkMode
from taskcal.errors import Boundary, LostError

if TYPE_CHECKING:
    from taskcal.agents import Agent
    from taskcal.core.plan import Bounds
    from taskcal.core.task import Group
    from taskcal.sandbox.images import Images, PreparedImages


def prepare_group(group: Group, images: Images, agent: Agent, bounds: Bounds) -> PreparedImages | Lost:
    """The images of one group, or why none of its rollouts can be run. Never raises for a task's own reasons."""
    reason = refusal(group.task, bounds, agent.network) or agent.refusal(group.task) or missing_for_tools(group.task)
    if reason:
        return Lost(Boundary.SETUP, reason)
    timeout = group.task.timeouts.setup
    try:
        made = images.prepare(group.task.environment, group.variant.params, timeout)
        network = group.task.environment.network
        if NetworkMode.HOSTS in {reach_of(network, agent.network).mode, network.mode}:  # a fresh grading has the task's
            made = replace(made, gateway=images.gateway())
        if not agent.install.strip():
            return made
        return replace(made, sandbox=images.install(made.sandbox, agent.install, timeout))
    except LostError as error:
        return Lost(error.boundary, str(error))
    except OSError as error:
        return Lost(Boundary.SETUP, f"{error.filename}: {error.strerror}")
