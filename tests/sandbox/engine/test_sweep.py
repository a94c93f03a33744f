"""Which baked images go, and in which order; what they are taken to occupy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from taskcal.sandbox.engine.docker_types import ImageInfo, StoredImage, unshared_bytes
from taskcal.sandbox.engine.sweep import sweep_images

if TYPE_CHECKING:
    from taskcal.sandbox.engine.docker import DockerEngine

OLD, MIDDLE, NEW = (StoredImage(name, 10, used) for name, used in (("old", 1.0), ("middle", 2.0), ("new", 3.0)))


@dataclass
class Shelf:
    """An engine's images; one that others are based on stays until they are gone."""

    images: list[StoredImage]
    bases: dict[str, str] = field(default_factory=dict)
    in_use: frozenset[str] = frozenset()

    def images_labelled(self, label: str) -> tuple[StoredImage, ...]:
        """All of them."""
        assert label
        return tuple(self.images)

    def remove_image(self, name: str) -> bool:
        """Remove one that nothing needs."""
        based = [one.id for one in self.images if self.bases.get(one.id) == name]
        if based or name in self.in_use:
            return False
        self.images = [one for one in self.images if one.id != name]
        return True


def left(shelf: Shelf, most: int | None = None, spared: frozenset[str] = frozenset()) -> list[str]:
    """What is there after a sweep, which must say the same."""
    before = len(shelf.images)
    swept = sweep_images(cast("DockerEngine", shelf), spared, most)
    assert swept.removed == before - len(shelf.images)
    assert sorted(image.id for image in swept.left) == sorted(image.id for image in shelf.images)
    assert swept.bytes_left == sum(image.own for image in shelf.images)
    return sorted(image.id for image in shelf.images)


@pytest.mark.parametrize(
    ("most", "names"),
    [(None, []), (0, []), (9, []), (10, ["new"]), (29, ["middle", "new"]), (30, ["middle", "new", "old"])],
)
def test_what_was_used_longest_ago_goes_first(most: int | None, names: list[str]) -> None:
    """And no more of it than the cap needs; without a cap everything goes."""
    assert left(Shelf([NEW, OLD, MIDDLE]), most) == names


def test_what_is_needed_stays() -> None:
    """What a live run has on record or a container uses; the next ones go in its place."""
    assert left(Shelf([OLD, MIDDLE, NEW]), 10, frozenset({"old"})) == ["old"]
    assert left(Shelf([OLD, MIDDLE, NEW], in_use=frozenset({"old"})), 20) == ["new", "old"]
    assert left(Shelf([OLD, MIDDLE, NEW], in_use=frozenset({"old", "new"}))) == ["new", "old"]


def test_images_on_which_others_are_baked_go_after_them() -> None:
    """A chain goes from its end, and what it left free goes before what was used later."""
    assert left(Shelf([OLD, MIDDLE, NEW], {"middle": "old", "new": "middle"})) == []
    assert left(Shelf([OLD, MIDDLE, NEW], {"middle": "old"}), 10) == ["new"]


def row(parent: str, size: int, *tags: str, **labels: str) -> dict[str, Any]:
    return {"ParentId": parent, "Size": size, "RepoTags": list(tags) or ["<none>:<none>"], "Labels": labels or None}


def test_an_image_takes_what_no_other_has() -> None:
    """Beyond its base, the steps of a build between them; all of its size where an engine tells of no parents."""
    listed = {
        "base": row("", 100, "debian:12"),
        "step": row("base", 130, bake="build"),
        "built": row("step", 150, "taskcal/built:1", bake="build"),
        "baked": row("built", 155, "taskcal/baked:1", bake="1"),
        "alone": row("gone", 70, bake="2"),
        "less": row("base", 90, bake="3"),
    }
    found = {name: unshared_bytes(name, listed) for name in listed}
    assert found == {"base": 100, "step": 30, "built": 50, "baked": 5, "alone": 70, "less": 0}


def test_the_last_use_is_the_last_name() -> None:
    """Or the moment of its making, where it was never named, or the engine does not remember when."""
    made, named = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00.123456789Z"
    first = ImageInfo.of({"Id": "a", "Created": made, "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"}})
    assert first == ImageInfo.of({"Id": "a", "Created": made})
    assert ImageInfo.of({"Id": "a", "Created": made, "Metadata": {"LastTagTime": named}}).used > first.used + 86400
