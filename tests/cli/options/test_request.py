"""From what a person typed and a project configures to one request: who wins, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from taskcal.cli.options import request as resolving
from taskcal.cli.options.configuration import Configuration
from taskcal.cli.options.parse import read_band, read_pairs
from taskcal.cli.options.request import default_concurrency
from taskcal.core.gate import FailOn, Gate
from taskcal.core.plan import OperatorBounds, Selection
from taskcal.core.settings import fixed_settings
from taskcal.core.task import (
    Check,
    Environment,
    FileProbe,
    Grader,
    Group,
    ImageSource,
    Limits,
    NetworkMode,
    Service,
    Task,
    Taskset,
    Variant,
)
from taskcal.core.verdict import Band
from taskcal.errors import InputError, UsageError
from taskcal.runs.request import images_of
from tests.cli.options.options_case import TASKSET, request

CONFIGURED = Configuration(
    group_size=4, concurrency=3, retries=1, fail_on="flagged", max_lost=0.5, band="0.1,0.9", runs="results"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder, with a taskset in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(TASKSET)
    return tmp_path


def test_defaults_where_nothing_is_said() -> None:
    """Eight rollouts, two retries, the band of 5 to 75 %, no gate, a fifth may be lost, and a seed of chance."""
    found = request()
    assert (found.settings, found.retries, found.runs) == (fixed_settings(8, Band(0.05, 0.75)), 2, Path("runs"))
    assert (found.gate, found.bounds) == (Gate(FailOn.NEVER, 0.2), OperatorBounds(NetworkMode.BRIDGE, None, None))
    assert [str(group.id) for group in found.groups] == ["ship/1", "ship/2", "refund"]
    assert found.agent.name == "oracle"
    assert len({request().seed for _ in range(3)}) > 1


def test_configuration_wins_over_defaults() -> None:
    """Each setting of a project reaches its run."""
    found = request(CONFIGURED)
    assert (found.group_size, found.concurrency, found.retries) == (4, 3, 1)
    assert (found.settings.band, found.runs) == (Band(0.1, 0.9), Path("results"))
    assert found.gate == Gate(FailOn.FLAGGED, 0.5)


def test_flags_win_over_configuration() -> None:
    """Also where they are 0: given is given."""
    found = request(
        CONFIGURED, group_size=2, concurrency=1, retries=0, seed=0, band="0,1", fail_on="never", max_lost=0.0, out="o"
    )
    assert (found.group_size, found.concurrency, found.retries, found.seed) == (2, 1, 0, 0)
    assert (found.settings.band, found.gate, found.runs) == (Band(0.0, 1.0), Gate(FailOn.NEVER, 0.0), Path("o"))


def test_bounds_are_read() -> None:
    """Memory as Docker reads it, CPUs as a number, the network by its mode."""
    found = request(allow_network="none", max_memory="4g", max_cpus=1.5)
    assert found.bounds == OperatorBounds(NetworkMode.NONE, 4 * 1024**3, 1.5)


def test_a_selection_chooses() -> None:
    """By task, tag and param, as typed."""
    assert [str(group.id) for group in request(params=("n=2",)).groups] == ["ship/2"]
    assert [str(group.id) for group in request(selection=Selection(tasks=("refund",))).groups] == ["refund"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"selection": Selection(tasks=("shp",))}, r"--task shp matches nothing; the tasks are ship, refund$"),
        ({"selection": Selection(tags=("none",))}, "--tag none matches nothing"),
        ({"params": ("n=3",)}, "--param n=3 matches nothing"),
        ({"params": ("n",)}, "--param n: must be name=value"),
        ({"selection": Selection(tasks=("refund",), tags=("sql",))}, "the selection matches no task"),
        ({"fail_on": "always"}, "--fail-on always: must be one of never, flagged"),
        ({"band": "0.5"}, "--band 0.5: two numbers with a comma"),
        ({"allow_network": "host"}, "--allow-network host: must be none, hosts or bridge"),
        ({"max_memory": "much"}, "--max-memory much: "),
        ({"agent": None}, "no agent named"),
        ({"overrides": ("x",)}, "--set x: must be name=value"),
        ({"overrides": ("timeout=5",)}, "oracle has none"),
        ({"files": ()}, "name a taskset"),
    ],
    ids=str,
)
def test_wrong_usage_names_the_option(given: dict[str, Any], message: str) -> None:
    """What was typed, and what would be right, before anything runs."""
    with pytest.raises(UsageError, match=message):
        request(**given)


def test_a_configured_mistake_is_one_too() -> None:
    """A project's setting is held to the same values."""
    with pytest.raises(UsageError, match="must be one of never, flagged"):
        request(Configuration(fail_on="always"))
    with pytest.raises(UsageError, match="--band high"):
        request(Configuration(band="high"))


