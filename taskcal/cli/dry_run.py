"""`run --dry-run`: what would run, without an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.cli.options import Request, images_of
from taskcal.core.plan import refusal

if TYPE_CHECKING:
    from taskcal.agents import Agent
    from taskcal.core.task import Group


def describe(request: Request) -> str:
    """Groups, rollouts, images, and what cannot be measured, a line each."""
    groups = request.groups
    refused = [(group, reason) for group in groups if (reason := _refusal(group, request))]
    runs = len(groups) - len(refused)
    worst = max(group.task.timeouts.agent for group in groups) * runs * request.group_size / request.concurrency
    baked = {(g.task.environment.setup, g.task.environment.files) for g in groups if _is_baked(g)}
    lines = [
        f"taskset      {request.taskset.name}",
        f"agent        {_named(request.agent)}",
        f"groups       {len(groups)} ({len(request.taskset.tasks)} tasks)",
        f"rollouts     {runs * request.group_size} ({runs} groups x {request.group_size})",
        f"concurrency  {request.concurrency}",
        f"at most      {worst / 60:.0f} min of agent time, if every rollout takes its whole timeout",
        f"baked        {len(baked)} setups",
        *(f"image        {image}" for image in images_of(groups)),
        *(f"group        {group.id}" for group in groups[:20]),
        *([f"             … and {len(groups) - 20} more groups"] if len(groups) > 20 else []),
        *(f"unmeasured   {group.id}: {reason}" for group, reason in refused),
    ]
    return "\n".join(lines)


def _refusal(group: Group, request: Request) -> str | None:
    return refusal(group.task, request.bounds, request.agent.network) or request.agent.refusal(group.task)


def _is_baked(group: Group) -> bool:
    return bool(group.task.environment.setup.strip() or group.task.environment.files)


def _named(agent: Agent) -> str:
    return f"{agent.name} ({agent.about})" if agent.about else agent.name
