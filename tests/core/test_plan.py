"""What is run, in which order, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.plan import OperatorBounds, Selection, plan_rollouts, rollout_seed, select, task_refusal
from taskcal.core.rollout import GroupId, RolloutId
from taskcal.core.task import (
    Artifact,
    Environment,
    GraderSandbox,
    ImageSource,
    Limits,
    Network,
    NetworkMode,
    Service,
    Task,
    Taskset,
)
from tests.core.core_case import BOX, GRADER, task, variant

SHOP = Taskset(
    "shop",
    (
        task("ship-order", "easy:detail=steps", "hard:detail=goal", tags=["sql", "orders"]),
        task("ship-many", ":detail=goal", tags=["sql"]),
        task("refund", tags=["money"]),
        task("ship-*", tags=["s?l"]),
    ),
)
HOSTS = Network(NetworkMode.HOSTS, ("example.org",))
HERE = Network(NetworkMode.HOSTS, ("localhost:8000",))
BRIDGE = Network(NetworkMode.BRIDGE)


def chosen(selection: Selection) -> list[str]:
    """The groups that a selection leaves, all parts of which must match something."""
    taskset, unmatched = select(SHOP, selection)
    assert unmatched == ()
    return [str(group.id) for group in taskset.groups()]


def keys(size: int, *done: str) -> list[str]:
    return [planned.id.key for planned in plan_rollouts(SHOP.groups(), size, done)]


def test_groups_are_interleaved() -> None:
    """Every group has its first rollout before any has its second."""
    assert keys(2) == [
        "ship-order/easy#0", "ship-order/hard#0", "ship-many#0", "refund#0", "ship-*#0",
        "ship-order/easy#1", "ship-order/hard#1", "ship-many#1", "refund#1", "ship-*#1",
    ]  # fmt: skip


def test_what_is_done_is_not_planned() -> None:
    """Done keys leave the plan, the order of the others stays; unknown keys change nothing."""
    assert keys(1, "ship-many#0", "refund#7") == ["ship-order/easy#0", "ship-order/hard#0", "refund#0", "ship-*#0"]
    assert keys(2, *keys(2)) == []


@given(size=st.integers(0, 6), done=st.sets(st.sampled_from(keys(6))))
def test_a_plan_and_what_is_done_are_everything(size: int, done: set[str]) -> None:
    """Together they are each group's G rollouts, once each, and a cut anywhere leaves no group two ahead."""
    planned = plan_rollouts(SHOP.groups(), size, done)
    assert sorted({one.id.key for one in planned} | (done & set(keys(size)))) == sorted(keys(size))
    assert len({one.id for one in planned}) == len(planned)
    indices = [one.id.index for one in planned]
    assert indices == sorted(indices)


def test_seeds_are_fixed_for_ever() -> None:
    """A recorded seed must mean the same rollouts later: the first 8 bytes of sha256sum(seed/key), halved."""
    assert rollout_seed(7, RolloutId(GroupId("ship-order", "easy"), 0, 0)) == 0x57D8EF460FE39CBF
    assert rollout_seed(0, RolloutId(GroupId("a", ""), 3, 0)) == 0x43384A749F86F700


def test_seeds_are_distinct_but_for_the_attempts() -> None:
    """10,000 rollouts have 10,000 seeds; a retry has the seed of what it repeats."""
    seeds = {rollout_seed(run, RolloutId(GroupId("a", ""), index, 0)) for run in range(100) for index in range(100)}
    assert len(seeds) == 10_000
    assert all(0 <= seed < 2**63 for seed in seeds)
    attempts = {rollout_seed(7, RolloutId(GroupId("a", "b"), 1, attempt)) for attempt in range(5)}
    assert len(attempts) == 1


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), ["ship-order/easy", "ship-order/hard", "ship-many", "refund", "ship-*"]),
        (Selection(tasks=("ship-order",)), ["ship-order/easy", "ship-order/hard"]),
        (Selection(tasks=("ship-order/hard",)), ["ship-order/hard"]),
        (Selection(tasks=("ship-o*",)), ["ship-order/easy", "ship-order/hard"]),
        (Selection(tasks=("*/hard", "refund")), ["ship-order/hard", "refund"]),
        (Selection(params=(("detail", "goal"),)), ["ship-order/hard", "ship-many"]),
        (Selection(params=(("detail", "s*"),)), ["ship-order/easy"]),
        (Selection(tags=("money",)), ["refund"]),
        (Selection(tags=("m*", "orders")), ["ship-order/easy", "ship-order/hard", "refund"]),
        (Selection(tags=("sql",), params=(("detail", "goal"),)), ["ship-order/hard", "ship-many"]),
        (Selection(limit=2), ["ship-order/easy", "ship-order/hard", "ship-many"]),
        (Selection(tags=("sql",), limit=1), ["ship-order/easy", "ship-order/hard"]),
        (Selection(tasks=("ship-*",), limit=99), ["ship-order/easy", "ship-order/hard", "ship-many", "ship-*"]),
    ],
)
def test_a_selection_is_what_it_names(selection: Selection, expected: list[str]) -> None:
    """By task, variant, glob, param and tag, all of which must hold; a limit counts tasks, not variants."""
    assert chosen(selection) == expected


