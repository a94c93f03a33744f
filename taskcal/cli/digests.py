"""What a run was asked, as one number: two runs with the same digests asked the same of the same tasks."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from taskcal.core.task import FileCopy
from taskcal.sandbox.archive import digest, pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.agents import Agent
    from taskcal.core.task import Task, Taskset


def taskset_digest(taskset: Taskset) -> str:
    """SHA-256 over what the tasks say, wherever they are written, and over every file and build folder they bring."""
    tasks = tuple(replace(task, file="", line=0) for task in taskset.tasks)
    copies = {copy for task in tasks for copy in _copies(task)}
    contents = sorted((copy.destination, digest(pack([copy]))) for copy in copies)
    return hashlib.sha256(repr((tasks, contents)).encode()).hexdigest()


def agent_digest(agent: Agent, version: str = "") -> str:
    """SHA-256 over all that the agent's file says, what its endpoint says that it serves, and the version typed."""
    return hashlib.sha256(repr((agent, version) if version else agent).encode()).hexdigest()


def _copies(task: Task) -> Iterator[FileCopy]:
    environment = task.environment
    for source in (environment.source, *(service.source for service in environment.services)):
        if source.build:
            yield FileCopy("/", source.build)
    yield from environment.files
    yield from task.grader.files
    for service in environment.services:
        yield from service.files
    for solution in task.solutions:
        yield from solution.files
    for wrong in task.wrong:
        yield from wrong.files
