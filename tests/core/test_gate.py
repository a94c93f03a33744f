"""The exit code that results earn: never a task's fault where our side broke."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.calibration.run_result import RunResult
from taskcal.core.gate import Exit, FailOn, Gate, Violation, exit_code, find_violations, is_failing
from taskcal.core.rollout import GroupId
from taskcal.core.settings import fixed_settings
from taskcal.errors import Boundary
from tests.core.core_case import calibrated, counts, lost
from tests.report.sample_run import run_record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskcal.core.calibration.calibration import Calibration

STRICT = Gate(FailOn.FLAGGED)
GOOD, HARD, EASY = counts(4, 4), counts(0, 8), counts(8, 0)
OURS = [Boundary.ENGINE, Boundary.SANDBOX, Boundary.AGENT_INSTALL, Boundary.PROVIDER, Boundary.CANCELLED]
ITS_OWN = [Boundary.IMAGE, Boundary.SETUP, Boundary.SERVICE, Boundary.GRADER]
COUNTS = st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 8))


def code_of(calibrations: Iterable[Calibration], gate: Gate, *, interrupted: bool = False, group_size: int = 1) -> Exit:
    run = replace(run_record(settings=fixed_settings(group_size)), interrupted=interrupted)
    return exit_code(find_violations(RunResult(run, tuple(calibrations)), gate))


def test_the_numbers_are_a_promise() -> None:
    """Scripts compare with them; 2 is left to wrong usage."""
    numbers = {code.name: int(code) for code in Exit}
    assert numbers == {"DONE": 0, "FLAGGED": 1, "NOTHING_CAN_RUN": 3, "TOO_MUCH_LOST": 4, "INTERRUPTED": 130}


def test_measured_is_done() -> None:
    """Without a gate also where tasks are flagged."""
    assert code_of([GOOD], STRICT) is Exit.DONE
    assert code_of([GOOD, HARD, EASY], Gate()) is Exit.DONE


@pytest.mark.parametrize("flagged", [HARD, EASY], ids=["too hard", "too easy"])
def test_a_gate_fails_on_flagged_tasks(flagged: Calibration) -> None:
    """One flagged task among good ones is exit 1 with `--fail-on flagged`."""
    assert code_of([GOOD, flagged, GOOD], STRICT) == Exit.FLAGGED


@pytest.mark.parametrize(
    ("losses", "code"), [(0, Exit.DONE), (2, Exit.DONE), (3, Exit.TOO_MUCH_LOST)], ids=["none", "a fifth", "more"]
)
def test_too_much_lost_is_four(losses: int, code: Exit) -> None:
    """Up to the given share may be lost, 2 of 10 here; beyond it the run is not to be believed."""
    assert code_of([counts(4, 4, *[lost()] * losses)], STRICT) is code


@given(counted=st.lists(COUNTS, min_size=1, max_size=4), share=st.floats(0, 1))
def test_a_broken_engine_blames_no_task(counted: list[tuple[int, int, int]], share: float) -> None:
    """However the rest looks: with more lost by us than allowed, or nothing graded, the exit code is never 1 or 0."""
    found = [counts(passed, failed, *[lost()] * losses) for passed, failed, losses in counted]
    graded = sum(passed + failed for passed, failed, _ in counted)
    losses = sum(losses if passed + failed else max(losses, 1) for passed, failed, losses in counted)
    code = code_of(found, Gate(FailOn.FLAGGED, share))
    if graded == 0 or losses > share * (graded + losses):
        assert code is Exit.TOO_MUCH_LOST
    else:
        assert code in {Exit.DONE, Exit.FLAGGED}


@pytest.mark.parametrize("boundary", [*OURS, Boundary.UNKNOWN])
def test_a_group_that_we_lost_as_a_whole_lost_all_its_rollouts(boundary: Boundary) -> None:
    """One row says that the group could not even be prepared, but as many rollouts as the group has were owed."""
    gone = calibrated([lost(boundary)])
    assert code_of([gone, gone, GOOD], Gate(), group_size=8) is Exit.TOO_MUCH_LOST
    assert code_of([gone, *[GOOD] * 3], STRICT, group_size=8) is Exit.TOO_MUCH_LOST
    assert code_of([gone, *[GOOD] * 4], Gate(), group_size=8) is Exit.DONE
    assert code_of([calibrated([lost(boundary)] * 9), *[GOOD] * 4], Gate(), group_size=8) is Exit.TOO_MUCH_LOST


def test_a_group_that_was_never_run_is_owed() -> None:
    """A run that ended by itself and yet left a group out is not to be believed."""
    assert code_of([calibrated([]), *[GOOD] * 3], Gate(), group_size=8) is Exit.TOO_MUCH_LOST


@pytest.mark.parametrize("boundary", ITS_OWN)
def test_a_group_that_broke_itself_owes_nothing(boundary: Boundary) -> None:
    """Its own definition kept it from being run, which says nothing of our side's health."""
    broken = calibrated([lost(boundary)])
    assert code_of([broken, broken, GOOD], Gate(), group_size=8) is Exit.DONE


