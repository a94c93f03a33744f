"""Gather what identities are made of: the files that tasks bring, and what an agent plays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.agents.builtin import BuiltinAgent, Noop
from taskcal.core import identity
from taskcal.core.identity import FileDigests
from taskcal.machine.file_tree import context_digest, tree_digest
from taskcal.store.run_rows import group_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from taskcal.agents import Agent
    from taskcal.core.group_record import GroupRecord
    from taskcal.core.task import FileCopy, Group, Task, Taskset


@dataclass(frozen=True, slots=True)
class Identities:
    """What a run asks of whom: its groups, each with its parts, and the digests of all of them and of the agent."""

    groups: tuple[GroupRecord, ...]
    taskset_digest: str
    agent_digest: str


def gather_identities(taskset: Taskset, agent: Agent, version: str = "") -> Identities:
    """Read every file that the tasks bring. `version` is what stands behind --agent-version."""
    contents = contents_of(taskset.tasks)
    groups = records_of(taskset.groups(), contents, agent.user)
    played = {} if isinstance(agent, Noop) or not isinstance(agent, BuiltinAgent) else _plays(taskset, contents)
    definitions = {str(group.id): identity.definition(group.parts) for group in groups}
    return Identities(groups, identity.taskset_digest(definitions), identity.agent_digest(agent, version, played))


def records_of(
    groups: Iterable[Group], contents: FileDigests, agent_user: str | None = None
) -> tuple[GroupRecord, ...]:
    """What a run remembers of each group, with the parts that make it what it is."""
    chosen = tuple(groups)
    shared = {
        task.id: identity.task_parts(task, contents)
        for task in {group.task.id: group.task for group in chosen}.values()
    }
    return tuple(
        replace(group_record(group, agent_user), parts=identity.group_parts(group, shared[group.task.id]))
        for group in chosen
    )


def _plays(taskset: Taskset, contents: FileDigests) -> dict[str, str]:
    return {task.id: identity.plays(task, contents) for task in taskset.tasks}


def contents_of(tasks: Iterable[Task]) -> FileDigests:
    """The digests of all files and build folders that tasks bring; of one that cannot be read, the reason.

    Nothing is raised: a file that cannot be read loses only its own task, when that task is prepared.
    """
    everything = tuple(tasks)
    copies = {copy.source for task in everything for copy in _copies(task)}
    folders = {folder for task in everything for folder in _folders(task)}
    return FileDigests(
        {source: _digest(tree_digest, source) for source in copies},
        {folder: _digest(context_digest, folder) for folder in folders},
    )


def _digest(read: Callable[[Path], str], path: str) -> str:
    try:
        return read(Path(path))
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _folders(task: Task) -> Iterator[str]:
    environment = task.environment
    for source in (environment.source, *(service.source for service in environment.services)):
        if source.build:
            yield source.build


def _copies(task: Task) -> Iterator[FileCopy]:
    environment = task.environment
    yield from environment.files
    yield from task.grader.files
    for service in environment.services:
        yield from service.files
    for solution in task.solutions:
        yield from solution.files
    for wrong in task.wrong:
        yield from wrong.files
