"""An image as a tree of paths, for what looks into images."""

from __future__ import annotations

import contextlib
import io
import posixpath
import tarfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Self, cast

from taskcal.sandbox.engine.docker_types import ContainerState, PathStat
from taskcal.sandbox.engine.image_files import ImageFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskcal.sandbox.engine.docker import DockerEngine


@dataclass(frozen=True)
class Node:
    """A folder, or with `link` a link as it is written."""

    link: str = ""
    owner: int = 0
    group: int = 0
    mode: int = 0o755


@dataclass
class Tree:
    """Answers as an engine does for a container that never started: the folders of a path are followed, its end not."""

    nodes: Mapping[str, Node]
    asked: list[str] = field(default_factory=list)

    def state(self, container: str) -> ContainerState:
        """It is there."""
        return ContainerState.of({"State": {"Running": False, "Id": container}})

    @property
    def files(self) -> Self:
        """Its files are its own."""
        return self

    def path_stat(self, container: str, path: str) -> PathStat | None:
        """What lies there."""
        self.asked.append(f"{container} {path}")
        place = self._real(posixpath.dirname(path), posixpath.basename(path))
        node = self.nodes.get(place)
        if node is None:
            return None
        return PathStat(not node.link, self._real(place) if node.link else "", node.mode)

    @contextlib.contextmanager
    def archive(self, container: str, path: str) -> Iterator[IO[bytes] | None]:
        """Its header."""
        self.asked.append(f"{container} archive {path}")
        node = self.nodes[self._real(posixpath.dirname(path), posixpath.basename(path))]
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            member = tarfile.TarInfo(posixpath.basename(path))
            member.type = tarfile.SYMTYPE if node.link else tarfile.DIRTYPE
            member.linkname, member.uid, member.gid, member.mode = node.link, node.owner, node.group, node.mode
            archive.addfile(member)
        out.seek(0)
        yield out

    def _real(self, path: str, name: str = "") -> str:
        here = "/"
        left, steps = path.split("/"), 0
        while left and (steps := steps + 1) < 200:
            part, *left = left
            here = posixpath.dirname(here) if part == ".." else posixpath.join(here, part)
            node = self.nodes.get(here)
            if node is not None and node.link:
                left = [*node.link.split("/"), *left]
                here = "/" if node.link.startswith("/") else posixpath.dirname(here)
        return posixpath.join(here, name) if name else posixpath.normpath(here)


def pristine(**nodes: Node) -> ImageFiles:
    """The image `image` with these; a double underscore in a name is a slash."""
    tree = Tree({"/" + name.replace("__", "/"): node for name, node in nodes.items()})
    return ImageFiles(cast("DockerEngine", tree), lambda image: image)
