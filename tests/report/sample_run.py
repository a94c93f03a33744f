"""One run with known rollouts, for the tests of every format: hard, easy, unmeasured and lost ones among them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.calibration.calibrate import calibrate
from taskcal.core.calibration.run_result import RunResult
from taskcal.core.group_record import GroupRecord
from taskcal.core.rollout import CheckResult, Graded, GroupId, Lost, Rollout, RolloutId, Stop, Timing, Usage
from taskcal.core.run import RunRecord
from taskcal.core.settings import CalibrationSettings, fixed_settings
from taskcal.errors import Boundary

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.rollout import Outcome

CHECKS = (("order is shipped", 0.7), ("tracking code is set", 0.3))
QUESTION = fixed_settings(8)


def record(task: str, variant: str = "", checks: Sequence[tuple[str, float]] = CHECKS) -> GroupRecord:
    return GroupRecord(
        GroupId(task, variant), {"order": 1234}, "Ship it.", ("sql",), 1.0, tuple(checks), "shop.yaml", 7
    )


def graded(*scores: float, stop: Stop = Stop.FINISHED, checks: Sequence[tuple[str, float]] = CHECKS) -> Graded:
    """One score for each check; passed when all are full."""
    pairs = zip(checks, scores, strict=True)
    results = tuple(CheckResult(name, weight, score) for (name, weight), score in pairs)
    reward = sum(check.weight * check.score for check in results) / sum(check.weight for check in results)
    return Graded(stop, reward, reward > 0.999, results)


def lost(boundary: Boundary = Boundary.SANDBOX, reason: str = "the container died") -> Lost:
    return Lost(boundary, reason)


def rollouts(group: GroupRecord, outcomes: Sequence[Outcome], cost: float | None = None) -> list[Rollout]:
    """Rollouts that took 12 seconds each."""
    return [
        Rollout(RolloutId(group.id, index, 0), outcome, usage=Usage(cost_usd=cost), timing=Timing(total=12.0))
        for index, outcome in enumerate(outcomes)
    ]


def calibration(
    group: GroupRecord, outcomes: Sequence[Outcome], cost: float | None = None, settings: CalibrationSettings = QUESTION
) -> Calibration:
    """The calibration of a group on its own."""
    return calibrate([group], rollouts(group, outcomes, cost), settings)[0]


def copied(outcomes: Sequence[Outcome], copies: int, settings: CalibrationSettings = QUESTION) -> Calibration:
    """The same where the first transcripts are copies of each other, and the others are not."""
    group = record("copied")
    rows = [
        replace(row, transcript_sha256="aa" if row.id.index < copies else f"b{row.id.index}")
        for row in rollouts(group, outcomes)
    ]
    return calibrate([group], rows, settings)[0]


def counted(passed: int, failed: int, settings: CalibrationSettings = QUESTION, task: str = "a-task") -> Calibration:
    """So many passes, then so many failures."""
    return calibration(record(task), [graded(1, 1)] * passed + [graded(0, 0)] * failed, settings=settings)


def with_judgement(row: Calibration, **changed: Any) -> Calibration:
    """The same calibration, judged otherwise."""
    return replace(row, judgement=replace(row.judgement, **changed))


def adaptive(rule: Rule = Rule.POSTERIOR, budget: int | None = None) -> CalibrationSettings:
    """An adaptive design with a fixed prior."""
    return CalibrationSettings(8, Design(rule=rule, budget=budget, learn=False))


def run_record(
    *notes: str, taskset: str = "shop-orders", interrupted: bool = False, settings: CalibrationSettings = QUESTION
) -> RunRecord:
    return RunRecord(
        id="20250102-030405-ab12",
        taskset=taskset,
        taskset_files=("tasksets/shop.yaml",),
        taskset_digest="aa" * 32,
        agent="simulated",
        agent_digest="bb" * 32,
        settings=settings,
        seed=7,
        concurrency=4,
        retries=2,
        started_at="2025-01-02T03:04:05Z",
        version="0.1.0",
        engine="docker 20.10",
        host="linux",
        notes=notes,
        seconds=93.0,
        interrupted=interrupted,
    )


def result_of(run: RunRecord, calibrations: Iterable[Calibration]) -> RunResult:
    return RunResult(run, tuple(calibrations))


def shop() -> list[Calibration]:
    """Ten groups that show every verdict, in file order."""
    full, half, none = graded(1, 1), graded(1, 0), graded(0, 0)
    image = lost(Boundary.IMAGE, "images/shop: no such folder")
    return [
        calibration(record("ship-order", "step-by-step"), [full] * 5 + [half] * 3),
        calibration(record("ship-order", "high-level"), [half] * 6 + [none] * 2),
        calibration(record("refund-order"), [full] * 3 + [none] * 3 + [lost(), lost(Boundary.PROVIDER, "429")]),
        calibration(record("cancel-order"), [full] * 8),
        calibration(record("merge-customers", "many"), [graded(0, 0, stop=Stop.TIMEOUT)] * 8),
        calibration(record("close-account"), [image] * 8),
        calibration(record("count-orders"), [full] * 2 + [none] * 6),
        calibration(record("restock"), [full] * 7 + [half]),
        calibration(record("audit"), [none] * 30 + [full]),
        calibration(record("export-csv"), [full] * 2 + [none, half, half, half, half, half]),
    ]
