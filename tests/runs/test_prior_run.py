"""What an earlier run says of the tasks of a new one: only of the same tasks, and never more than it saw."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from taskcal.cli.options.design import DesignOptions
from taskcal.core.adaptive.design import Design
from taskcal.core.identity import ImageOrigin
from taskcal.core.plan import Selection
from taskcal.core.provenance import Provenance
from taskcal.core.rollout import Graded, GroupId, RolloutId, Stop
from taskcal.core.run import GroupImages
from taskcal.core.settings import CalibrationSettings, Metric
from taskcal.core.stats.prior import Counts
from taskcal.errors import RunFolderError, UsageError
from taskcal.runs.prior_run import read_prior_run
from taskcal.store.run_folder import RunFolder
from tests.cli.options.options_case import TASKSET, make_run, request
from tests.execution.schedule_case import BUSY, FAILED, PASSED
from tests.store.store_case import edit

if TYPE_CHECKING:
    from taskcal.core.rollout import Outcome
    from taskcal.runs.request import Request

RUNS = Path("runs")
SHIP1, SHIP2, REFUND = GroupId("ship", "1"), GroupId("ship", "2"), GroupId("refund", "")
OUTCOMES: dict[str, list[Outcome]] = {"ship/1": [PASSED, FAILED, BUSY, PASSED], "refund": [FAILED] * 4}
PARTIAL = Graded(Stop.FINISHED, 0.5, False, ())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder, with a taskset in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(TASKSET)
    return tmp_path


def warm(name: str = "last", selection: Selection | None = None) -> Request:
    """A new adaptive run that starts from an earlier one."""
    return request(design=DesignOptions(adaptive=True, prior=name), selection=selection or Selection())


def change(old: str, new: str) -> None:
    """Edit the taskset."""
    text = Path("shop.yaml").read_text()
    assert old in text
    Path("shop.yaml").write_text(text.replace(old, new))


def test_the_counts_are_those_of_the_graded() -> None:
    """Of each variant its own; the lost only cost something, and what was never measured is not there."""
    make_run(RUNS, "first", request(), OUTCOMES)
    found = warm()
    assert found.settings.earlier == {SHIP1: Counts(2, 3), REFUND: Counts(0, 4)}
    assert (found.earlier.run, found.earlier.seconds) == ("first", 10.0)
    assert found.earlier.cost_usd == pytest.approx((0.02 * 4 / 3 + 0.02) / 2)


@pytest.mark.parametrize("name", ["first", "runs/first", "last"])
def test_a_run_is_named_as_everywhere(name: str) -> None:
    """By its id, its folder, or as the last one."""
    make_run(RUNS, "first", request(), OUTCOMES)
    assert warm(name).earlier.run == "first"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("Refund.", "Refund it.", {SHIP1}),
        ("Ship {{ n }}.", "Ship order {{ n }}.", {REFUND}),
        ("name: a, file", "name: first, file", set()),
        ("name: a, file: /a", "name: a, weight: 2, file: /a", set()),
        ("prompt: Refund.", "prompt: Refund., passing: 0.5", {SHIP1}),
        ("id: refund", "id: refunds", {SHIP1}),
        ("memory: 64m", "memory: 65m", set()),
        ("memory: 64m", "memory: 64m, setup: echo", set()),
        ("exists: true}", "absent: true}", set()),
        ("touch /a /b", "touch /b /a", {SHIP1, REFUND}),
        ("debian:bookworm-slim", "debian:other", {SHIP1, REFUND}),
        ("tags: [sql]", "tags: [sql, db]", {SHIP1, REFUND}),
        ("taskset: shop", "\n\ntaskset: store", {SHIP1, REFUND}),
    ],
)
def test_a_changed_task_is_another_task(old: str, new: str, same: set[GroupId]) -> None:
    """Whatever an agent meets and how it is judged; not its tags, place in the file, solutions or an image's name."""
    make_run(RUNS, "first", request(), OUTCOMES)
    change(old, new)
    if same:
        assert set(warm().settings.earlier) == same
    else:
        with pytest.raises(UsageError, match=r"^--prior last: run first measured none of these tasks as they are now$"):
            warm()


def test_a_run_of_other_tasks_is_a_usage_error() -> None:
    """Also one of the same tasks in which none of those that are chosen was graded, and one that is not there."""
    make_run(RUNS, "lost", request(), {"refund": [BUSY]})
    with pytest.raises(UsageError, match="--prior lost: run lost measured none of these tasks as they are now"):
        warm("lost")
    make_run(RUNS, "first", request(), {"refund": [PASSED]})
    with pytest.raises(UsageError, match="measured none of these tasks"):
        warm("first", Selection(("ship",)))
    with pytest.raises(RunFolderError, match="not a run's folder"):
        warm("gone")


