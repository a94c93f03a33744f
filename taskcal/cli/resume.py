"""Going on with a run: what it was asked fills what was not typed, and anything that differs is refused by name."""

from __future__ import annotations

import itertools
import math
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.core.book import Design
from taskcal.core.rollout import Graded, RolloutId
from taskcal.core.run import IMPORTED
from taskcal.errors import UsageError
from taskcal.store import find

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskcal.cli.configuration import Configuration
    from taskcal.cli.options import RunOptions
    from taskcal.core.plan import Plan
    from taskcal.core.question import Question
    from taskcal.core.rollout import GroupId, Rollout
    from taskcal.core.run import RunRecord

UNLIMITED = math.inf


def continued(given: RunOptions, configured: Configuration) -> RunOptions:
    """The options with what the run to go on with was asked. Raises RunFolderError where there is none."""
    if given.resume is None:
        if given.extend:
            raise UsageError("--extend goes with --resume")
        return given
    root = Path(given.out or configured.runs or "runs")
    folder = find(given.resume, root)
    asked = folder.record()
    if asked.engine == IMPORTED:
        raise UsageError(f"run {asked.id} was imported and cannot be resumed; import its rows again with the new ones")
    return replace(
        given,
        resume=str(folder.path),
        files=given.files or asked.taskset_files,
        agent=given.agent or asked.agent_source,
        only=frozenset(group.id for group in folder.groups()) if given.chooses_nothing else None,
        agent_version=asked.agent_version if given.agent_version is None else given.agent_version,
        asked=asked.question,
        prior_run=asked.prior_run,
        seed=asked.seed if given.seed is None else given.seed,
    )


def refuse_differences(before: RunRecord, now: RunRecord, *, extend: bool) -> None:
    """Raise UsageError that names what differs, since rollouts of two different questions are not one group."""
    different = [
        name
        for name, old, new in (
            ("the tasks (files, selection or what they say)", before.taskset_digest, now.taskset_digest),
            (
                "the agent (its file, --set, its version, or what is served)",
                before.agent_digest,
                now.agent_digest,
            ),
            ("the seed", before.seed, now.seed),
        )
        if old != new
    ]
    different += _sizes_that_differ(before.question, now.question, extend=extend)
    different += ["the design"] if _rest(before.question) != _rest(now.question) else []
    if different:
        raise UsageError(
            f"run {before.id} cannot be resumed: {' and '.join(different)} changed; start a new run instead"
        )


def _sizes_that_differ(before: Question, now: Question, *, extend: bool) -> list[str]:
    """What --extend allows to grow."""
    sizes: list[tuple[str, float, float]] = [("the group size", before.group_size, now.group_size)]
    if before.adaptive and now.adaptive:
        sizes += [("--max-group-size", before.design.limit, now.design.limit)]
        sizes += [("--budget", before.design.budget or UNLIMITED, now.design.budget or UNLIMITED)]
    return [
        f"{name} ({_size(old)}, now {_size(new)}; --extend allows a larger one)"
        for name, old, new in sizes
        if old != new and not (extend and new > old)
    ]


def _size(value: float) -> str:
    return "no limit" if value == UNLIMITED else str(value)


def _rest(question: Question) -> tuple[object, ...]:
    """What must stay as it was; fixed groups may be judged against another band at any time."""
    design = replace(question.design, cap=None, budget=None)
    design = design if question.adaptive else Design(rule=design.rule)
    return design, question.metric if question.adaptive else None, dict(question.earlier)


def remaining(plan: Plan, recorded: Iterable[Rollout]) -> Plan:
    """What of a plan is still owed: all that was not graded, each as one attempt more than were recorded."""
    rollouts = tuple(recorded)
    graded = {rollout.id.key for rollout in rollouts if isinstance(rollout.outcome, Graded)}
    attempts: dict[str, int] = {}
    for rollout in rollouts:
        attempts[rollout.id.key] = max(attempts.get(rollout.id.key, 0), rollout.id.attempt + 1)
    owed = (planned for planned in plan if planned.id.key not in graded)
    return tuple(replace(planned, id=replace(planned.id, attempt=attempts.get(planned.id.key, 0))) for planned in owed)


def next_id(group: GroupId, recorded: Iterable[Rollout]) -> RolloutId:
    """The first index of a group that was not graded, as one attempt more than were recorded."""
    rows = [rollout for rollout in recorded if rollout.id.group == group]
    graded = {rollout.id.index for rollout in rows if isinstance(rollout.outcome, Graded)}
    index = next(index for index in itertools.count() if index not in graded)
    return RolloutId(group, index, sum(rollout.id.index == index for rollout in rows))


def command_to_resume(run: str) -> str:
    """What a person types to go on with this run, with the options of the call that was interrupted."""
    words = sys.argv[1:]
    if "--resume" in words:
        place = words.index("--resume")
        del words[place : place + 2]
    return f"taskcal {shlex.join([*words, '--resume', run])}"
