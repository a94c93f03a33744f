"""What makes a task, an agent or an image the same, and what does not."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, make_dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.agents.builtin import Noop, Oracle, Simulated
from taskcal.agents.spec import PythonSpec, SimulatedSpec
from taskcal.core.identity import (
    FileDigests,
    ImageOrigin,
    Move,
    agent_digest,
    brought,
    changed_parts,
    group_identity,
    group_parts,
    moves,
    plays,
    task_parts,
    taskset_digest,
    value_digest,
)
from taskcal.core.task import (
    AnswerProbe,
    Artifact,
    Check,
    Environment,
    External,
    FileCopy,
    FileProbe,
    Grader,
    GraderSandbox,
    Group,
    ImageSource,
    Limits,
    Network,
    NetworkMode,
    RunProbe,
    ScoreBy,
    Service,
    Solution,
    Task,
    Timeouts,
    Variant,
    WrongAnswer,
)
from taskcal.core.tool import McpServer, Tool

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Any(dict[str, str]):
    """Something lies at every path."""

    def __missing__(self, path: str) -> str:
        return f"what is at {path}"


CONTENTS = FileDigests(_Any({"/h/seed": "s1", "/h/key": "k1", "/h/other": "o1"}), _Any({"/h/img": "c1"}))
TASK = Task(
    id="ship",
    variants=(Variant("easy", {"order": 12, "code": "ZX"}, "Ship it."), Variant("hard", {"order": 13}, "Ship.")),
    environment=Environment(
        name="box",
        source=ImageSource(build="/h/img"),
        workdir="/app",
        user="agent",
        env={"A": "1", "B": "2"},
        network=Network(NetworkMode.HOSTS, ("a.example",)),
        limits=Limits(2.0, 1024**3, 100),
        files=(FileCopy("/app/seed", "/h/seed"),),
        setup="true",
        start=":",
        ready="test -e /x",
        finish="rm /x",
        services=(
            Service(
                name="db",
                source=ImageSource(image="db:1"),
                command=("run", "it"),
                env={"C": "3"},
                files=(FileCopy("/srv/seed", "/h/seed"),),
                setup="echo",
                ready="true",
                limits=Limits(0.5),
            ),
        ),
    ),
    grader=Grader(
        checks=(
            Check("a", RunProbe("true", ScoreBy.STDOUT, 3.0, alone=True, service="db"), 0.5, required=True),
            Check("b", FileProbe("/x", equals=1, has_equals=True, pointer="/a"), 0.3),
            Check("c", AnswerProbe(number=1.0, tolerance=0.1), 0.2),
        ),
        files=(FileCopy("/grader/key", "/h/key"),),
        run="echo {}",
        env={"D": "4"},
        sandbox=GraderSandbox.FRESH,
        artifacts=(Artifact("/app", "db"),),
    ),
    tags=("sql",),
    timeouts=Timeouts(1.0, 2.0, 3.0, 4.0),
    passing=0.9,
    solutions=(Solution("s", "true", "42", (FileCopy("/tmp/x", "/h/other"),)),),
    wrong=(WrongAnswer("w", 0.5, "false", "41", (FileCopy("/tmp/x", "/h/other"),)),),
    tools=(Tool("look", "cat", "reads", {"type": "object"}),),
    mcp=(McpServer("m", "serve"),),
    max_parallel=3,
    external=External.STATEFUL,
    file="t.yaml",
    line=7,
)
NOT_PART = {
    "task.id": "the id is how two groups are found that may be the same",
    "task.variants[0].id": "as the task's id",
    "task.tags": "words for choosing",
    "task.file": "where it is written",
    "task.line": "where it is written",
    "task.environment.name": "a name in the file",
    "task.environment.source.image": "a name; the id of the image is in its origin",
    "task.environment.services[0].source.image": "a name; the id of the image is in its origin",
}
"""Fields that change no identity, and why; solutions and wrong answers are those of an agent that plays them."""


def parts(task: Task, contents: FileDigests = CONTENTS) -> dict[str, str]:
    """The first variant's."""
    return group_parts(Group(task, task.variants[0]), task_parts(task, contents))


def changed(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, dict):
        return {**value, "more": "x"}
    return f"{value}x" if isinstance(value, str) else "x"


