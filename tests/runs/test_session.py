"""Whole runs, from a request to the results on disk, on an engine without containers and without a terminal."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from taskcal.agents.spec import CommandSpec
from taskcal.core.calibration.calibrate import calibrate
from taskcal.core.calibration.run_result import RunResult
from taskcal.core.gate import Exit, exit_code, find_violations
from taskcal.core.rollout import Graded, Lost, Rollout
from taskcal.core.settings import CalibrationSettings
from taskcal.core.verdict import Verdict
from taskcal.errors import Boundary, EngineLost, MissingError, SandboxLost, UsageError
from taskcal.runs.request import Spending
from taskcal.runs.session import carry_out, open_run, require_agent
from taskcal.store.run_folder import RunFolder
from tests.runs.fake_runs import ADAPTIVE, FakeRuns, Watcher, Worker, make_request

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.runs.request import Request
    from taskcal.runs.session import EndedRun

WORKER = Worker(CommandSpec("worker", "work"))
KEYS = {f"{name}#{index}" for name in ("ship", "refund") for index in range(4)}


@dataclass
class Desk:
    """A folder for runs, the engine that they use, and who watches."""

    runs: Path
    engine: FakeRuns = field(default_factory=FakeRuns)
    watcher: Watcher = field(default_factory=Watcher)

    def request(self, settings: CalibrationSettings | None = None) -> Request:
        """What is asked."""
        return make_request(self.runs, WORKER, settings)

    def carry_out(self, request: Request) -> EndedRun:
        """The whole run; whatever comes of it, nothing is left on the engine."""
        with closing(open_run(request, self.engine, self.watcher, self.watcher)) as run:
            ended = carry_out(run)
        assert self.engine.left == set()
        assert ended.record.id in self.engine.ended
        return ended

    def rows(self, ended: EndedRun) -> tuple[Rollout, ...]:
        """What is on disk."""
        return tuple(RunFolder.open(self.runs / ended.record.id).rollouts())

    def result(self, ended: EndedRun) -> RunResult:
        """Calibrate the rows on disk."""
        record = ended.record
        groups = RunFolder.open(self.runs / record.id).groups()
        return RunResult(record, calibrate(groups, self.rows(ended), record.settings, record.planned))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Give an empty folder for runs."""
    return Desk(tmp_path / "runs")


def test_a_fixed_run(desk: Desk) -> None:
    """Every task four times, each on disk with its log; the record on disk is the final one."""
    desk.engine.passes = lambda key: key in {"ship#0", "ship#1"}
    ended = desk.carry_out(desk.request())
    rows = desk.rows(ended)
    assert {row.id.key for row in rows} == KEYS == set(desk.engine.opened)
    assert len(rows) == 8
    assert {row.id.key for row in rows if isinstance(row.outcome, Graded) and row.outcome.passed} == {
        "ship#0",
        "ship#1",
    }
    folder = RunFolder.open(desk.runs / ended.record.id)
    assert folder.record() == ended.record
    assert {(folder.attempt_folder(row.id) / "agent.log").read_text() for row in rows} == {"worked\n"}
    record = ended.record
    assert (record.engine, record.agent, record.interrupted, record.stopped) == ("fake 1.0", "worker", False, "")
    assert record.images == {"ship": "sha256:1", "refund": "sha256:1"}
    assert "the image has an entrypoint" in record.notes
    assert record.seconds is not None


def test_what_is_heard_of_a_run(desk: Desk) -> None:
    """Entered first and left last; in between each rollout starts and ends, in the order of the plan."""
    desk.carry_out(replace(desk.request(), concurrency=1))
    order = [f"{name}#{index}" for index in range(4) for name in ("ship", "refund")]
    told = [event for key in order for event in (f"started {key}", f"passed {key}")]
    assert desk.watcher.events == ["enter", "begin 2 x 4, 0 retries", *told, "exit"]


def test_an_adaptive_run(desk: Desk) -> None:
    """A task is over as soon as it is decided: the easy one before the cap, and neither at the group size."""
    desk.engine.passes = lambda key: key.startswith("refund")
    ended = desk.carry_out(desk.request(CalibrationSettings(4, ADAPTIVE)))
    verdicts = {row.group.id.task: row.judgement.verdict for row in desk.result(ended).calibrations}
    assert verdicts == {"ship": Verdict.TOO_HARD, "refund": Verdict.TOO_EASY}
    counts = Counter(row.id.group.task for row in desk.rows(ended))
    assert 4 < counts["refund"] < counts["ship"] <= 16
    assert desk.watcher.looks > 0
    assert "begin 2, at most 16, 0 retries" in desk.watcher.events


def test_an_interrupted_run_is_resumed(desk: Desk) -> None:
    """What had ended is on disk; the rest is run by the next call, and nothing twice."""
    desk.watcher.patience = 3
    first = desk.carry_out(desk.request())
    kept = {row.id.key for row in desk.rows(first)}
    assert first.record.interrupted
    assert 3 <= len(kept) < 8
    assert RunFolder.open(desk.runs / first.record.id).record().interrupted
    again = Desk(desk.runs)
    request = replace(desk.request(), resume=str(desk.runs / first.record.id))
    second = again.carry_out(request)
    assert (second.record.id, second.record.interrupted) == (first.record.id, False)
    assert set(again.engine.opened) == KEYS - kept
    assert sorted(row.id.key for row in again.rows(second)) == sorted(KEYS)
    begun = again.watcher.events.index("begin 2 x 4, 0 retries")
    heard = again.watcher.events[begun + 1 : begun + 1 + len(kept)]
    assert {event.removeprefix("passed ") for event in heard} == kept
    assert (second.record.seconds or 0) >= (first.record.seconds or 0)


