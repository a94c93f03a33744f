"""An adaptive run played to its end, cut and resumed: its rows alone say what it decided, and it always ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.adaptive.task_state import Closed, Launch, finished_outcomes
from taskcal.core.rollout import Graded, GroupId, Lost, Rollout, RolloutId
from taskcal.core.stats.prior import Counts
from taskcal.core.verdict import Verdict
from taskcal.errors import Boundary
from taskcal.execution.stop_conditions import MostRollouts
from tests.core.adaptive.adaptive_case import FOR_GOOD, RETRIES, Play, World, played, tasks_of
from tests.execution.schedule_case import PASSED, PATIENCE, task

if TYPE_CHECKING:
    from taskcal.core.rollout import Outcome

PLAIN = Design(learn=False, cap=32)
ALL_LOST = {f"t{number}#{index}": 99 for number in range(30) for index in range(200)}
RULES = st.sampled_from([Rule.POSTERIOR, Rule.VALUE, Rule.CERTIFY])
RATES = st.lists(st.sampled_from([0.0, 0.03, 0.3, 0.6, 0.8, 1.0]), min_size=1, max_size=4)
LOSSES = st.dictionaries(
    st.builds("t{}#{}".format, st.integers(0, 3), st.integers(0, 12)), st.integers(1, FOR_GOOD), max_size=5
)
WORLDS = st.builds(World, RATES, st.integers(0, 999), st.integers(0, 999), LOSSES)
SIZES = st.integers(1, 12)


def stays_open(world: World) -> bool:
    """Whether no task loses so much for good that it gets no more: when that is noticed is a matter of chance."""
    return max(Counter(key.partition("#")[0] for key in world.losses).values(), default=0) < 3


def decisions(play: Play) -> list[tuple[Counts, Verdict | None, Closed | None]]:
    """All but the certificate, which what was still in flight may complete."""
    return [(found.counts, found.likely, found.closed) for found in play.from_rows()]


@given(world=WORLDS, size=SIZES, rule=RULES)
@settings(deadline=None, max_examples=25)
def test_the_rows_alone_give_the_verdicts(world: World, size: int, rule: Rule) -> None:
    """Whatever ended in whichever order and was lost: at its end a run thinks what a report of its rows will say."""
    play = played(world, replace(PLAIN, rule=rule), size)
    assert play.looks[-1].done
    assert play.from_rows() == play.from_planner()


@given(seed=st.integers(0, 999), order=st.integers(0, 999), losses=LOSSES)
@settings(deadline=None, max_examples=5)
def test_so_they_do_where_the_prior_was_learned(seed: int, order: int, losses: dict[str, int]) -> None:
    """Also from 20 tasks on, where each task's verdict rests on the rows of all of them."""
    world = World([0.0, 0.1, 0.4, 0.7, 0.9, 1.0] * 4, seed, order, losses)
    play = played(world, Design(cap=16), size=12)
    assert play.looks[-1].done
    assert play.from_rows() == play.from_planner()


@given(world=WORLDS, size=SIZES)
@settings(deadline=None, max_examples=25)
def test_every_attempt_is_recorded_once(world: World, size: int) -> None:
    """In their order, until one is graded or the last retry is lost, and none of a task after it was decided."""
    play = played(world, PLAIN, size)
    attempts: dict[str, list[Rollout]] = {}
    for row in play.recorded:
        attempts.setdefault(row.id.key, []).append(row)
    assert sum(map(len, attempts.values())) == len(play.recorded)
    for rows in attempts.values():
        assert [row.id.attempt for row in rows] == list(range(len(rows)))
        assert len(rows) <= RETRIES + 1
        assert not any(isinstance(row.outcome, Graded) for row in rows[:-1])


@given(world=WORLDS.filter(stays_open), order=st.integers(0, 999), sizes=st.tuples(SIZES, SIZES), rule=RULES)
@settings(deadline=None, max_examples=25)
def test_no_order_changes_a_verdict(world: World, order: int, sizes: tuple[int, int], rule: Rule) -> None:
    """Under a fixed prior the same outcomes decide the same, whatever ends first and however many run at once."""
    design = replace(PLAIN, rule=rule)
    one, other = (played(replace(world, order=at), design, size) for at, size in zip((0, order), sizes, strict=True))
    assert decisions(one) == decisions(other)


def test_a_decided_tasks_retry_is_dropped() -> None:
    """Seven of seven: the eighth, which was lost and waits, is not run again, and the rows agree with the planner."""
    play = played(World([1.0], losses={"t0#7": 1}), PLAIN, size=8)
    assert [row.id.key for row in play.recorded if row.id.attempt] == []
    assert [index for index, one in enumerate(play.states[0].launches) if one is Launch.LOST] == [7]
    assert play.from_rows() == play.from_planner()
    assert play.from_planner()[0].likely is Verdict.TOO_EASY


