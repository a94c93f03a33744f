"""Another image under a run: named before anything runs, never put in the place of the one on record."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.core.identity import ImageOrigin
from taskcal.core.plan import PlannedRollout
from taskcal.core.rollout import GroupId, Lost, RolloutId
from taskcal.core.run import GroupImages
from taskcal.core.stats.prior import Counts
from taskcal.errors import Boundary, UsageError
from taskcal.execution.workplace import RolloutJob
from taskcal.runs.images.moved import REMADE, drop_moved_prior, refuse_moved, refuse_moved_images, with_images
from taskcal.runs.images.probe import ProbeResult, ReadyGroup
from taskcal.runs.images.renewal import Renewal
from taskcal.runs.live_run import Run
from taskcal.runs.prior_run import PriorRun
from taskcal.sandbox.images.baking import PreparedImages
from taskcal.store.run_folder import RunFolder
from tests.cli.options.options_case import TASKSET, make_run, request

if TYPE_CHECKING:
    from taskcal.core.task import Group
    from taskcal.runs.request import Request

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
BUILT = """\
taskset: shop
version: 1
environments:
  box: {build: img, services: {db: {image: "db:1", command: [run]}}}
defaults: {environment: box, grader: {checks: [{name: a, file: /a, exists: true}]}}
tasks:
  - {id: ship, prompt: Ship.}
"""
REFUND = GroupId("refund", "")


@dataclass
class _Shelf:
    """An engine that has images under names, and that keeps what is reported."""

    ids: dict[str, str]
    said: list[str] = field(default_factory=list)
    made: PreparedImages | None = None
    """What every group's images come to, if they are made again."""

    def image_id(self, name: str) -> str | None:
        return self.ids.get(name)

    def preparation(self, *_: object, anew: bool) -> _Shelf:
        assert anew
        return self

    def prepare(self, group: Group) -> ReadyGroup:
        assert group.id == REFUND
        assert self.made is not None
        return ReadyGroup(self.made, ProbeResult())

    def log(self, line: str) -> None:
        self.said.append(line)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder, with a taskset in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(TASKSET)
    return tmp_path


def begin(shelf: _Shelf, asked: Request | None = None) -> Run:
    """A run that has a folder and no images yet."""
    asked = asked or request()
    made = make_run(Path("runs"), "now", asked, {})
    engine: Any = shelf
    return Run(asked, engine, engine, made, made.record(), engine, engine)


def of(run: Run, image: str, baked: str = "baked", name: str = "debian:bookworm-slim") -> dict[GroupId, PreparedImages]:
    """Every group of a run with images that go back to this one."""
    images = PreparedImages(baked, {}, origins={"": ImageOrigin({name: image})})
    return {group.id: images for group in run.request.groups}


def refusal(run: Run, made: dict[GroupId, PreparedImages] | None = None) -> str:
    """Why a run cannot go on; '' if it can."""
    try:
        if made is None:
            refuse_moved(run)
        else:
            refuse_moved_images(run, made)
    except UsageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("late", [False, True], ids=["by name", "when made"])
def test_a_moved_tag_is_named_with_its_tasks(late: bool) -> None:
    """Both ids, every task once, and the command that brings the image back while the engine still has it."""
    shelf = _Shelf({"debian:bookworm-slim": ONE, ONE: ONE, TWO: TWO})
    run = begin(shelf)
    assert refusal(run) == refusal(run, of(run, ONE)) == ""
    run.record = with_images(run, of(run, ONE))
    assert refusal(run) == refusal(run, of(run, ONE)) == ""
    shelf.ids["debian:bookworm-slim"] = TWO
    told = refusal(run, of(run, TWO) if late else None)
    assert told == (
        "run now cannot be resumed: debian:bookworm-slim is sha256:222222222222 now and was sha256:111111111111 "
        "(of ship/1, ship/2, refund). Start a new run, or bring the recorded images back: "
        "docker tag sha256:111111111111 debian:bookworm-slim"
    )
    del shelf.ids[ONE]
    assert refusal(run, of(run, TWO)).endswith("or bring the recorded images back")


def test_another_name_for_the_same_image_is_the_same() -> None:
    """And one that the engine does not have yet is only known when it was pulled."""
    shelf = _Shelf({"debian:other": ONE})
    run = begin(shelf)
    run.record = with_images(run, of(run, ONE))
    assert refusal(run) == ""
    Path("shop.yaml").write_text(TASKSET.replace("debian:bookworm-slim", "debian:other"))
    run.request = request()
    assert refusal(run) == refusal(run, of(run, ONE, name="debian:other")) == ""
    shelf.ids["debian:other"] = TWO
    assert "debian:other is sha256:222222222222 now" in refusal(run)