def test_imported_runs_are_matched_by_name() -> None:
    """They have neither prompts nor checks; a time that a table does not tell is not one of no seconds."""
    groups = request().groups
    run = make_run(RUNS, "mine", request(), OUTCOMES)
    run.write_record(replace(run.record(), engine=Provenance.IMPORTED.value))
    prompts = [(f'"{prompt}"', '""') for prompt in ("Ship 1.", "Ship 2.", "Refund.")]
    edit(run.path / "taskset.json", *prompts, ('"n": 1', '"m": 1'))
    edit(run.path / "rollouts.jsonl", ('"total": 10.0', '"total": 0.0'))
    found = read_prior_run("mine", RUNS, groups)
    assert found.counts == {SHIP1: Counts(2, 3), REFUND: Counts(0, 4)}
    assert found.seconds is None


def test_a_run_about_rewards_tells_successes() -> None:
    """A warm start is about how often a task passes, whatever the earlier run was asked."""
    asked = replace(request().settings, metric=Metric.REWARD)
    make_run(RUNS, "rewards", request(), {"refund": [PASSED, PASSED, PARTIAL]}, asked)
    assert warm().settings.earlier == {REFUND: Counts(2, 3)}


def test_an_adaptive_run_tells_what_it_decided_on() -> None:
    """The counts at its decision: what was still in flight then came in the order of its durations."""
    make_run(RUNS, "first", request(), {"refund": [*[PASSED] * 7, FAILED]}, CalibrationSettings(8, Design(learn=False)))
    assert warm().settings.earlier == {REFUND: Counts(7, 7)}


def test_a_fixed_run_starts_warm_too() -> None:
    """Its verdicts rest on both, and a resume knows what it began from."""
    make_run(RUNS, "first", request(), OUTCOMES)
    found = request(design=DesignOptions(prior="first"))
    assert not found.settings.adaptive
    assert found.settings.earlier[REFUND] == Counts(0, 4)
    made = make_run(RUNS, "second", found, {})
    assert RunFolder.open(made.path).record().prior_run == "first"
    assert RunFolder.open(made.path).record().settings.earlier == found.settings.earlier


def test_nothing_is_read_of_attempts_that_were_replaced() -> None:
    """Of several attempts at one index the last counts, as in the run's own report."""
    run = make_run(RUNS, "first", request(), {"refund": [BUSY, FAILED]})
    run.lock()
    before = next(iter(run.rollouts()))
    run.append(replace(before, id=RolloutId(REFUND, 0, 1), outcome=PASSED))
    run.close()
    assert warm().settings.earlier == {REFUND: Counts(1, 2)}


def test_a_run_of_an_older_version_is_compared_as_far_as_it_goes() -> None:
    """Its groups have no parts: prompt, params and checks must be the same, and a note reports that this was all."""
    run = make_run(RUNS, "first", request(), OUTCOMES)
    text = re.sub(r'"parts": {[^}]*}', '"parts": {}', (run.path / "taskset.json").read_text())
    (run.path / "taskset.json").write_text(re.sub(r',\s*"crc32": "\w+"', "", text))
    assert warm().earlier.is_older
    assert set(warm().settings.earlier) == {SHIP1, REFUND}
    change("Refund.", "Refund it.")
    assert set(warm().settings.earlier) == {SHIP1}


def test_the_earlier_runs_images_are_kept_for_later() -> None:
    """What they are now is only known when this run has its own."""
    run = make_run(RUNS, "first", request(), OUTCOMES)
    images = GroupImages("i", {"": ImageOrigin({"a": "sha256:1"})}, {"": ("sha256:2",)})
    run.write_record(replace(run.record(), groups={"refund": images}))
    found = warm().earlier
    assert (found.images, found.is_older) == ({REFUND: images}, False)


def test_a_resumed_run_compares_with_the_images_of_its_prior_again() -> None:
    """It may have been killed before it had images of its own; a prior that is gone is not compared."""
    run = make_run(RUNS, "first", request(), OUTCOMES)
    images = GroupImages("i", {"": ImageOrigin({"a": "sha256:1"})}, {"": ("sha256:2",)})
    run.write_record(replace(run.record(), groups={"refund": images}))
    make_run(RUNS, "second", warm(), {})
    assert request(files=(), resume="second").earlier.images == {REFUND: images}
    shutil.rmtree(run.path)
    found = request(files=(), resume="second").earlier
    assert (found.images, set(found.counts)) == ({}, {SHIP1, REFUND})
