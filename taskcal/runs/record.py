"""The record of a new run: request, agent and host, with the notes that every report of it prints."""

from __future__ import annotations

import os
import platform
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from taskcal import __version__
from taskcal.core.run import RunRecord
from taskcal.runs.prior_run import OLDER_PRIOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskcal.agents import Agent
    from taskcal.core.group_record import GroupRecord
    from taskcal.runs.identities import Identities
    from taskcal.runs.request import Request


def make_record(request: Request, engine: str, known: Identities) -> RunRecord:
    """What is asked, for the run's folder; `engine` is its product and version."""
    now = datetime.now(UTC)
    name = "".join(c if c.isalnum() or c in "-._" else "-" for c in request.taskset.name)[:40]
    return RunRecord(
        id=f"{now:%Y%m%d-%H%M%S}-{name}-{secrets.token_hex(2)}",
        taskset=request.taskset.name,
        taskset_files=request.taskset.files,
        taskset_digest=known.taskset_digest,
        agent=request.agent.name,
        agent_source=request.agent_source,
        agent_version=request.agent_version,
        agent_digest=known.agent_digest,
        settings=request.settings,
        prior_run=request.earlier.run,
        seed=request.seed,
        concurrency=request.concurrency,
        retries=request.retries,
        started_at=now.isoformat(timespec="seconds"),
        version=__version__,
        engine=engine,
        host=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        notes=(*_notes(request.agent), *_overrides(known.groups), *([OLDER_PRIOR] if request.earlier.is_older else [])),
    )


def _overrides(groups: Sequence[GroupRecord]) -> list[str]:
    """A sentence for each user that the agent's file names instead of the tasks' own."""
    tasks: dict[str, dict[str, None]] = {}
    for group in groups:
        if group.override is not None:
            tasks.setdefault(group.override.words, {})[group.id.task] = None
    return [
        f"the agent's file makes it act as {words} in {first}{f' and {len(more)} more tasks' if more else ''}"
        for words, (first, *more) in tasks.items()
    ]


def _notes(agent: Agent) -> Iterator[str]:
    if agent.about:
        yield agent.redactor.text(f"the agent {agent.name}: {agent.about}")
    if agent.network is None:
        return
    if agent.network.hosts:
        yield f"the agent's file lets every sandbox reach {', '.join(agent.network.hosts)} beside what its task lists"
    else:
        yield f"the agent's file gives every sandbox network: {agent.network.mode.value}, whatever the task says"
