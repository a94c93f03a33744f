"""One run's record and two of its rollouts, for the tests of the run's folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from taskcal.core.group_record import GroupRecord
from taskcal.core.rollout import CheckResult, Graded, GroupId, Lost, Rollout, RolloutId, Stop
from taskcal.core.run import RunRecord
from taskcal.core.settings import fixed_settings
from taskcal.errors import Boundary
from taskcal.store.seal import SEAL

if TYPE_CHECKING:
    from pathlib import Path

GROUP = GroupRecord(GroupId("ship", "easy"), {"order": 12}, "Ship it.", ("sql",), 1.0, (("a", 1.0),), "t.yaml", 3)
GRADED = Graded(Stop.FINISHED, 0.7, passed=False, checks=(CheckResult("a", 1.0, 0.7, "why"),))
FIRST = Rollout(RolloutId(GROUP.id, 0, 0), GRADED, answer="\ud800 \x00 ä\n", started_at="2025-01-02T03:04:05Z")
SECOND = Rollout(RolloutId(GROUP.id, 1, 0), Lost(Boundary.ENGINE, "it did not answer"))
RECORD = RunRecord(
    id="run-1",
    taskset="shop",
    taskset_files=("t.yaml",),
    taskset_digest="aa",
    agent="noop",
    agent_digest="bb",
    settings=fixed_settings(8),
    seed=7,
    concurrency=2,
    retries=2,
    started_at="2025-01-02T03:04:05Z",
    version="0.1.0",
    engine="Docker 20.10",
    host="Linux",
)


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Change a file of a run as a person does who means it, without its checksums."""
    text = re.sub(rf',\s*"{SEAL}": "\w+"', "", path.read_text())
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)
