"""The planner: what it decides on, in which order it launches, and that nothing but the outcomes sways a verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.adaptive.planner import NextLaunch, plan_next
from taskcal.core.adaptive.tables import DecisionTables, certified_table, make_tables
from taskcal.core.adaptive.task_state import Closed, Launch, TaskHistory, TaskState, finished_outcomes
from taskcal.core.rollout import GroupId
from taskcal.core.stats.prior import Counts, PriorSource
from taskcal.core.stats.rates import DEFAULT_PRIOR
from taskcal.core.verdict import Band, Verdict
from tests.core.forecast.population_case import draw
from tests.execution.rollout_case import World, best, errors, minutes, rounds, run, slow_failures, wrong_labels

P, F, WAIT, LOST, GAP = Launch.PASSED, Launch.FAILED, Launch.PENDING, Launch.LOST, Launch.MISSING
FIXED = Design(learn=False)
OUTCOMES = st.lists(st.sampled_from([P, F]), max_size=70)


def task(name: str, *launches: Launch, earlier: Counts | None = None) -> TaskHistory:
    return TaskHistory(GroupId(name, ""), launches, earlier)


def alone(*launches: Launch, design: Design = FIXED) -> TaskState:
    return plan_next([task("a", *launches)], 0, design).states[0]


def test_only_the_prefix_decides() -> None:
    """What finished behind a pending or a missing launch waits for it; what was lost for good is left out."""
    assert finished_outcomes([P, F, WAIT, P, P], 9) == [True, False]
    assert finished_outcomes([P, F, GAP, P, P], 9) == [True, False]
    assert finished_outcomes([P, LOST, F, P], 9) == [True, False, True]
    assert finished_outcomes([P, F, P], 2) == [True, False]
    waiting = alone(*[P] * 6, WAIT, *[P] * 20)
    assert (waiting.closed, waiting.counts) == (None, Counts(6, 6))
    assert alone(*[P] * 6, LOST, P).closed is Closed.CONFIDENT


def test_the_standing_of_a_decided_task() -> None:
    """7 of 7: likely too easy, closed, nothing left to run; 11 of 11 would have been certified and is not needed."""
    found = alone(*[P] * 7)
    assert (found.likely, found.closed, found.certificate) == (Verdict.TOO_EASY, Closed.CONFIDENT, None)
    assert (found.expected_left, found.prior) == (0.0, PriorSource.DEFAULT)
    assert found.posterior[2] >= 0.95
    still = alone(*[P] * 6)
    assert (still.likely, still.closed) == (None, None)
    assert still.expected_left > 1
    fresh = alone()
    assert (fresh.counts, fresh.closed, fresh.likely) == (Counts(0, 0), None, None)


def test_what_finished_late_cannot_undo_a_decision() -> None:
    """Under a fixed prior the first look that fires decides, even where the rest of the prefix would not."""
    found = alone(*[P] * 7, F, F)
    assert (found.counts, found.closed, found.seen) == (Counts(7, 7), Closed.CONFIDENT, Counts(7, 9))


@pytest.mark.parametrize("rule", [Rule.POSTERIOR, Rule.VALUE, Rule.CERTIFY])
def test_neither_order_nor_slots_change_a_verdict(rule: Rule) -> None:
    """The same outcomes, six ways of running them: each task ends with the same counts and class.

    What was still in flight may complete a certificate, which is another's or none, never a different one.
    """
    rates = draw("i", 30, 4)
    ends, certified = set(), [set[Verdict | None]() for _ in rates]
    for speed, slots, most in [(0, 1, 1), (1, 8, 8), (2, 64, 8), (3, 200, 16), (4, 64, 2), (5, 7, 3)]:
        duration = slow_failures if speed % 2 else minutes
        design = Design(rule=rule, learn=False, most_in_flight=most)
        done = run(World(rates, seed=9, speed=speed, duration=duration), design, slots).planner_state
        ends.add(tuple((s.counts, s.posterior, s.likely, s.closed) for s in done.states))
        for found, state in zip(certified, done.states, strict=True):
            found.add(state.certificate)
    assert len(ends) == 1
    assert all(len(found - {None}) <= 1 for found in certified)


@given(outcomes=st.lists(OUTCOMES, min_size=1, max_size=4), rule=st.sampled_from(Rule))
@settings(deadline=None, max_examples=30)
def test_a_verdict_is_a_function_of_the_rows(outcomes: list[list[Launch]], rule: Rule) -> None:
    """Fed one result at a time, or all at once: the same standings."""
    design = Design(rule=rule, learn=False)
    tasks = [task(str(number), *launches) for number, launches in enumerate(outcomes)]
    at_once = plan_next(tasks, 0, design)
    stepwise = None
    for n in range(max(map(len, outcomes)) + 1):
        stepwise = plan_next([replace(one, launches=one.launches[:n]) for one in tasks], 0, design, stepwise)
    assert stepwise is not None
    assert stepwise.states == at_once.states
    shuffled = plan_next(tasks[::-1], 0, design, stepwise)
    assert shuffled.states == at_once.states[::-1]


@pytest.mark.parametrize("name", ["i", "near"])
def test_a_learned_prior_too_is_a_function_of_the_rows(name: str) -> None:
    """At the end of a run its rows, read afresh, give its standings; no task ends confident with less than it says."""
    rates = draw(name, 60, 2)
    live = run(World(rates, seed=5), Design(), 16).planner_state
    assert {one.prior for one in live.states} == {PriorSource.LEARNED}
    again = plan_next(live.tasks, 0, Design())
    assert again.states == live.states
    assert again.done
    confident = [one for one in live.states if one.closed is Closed.CONFIDENT]
    assert confident
    assert all(max(one.posterior) >= 0.95 and one.likely is not None for one in confident)


def test_slow_failures_do_not_make_a_task_easy() -> None:
    """Rates of .6, slow failures, 16 in flight: under 1 % wrong by the prefix, over half in completion order."""
    rates = [0.6] * 8
    wrong = naive = 0
    design = Design(learn=False, first=16, most_in_flight=16)
    rows = make_tables(DEFAULT_PRIOR, PriorSource.DEFAULT, design, certified_table(design))
    for seed in range(20):
        world = World(rates, seed=seed, duration=slow_failures)
        wrong += wrong_labels(run(world, design, 128), rates)
        naive += sum(in_completion_order(world, number, rows) is not Verdict.IN_BAND for number in range(8))
    assert wrong / 160 < 0.01
    assert naive / 160 > 0.5


def in_completion_order(world: World, number: int, tables: DecisionTables) -> Verdict | None:
    """What deciding on whatever has finished comes to, with 16 of the task always in flight."""
    running = [(world.takes(number, index), world.passes(number, index)) for index in range(16)]
    k = n = 0
    while n < tables.table.cap:
        running.sort()
        now, passed = running.pop(0)
        k, n = k + passed, n + 1
        if tables.table.cells[n][k]:
            break
        running.append((now + world.takes(number, n + 15), world.passes(number, n + 15)))
    return tables.table.cells[n][k] or Band().verdict(k / n)


def test_learning_protects_from_an_adverse_taskset() -> None:
    """100 tasks just inside the band: a fifth of the default prior's decisions are wrong, under 5 % of the learned."""
    rates = draw("near", 100, 8)
    found = {learn: errors(rounds(World(rates, seed=1), Design(learn=learn), 64), rates) for learn in (False, True)}
    shares = {learn: wrong / decided for learn, (decided, wrong) in found.items()}
    assert shares[False] > 0.15
    assert shares[True] <= 0.05


