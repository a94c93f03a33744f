"""`run --dry-run`: what would run, without an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.core.adaptive.planner import plan_next
from taskcal.core.adaptive.task_state import TaskHistory
from taskcal.report.wording.formatting import extent, format_duration, money
from taskcal.runs.images.prepare_group import forbidden
from taskcal.runs.request import Request, images_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskcal.agents import Agent
    from taskcal.core.rollout import GroupId
    from taskcal.core.task import Group


def describe_request(request: Request) -> str:
    """Tasks, rollouts, images, and what cannot be measured, a line each."""
    groups = request.groups
    refused = [(group, reason) for group in groups if (reason := _refusal(group, request))]
    names = {group.id for group, _ in refused}
    measured = [group.id for group in groups if group.id not in names]
    runs = len(measured)
    rollouts = expected_rollouts(request, runs)
    baked = {(g.task.environment.setup, g.task.environment.files) for g in groups if _is_baked(g)}
    lines = [
        f"taskset      {request.taskset.name}",
        f"agent        {_named(request.agent)}",
        f"tasks        {extent(group.id for group in groups)}",
        f"rollouts     {_told(request, rollouts, measured)}",
        f"concurrency  {request.concurrency}",
        *_spending(request, rollouts),
        f"at most      {_worst(request, runs) / 60:.0f} min of agent time, if every rollout takes its whole timeout",
        f"baked        {len(baked)} setups",
        *(f"image        {image}" for image in images_of(groups)),
        *(f"group        {group.id}" for group in groups[:20]),
        *([f"             … and {len(groups) - 20} more"] if len(groups) > 20 else []),
        *(f"unmeasured   {group.id}: {reason}" for group, reason in refused),
    ]
    return "\n".join(lines)


def expected_rollouts(request: Request, groups: int) -> float:
    """How many the run is expected to take: under the default prior, or if an earlier run's agent has not changed."""
    settings = request.settings
    if not settings.adaptive:
        return groups * settings.group_size
    tasks = [TaskHistory(group.id, (), settings.earlier.get(group.id)) for group in request.groups]
    left = plan_next(tasks, 0, settings.design).expected_left * groups / max(1, len(tasks))
    return left if settings.design.budget is None else min(left, settings.design.budget)


def _told(request: Request, rollouts: float, measured: Sequence[GroupId]) -> str:
    settings = request.settings
    if not settings.adaptive:
        return f"{rollouts:.0f} ({extent(measured)}, {settings.group_size} each)"
    most, begun = settings.design.limit, f"as in run {request.earlier.run}" if request.earlier.run else "default prior"
    budget = "" if settings.design.budget is None else f", {settings.design.budget} in all"
    told = f"about {rollouts:.0f} expected ({rollouts / max(1, len(measured)):.1f} each, {begun}; at most {most} each"
    return f"{told}{budget})"


def _spending(request: Request, rollouts: float) -> Iterator[str]:
    """What an earlier run says that it takes."""
    earlier = request.earlier
    if earlier.seconds is not None:
        seconds = rollouts * earlier.seconds / request.concurrency
        each = format_duration(earlier.seconds)
        yield f"expected     {format_duration(seconds)}, at {each} a rollout as in run {earlier.run}"
    if earlier.cost_usd is not None:
        yield f"expected     {money(rollouts * earlier.cost_usd)}, at {money(earlier.cost_usd)} a rollout"
    if not earlier.run:
        yield "expected     --prior RUN, an earlier run of these tasks, would say which time and cost"


def _worst(request: Request, groups: int) -> float:
    settings = request.settings
    most = groups * (settings.design.limit if settings.adaptive else settings.group_size)
    most = most if settings.design.budget is None else min(most, settings.design.budget)
    longest = max(group.task.timeouts.agent for group in request.groups)
    return longest * most / request.concurrency


def _refusal(group: Group, request: Request) -> str | None:
    return forbidden(group.task, request.bounds, request.agent.network) or request.agent.refusal(group.task)


def _is_baked(group: Group) -> bool:
    return bool(group.task.environment.setup.strip() or group.task.environment.files)


def _named(agent: Agent) -> str:
    return f"{agent.name} ({agent.about})" if agent.about else agent.name