def test_nothing_can_run_without_any_image() -> None:
    """Where every task lacks its image, something needed is missing: 3. One other reason among them, and it is 4."""
    missing = calibrated([lost(Boundary.IMAGE)])
    assert code_of([missing, missing], STRICT) == Exit.NOTHING_CAN_RUN
    assert code_of([missing, calibrated([lost()])], STRICT) is Exit.TOO_MUCH_LOST
    assert code_of([missing, calibrated([])], STRICT) is Exit.TOO_MUCH_LOST
    assert code_of([missing, *[GOOD] * 3], Gate()) is Exit.DONE


def test_interrupted_is_interrupted() -> None:
    """Ctrl-C is 130 whatever was measured until then."""
    assert code_of([HARD], STRICT, interrupted=True) == Exit.INTERRUPTED
    assert code_of([], Gate(), interrupted=True) is Exit.INTERRUPTED


@pytest.mark.parametrize("boundary", ITS_OWN)
def test_a_task_that_breaks_itself_fails_a_gate(boundary: Boundary) -> None:
    """Unmeasured by its own definition (image, setup, service, grader) is a finding about the task."""
    assert is_failing(calibrated([lost(boundary)]))
    assert code_of([calibrated([lost(boundary)]), *[GOOD] * 9], STRICT) is Exit.FLAGGED
    assert code_of([calibrated([lost(boundary)]), *[GOOD] * 9], Gate()) is Exit.DONE


@pytest.mark.parametrize("boundary", [*OURS, Boundary.UNKNOWN])
def test_a_task_that_we_broke_does_not(boundary: Boundary) -> None:
    """Unmeasured because of the engine, a provider or an end of the run says nothing about the task."""
    assert not is_failing(calibrated([lost(boundary)]))
    assert not is_failing(calibrated([lost(Boundary.SETUP), lost(boundary)]))
    assert code_of([calibrated([lost(boundary)]), *[GOOD] * 9], STRICT) is Exit.DONE


def test_every_boundary_has_its_side() -> None:
    """No boundary is on neither side, and a task that was not run fails nothing."""
    assert {*OURS, *ITS_OWN, Boundary.UNKNOWN} == set(Boundary)
    assert not is_failing(calibrated([]))


def test_a_task_that_breaks_itself_spoils_no_run() -> None:
    """What such a task loses says nothing of our side's health: the others are believed, and the task is blamed."""
    broken = calibrated([lost(Boundary.SETUP)] * 8)
    assert code_of([broken, GOOD], STRICT) is Exit.FLAGGED
    assert code_of([broken, GOOD], Gate()) is Exit.DONE


def test_violations_name_the_tasks() -> None:
    """Each flagged task is a violation of its own; what our side broke is one, and names none."""
    hard = replace(HARD, group=replace(HARD.group, id=GroupId("hard", "")))
    flagged = RunResult(run_record(), (hard, GOOD, EASY))
    assert [violation.group for violation in find_violations(flagged, STRICT)] == [hard.group.id, EASY.group.id]
    lossy = RunResult(run_record(), (hard, counts(4, 4, *[lost()] * 8)))
    assert find_violations(lossy, STRICT) == (Violation(Exit.TOO_MUCH_LOST),)
    assert find_violations(flagged, Gate()) == ()