def test_what_a_folder_is_built_on_is_named_with_it(folder: Path) -> None:
    """Of a build its FROM, its files and a service's image; of one whose FROM is not known, the image itself."""
    (folder / "img").mkdir()
    (folder / "shop.yaml").write_text(BUILT)
    shelf = _Shelf({"base": ONE, "db:1": ONE})
    run = begin(shelf)
    ship = run.request.groups[0].id
    origins = {"": ImageOrigin({"base": ONE}, "c1", ONE), "db": ImageOrigin({"db:1": ONE})}
    run.record = with_images(run, {ship: PreparedImages("x", {"db": "y"}, origins=origins)})
    assert refusal(run) == ""
    shelf.ids |= {"base": TWO, "db:1": TWO}
    told = refusal(run)
    assert "img builds on base, which is sha256:222222222222 now and was sha256:111111111111 (of ship)" in told
    assert "; db:1 is sha256:222222222222 now" in told
    for origin, words in (
        (replace(origins[""], context="c2"), "the files of img changed (of ship)"),
        (replace(origins[""], built=TWO), "img is sha256:222222222222 now and was sha256:111111111111 (of ship)"),
    ):
        made = PreparedImages("x", {"db": "y"}, origins={**origins, "": origin})
        assert words in refusal(run, {ship: made})


def test_an_id_on_record_is_never_replaced() -> None:
    """An image that was made again stands behind it, with a note; the identity stays."""
    run = begin(_Shelf({}))
    run.record = with_images(run, of(run, ONE, "first"))
    before = run.record
    run.record = with_images(run, of(run, ONE, "first"))
    assert run.record == before
    run.record = with_images(run, {REFUND: of(run, ONE, "second")[REFUND]})
    assert run.record.images == before.images
    assert run.record.groups["refund"] == replace(before.groups["refund"], ids={"": ("first", "second")})
    assert run.record.groups["ship/1"] == before.groups["ship/1"]
    assert REMADE in run.record.notes
    assert REMADE not in before.notes


def test_identity_is_that_of_the_task_and_its_images() -> None:
    """Other tasks and other images have others; the baked image's id is no part of it."""
    run = begin(_Shelf({}))
    first = {name: images.identity for name, images in with_images(run, of(run, ONE)).groups.items()}
    assert len(set(first.values())) == 3
    assert {name: images.identity for name, images in with_images(run, of(run, ONE, "b")).groups.items()} == first
    other = {name: images.identity for name, images in with_images(run, of(run, TWO)).groups.items()}
    assert set(first.values()) & set(other.values()) == set()


def test_a_warm_start_is_given_up_where_the_image_is_another() -> None:
    """For that task alone, with a note; tasks of whose images nothing is known keep theirs."""
    shelf = _Shelf({})
    asked = request()
    counts = {group.id: Counts(1, 2) for group in asked.groups}
    measured = {
        group.id: GroupImages("", {"": ImageOrigin({"a": TWO if group.id == REFUND else ONE})}, {})
        for group in asked.groups[1:]
    }
    asked = replace(
        asked, settings=replace(asked.settings, earlier=counts), earlier=PriorRun("first", counts, images=measured)
    )
    run = begin(shelf, asked)
    run.images = of(run, ONE)
    drop_moved_prior(run)
    left = {id_: count for id_, count in counts.items() if id_ != REFUND}
    assert run.request.settings.earlier == run.record.settings.earlier == left
    assert shelf.said == ["refund: not begun from run first, which measured another image"]
    assert run.record.notes == tuple(shelf.said)
    drop_moved_prior(run)
    assert len(shelf.said) == 1


@pytest.mark.parametrize("image", [ONE, TWO])
def test_an_image_that_goes_under_a_run_comes_back_as_it_was(image: str) -> None:
    """Made again from the same it is used and put on record; from another one nothing runs on it."""
    shelf = _Shelf({})
    run = begin(shelf)
    run.images = of(run, ONE, "first")
    run.record = with_images(run, run.images)
    again = of(run, image, "second")[REFUND]
    shelf.made = again
    used = run.images[REFUND]
    planned = PlannedRollout(RolloutId(REFUND, 0, 0), run.request.groups[2])
    Renewal(run).note(RolloutJob(run.record.id, planned, used, seed=0), Lost(Boundary.IMAGE, "gone"))
    is_same = image == ONE
    assert run.images[REFUND] is (again if is_same else used)
    assert run.record.groups["refund"].ids == {"": ("first", "second") if is_same else ("first",)}
    assert any("refund does not go on: run now cannot be resumed" in line for line in shelf.said) is not is_same
    if is_same:
        assert RunFolder.open(run.folder.path).record().groups == run.record.groups
