"""Removing what runs left behind: by label, never by name, and never anything of a run that may be alive."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.sandbox.engine.labels import BAKE, BUILDING, BUILT, KEPT_PREFIX, RUN, RunOwner

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from taskcal.sandbox.engine.docker import DockerEngine
    from taskcal.sandbox.engine.docker_types import LabelledResource, StoredImage

AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What dead runs of this machine left on the engine."""

    runs: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.containers or self.networks)

    def __str__(self) -> str:
        """As a person reads it."""
        counts = (("container", self.containers), ("network", self.networks), ("dead run", self.runs))
        containers, networks, runs = (f"{len(some)} {noun}{'s' * (len(some) != 1)}" for noun, some in counts)
        return f"{containers} and {networks} of {runs}"


def leftovers(engine: DockerEngine, *, kept: bool = False, before: float | None = None) -> Leftovers:
    """Everything whose run is certainly dead; with `kept` also the containers that a person asked to keep.

    With `before` (seconds since 1970) also what was made before that moment by a run of which nobody here can know: of
    another machine, or of this one before it was started anew.
    """
    containers = [c for c in engine.containers_labelled(RUN) if _is_left(c, before) and (kept or not is_kept(c))]
    networks = [n for n in engine.networks_labelled(RUN) if _is_left(n, before)]
    runs = sorted({row.labels[RUN] for row in (*containers, *networks)})
    return Leftovers(tuple(runs), tuple(c.id for c in containers), tuple(n.id for n in networks))


def _is_left(one: LabelledResource, before: float | None) -> bool:
    owner = RunOwner.of(one.labels)
    return owner.is_dead() or (before is not None and one.created < before and not owner.is_alive())


def sweep_layers(engine: DockerEngine, before: float | None = None) -> int:
    """Remove the layers of builds that failed or were killed, and count them; none while a build may be under way.

    A layer cannot say whose it is: its label must be the same in every run, or no build would find it again.
    """
    marks = engine.builder.marks_labelled(BUILDING)
    left = [mark for mark in marks if _is_left(mark, before)]
    for mark in left:
        engine.builder.remove_mark(mark.id)
    if len(left) < len(marks):
        return 0
    return sum(engine.remove_image(image) for image in engine.builder.unnamed_images(f"{BAKE}={BUILT}"))


def sweep(engine: DockerEngine, found: Leftovers) -> None:
    """Remove what was found; what is gone by now is no error."""
    _remove(engine, found.containers)
    for network in found.networks:
        engine.remove_network(network)


def sweep_run(engine: DockerEngine, run: str) -> None:
    """Remove every container and network of one run, except the containers that a person asked to keep."""
    label = f"{RUN}={run}"
    _remove(engine, [one.id for one in engine.containers_labelled(label) if not is_kept(one)])
    for network in engine.networks_labelled(label):
        engine.remove_network(network.id)


@dataclass(frozen=True, slots=True)
class SweptImages:
    """How many baked images went, and what those that stay take of the engine's disk."""

    removed: int
    left: tuple[StoredImage, ...]

    @property
    def bytes_left(self) -> int:
        """Beyond what they were made from."""
        return sum(image.own for image in self.left)


def sweep_images(engine: DockerEngine, spared: Collection[str], most: int | None = None) -> SweptImages:
    """Remove baked images but those `spared` and those that a container uses, what was used longest ago first.

    With `most`, only until the rest takes so many bytes. An image on which another one is baked can only go after it,
    so each time one has gone, the oldest are tried again.
    """
    left = sorted(engine.images_labelled(BAKE), key=lambda image: image.used)
    before = len(left)
    while most is None or sum(image.own for image in left) > most:
        gone = next((image for image in left if image.id not in spared and engine.remove_image(image.id)), None)
        if gone is None:
            break
        left.remove(gone)
    return SweptImages(before - len(left), tuple(left))


def _remove(engine: DockerEngine, containers: Sequence[str]) -> None:
    """Remove containers side by side: one alone takes a third of a second on a busy machine, and a person waits."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(engine.remove, containers):
            pass


def is_kept(container: LabelledResource) -> bool:
    """Whether a person asked to keep this container."""
    return container.name.startswith(KEPT_PREFIX)
