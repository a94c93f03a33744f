"""What of the agent's work goes on into a fresh container: declared artifacts, and nothing that comes along with them.

The agent's container has been killed by then, so nothing in it changes while it is read, and no program of it runs
again. An artifact is read where its path leads in the image: a folder above it that the agent replaced by a link to
another place, where perhaps only root may read, makes it count as missing.
"""

from __future__ import annotations

import contextlib
import posixpath
import tarfile
import tempfile
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING

from taskcal.core.shell.sandbox_paths import parent_folders, plain_path
from taskcal.sandbox.artifacts.safe_tar import ArchiveLimits, ArtifactPlace, TooMuch, rewrite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskcal.sandbox.engine.container_files import ContainerFiles

MOST_BYTES = 1024**3
MOST_ENTRIES = 100_000
"""What all artifacts of one rollout may hold together."""


@dataclass(frozen=True, slots=True)
class ArtifactSource:
    """A path of a container that belongs at the same path of the fresh one.

    `exclude` are paths below it of which the image's own stays; `foreign` for a service's, whose image is another;
    `silent` for one that need not be there.
    """

    container: str
    path: str
    exclude: tuple[str, ...] = ()
    foreign: bool = False
    silent: bool = False


@dataclass(frozen=True, slots=True)
class CollectedArtifact:
    """One artifact's archive, ready to be unpacked at a container's root; None where there is none, and a note.

    `spared` are paths below it that stay as they are.
    """

    path: str
    archive: IO[bytes] | None
    note: str = ""
    spared: tuple[str, ...] = ()


class ArtifactCollector:
    """Collects the artifacts of one rollout, within bounds that they share."""

    def __init__(self, files: ContainerFiles, fresh: str, *, reserved: Sequence[str], folders: Sequence[str]) -> None:
        """`fresh` is the container that will receive them; the rest as in `hostile.Place`."""
        self._files = files
        self._fresh = fresh
        self._reserved = tuple(plain_path(path) for path in reserved)
        self._folders = tuple(plain_path(path) for path in folders)
        self._size = 0
        self._entries = 0

    @contextlib.contextmanager
    def parcels(self, sources: Sequence[ArtifactSource]) -> Iterator[list[CollectedArtifact]]:
        """The archive of each source, in files that are there until this ends. Raises SandboxLost or EngineLost."""
        with contextlib.ExitStack() as stack:
            parcels = [self._parcel(source, sources, stack) for source in sources]
            yield [replace(parcel, spared=_spared(source)) for parcel, source in zip(parcels, sources, strict=True)]

    def _parcel(
        self, source: ArtifactSource, sources: Sequence[ArtifactSource], stack: contextlib.ExitStack
    ) -> CollectedArtifact:
        path = plain_path(source.path)
        inner = (other for other in (plain_path(one.path) for one in sources) if other.startswith(f"{path}/"))
        place = ArtifactPlace(path, (*inner, *self._reserved), self._folders, _spared(source))
        if not source.foreign and not self._same_way(source.container, path):
            return CollectedArtifact(path, None, f"{path} was left out: a folder above it was replaced by a link")
        with self._files.archive(source.container, path) as stream:
            if stream is None:
                return CollectedArtifact(path, None, "" if source.silent else f"{path} was not there")
            return self._rewritten(stream, place, stack.enter_context(tempfile.TemporaryFile()))

    def _rewritten(self, stream: IO[bytes], place: ArtifactPlace, out: IO[bytes]) -> CollectedArtifact:
        bounds = ArchiveLimits(MOST_BYTES - self._size, MOST_ENTRIES - self._entries)
        try:
            done = rewrite(stream, place, bounds, lambda: self._own_links(place.path), out)
        except TooMuch:
            limits = f"{MOST_BYTES // 1024**3} GiB or {MOST_ENTRIES} files"
            return CollectedArtifact(place.path, None, f"{place.path} was left out: artifacts hold more than {limits}")
        self._size += done.size
        self._entries += done.entries
        out.seek(0)
        return CollectedArtifact(place.path, out, f"{place.path}: {done.note}" if done.note else "")

    def _same_way(self, container: str, path: str) -> bool:
        """Whether every folder above a path is one, or leads where it leads in the image."""
        for above in parent_folders(path):
            here = self._files.path_stat(container, above)
            if here is None or here.is_folder:
                continue
            there = self._files.path_stat(self._fresh, above)
            if there is None or not here.leads_to or there.leads_to != here.leads_to:
                return False
        return True

    def _own_links(self, path: str) -> Mapping[str, str]:
        """The links that the image has at a path, each with its target as it is written."""
        above = posixpath.dirname(path)
        with self._files.archive(self._fresh, path) as stream:
            if stream is None:
                return {}
            with tarfile.open(fileobj=stream, mode="r|") as members:
                return {posixpath.join(above, link.name): link.linkname for link in members if link.issym()}


def _spared(source: ArtifactSource) -> tuple[str, ...]:
    return tuple(plain_path(f"{source.path}/{name}") for name in source.exclude)