def test_a_dropped_retry_is_lost_to_a_learned_prior_too() -> None:
    """There the whole prefix of the rows counts, behind the lost one as before it: the planner must look as far."""
    rates = [0.8, *[0.5] * 19]
    for seed in range(6):
        losses = {f"t0#{index}": 1 for index in range(4, 24, 3)}
        play = played(World(rates, seed, losses=losses), Design(cap=24), size=40)
        assert play.from_rows() == play.from_planner()


def test_a_retry_before_the_decision_is_waited_for() -> None:
    """Lost in the midst of seven, it is run again: without it nothing is decided, whatever ended after it."""
    play = played(World([1.0], losses={"t0#2": 2}), PLAIN, size=8)
    assert [row.id.attempt for row in play.recorded if row.id.index == 2] == [0, 1, 2]
    assert play.from_planner()[0].counts == Counts(7, 7)


@pytest.mark.parametrize("bound", [1, 2, 5])
def test_max_parallel_is_for_all_variants(bound: int) -> None:
    """The variants of one task share its bound, others are not held back by it, and all are decided."""
    shared = task("t0", "a", "b", "c", max_parallel=bound)
    world = World([0.3, 0.3])
    engine = world.engine(10)
    play = Play([shared, task("t1")], PLAIN).on(engine)
    assert engine.most["t0"] == bound
    assert engine.most["t1"] > 1
    assert all(found.closed for found in play.from_rows())


def test_a_bounded_task_leaves_its_slots_to_others() -> None:
    """Three variants of which one may run keep no slot empty that another task could use."""
    engine = World([0.3, 0.3]).engine(3)
    schedule = Play([task("t0", "a", "b", "c", max_parallel=1), task("t1"), task("t2")], PLAIN).schedule(engine)
    taken = [one.id.group.task for one in iter(lambda: schedule.take(0.0), None)]
    assert taken == ["t0", "t1", "t2"]


@given(world=WORLDS, size=SIZES, budget=st.integers(1, 60), rule=st.sampled_from([Rule.NEVER, Rule.POSTERIOR]))
@settings(deadline=None, max_examples=25)
def test_a_budget_is_exact(world: World, size: int, budget: int, rule: Rule) -> None:
    """So many rollouts and no more, retries not counted; with no rule to stop it earlier, not one less."""
    play = played(world, replace(PLAIN, rule=rule, budget=budget, cap=16), size)
    begun = {row.id.key for row in play.recorded}
    assert len(begun) <= budget
    if rule is Rule.NEVER and not world.losses:
        assert len(begun) == min(budget, 16 * len(world.rates))


@given(world=WORLDS, budget=st.integers(1, 60), cut=st.integers(0, 60), rule=st.sampled_from([Rule.NEVER, Rule.VALUE]))
@settings(deadline=None, max_examples=25)
def test_a_budget_is_of_the_whole_run(world: World, budget: int, cut: int, rule: Rule) -> None:
    """Cut and resumed it is no larger, and what was lost before does not pay twice."""
    design = replace(PLAIN, rule=rule, budget=budget)
    whole = played(world, design, 5)
    again = Play(whole.tasks, design, whole.recorded[:cut]).on(world.engine(4))
    assert len({row.id.key for row in again.recorded}) <= budget
    assert again.from_rows() == again.from_planner()


@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize("count", [1, 5, 25])
def test_a_run_that_loses_everything_ends(count: int, learn: bool) -> None:
    """Each task gives up after three in a row, with all of their retries, and says that it was for losses."""
    world = World([1.0] * count, losses=ALL_LOST)
    play = played(world, replace(PLAIN, learn=learn), size=4)
    assert {found.closed for found in play.from_rows()} == {Closed.LOSSES}
    assert {row.id.attempt for row in play.recorded} == set(range(FOR_GOOD))
    assert play.from_rows() == play.from_planner()


def test_a_run_in_which_nothing_is_sure_ends_at_its_cap() -> None:
    """Every task takes exactly the most that it may."""
    play = played(World([0.75, 0.75]), replace(PLAIN, rule=Rule.NEVER, cap=10), size=7)
    assert Counter(row.id.group.task for row in play.recorded) == {"t0": 10, "t1": 10}
    assert {found.closed for found in play.from_rows()} == {Closed.CAP}


