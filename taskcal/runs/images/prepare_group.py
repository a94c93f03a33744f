"""What must be there before a group's first rollout: its images, made once, or the reason why it cannot be measured."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.agents.tools.task_tools import missing_for_tools
from taskcal.core.build.dockerfile import Kind, Want, wants
from taskcal.core.network import network_access_of
from taskcal.core.plan import is_listed, task_refusal
from taskcal.core.rollout import Lost
from taskcal.core.task import NetworkMode
from taskcal.errors import Boundary, LostError, TaskcalError
from taskcal.machine.base_image import BASE_IMAGE
from taskcal.machine.file_tree import LONGEST_DOCKERFILE
from taskcal.sandbox.engine.building import BuildBounds
from taskcal.sandbox.images.build_failure import here

if TYPE_CHECKING:
    from taskcal.agents import Agent
    from taskcal.core.plan import OperatorBounds
    from taskcal.core.task import Group, Network, Task
    from taskcal.sandbox.images.baking import Images, PreparedImages

PLAINLY = "put it into the folder, and write its path plainly"


def prepare_group(group: Group, images: Images, agent: Agent, bounds: OperatorBounds) -> PreparedImages | Lost:
    """The images of one group, or why none of its rollouts can be run. Never raises for a task's own reasons."""
    reason = forbidden(group.task, bounds, agent.network) or agent.refusal(group.task) or missing_for_tools(group.task)
    if reason:
        return Lost(Boundary.SETUP, reason)
    timeout = group.task.timeouts.setup
    try:
        most = BuildBounds(memory=bounds.memory, cpus=bounds.cpus)
        made = images.prepare(group.task.environment, group.variant.params, timeout, most)
        network = group.task.environment.network
        # A fresh grading has the task's own network.
        if NetworkMode.HOSTS in {network_access_of(network, agent.network).mode, network.mode}:
            made = replace(made, gateway=images.gateway())
        if not agent.install.strip():
            return made
        return replace(made, sandbox=images.install(made.sandbox, agent.install, timeout), untouched=made.sandbox)
    except Exception as error:  # noqa: BLE001 - whatever broke, the other groups go on
        return lost_because(error)


def lost_because(error: Exception) -> Lost:
    """The outcome of every rollout of a group whose preparation failed. Raises a mistake that a person must mend."""
    if isinstance(error, LostError):
        return Lost(error.boundary, str(error))
    if isinstance(error, TaskcalError):
        raise error
    if isinstance(error, OSError) and error.filename:
        return Lost(Boundary.SETUP, f"{error.filename}: {error.strerror}")
    return Lost(Boundary.UNKNOWN, f"taskcal failed while it prepared the task: {type(error).__name__}: {error}")


def forbidden(task: Task, bounds: OperatorBounds, agent_network: Network | None) -> str | None:
    """Why a task must not be run here, its Dockerfiles included, or None. Nothing is built or pulled for the answer."""
    if reason := task_refusal(task, bounds, agent_network):
        return reason
    if bounds.images is None and bounds.builds_have_network:
        return None
    sources = (task.environment.source, *(service.source for service in task.environment.services))
    folders = dict.fromkeys(source.build for source in sources if source.build)
    return next((reason for folder in folders if (reason := _forbidden_build(Path(folder), bounds))), None)


def _forbidden_build(folder: Path, bounds: OperatorBounds) -> str | None:
    """What a folder's Dockerfile wants and may not have. No link, which the engine would follow elsewhere, is read."""
    path = folder / "Dockerfile"
    for file in (path, folder / ".dockerignore"):
        if file.is_symlink() or not (file.is_file() or (file != path and not file.exists())):
            return f"{here(str(file))} is not there, or no regular file, as a build within bounds needs"
    try:
        if path.stat().st_size > LONGEST_DOCKERFILE:
            return f"{here(str(path))}: larger than 1 MiB"
        found = wants(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return f"{here(str(path))}: cannot be read: {error}"
    told = ((want.line, _reason(want, bounds, folder)) for want in found)
    return next((f"{here(str(path))}:{line}: {reason}" for line, reason in told if reason), None)


def _reason(want: Want, bounds: OperatorBounds, folder: Path) -> str | None:
    what = want.what if len(want.what) <= 100 else f"{want.what[:100]}…"
    if want.kind is Kind.UNCLEAR:
        return f"what this takes from elsewhere cannot be told before it is built; write it more plainly: {what}"
    if want.kind is Kind.FETCH and not bounds.builds_have_network:
        return f"ADD takes {what}, which the engine may fetch, and builds have no network; {PLAINLY}"
    if want.kind is Kind.FILE and not bounds.builds_have_network and not _holds(folder, want.what):
        return f"ADD takes {what}, which is not in the folder, and builds have no network; {PLAINLY}"
    if want.kind is Kind.UNNAMED and bounds.images is not None:
        return f"the image {what} is no plain name, which --allow-image needs; write NAME, NAME:TAG or NAME@DIGEST"
    if want.kind is Kind.IMAGE and want.what != BASE_IMAGE and not is_listed(want.what, bounds):
        return f"it builds on the image {what}, and --allow-image does not allow it; allow it, or use {BASE_IMAGE}"
    return None


def _holds(folder: Path, source: str) -> bool:
    """Whether a folder has what an ADD's source names, up to its first part with a wildcard."""
    parts = [part for part in source.split("/") if part not in {"", "."}]
    plain = itertools.takewhile(lambda part: not {"*", "?"} & set(part), parts)
    return ".." not in parts and os.path.lexists(folder.joinpath(*plain))