def test_a_decided_task_opens_again_when_the_taskset_says_so() -> None:
    """0 of 19 is too hard under the default prior; not in a taskset whose other tasks pass one time in ten."""
    others = [task(str(n), *[F] * 9, P, *[F] * 9, P, *[F] * 9, P) for n in range(30)]
    hopeless = task("x", *[F] * 19)
    early = plan_next([hopeless, *others], 0, FIXED)
    assert early.states[0].closed is Closed.CONFIDENT
    later = plan_next([hopeless, *others], 4, Design(), replace(early))
    assert later.states[0].closed is None
    assert NextLaunch(hopeless.group, 19) in later.launches


def test_few_tasks_teach_nothing() -> None:
    """Under five tasks the default prior stays."""
    tasks = [task(str(n), *[F] * 9, P) for n in range(5)]
    assert {one.prior for one in plan_next(tasks[:4], 0, Design()).states} == {PriorSource.DEFAULT}
    assert {one.prior for one in plan_next(tasks, 0, Design()).states} == {PriorSource.LEARNED}
    assert {one.prior for one in plan_next(tasks, 0, FIXED).states} == {PriorSource.DEFAULT}


def test_every_task_gets_its_first_before_any_its_second() -> None:
    """With six slots for four tasks each has one before two have two, in their order."""
    names = ["a", "b", "c", "d"]
    found = plan_next([task(name) for name in names], 6, FIXED).launches
    assert [(one.group.task, one.index) for one in found] == [
        ("a", 0),
        ("b", 0),
        ("c", 0),
        ("d", 0),
        ("a", 1),
        ("b", 1),
    ]


