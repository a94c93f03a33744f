"""Going on with a run: what it was asked fills what was not typed, and anything that differs is refused by name."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.core.rollout import Graded
from taskcal.errors import UsageError
from taskcal.store import find

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskcal.cli.configuration import Configuration
    from taskcal.cli.options import RunOptions
    from taskcal.core.plan import Plan
    from taskcal.core.rollout import Rollout
    from taskcal.core.run import RunRecord


def continued(given: RunOptions, configured: Configuration) -> RunOptions:
    """The options with what the run to go on with was asked. Raises RunFolderError where there is none."""
    if given.resume is None:
        if given.extend:
            raise UsageError("--extend goes with --resume")
        return given
    root = Path(given.out or configured.runs or "runs")
    folder = find(given.resume, root)
    asked = folder.record()
    return replace(
        given,
        resume=str(folder.path),
        files=given.files or asked.taskset_files,
        agent=given.agent or asked.agent_source,
        only=frozenset(group.id for group in folder.groups()) if given.chooses_nothing else None,
        group_size=given.group_size or asked.group_size,
        seed=asked.seed if given.seed is None else given.seed,
        band=given.band or f"{asked.band.low},{asked.band.high}",
    )


def refuse_differences(before: RunRecord, now: RunRecord, *, extend: bool) -> None:
    """Raise UsageError that names what differs, since rollouts of two different questions are not one group."""
    different = [
        name
        for name, old, new in (
            ("the tasks (files, selection or what they say)", before.taskset_digest, now.taskset_digest),
            ("the agent (its file, or --set)", before.agent_digest, now.agent_digest),
            ("the seed", before.seed, now.seed),
        )
        if old != new
    ]
    if now.group_size != before.group_size and not (extend and now.group_size > before.group_size):
        different.append(f"the group size ({before.group_size}, now {now.group_size}; --extend allows a larger one)")
    if different:
        raise UsageError(
            f"run {before.id} cannot be resumed: {' and '.join(different)} changed; start a new run instead"
        )


def remaining(plan: Plan, recorded: Iterable[Rollout]) -> Plan:
    """What of a plan is still owed: all that was not graded, each as one attempt more than were recorded."""
    rollouts = tuple(recorded)
    graded = {rollout.id.key for rollout in rollouts if isinstance(rollout.outcome, Graded)}
    attempts: dict[str, int] = {}
    for rollout in rollouts:
        attempts[rollout.id.key] = max(attempts.get(rollout.id.key, 0), rollout.id.attempt + 1)
    owed = (planned for planned in plan if planned.id.key not in graded)
    return tuple(replace(planned, id=replace(planned.id, attempt=attempts.get(planned.id.key, 0))) for planned in owed)


def command_to_resume(run: str) -> str:
    """What a person types to go on with this run, with the options of the call that was interrupted."""
    words = sys.argv[1:]
    if "--resume" in words:
        place = words.index("--resume")
        del words[place : place + 2]
    return f"taskcal {shlex.join([*words, '--resume', run])}"
