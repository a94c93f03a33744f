"""What judging costs as rows grow: `python tests/bench/bench_judge.py`.

Promises: linear in the rollouts of a task (four times the rows, at most five times the time), 5,000 tasks of 16 under
1.5 s, and memory that follows the rows and not the largest index.
"""

from __future__ import annotations

import random
import time
import tracemalloc
from typing import TYPE_CHECKING

from taskcal.core.adaptive.design import Design
from taskcal.core.calibration.calibrate import calibrate
from taskcal.core.group_record import GroupRecord
from taskcal.core.rollout import CheckResult, Graded, GroupId, Rollout, RolloutId, Stop
from taskcal.core.settings import CalibrationSettings, fixed_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)


def group(name: str) -> GroupRecord:
    return GroupRecord(GroupId(name, ""), {}, "Do it.", (), 1.0, (("check", 1.0),), "t.yaml", 1)


def rows(of: GroupRecord, indices: Sequence[int], chance: random.Random) -> list[Rollout]:
    """A task with a rate of its own, whose failures earn something."""
    rate = chance.random()
    rewards = [1.0 if chance.random() < rate else chance.choice(LEVELS[:-1]) for _ in indices]
    outcomes = [Graded(Stop.FINISHED, r, r >= 1.0, (CheckResult("check", 1.0, r),)) for r in rewards]
    return [Rollout(RolloutId(of.id, i, 0), outcome) for i, outcome in zip(indices, outcomes, strict=True)]


def seconds(tasks: int, rollouts: int, settings: CalibrationSettings) -> float:
    """The time that the processor spends on judging so many tasks."""
    chance = random.Random(f"{tasks}/{rollouts}")  # noqa: S311 - a seeded example
    groups = [group(f"t{number}") for number in range(tasks)]
    known = [row for one in groups for row in rows(one, range(rollouts), chance)]
    started = time.process_time()
    calibrate(groups, known, settings)
    return time.process_time() - started


def peak(indices: Sequence[int]) -> int:
    """The bytes that judging rows with these indices takes at most."""
    only = group("t")
    known = rows(only, indices, random.Random(1))  # noqa: S311
    tracemalloc.start()
    calibrate([only], known, fixed_settings(2))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def main() -> None:
    """Print each measurement beside its promise."""
    seconds(1, 16, fixed_settings(16))  # loads scipy
    few, many = (seconds(1, rollouts, fixed_settings(16)) for rollouts in (26_000, 104_000))
    print(f"one task of 26,000 rollouts: {few:.2f} s; of 104,000: {many:.2f} s, {many / few:.1f} times as much (4)")
    for name, settings in (("fixed", fixed_settings(16)), ("adaptive", CalibrationSettings(16, Design()))):
        print(f"5,000 tasks of 16, {name}: {seconds(5_000, 16, settings):.2f} s (under 1.5)")
    near, far = (peak([0, last]) for last in (1, 999_999_999))
    print(f"two rows with index 999,999,999: {far / near:.2f} times the memory of indices 0 and 1 (1)")


if __name__ == "__main__":
    main()