def variations(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every value that differs from this one in one leaf, with the leaf's name."""
    if is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            inner = variations(getattr(value, one.name), f"{name}.{one.name}")
            yield from ((leaf, replace(value, **{one.name: other})) for leaf, other in inner)
    elif isinstance(value, tuple) and value and is_dataclass(value[0]):
        for index, item in enumerate(value):
            inner = variations(item, f"{name}[{index}]")
            yield from ((leaf, (*value[:index], other, *value[index + 1 :])) for leaf, other in inner)
    elif isinstance(value, tuple):
        yield name, (*value, "x")
    else:
        yield name, changed(value)


LEAVES = [(name, task) for name, task in variations(TASK, "task") if ".variants[1]" not in name]


@pytest.mark.parametrize(("name", "task"), LEAVES, ids=[name for name, _ in LEAVES])
def test_every_field_of_a_task_counts(name: str, task: Task) -> None:
    """Whatever a later version adds counts too, unless it is named in the list of what does not."""
    is_play = name.startswith(("task.solutions", "task.wrong"))
    assert (parts(task) == parts(TASK)) is (name in NOT_PART or is_play)
    assert (plays(task, CONTENTS) != plays(TASK, CONTENTS)) is is_play


def test_another_variant_is_another_group() -> None:
    """By its prompt and its params; the other variants of a task are nothing to it."""
    shared = task_parts(TASK, CONTENTS)
    first, second = (group_parts(Group(TASK, variant), shared) for variant in TASK.variants)
    assert changed_parts(first, second) == ("prompt", "params")
    assert parts(replace(TASK, variants=TASK.variants[:1])) == first


def test_files_are_their_contents() -> None:
    """Where a file or a build folder lies is nothing, what is in it is everything."""
    moved = FileDigests({f"/new{path}": text for path, text in CONTENTS.copies.items()}, {"/new/img": "c1"})
    environment = replace(
        TASK.environment,
        source=ImageSource(build="/new/img"),
        files=(FileCopy("/app/seed", "/new/h/seed"),),
        services=(replace(TASK.environment.services[0], files=(FileCopy("/srv/seed", "/new/h/seed"),)),),
    )
    grader = replace(TASK.grader, files=(FileCopy("/grader/key", "/new/h/key"),))
    assert parts(replace(TASK, environment=environment, grader=grader), moved) == parts(TASK)
    other = FileDigests({**CONTENTS.copies, "/h/seed": "s2"}, CONTENTS.contexts)
    assert changed_parts(parts(TASK), parts(TASK, other)) == ("files",)
    other = FileDigests(CONTENTS.copies, {"/h/img": "c9"})
    assert changed_parts(parts(TASK), parts(TASK, other)) == ("build folder",)


def test_the_order_of_maps_is_nothing() -> None:
    """Params, variables and groups are looked up by name."""
    environment = replace(TASK.environment, env={"B": "2", "A": "1"})
    variant = replace(TASK.variants[0], params={"code": "ZX", "order": 12})
    assert parts(replace(TASK, environment=environment, variants=(variant,))) == parts(TASK)
    assert taskset_digest({"a": "1", "b": "2"}) == taskset_digest({"b": "2", "a": "1"}) != taskset_digest({"a": "1"})


def test_the_order_of_files_counts_where_one_covers_another() -> None:
    """Files apart from each other arrive in any order; of two that meet, the later lies on top."""
    seed, key = FileCopy("/app/a", "/h/seed"), FileCopy("/app//b/", "/h/key")
    assert brought([seed, key], CONTENTS) == brought([key, seed], CONTENTS)
    for under in ("/app", "/app/a", "/", "/app/a/"):
        cover = FileCopy(under, "/h/other")
        assert brought([seed, key, cover], CONTENTS) != brought([cover, seed, key], CONTENTS), under


def test_kinds_of_values_are_told_apart() -> None:
    """A number is not its text, and true is not 1."""
    assert len({value_digest(value) for value in (1, "1", 1.5, True, None, "", [], {}, [1], {"1": 1}, "None")}) == 11


def test_a_field_that_a_later_version_adds_changes_nothing() -> None:
    """As long as it is at its default."""
    before = make_dataclass("Thing", [("a", int)])
    now = make_dataclass("Thing", [("a", int), ("b", int, 0)])
    assert value_digest(before(1)) == value_digest(now(1)) != value_digest(now(1, 2))


@dataclass
class _Unknown:
    """What has no kind of its own is told by how it describes itself."""

    def __repr__(self) -> str:
        return "it"


def test_agents_are_what_their_file_says() -> None:
    """Two built-in agents differ, so do versions and plays; the place of a file does not count."""
    found = [agent_digest(Noop()), agent_digest(Oracle()), agent_digest(Oracle(), "2"), agent_digest(object)]
    found += [agent_digest(Oracle(), "", {"t": "1"}), agent_digest(Oracle(), "", {"t": "2"})]
    assert len(set(found)) == len(found)
    first, second = (Simulated(SimulatedSpec("s", chances)) for chances in ({"a": 0.1, "b": 1.0}, {"b": 1.0, "a": 0.1}))
    assert agent_digest(first) == agent_digest(second)
    assert agent_digest(PythonSpec("p", "m:f", folder="/a")) == agent_digest(PythonSpec("p", "m:f", folder="/b"))


NAMED = ImageOrigin({"box:1": "sha256:1"})
BUILT = ImageOrigin({"base:1": "sha256:1", "tool:1": "sha256:2"}, "c1")


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        (NAMED, NAMED, []),
        (NAMED, ImageOrigin({"other:1": "sha256:1"}), []),
        (NAMED, ImageOrigin({"box:1": "sha256:9"}), [Move("", "box:1", "sha256:1", "sha256:9")]),
        (NAMED, BUILT, [Move("", "", "", "c1")]),
        (BUILT, replace(BUILT, images={"tool:1": "sha256:2", "base:1": "sha256:1"}), []),
        (BUILT, replace(BUILT, context="c2"), [Move("", "", "c1", "c2")]),
        (
            BUILT,
            replace(BUILT, images={**BUILT.images, "tool:1": "sha256:9"}),
            [Move("", "tool:1", "sha256:2", "sha256:9")],
        ),
        (replace(BUILT, built="sha256:5"), replace(BUILT, built="sha256:6"), [Move("", "", "sha256:5", "sha256:6")]),
    ],
)
def test_an_image_is_what_it_goes_back_to(before: ImageOrigin, now: ImageOrigin, found: list[Move]) -> None:
    """A named one its id whatever its tag; a built one its folder and what its Dockerfile takes."""
    assert list(moves({"": before, "db": NAMED}, {"": now, "db": NAMED})) == found
    same = group_identity(parts(TASK), {"": before}) == group_identity(parts(TASK), {"": now})
    assert same is (found == [])


def test_a_service_is_named_by_its_container() -> None:
    """Of several containers the one is named that has another image."""
    now = {"": NAMED, "db": ImageOrigin({"db:1": "sha256:9"})}
    assert moves({"": NAMED, "db": ImageOrigin({"db:1": "sha256:2"})}, now) == (
        Move("db", "db:1", "sha256:2", "sha256:9"),
    )