def test_nothing_is_dropped_silently() -> None:
    """Each part of a selection that matches nothing is named as it was typed."""
    selection = Selection(tasks=("refund", "shop"), params=(("detail", "x"), ("size", "1")), tags=("sq",))
    assert select(SHOP, selection)[1] == ("--task shop", "--tag sq", "--param detail=x", "--param size=1")


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (3, "3"), (1.5, "1.5"), ("a b", "a b")])
def test_params_are_chosen_as_yaml_writes_them(value: str | float | bool, text: str) -> None:
    """`--param strict=true` finds the YAML value true, and 3 finds the number 3."""
    one = Task("a", (replace(variant(":x=y"), params={"x": value}),), BOX, GRADER)
    kept, unmatched = select(Taskset("t", (one,)), Selection(params=(("x", text),)))
    assert (len(kept.tasks), unmatched) == (1, ())


def test_what_is_allowed_is_not_refused() -> None:
    """A task inside the operator's bounds, and exactly at them, runs."""
    assert task_refusal(task("a"), OperatorBounds()) is None
    assert task_refusal(task("a"), OperatorBounds(NetworkMode.NONE, BOX.limits.memory, BOX.limits.cpus)) is None
    assert task_refusal(task("a", environment=replace(BOX, network=BRIDGE)), OperatorBounds()) is None
    assert task_refusal(task("a", environment=replace(BOX, network=HOSTS)), OperatorBounds(NetworkMode.HOSTS)) is None
    assert task_refusal(task("a"), OperatorBounds(NetworkMode.HOSTS), HERE) is None
    tenth = Limits(cpus=0.1)
    three = (Service("x", BOX.source, limits=tenth), Service("y", BOX.source, limits=tenth))
    assert (
        task_refusal(task("a", environment=replace(BOX, limits=tenth, services=three)), OperatorBounds(cpus=0.3))
        is None
    )


@pytest.mark.parametrize(
    ("environment", "bounds", "reason"),
    [
        (replace(BOX, network=HOSTS), OperatorBounds(NetworkMode.NONE), "a list of hosts, and --allow-network is none"),
        (
            replace(BOX, network=BRIDGE),
            OperatorBounds(NetworkMode.HOSTS),
            "network: bridge, and --allow-network is hosts",
        ),
        (
            replace(BOX, network=HERE),
            OperatorBounds(),
            "localhost, the machine that it runs on, which only an agent's file",
        ),
        (replace(BOX, network=BRIDGE), OperatorBounds(NetworkMode.NONE), "--allow-network is none"),
        (replace(BOX, limits=Limits(memory=4096)), OperatorBounds(memory=4095), "of memory, and --max-memory allows"),
        (replace(BOX, limits=Limits(cpus=2)), OperatorBounds(cpus=1.5), "asks for 2 CPUs, and --max-cpus allows 1.5"),
        (
            replace(BOX, services=(Service("db", ImageSource(image="x"), limits=Limits(cpus=9)),)),
            OperatorBounds(cpus=9.5),
            "with its service it asks for 10 CPUs, and --max-cpus allows 9.5",
        ),
        (
            replace(BOX, services=(Service("a", ImageSource(image="x")), Service("b", ImageSource(image="x")))),
            OperatorBounds(memory=4 * 1024**3),
            "with its services it asks for 6 GiB of memory, and --max-memory allows 4 GiB",
        ),
        (
            replace(BOX, limits=Limits(pids=17)),
            OperatorBounds(pids=16),
            r"asks for 17 processes \(pids\), and --untrusted",
        ),
    ],
)
def test_what_exceeds_the_bounds_is_refused(environment: Environment, bounds: OperatorBounds, reason: str) -> None:
    """More than the operator allows, in the sandbox and its services together, names the option that forbids it."""
    found = task_refusal(replace(task("a"), environment=environment), bounds)
    assert found is not None
    assert re.search(reason, found)


def test_the_agents_network_counts_where_it_has_one() -> None:
    """An agent that brings a network of its own is judged by that, not by the task's."""
    assert task_refusal(task("a"), OperatorBounds(NetworkMode.NONE), BRIDGE) is not None
    assert (
        task_refusal(task("a", environment=replace(BOX, network=BRIDGE)), OperatorBounds(NetworkMode.NONE), Network())
        is None
    )


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        (["/app", "/srv/out.json", "/etc/nginx"], None),
        (["/"], "would bring the agent's programs"),
        (["/usr/./bin/"], "/usr/bin would bring the agent's programs"),
        (["/dev/shm/x"], "cannot be read from outside"),
        (["/run/taskcal"], "cannot be read from outside"),
        (["/app", "/app/"], "/app is named twice"),
    ],
)
def test_artifacts_that_cannot_be_carried_are_refused(paths: list[str], reason: str | None) -> None:
    """A fresh sandbox that receives the agent's shell is not fresh; what lies in no file system never arrives."""
    grader = replace(GRADER, sandbox=GraderSandbox.FRESH, artifacts=tuple(map(Artifact, paths)))
    found = task_refusal(replace(task("a"), grader=grader), OperatorBounds())
    assert (found or "").count(reason or "") >= 1
    assert (found is None) == (reason is None)