def test_what_has_no_image_is_not_waited_for() -> None:
    """Lost once before the first rollout and given to no schedule: the others are measured, and the run ends."""
    gone = GroupId("t9", "")
    rows = [Rollout(RolloutId(gone, 0, 0), Lost(Boundary.IMAGE, "no such image"))]
    play = Play(tasks_of([1.0]), PLAIN, rows).on(World([1.0]).engine(4))
    assert [row.id.group for row in play.recorded].count(gone) == 1
    assert play.from_rows()[0].likely is Verdict.TOO_EASY


@given(world=WORLDS, sizes=st.tuples(SIZES, SIZES), cut=st.floats(0, 1), rule=RULES)
@settings(deadline=None, max_examples=25)
def test_a_run_cut_anywhere_goes_on(world: World, sizes: tuple[int, int], cut: float, rule: Rule) -> None:
    """What was in flight is run again, nothing is graded twice, and the rows of both parts give the verdicts."""
    design = replace(PLAIN, rule=rule)
    whole = played(world, design, sizes[0])
    cut_at = int(cut * len(whole.recorded))
    kept = whole.recorded[:cut_at]
    again = Play(whole.tasks, design, list(kept)).on(replace(world, order=cut_at, losses={}).engine(sizes[1]))
    graded = Counter(row.id.key for row in again.recorded if isinstance(row.outcome, Graded))
    assert set(graded.values()) <= {1}
    assert len({(row.id.key, row.id.attempt) for row in again.recorded}) == len(again.recorded)
    assert again.from_rows() == again.from_planner()
    for state, found in zip(again.states, again.from_rows(), strict=True):
        assert len(finished_outcomes(state.launches, design.limit)) >= found.counts.graded
        assert found.closed is not None


@given(seed=st.integers(0, 99), cut=st.integers(0, 200))
@settings(deadline=None, max_examples=5)
def test_a_learned_prior_survives_the_cut(seed: int, cut: int) -> None:
    """Also where all tasks are judged by what was learned from both parts."""
    world = World([0.0, 0.1, 0.4, 0.7, 0.9, 1.0] * 4, seed, losses={"t1#2": FOR_GOOD, "t3#0": 1})
    design = Design(cap=16)
    whole = played(world, design, 8)
    again = Play(whole.tasks, design, whole.recorded[:cut]).on(replace(world, order=7, losses={}).engine(16))
    assert again.looks[-1].done
    assert again.from_rows() == again.from_planner()


def test_what_was_lost_comes_first() -> None:
    """On a resume the lost and the missing are begun before anything new, as their next attempts."""
    lost, cancelled = Lost(Boundary.ENGINE, "busy"), Lost(Boundary.CANCELLED, "the run was stopped")
    outcomes: list[Outcome] = [PASSED, lost, PASSED, cancelled, PASSED]
    rows = [Rollout(RolloutId(GroupId("t0", ""), index, 0), one) for index, one in enumerate(outcomes)]
    rows += [Rollout(RolloutId(GroupId("t0", ""), 1, 1), lost)]
    del rows[2]
    engine = World([1.0]).engine(4)
    Play(tasks_of([1.0]), PLAIN, rows).on(engine)
    assert [(one.index, one.attempt) for _, one in engine.begun[:4]] == [(1, 2), (2, 0), (3, 1), (5, 0)]


def test_a_finished_run_has_nothing_to_add() -> None:
    """Resumed at once, it starts nothing and thinks what it thought."""
    world = World([0.0, 0.5, 1.0])
    whole = played(world, PLAIN)
    engine = world.engine(6)
    again = Play(whole.tasks, PLAIN, list(whole.recorded)).on(engine)
    assert engine.begun == []
    assert again.from_planner() == whole.from_planner()


def test_a_brake_ends_it_and_a_resume_goes_on() -> None:
    """What is in flight ends and is recorded; the rest comes later, as if there had been no brake."""
    world = World([0.0, 0.5, 1.0])
    braked = Play(tasks_of(world.rates), PLAIN).on(world.engine(6), MostRollouts(9))
    assert braked.reason == "--max-rollouts 9 was reached"
    assert len(braked.recorded) == 9
    resumed = Play(braked.tasks, PLAIN, braked.recorded).on(world.engine(2))
    assert resumed.reason is None
    assert decisions(resumed) == decisions(played(world, PLAIN, 3))


def test_the_watch_sees_every_look() -> None:
    """From none decided to all: what is shown of a run never goes back under a fixed prior."""
    play = played(World([0.0, 0.5, 1.0]), PLAIN)
    closed = [sum(one.closed is not None for one in look.states) for look in play.looks]
    assert closed[0] == 0
    assert closed == sorted(closed)
    assert closed[-1] == 3
    assert len(play.looks) < PATIENCE