def test_then_those_whose_answer_is_worth_most() -> None:
    """3 of 4 is nearer to an edge than 2 of 8, which is decided; what is in flight already halves the claim."""
    tasks = [task("decided", *[P] * 2, *[F] * 6), task("open", P, P, P, F), task("hopeless", *[F] * 17)]
    found = plan_next(tasks, 1, FIXED)
    assert [one.group.task for one in found.launches] == ["open"]
    assert found.states[1].rollout_value > found.states[2].rollout_value > 0
    busy = [tasks[0], task("open", P, P, P, F, *[WAIT] * 7), tasks[2]]
    assert [one.group.task for one in plan_next(busy, 1, FIXED).launches] == ["hopeless"]


def test_what_is_in_flight_is_bounded() -> None:
    """As many per task as slots share out, never over the bound or past the cap, and no more than there are slots."""
    open_tasks = [task(str(n)) for n in range(10)]
    shared = plan_next(open_tasks, 25, FIXED).launches
    assert len(shared) == 25
    assert max(sum(one.group == t.group for one in shared) for t in open_tasks) == 3
    assert len(plan_next([task("a")], 100, FIXED).launches) == 8
    assert len(plan_next([task("a")], 100, replace(FIXED, most_in_flight=20)).launches) == 20
    assert len(plan_next([task("a", *[P, F, P, P, F, P] * 10)], 100, replace(FIXED, cap=62)).launches) == 2
    assert plan_next(open_tasks, 0, FIXED).launches == ()


def test_deciding_cancels_what_is_in_flight() -> None:
    """What is pending of a decided task is to be cancelled, and the run is over only when it is."""
    found = plan_next([task("a", *[P] * 7, WAIT, WAIT)], 4, FIXED)
    assert (found.cancel, found.launches, found.done) == ((GroupId("a", ""),), (), False)
    assert plan_next([task("a", *[P] * 7, GAP, GAP)], 4, FIXED, found).done


def test_what_is_missing_is_launched_first() -> None:
    """An interrupted run's gaps are filled before new indices, also where the cap is otherwise reached."""
    found = plan_next([task("a", P, GAP, F, GAP)], 3, FIXED).launches
    assert [one.index for one in found] == [1, 3, 4]
    full = task("a", P, F, GAP, *[P, F, P, P, F, P] * 10)
    assert [one.index for one in plan_next([full], 3, replace(FIXED, cap=62)).launches] == [2]


def test_losing_tasks_get_no_more() -> None:
    """Three lost in a row, or most of them, close a task; a lost one now and then does not."""
    assert alone(LOST, LOST, LOST).closed is Closed.LOSSES
    assert alone(P, LOST, F, LOST, LOST).closed is Closed.LOSSES
    assert alone(P, LOST, F, LOST, P, F).closed is None
    assert alone(LOST, LOST, WAIT).closed is None
    assert alone(LOST, LOST, LOST).counts == Counts(0, 0)


