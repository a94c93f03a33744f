"""Going on with a run: what it asked stays, what differs is named, and what is owed is run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.cli.options.configuration import Configuration
from taskcal.cli.options.design import DesignOptions
from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.group_record import GroupRecord
from taskcal.core.plan import Selection, plan_rollouts
from taskcal.core.provenance import Provenance
from taskcal.core.rollout import GroupId, Rollout, RolloutId
from taskcal.core.settings import CalibrationSettings, Metric, fixed_settings
from taskcal.core.stats.prior import Counts
from taskcal.core.verdict import Band
from taskcal.errors import RunFolderError, UsageError
from taskcal.runs.resume import changed_groups, next_id, refuse_differences, remaining
from taskcal.store.run_folder import RunFolder
from tests.cli.options.options_case import TASKSET, make_run, request
from tests.execution.schedule_case import BUSY, FAILED, PASSED, groups, task
from tests.store.store_case import RECORD

if TYPE_CHECKING:
    from taskcal.core.rollout import Outcome

GROUP = GroupId("t", "")
RUNS = Path("runs")
ADAPTIVE = CalibrationSettings(8, Design(cap=64, budget=100))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder, with a taskset in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(TASKSET)
    return tmp_path


def typed(**given: Any) -> DesignOptions:
    return replace(DesignOptions(), **given)


def refusal(before: CalibrationSettings, now: CalibrationSettings, *, extend: bool = False) -> str | None:
    """Why a run cannot be gone on with, or None."""
    try:
        refuse_differences(replace(RECORD, settings=before), replace(RECORD, settings=now), extend=extend)
    except UsageError as error:
        return str(error)
    return None


def test_nothing_typed_changes_nothing() -> None:
    """Files, agent, seed, selection and the whole design come from the run, also where the project says otherwise."""
    design = typed(adaptive=True, certify=True, max_group_size=99, budget=500, error_rate=0.1)
    before = request(design=design, band="0.1,0.9", group_size=4, selection=Selection(("ship",)), seed=7)
    make_run(RUNS, "old", before, {})
    after = request(files=(), agent=None, resume="old")
    assert (after.settings, after.seed, after.agent_source) == (before.settings, 7, "oracle")
    assert [str(group.id) for group in after.groups] == ["ship/1", "ship/2"]
    assert (after.settings.design.rule, after.settings.design.limit) == (Rule.CERTIFY, 99)


def test_what_is_typed_wins_and_is_then_compared() -> None:
    """A resume takes what is typed, so that the difference can be named."""
    make_run(RUNS, "old", request(design=typed(adaptive=True, budget=50)), {})
    after = request(resume="last", design=typed(budget=90), extend=True, group_size=16)
    assert (after.settings.design.budget, after.settings.group_size, after.extend) == (90, 16, True)
    assert after.settings.design.rule is Rule.NEVER


@pytest.mark.parametrize(
    ("now", "name"),
    [
        (replace(ADAPTIVE, design=Design(budget=100, rule=Rule.CERTIFY)), "--certify"),
        (replace(ADAPTIVE, design=Design(cap=64, budget=100, rule=Rule.FIXED)), "--adaptive"),
        (replace(ADAPTIVE, design=Design(cap=64, budget=100, rule=Rule.NEVER)), "--budget"),
        (replace(ADAPTIVE, design=Design(cap=64, budget=100, error_rate=0.1)), "--error-rate"),
        (ADAPTIVE.with_band(Band(0.1, 0.9)), "--band"),
        (replace(ADAPTIVE, earlier={GROUP: Counts(1, 2)}), "--prior"),
        (replace(ADAPTIVE, design=Design(cap=64, budget=100, learn=False)), "the design"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
@pytest.mark.parametrize("extend", [False, True])
def test_another_design_is_refused_by_name(now: CalibrationSettings, name: str, extend: bool) -> None:
    """With --extend too: rollouts that two rules asked for are no one run."""
    told = refusal(ADAPTIVE, now, extend=extend)
    assert told is not None
    assert name in told
    assert told.startswith("run run-1 cannot be resumed: ")
    assert told.endswith(" changed; start a new run instead")
    assert "\n" not in told
    assert told.count(" and ") == 0


@pytest.mark.parametrize(
    ("now", "name"),
    [
        (replace(ADAPTIVE, group_size=16), "the group size (8, now 16;"),
        (replace(ADAPTIVE, design=Design(cap=128, budget=100)), "--max-group-size (64, now 128;"),
        (replace(ADAPTIVE, design=Design(cap=64, budget=200)), "--budget (100, now 200;"),
        (replace(ADAPTIVE, design=Design(cap=64)), "--budget (100, now no limit;"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_extend_allows_more_and_never_less(now: CalibrationSettings, name: str) -> None:
    """A larger group size, cap or budget; without --extend it is refused, and the way back is refused always."""
    told = refusal(ADAPTIVE, now)
    assert told is not None
    assert f"{name} --extend allows a larger one)" in told
    assert refusal(ADAPTIVE, now, extend=True) is None
    assert refusal(now, ADAPTIVE, extend=True) is not None


def test_a_certified_cap_is_the_same_written_or_not() -> None:
    """What a rule takes without being told is no difference to the same number typed."""
    plain = CalibrationSettings(8, Design(rule=Rule.CERTIFY))
    assert refusal(plain, replace(plain, design=Design(rule=Rule.CERTIFY, cap=128))) is None


def test_fixed_groups_may_be_judged_otherwise() -> None:
    """Band, error rate, metric and tolerance change nothing of what was run; where it began from does."""
    before = fixed_settings(8)
    now = replace(fixed_settings(8, Band(0.2, 0.5)), metric=Metric.REWARD, flat_tolerance=0.1)
    assert refusal(before, replace(now, design=replace(now.design, error_rate=0.3))) is None
    assert "--prior" in (refusal(before, replace(before, earlier={GROUP: Counts(1, 2)})) or "")


def test_every_difference_is_named() -> None:
    """In one line, so that all can be mended at once."""
    now = replace(RECORD, taskset_digest="x", agent_digest="y", seed=1, settings=fixed_settings(9))
    with pytest.raises(UsageError) as caught:
        refuse_differences(RECORD, now, extend=False)
    for name in ("the tasks", "the agent", "the seed", "the group size (8, now 9"):
        assert name in str(caught.value)


def test_a_prior_belongs_to_the_beginning() -> None:
    """The same one may be typed again, another is refused, and so is one where the run had none."""
    make_run(RUNS, "first", request(), {"refund": [PASSED]})
    make_run(RUNS, "other", request(), {"refund": [FAILED]})
    make_run(RUNS, "warm", request(design=typed(adaptive=True, prior="first")), {})
    make_run(RUNS, "cold", request(design=typed(adaptive=True)), {})
    again = request(resume="warm", design=typed(prior="runs/first"))
    assert again.settings.earlier == {GroupId("refund", ""): Counts(1, 1)}
    assert again.earlier.run == "first"
    with pytest.raises(UsageError, match=r"^run warm began with --prior first; leave --prior out, or start a new run$"):
        request(resume="warm", design=typed(prior="other"))
    with pytest.raises(UsageError, match=r"^run cold began without an earlier calibration; leave --prior out"):
        request(resume="cold", design=typed(prior="first"))


def test_what_cannot_be_resumed() -> None:
    """An imported run, no run at all, and --extend without a run to extend: each in one line that says what to do."""
    make_run(RUNS, "old", request(), {})
    run = RunFolder.open(RUNS / "old")
    run.write_record(replace(run.record(), engine=Provenance.IMPORTED.value))
    with pytest.raises(UsageError, match="run old was imported and cannot be resumed; import its rows again"):
        request(resume="old")
    with pytest.raises(RunFolderError, match="gone: not a run's folder"):
        request(resume="gone")
    with pytest.raises(UsageError, match="--extend goes with --resume"):
        request(extend=True)


def test_what_is_owed_is_run_as_the_next_attempt() -> None:
    """All that was not graded, however often it was lost; what was graded once is never run again."""
    owed = plan_rollouts(groups(task("t")), 4)
    rows: list[tuple[int, int, Outcome]] = [(0, 0, BUSY), (0, 1, PASSED), (1, 0, BUSY), (1, 1, BUSY), (2, 0, FAILED)]
    recorded = [Rollout(RolloutId(GROUP, index, attempt), outcome) for index, attempt, outcome in rows]
    assert [(one.id.index, one.id.attempt) for one in remaining(owed, recorded)] == [(1, 2), (3, 0)]


def test_the_next_id_of_a_group() -> None:
    """The first index that was not graded, one attempt on."""
    rows = [Rollout(RolloutId(GROUP, 0, 0), PASSED), Rollout(RolloutId(GROUP, 1, 0), BUSY)]
    assert next_id(GROUP, []) == RolloutId(GROUP, 0, 0)
    assert next_id(GROUP, rows) == RolloutId(GROUP, 1, 1)
    assert next_id(GroupId("other", ""), rows) == RolloutId(GroupId("other", ""), 0, 0)


def record(name: str, **parts: str) -> GroupRecord:
    return GroupRecord(GroupId(name, ""), {}, "", (), 1.0, (), "", 1, parts)


def test_changed_tasks_are_named_with_what_changed() -> None:
    """Each set of parts once with the tasks that it concerns, at most three of them."""
    old = [record(name, prompt="1", setup="1") for name in "abcdefg"]
    new = [record(name, prompt="1", setup="2") for name in "abcde"]
    new += [record("f", prompt="2", setup="2"), record("h", prompt="1")]
    found = changed_groups(RECORD, old, new)
    assert found == ("a, b, c and 2 more: setup", "f: prompt, setup", "h: not in the run", "g: not chosen now")
    assert changed_groups(RECORD, old, list(reversed(old))) == ()
    with pytest.raises(UsageError) as caught:
        refuse_differences(RECORD, replace(RECORD, taskset_digest="x"), extend=True, changes=found)
    assert "the tasks (a, b, c and 2 more: setup; f: prompt, setup; h: not in the run; 1 more) changed" in str(
        caught.value
    )


def test_a_run_of_an_older_version_is_not_resumed() -> None:
    """What it did not record cannot be compared; the message reports what can be done with it."""
    with pytest.raises(UsageError, match=r"run run-1 was recorded by an older version .* --prior run-1 begins"):
        changed_groups(RECORD, [record("a")], [record("a", prompt="1")])


def test_a_run_whose_tasks_are_all_gone_is_one_line(folder: Path) -> None:
    """Nothing is left to go on with."""
    make_run(RUNS, "old", request(), {})
    (folder / "shop.yaml").write_text(TASKSET.replace("id: ship", "id: a").replace("id: refund", "id: b"))
    with pytest.raises(UsageError, match=r"^none of the tasks of the run is in shop.yaml now"):
        request(files=(), resume="old")


def test_files_do_not_start_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the project's configuration nor a run's record, which may be a stranger's; typed, it is tried."""
    monkeypatch.delenv("TASKCAL_AGENT", raising=False)
    (tmp_path / "code.yaml").write_text("agent: code\nkind: python\ncall: no_such_module:solve\n")
    with pytest.raises(
        UsageError, match=r"the project's configuration .* names the agent code\.yaml, a Python function"
    ):
        request(Configuration(agent="code.yaml"), agent=None)
    make_run(RUNS, "old", replace(request(), agent_source="code.yaml"), {})
    with pytest.raises(UsageError, match=r"old/run\.json names the agent code\.yaml, a Python function"):
        request(agent=None, resume="old")
    with pytest.raises(UsageError, match="no_such_module:solve cannot be imported"):
        request(agent="code.yaml", resume="old")