def test_an_adaptive_run_is_resumed(desk: Desk) -> None:
    """The planner goes on from what is on disk: together they take what one run takes."""
    whole = Desk(desk.runs / "whole")
    whole.engine.passes = desk.engine.passes = lambda _: False
    asked = CalibrationSettings(4, ADAPTIVE)
    one = whole.carry_out(replace(whole.request(asked), concurrency=1))
    desk.watcher.patience = 5
    first = desk.carry_out(replace(desk.request(asked), concurrency=1))
    again = Desk(desk.runs, replace(desk.engine, opened=Counter()))
    resumed = replace(desk.request(asked), concurrency=1, resume=str(desk.runs / first.record.id))
    second = again.carry_out(resumed)
    assert sorted(row.id for row in again.rows(second)) == sorted(row.id for row in whole.rows(one))


def test_a_run_with_another_seed_is_not_resumed(desk: Desk) -> None:
    """Refused by name before anything is opened."""
    first = desk.carry_out(desk.request())
    again = Desk(desk.runs)
    with pytest.raises(UsageError, match="the seed changed"):
        again.carry_out(replace(desk.request(), seed=8, resume=str(desk.runs / first.record.id)))
    assert again.engine.opened == Counter()


def test_a_run_of_which_everything_is_lost(desk: Desk) -> None:
    """Each rollout is a row with its boundary, none is a failure, and the exit code blames no task."""
    desk.engine.raises = SandboxLost("it died")
    ended = desk.carry_out(desk.request())
    rows = desk.rows(ended)
    assert {row.id.key for row in rows} == KEYS
    assert {row.outcome for row in rows} == {Lost(Boundary.SANDBOX, "it died")}
    result = desk.result(ended)
    counts = [(row.counts.graded, row.counts.lost, row.judgement.verdict) for row in result.calibrations]
    assert counts == [(0, 4, Verdict.UNMEASURED)] * 2
    assert exit_code(find_violations(result, desk.request().gate)) is Exit.TOO_MUCH_LOST


def test_a_task_without_an_image_is_lost_once(desk: Desk) -> None:
    """Reported before any rollout, with one row; the other task is measured."""
    desk.engine.unprepared = {"ship": Lost(Boundary.IMAGE, "not found")}
    ended = desk.carry_out(desk.request())
    ship = [row for row in desk.rows(ended) if row.id.group.task == "ship"]
    assert [(row.id.key, row.outcome) for row in ship] == [("ship#0", Lost(Boundary.IMAGE, "not found"))]
    assert set(desk.engine.opened) == {key for key in KEYS if key.startswith("refund")}
    assert "log ship cannot be measured: image: not found" in desk.watcher.events
    assert list(ended.record.images) == ["refund"]


def test_a_run_that_may_spend_no_more(desk: Desk) -> None:
    """It ends early, and its record says why."""
    ended = desk.carry_out(replace(desk.request(), spending=Spending(rollouts=3)))
    assert len(desk.rows(ended)) == 3
    assert ended.record.stopped == "--max-rollouts 3 was reached"
    assert not ended.record.interrupted


def test_one_failure_of_each_task_is_kept(desk: Desk) -> None:
    """Their containers' names are part of what the run gives back."""
    desk.engine.passes = lambda key: not key.startswith("ship")
    ended = desk.carry_out(replace(desk.request(), keep_failed=True))
    assert len(ended.kept) == 1
    assert ended.kept[0].startswith("kept-ship#")


def test_an_engine_that_removes_nothing_hides_no_results(desk: Desk) -> None:
    """A warning that is heard after the run, and the results all the same."""
    desk.engine.refuses = EngineLost("busy")
    ended = desk.carry_out(desk.request())
    assert len(desk.rows(ended)) == 8
    warning = "warn not everything could be removed (busy); `taskcal clean` does it later"
    assert desk.watcher.events[-2:] == ["exit", warning]


def test_a_new_agent_is_tried_first(desk: Desk) -> None:
    """One that did nothing of the trivial task is measured, with a note; once it has results, it is not tried again."""
    asked = replace(desk.request(), preflight=True)
    desk.engine.passes = lambda key: not key.startswith("taskcal-preflight")
    ended = desk.carry_out(asked)
    warning = next(note for note in ended.record.notes if "finished without having done a trivial task" in note)
    assert desk.watcher.events[:2] == ["log trying the agent worker on one trivial task", f"log {warning}"]
    assert desk.engine.ended[0].startswith("preflight-")
    again = Desk(desk.runs)
    again.carry_out(asked)
    assert "begin 2 x 4, 0 retries" in again.watcher.events[:2]


def test_a_broken_agent_makes_no_run(desk: Desk) -> None:
    """Neither a folder nor a rollout."""
    desk.engine.unprepared = {"taskcal-preflight": Lost(Boundary.AGENT_INSTALL, "no such package")}
    with pytest.raises(MissingError, match="the agent worker does not work: agent-install: no such package"):
        desk.carry_out(replace(desk.request(), preflight=True))
    assert not desk.runs.exists()
    with pytest.raises(MissingError, match="nothing answers; see to it"):
        require_agent(replace(WORKER, missing="nothing answers"))
