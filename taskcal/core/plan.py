"""The rollouts to run, their order, and the tasks that must not run.

Rollouts of different tasks are interleaved: every group gets its first rollout before any gets its second, so that a
run cut short has measured each task a little.
"""

from __future__ import annotations

import fnmatch
import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from taskcal.core.network import HERE, network_access_of
from taskcal.core.rollout import RolloutId
from taskcal.core.task import NetworkMode, as_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from taskcal.core.task import Artifact, Group, Network, Task, Taskset, Variant

Plan = tuple["PlannedRollout", ...]

SYSTEM = {"/", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/usr", "/usr/bin", "/usr/sbin", "/usr/lib", "/etc", "/run"}
"""Where the shell, the tools and their settings live, which a grader must have from the image."""

WIDTH = (NetworkMode.NONE, NetworkMode.HOSTS, NetworkMode.BRIDGE)
"""Networks, each wider than the one before it."""

ROUNDING = 1e-9
"""Of CPUs: 0.1 three times is a little more than 0.3."""

UNREADABLE = ("/proc/", "/sys/", "/dev/", "/run/taskcal/")
"""What is not in a container's files, or is taskcal's own there."""


@dataclass(frozen=True, slots=True)
class PlannedRollout:
    """One rollout to run. `agent` is a name among the agents of its workplace; '' is the run's own."""

    id: RolloutId
    group: Group
    agent: str = ""


@dataclass(frozen=True, slots=True)
class OperatorBounds:
    """What the operator lets a task ask for; None is no bound.

    `memory` (bytes), `cpus` and `pids` are those of a sandbox and its services together.
    `images` are globs of image names; the word `build` among them allows images that are built from a folder, on the
    base image or on images that are listed themselves.
    """

    network: NetworkMode = NetworkMode.BRIDGE
    memory: int | None = None
    cpus: float | None = None
    images: tuple[str, ...] | None = None
    pids: int | None = None

    @property
    def builds_have_network(self) -> bool:
        """Whether builds, setups and installs may reach a network: there it is all or nothing."""
        return self.network is NetworkMode.BRIDGE


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tasks and variants to take; empty takes all. Values match exactly first, then as globs."""

    tasks: tuple[str, ...] = ()
    params: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    limit: int | None = None


def plan_rollouts(groups: Iterable[Group], group_size: int, done: Collection[str] = ()) -> Plan:
    """Every rollout that is still to run: `group_size` for each group, without the keys in `done`, interleaved."""
    everything = tuple(groups)
    return tuple(
        PlannedRollout(rollout, group)
        for index in range(group_size)
        for group in everything
        if (rollout := RolloutId(group.id, index, 0)).key not in done
    )


def rollout_seed(run_seed: int, rollout: RolloutId) -> int:
    """A seed of its own for every rollout, in [0, 2^63): the same for each attempt at it, on any machine."""
    digest = hashlib.sha256(f"{run_seed}/{rollout.key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def select(taskset: Taskset, selection: Selection) -> tuple[Taskset, tuple[str, ...]]:
    """The chosen part of a taskset, and each part of the selection that matched nothing."""
    unmatched = [
        *(f"--task {name}" for name in selection.tasks if not any(_names(name, t, v) for t, v in _pairs(taskset))),
        *(f"--tag {tag}" for tag in selection.tags if not any(_matches(tag, t.tags) for t in taskset.tasks)),
        *(f"--param {n}={v}" for n, v in selection.params if not any(_holds(n, v, x) for _, x in _pairs(taskset))),
    ]
    chosen = [replace(task, variants=kept) for task in taskset.tasks if (kept := _kept(task, selection))]
    if selection.limit is not None:
        chosen = chosen[: selection.limit]
    return replace(taskset, tasks=tuple(chosen)), tuple(unmatched)


def task_refusal(task: Task, bounds: OperatorBounds, agent_network: Network | None = None) -> str | None:
    """Why a task must not or cannot be run here, or None. It is then unmeasured, with this reason."""
    if reason := next(_unfit(task.grader.artifacts), None):
        return reason
    reach = network_access_of(task.environment.network, agent_network)
    if WIDTH.index(reach.mode) > WIDTH.index(bounds.network):
        asked = "a list of hosts" if reach.mode is NetworkMode.HOSTS else reach.mode
        return f"it asks for network: {asked}, and --allow-network is {bounds.network}"
    if any(way.host == HERE and not way.trusted for way in reach.ways):
        return f"it asks for {HERE}, the machine that it runs on, which only an agent's file may allow"
    sources = (task.environment.source, *(service.source for service in task.environment.services))
    strange = next((source for source in sources if not is_listed(source.image or "build", bounds)), None)
    if strange is not None:
        what = f"the image {strange.image}" if strange.image else "an image that is built from a folder"
        return f"it asks for {what}, and --allow-image does not allow it"
    return next(_excess(task, bounds), None)


def is_listed(name: str, bounds: OperatorBounds) -> bool:
    """Whether --allow-image lets an image be taken; `build` stands for one that is built from a folder."""
    return bounds.images is None or any(fnmatch.fnmatchcase(name, glob) for glob in bounds.images)


def _unfit(artifacts: Iterable[Artifact]) -> Iterator[str]:
    """What is wrong with a fresh sandbox's artifacts: with them it would not be fresh, or nothing could arrive."""
    seen: set[str] = set()
    for artifact in artifacts:
        path = "/" + "/".join(part for part in artifact.path.split("/") if part not in ("", "."))
        if path in SYSTEM:
            yield f"artifacts: {path} would bring the agent's programs into the grading; name a folder below it"
        if f"{path}/".startswith(UNREADABLE):
            yield f"artifacts: {path} cannot be read from outside the sandbox; have the agent write to another folder"
        if path in seen:
            yield f"artifacts: {path} is named twice, and only one can be there"
        seen.add(path)


def _excess(task: Task, bounds: OperatorBounds) -> Iterator[str]:
    """What is too much: a sandbox is a container and those of its services, which all run at once."""
    services = task.environment.services
    every = (task.environment.limits, *(service.limits for service in services))
    asked = f"with its {'service' if len(services) == 1 else 'services'} it asks for" if services else "it asks for"
    memory, cpus = sum(limits.memory for limits in every), sum(limits.cpus for limits in every)
    pids = sum(limits.pids for limits in every)
    if bounds.memory is not None and memory > bounds.memory:
        yield f"{asked} {size_text(memory)} of memory, and --max-memory allows {size_text(bounds.memory)}"
    if bounds.cpus is not None and cpus > bounds.cpus + ROUNDING:
        yield f"{asked} {cpus:g} CPUs, and --max-cpus allows {bounds.cpus:g}"
    if bounds.pids is not None and pids > bounds.pids:
        yield f"{asked} {pids:,} processes (pids), and --untrusted allows {bounds.pids:,}"


def size_text(count: int) -> str:
    """Bytes as a person reads them."""
    return f"{count / 1024**3:.3g} GiB" if count >= 1024**3 else f"{count / 1024**2:.4g} MiB"


def _pairs(taskset: Taskset) -> Iterator[tuple[Task, Variant]]:
    return ((task, variant) for task in taskset.tasks for variant in task.variants)


def _kept(task: Task, selection: Selection) -> tuple[Variant, ...]:
    if selection.tags and not any(_matches(tag, task.tags) for tag in selection.tags):
        return ()
    kept = (v for v in task.variants if not selection.tasks or any(_names(n, task, v) for n in selection.tasks))
    return tuple(v for v in kept if all(_holds(name, value, v) for name, value in selection.params))


def _names(name: str, task: Task, variant: Variant) -> bool:
    full = f"{task.id}/{variant.id}" if variant.id else task.id
    return name in {task.id, full} or fnmatch.fnmatchcase(task.id, name) or fnmatch.fnmatchcase(full, name)


def _matches(pattern: str, values: Collection[str]) -> bool:
    return pattern in values or any(fnmatch.fnmatchcase(value, pattern) for value in values)


def _holds(name: str, value: str, variant: Variant) -> bool:
    if name not in variant.params:
        return False
    text = as_text(variant.params[name])
    return text == value or fnmatch.fnmatchcase(text, value)
