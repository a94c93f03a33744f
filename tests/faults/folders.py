"""A run's folder as a run leaves it, and what must be true of one that was damaged since."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskcal.cli.options.configuration import Configuration
from taskcal.cli.options.request import resolve_request
from taskcal.cli.options.resume_options import fill_from_run
from taskcal.core.plan import plan_rollouts
from taskcal.core.rollout import CheckResult, Graded, Lost, Rollout, RolloutId, Stop, Timing, Usage
from taskcal.errors import Boundary
from taskcal.runs.identities import gather_identities
from taskcal.runs.resume import remaining
from taskcal.store.run_folder import RunFolder
from tests.cli.options.options_case import NOTHING
from tests.faults.wrong import Wrong
from tests.store.store_case import RECORD

if TYPE_CHECKING:
    from taskcal.runs.request import Request

GROUP_SIZE = 4
TASKS = Path("shop.yaml")


def asked(resume: Path | None = None) -> Request:
    """The request of the run, or the one to go on with it."""
    given = replace(NOTHING, files=(), resume=str(resume))
    if resume is None:
        given = replace(NOTHING, files=(str(TASKS),), group_size=GROUP_SIZE, seed=RECORD.seed)
    return resolve_request(fill_from_run(given, Configuration()), Configuration())


def calibrated_run(place: Path) -> None:
    """A run of the shop that is nearly over: some rollouts lost and tried again, one never run."""
    dice, request = random.Random(1), asked()  # noqa: S311 - not for secrets
    known = gather_identities(request.taskset, request.agent)
    record = replace(
        RECORD,
        id=place.name,
        taskset_files=request.taskset.files,
        taskset_digest=known.taskset_digest,
        agent="oracle",
        agent_source="oracle",
        agent_digest=known.agent_digest,
        settings=request.settings,
    )
    folder = RunFolder.create(place.parent, record, known.groups)
    folder.extend(row for planned in plan_rollouts(request.groups, GROUP_SIZE)[:-1] for row in _rows(planned.id, dice))
    folder.close()


def _rows(name: RolloutId, dice: random.Random) -> list[Rollout]:
    score = dice.choice((0.0, 0.3, 0.7, 1.0))
    checks = (CheckResult("a", 1.0, score, "because"),)
    graded = Graded(dice.choice(list(Stop)), score, score == 1.0, checks)
    spent = {"usage": Usage(10, 2, 3, 0.01), "timing": Timing(agent=score, total=1.0 + score)}
    if dice.random() < 0.8:
        return [Rollout(name, graded, answer="42", turns=3, **spent)]  # type: ignore[arg-type]  # mypy mixes their types
    again = Rollout(replace(name, attempt=1), graded if dice.random() < 0.8 else Lost(Boundary.IMAGE, "gone"))
    return [Rollout(name, Lost(Boundary.ENGINE, "it did not answer")), again]


def check_numbers(found: Any, whole: Any) -> None:
    """Whatever is reported of a damaged folder was measured. Raises Wrong."""
    if (found["run"]["band"], found["run"]["group_size"]) != (whole["run"]["band"], whole["run"]["group_size"]):
        raise Wrong(f"another question: {found['run']}")
    known = {task["id"]: task for group in [whole["tasks"]] for task in group}
    for task in found["tasks"]:
        if task["id"] not in known:
            raise Wrong(f"a task that was never run: {task['id']!r}")
        invented = Counter(task["rewards"]) - Counter(known[task["id"]]["rewards"])
        if invented:
            raise Wrong(f"{task['id']}: rewards that nobody earned: {dict(invented)}")


def check_page(text: str) -> None:
    """A page has no character that only acts. Raises Wrong."""
    loud = [line for line in text.split("\n") if not line.isprintable()]
    if loud:
        raise Wrong(f"a page has {loud[0][:200]!r}")


def check_plan(run: Path) -> None:
    """A resume owes exactly what is not graded, each once. Raises Wrong."""
    request, folder = asked(run), RunFolder.open(run)
    rows = tuple(folder.rollouts())
    graded = {row.id.key for row in rows if isinstance(row.outcome, Graded)}
    owed = [planned.id for planned in remaining(plan_rollouts(request.groups, request.group_size), rows)]
    keys = [one.key for one in owed]
    everything = {planned.id.key for planned in plan_rollouts(request.groups, request.group_size)}
    if len(keys) != len(set(keys)) or set(keys) != everything - graded:
        raise Wrong(f"planned {sorted(keys)[:5]} where {sorted(everything - graded)[:5]} are missing")
    if any(row.id in owed for row in rows):
        raise Wrong("an attempt that is on record would be made again under its name")
