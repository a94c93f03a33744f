"""What ran is what is recorded: a run goes on with the images that it has measured, or not at all."""

from __future__ import annotations

import json
import secrets
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.sandbox.engine.building import BuildBounds
from tests.docker.rooms import IMAGE
from tests.docker.samples import rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskcal.sandbox.engine.docker import DockerEngine
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

NAMED = """
taskset: drift
version: 1
environments: {{box: {{image: "{name}"}}, other: {{image: "debian:bookworm-slim"}}}}
defaults: {{environment: box, grader: {{checks: [{{name: one, run: grep -q one /version}}]}}}}
tasks:
  - {{id: t, prompt: Read /version.}}
  - {{id: u, prompt: Read nothing., environment: other}}
"""
BUILT = """
taskset: built
version: 1
environments:
  box:
    build: img
    setup: cat /seed > /baked
    files: {/seed: seed}
defaults: {environment: box, grader: {checks: [{name: one, run: grep -q one /version}]}}
tasks:
  - {id: t, prompt: Read /version.}
"""


class Tag:
    """A name on the engine that can be moved from one image to another."""

    def __init__(self, engine: DockerEngine, folder: Path) -> None:
        self.name = f"taskcal-test/moved:{secrets.token_hex(6)}"
        self._engine, self._folder = engine, folder

    def move(self, version: str) -> str:
        """Let the name stand for an image with this version in it; gives its id."""
        self._folder.mkdir(exist_ok=True)
        (self._folder / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo {version} {self.name} >/version\n")
        built = self._engine.builder.build(str(self._folder), BuildBounds(seconds=60), labels={}, log=lambda _: None)
        self._engine.name_image(built, self.name)
        return built


@pytest.fixture
def tag(engine: DockerEngine, tmp_path: Path) -> Iterator[Tag]:
    """Give a name that is not taken, with an image of version one."""
    made = Tag(engine, tmp_path / "for-the-tag")
    made.move("one")
    yield made
    engine.remove_image(made.name)


def run_json(folder: Path) -> Any:
    """The record of the newest run below a folder."""
    return json.loads(max(folder.glob("runs/*/run.json"), key=lambda path: path.stat().st_mtime_ns).read_text())


def extend(taskcal: CommandLine, size: int = 2) -> Any:
    """Go on with the only run."""
    return taskcal("run", "--resume", "last", "--extend", "-G", str(size), "-q")


def begin(taskcal: CommandLine, *arguments: str) -> Any:
    """A first run of one rollout for each task."""
    ended = taskcal("run", "tasks.yaml", "--agent", "noop", "-G", "1", "-q", *arguments)
    assert ended.code == 0, ended.err
    return run_json(taskcal.folder)


def check_refused(taskcal: CommandLine, *words: str) -> None:
    """A resume and an extension are exit 2 in one line that has these words, and nothing on disk has changed."""
    record = next(taskcal.folder.glob("runs/*/run.json"))
    before, rollouts = record.read_bytes(), rows(taskcal.folder)
    for size in (1, 2):
        ended = extend(taskcal, size)
        if size == 2:
            assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
            assert [word for word in words if word not in ended.err] == [], ended.err
    assert record.read_bytes() == before or json.loads(record.read_bytes())["images"] == json.loads(before)["images"]
    assert rows(taskcal.folder) == rollouts


def test_a_tag_that_moved_is_refused(taskcal: CommandLine, write: Write, tag: Tag, engine: DockerEngine) -> None:
    """By the task, the image, the id on record and the id of today; with the tag back in its place the run goes on."""
    write("tasks.yaml", NAMED.format(name=tag.name))
    was = begin(taskcal)["images"]["t"]
    now = tag.move("two")
    check_refused(taskcal, "cannot be resumed", "(of t)", tag.name, was[:19], now[:19], "Start a new run")
    engine.name_image(was, tag.name)
    ended = extend(taskcal)
    assert ended.code == 0, ended.err
    record = run_json(taskcal.folder)
    assert (record["images"]["t"], record["groups"]["t"]["ids"]) == (was, {"": [was]})
    assert len(rows(taskcal.folder)) == 4


def test_a_from_that_moved_is_refused(taskcal: CommandLine, write: Write, tag: Tag) -> None:
    """By the image that the Dockerfile takes, also through an ARG and from a stage."""
    write("tasks.yaml", BUILT)
    write("seed", "x")
    write("img/Dockerfile", f"ARG BASE={tag.name}\nFROM {IMAGE} AS one\nFROM $BASE\nCOPY --from=one /etc/hostname /h\n")
    was = begin(taskcal)["groups"]["t"]["origins"][""]["images"]
    assert set(was) == {tag.name, IMAGE}
    now = tag.move("two")
    check_refused(taskcal, "(of t)", f"img builds on {tag.name}", was[tag.name][:19], now[:19])


def test_the_image_of_a_service_counts(taskcal: CommandLine, write: Write, tag: Tag) -> None:
    """A service is a part of what was measured."""
    service = f"{{image: '{tag.name}', command: [sleep, '1000']}}"
    write(
        "tasks.yaml",
        NAMED.format(name=IMAGE).replace(f'image: "{IMAGE}"', f'image: "{IMAGE}", services: {{db: {service}}}', 1),
    )
    was = begin(taskcal)["groups"]["t"]["ids"]["db"][0]
    check_refused(taskcal, tag.name, was[:19], tag.move("two")[:19], "(of t)")


EDITS = (
    ("tasks.yaml", "cat /seed", "cat  /seed", "the tasks (t: setup) changed"),
    ("img/Dockerfile", "FROM", "# said\nFROM", "the tasks (t: build folder) changed"),
    ("tasks.yaml", "id: t", "id: v", "none of the tasks of the run is in tasks.yaml now"),
)


def test_an_edit_is_refused(taskcal: CommandLine, write: Write) -> None:
    """By the task and the part of it that changed; undone, the run goes on."""
    write("tasks.yaml", BUILT)
    write("seed", "x")
    write("img/Dockerfile", f"FROM {IMAGE}\nCOPY . /ctx\nRUN echo one > /version\n")
    begin(taskcal)
    for name, old, new, words in EDITS:
        text = (taskcal.folder / name).read_text()
        assert old in text
        (taskcal.folder / name).write_text(text.replace(old, new))
        ended = extend(taskcal)
        assert (ended.code, ended.err.count("\n"), words in ended.err) == (2, 1, True), ended.err
        (taskcal.folder / name).write_text(text)
    assert extend(taskcal).code == 0


def test_an_image_that_is_made_again_is_the_same(taskcal: CommandLine, write: Write, engine: DockerEngine) -> None:
    """Baked and built images may be cleaned away: the run goes on, and says which ids it has had."""
    write("tasks.yaml", BUILT)
    write("seed", secrets.token_hex(8))
    write("img/Dockerfile", f"FROM {IMAGE}\nRUN echo one {secrets.token_hex(8)} > /version\n")
    first = begin(taskcal)
    _remove_images(engine, first["images"]["t"])
    ended = extend(taskcal)
    assert ended.code == 0, ended.err
    second = run_json(taskcal.folder)
    (before,), ids = first["groups"]["t"]["ids"][""], second["groups"]["t"]["ids"][""]
    assert (ids[0], len(set(ids))) == (before, 2)
    assert second["images"] == first["images"]
    assert second["groups"]["t"]["identity"] == first["groups"]["t"]["identity"]
    assert "some images were made again" in ended.out


def _remove_images(engine: DockerEngine, baked: str) -> None:
    """Remove a baked image and all that it was made from, down to the base image."""
    while (info := engine._api.inspect_image(baked)).get("Parent") and IMAGE not in info["RepoTags"]:
        assert engine.remove_image(baked)
        if engine.image(info["Parent"]) is None:
            break
        baked = info["Parent"]


def test_another_machine_has_the_same_task(taskcal: CommandLine, write: Write, engine: DockerEngine) -> None:
    """What is built again elsewhere, from another checkout, has other ids and the same identity."""
    write("one/tasks.yaml", BUILT)
    write("one/seed", secrets.token_hex(8))
    write("one/img/Dockerfile", f"FROM {IMAGE}\nCOPY . /ctx\nRUN echo one {secrets.token_hex(8)} > /version\n")
    shutil.copytree(taskcal.folder / "one", taskcal.folder / "two")
    (taskcal.folder / "link").symlink_to("two")
    found = []
    for place in ("one/tasks.yaml", str(taskcal.folder / "link" / "tasks.yaml")):
        ended = taskcal("run", place, "--agent", "noop", "-G", "1", "-q")
        assert ended.code == 0, ended.err
        found.append(run_json(taskcal.folder))
        _remove_images(engine, found[-1]["images"]["t"])
    first, second = found
    assert first["images"] != second["images"]
    assert first["groups"]["t"]["identity"] == second["groups"]["t"]["identity"]
    assert first["taskset_digest"] == second["taskset_digest"]


def test_a_moved_folder_is_the_same_taskset(taskcal: CommandLine, write: Write) -> None:
    """Its digests do not hold where it lies, so its runs go on from there."""
    write("old/tasks.yaml", BUILT)
    write("old/seed", "x")
    write("old/img/Dockerfile", f"FROM {IMAGE}\nRUN echo one > /version\n")
    assert taskcal("run", "old/tasks.yaml", "--agent", "noop", "-G", "1", "-q").code == 0
    (taskcal.folder / "old").rename(taskcal.folder / "new")
    ended = taskcal("run", "new/tasks.yaml", "--resume", "last", "--extend", "-G", "2", "-q")
    assert (ended.code, len(rows(taskcal.folder))) == (0, 2), ended.err


def test_what_is_ignored_changes_and_refuses_nothing(taskcal: CommandLine, write: Write) -> None:
    """A link out of the folder, and a file that changes: neither reaches the build."""
    write("tasks.yaml", BUILT)
    write("seed", "x")
    write("img/.dockerignore", ".venv\n**/*.log\n")
    write(
        "img/Dockerfile",
        f"FROM {IMAGE}\nCOPY . /ctx\nRUN ls -A /ctx | tr '\\n' ' ' > /version && echo one >> /version\n",
    )
    write("img/.venv/bin/made", "1")
    (taskcal.folder / "img" / ".venv" / "bin" / "python").symlink_to("/usr/bin/python3")
    assert taskcal("validate", "tasks.yaml").code == 0
    begin(taskcal, "--untrusted", "--allow-image", "build", "--allow-image", IMAGE)
    write("img/.venv/bin/made", "2")
    write("img/b.log", "more")
    assert extend(taskcal).code == 0
    assert len(rows(taskcal.folder)) == 2


def test_a_prior_of_another_image_is_not_taken(taskcal: CommandLine, write: Write, tag: Tag) -> None:
    """The task begins anew and the report says so; the other task begins where the earlier run ended."""
    write("tasks.yaml", NAMED.format(name=tag.name))
    first = begin(taskcal)
    same = begin(taskcal, "--prior", first["id"])
    assert [one["task"] for one in same["earlier"]] == ["t", "u"]
    tag.move("two")
    ended = taskcal("run", "tasks.yaml", "--agent", "noop", "-G", "1", "-q", "--prior", first["id"])
    assert ended.code == 0, ended.err
    record = run_json(taskcal.folder)
    assert ([one["task"] for one in record["earlier"]], record["prior_run"]) == (["u"], first["id"])
    assert f"t: not begun from run {first['id']}, which measured another image" in ended.out