def test_a_cap_closes_what_is_undecided() -> None:
    """At 64 graded rollouts a task on the edge is closed, its class leaning; a decided one says how."""
    edge = alone(*[P, P, P, F] * 16)
    assert (edge.closed, edge.likely, edge.counts) == (Closed.CAP, None, Counts(48, 64))
    assert best(edge) is Verdict.IN_BAND


def test_certificates_come_at_no_extra_rollouts() -> None:
    """A run by the posterior certifies on the way what it can; certifying closes nothing before its certificate."""
    assert alone(*[P] * 7, *[P] * 4).certificate is Verdict.TOO_EASY
    certify = Design(learn=False, rule=Rule.CERTIFY)
    assert certify.limit == 128
    assert alone(*[F] * 31, design=certify).closed is None
    found = alone(*[F] * 32, F, design=certify)
    assert (found.closed, found.certificate, found.counts) == (Closed.CERTIFIED, Verdict.TOO_HARD, Counts(0, 32))


def test_a_learned_prior_cannot_certify() -> None:
    """The certificates of the same rows are the same whatever is believed."""
    rates = draw("hardheavy", 40, 3)
    rows = rounds(World(rates, seed=2), Design(learn=False, rule=Rule.NEVER, cap=40), 64).planner_state.tasks
    found = [[one.certificate for one in plan_next(rows, 0, Design(learn=learn)).states] for learn in (False, True)]
    assert found[0] == found[1]
    assert Verdict.TOO_HARD in found[0]


def test_a_budget_is_spent_whole_and_where_it_counts() -> None:
    """Exactly as many rollouts as allowed, none cancelled, and fewer wrong classes than an even share gives."""
    rates = draw("i", 200, 6)
    design = Design(rule=Rule.NEVER, budget=16 * 200)
    spent = rounds(World(rates, seed=3), design, 64)
    assert spent.launched == 16 * 200
    assert {one.closed for one in spent.planner_state.states} <= {Closed.BUDGET, Closed.CAP}
    even = rounds(World(rates, seed=3), Design(rule=Rule.NEVER, cap=16), 200)
    assert even.launched == 16 * 200
    assert wrong_labels(spent, rates) < 0.8 * wrong_labels(even, rates)


def test_what_a_budget_left_in_flight_still_counts() -> None:
    """With the budget launched, open tasks close, their pending rollouts are awaited, and then the run is over."""
    tasks = [task("a", P, F, WAIT), task("b", P, WAIT)]
    design = Design(learn=False, rule=Rule.NEVER, budget=5)
    found = plan_next(tasks, 3, design)
    assert (found.launches, found.cancel, found.done) == ((), (), False)
    assert {one.closed for one in found.states} == {Closed.BUDGET}
    later = plan_next([task("a", P, F, P), task("b", P, F)], 3, design, found)
    assert later.done
    assert later.states[0].counts == Counts(2, 3)
    assert len(plan_next(tasks, 3, replace(design, budget=7)).launches) == 2


def test_an_earlier_calibration_warms_the_start() -> None:
    """15 of 16 earlier: fewer passes are needed; a certificate needs as many as ever; it says which prior it used."""
    cold, warm = (plan_next([task("a", *[P] * 4, earlier=earlier)], 0, Design()) for earlier in (None, Counts(16, 16)))
    assert (cold.states[0].closed, warm.states[0].closed) == (None, Closed.CONFIDENT)
    assert warm.states[0].prior is PriorSource.WARM
    assert warm.states[0].certificate is None
    every = [task(str(number), P, earlier=Counts(16, 16)) for number in range(20)]
    assert plan_next(every, 0, Design()).tables.population.source is PriorSource.DEFAULT
    changed = plan_next([task("a", *[F] * 8, earlier=Counts(16, 16))], 0, Design())
    assert changed.states[0].posterior[2] < 0.01