def test_a_bad_taskset_is_an_input_error(folder: Path) -> None:
    """All of its mistakes, with their lines."""
    (folder / "shop.yaml").write_text("taskset: shop\nversion: 2\ntasks: 5\n")
    with pytest.raises(InputError) as caught:
        request()
    assert all(problem.file == "shop.yaml" for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("text", "expected"), [("0.05,0.75", Band()), ("0,1", Band(0, 1)), (" 0.1 , .2", Band(0.1, 0.2))]
)
def test_a_band_is_two_rates(text: str, expected: Band) -> None:
    """The lower end first."""
    assert read_band(text) == expected


@pytest.mark.parametrize(
    "text", ["", "0.5", "a,b", "0.1,0.2,0.3", "0.7,0.2", "0.2,0.2", "-0.1,0.5", "0,1.1", "nan,1", "0,nan"]
)
def test_anything_else_is_no_band(text: str) -> None:
    """One number, three, none, the wrong way round, or beyond [0, 1]."""
    with pytest.raises(UsageError, match="--band"):
        read_band(text)


def test_pairs_keep_what_follows_the_first_sign() -> None:
    """A value may hold an equals sign or be empty, a name may not."""
    assert read_pairs("--param", ["a=b=c", "d="]) == (("a", "b=c"), ("d", ""))
    for text in ("a", "=b", ""):
        with pytest.raises(UsageError, match="must be name=value"):
            read_pairs("--param", [text])


def taskset(*limits: Limits) -> Taskset:
    """One task for each set of limits, in a box of its own, with one service for all."""
    service = Service("db", ImageSource(build="images/db"))
    boxes = [Environment(f"box{i}", ImageSource(image=f"i{i % 2}"), limits=one, services=(service,))
             for i, one in enumerate(limits)]  # fmt: skip
    grader = Grader((Check("a", FileProbe("/a", exists=True)),))
    return Taskset("t", tuple(Task(box.name, (Variant("", {}, "x"),), box, grader) for box in boxes))


@pytest.mark.parametrize(
    ("cores", "free", "limits", "expected"),
    [
        (16, 1 << 40, [Limits(cpus=1)], 16),
        (16, 1 << 40, [Limits(cpus=4), Limits(cpus=1)], 4),
        (16, 1 << 40, [Limits(cpus=1.5)], 10),
        (1, 1 << 40, [Limits(cpus=1)], 2),
        (16, 1 << 40, [Limits(cpus=64)], 2),
        (16, 8 << 30, [Limits(memory=2 << 30)], 4),
        (16, 8 << 30, [Limits(memory=2 << 30), Limits(memory=1 << 20)], 4),
        (16, 1 << 20, [Limits(memory=2 << 30)], 1),
        (16, None, [Limits(memory=2 << 30)], 16),
        (None, None, [Limits()], 2),
    ],
)
def test_concurrency_fits_the_machine(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, free: int | None, limits: list[Limits], expected: int
) -> None:
    """Cores over the largest task's CPUs and at least 2, within the free memory and at least 1."""
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(resolving, "_free_memory", lambda: free)
    assert default_concurrency(taskset(*limits)) == expected


def test_free_memory_is_read_from_the_kernel() -> None:
    """In bytes: on any machine that runs this more than a MiB, less than a PiB."""
    free = resolving._free_memory()
    assert free is not None
    assert 1 << 20 < free < 1 << 50


def test_images_are_named_once() -> None:
    """What a run starts from, each once, folders to build among them, in the order of the tasks."""
    groups: list[Group] = list(taskset(Limits(), Limits(), Limits()).groups())
    assert images_of(groups) == ("i0", "i1", "build images/db")
