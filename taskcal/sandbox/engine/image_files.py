"""The files of images as they were made: they are read from one container of each image, which never starts."""

from __future__ import annotations

import contextlib
import posixpath
import tarfile
import threading
from typing import IO, TYPE_CHECKING

from taskcal.errors import GraderLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskcal.sandbox.engine.docker import DockerEngine
    from taskcal.sandbox.engine.docker_types import PathStat


MOST_STEPS = 256
"""Names and links of one path that are followed; a path of more leads nowhere for a program either."""


class ImageFiles:
    """Reads files of one run's images; safe to share between threads. An image does not change: answers are cached."""

    def __init__(self, engine: DockerEngine, create: Callable[[str], str]) -> None:
        """`create` makes a container of an image and gives its id; who closes the run removes it."""
        self._engine = engine
        self._create = create
        self._lock = threading.Lock()
        self._containers: dict[str, str] = {}
        self._found: dict[tuple[str, str], PathStat | None] = {}
        self._headers: dict[tuple[str, str], tarfile.TarInfo | None] = {}

    def stat(self, image: str, path: str) -> PathStat | None:
        """What an image has at a path, a link at its end not followed; None for nothing. Raises a LostError."""
        with self._lock:
            if (image, path) not in self._found:
                self._found[image, path] = self._engine.files.path_stat(self._container(image), path)
            return self._found[image, path]

    def is_folder(self, image: str, path: str) -> bool:
        """Whether an image has a folder at a path. Raises a LostError."""
        found = self.stat(image, path)
        return found is not None and found.is_folder

    def header(self, image: str, path: str) -> tarfile.TarInfo | None:
        """Owner, mode and, of a link, its target as it is written; None for nothing. Raises a LostError."""
        with self._lock:
            if (image, path) not in self._headers:
                with self._engine.files.archive(self._container(image), path) as stream:
                    self._headers[image, path] = None if stream is None else _first(stream)
            return self._headers[image, path]

    def steps_to(self, image: str, path: str) -> tuple[str, ...]:
        """Every place on the way to an absolute path, links followed one by one; it leads to the last.

        A place that the image does not have is followed by its name. Raises a LostError.
        """
        places, here, left = [], "/", path.split("/")
        for _ in range(MOST_STEPS):
            if not left:
                break
            name, *left = left
            if name in ("", ".", ".."):
                here = posixpath.dirname(here) if name == ".." else here
                continue
            place = posixpath.join(here, name)
            places.append(place)
            found = self.stat(image, place)
            link = self.header(image, place) if found is not None and found.is_link else None
            if link is None or not link.issym():
                here = place
                continue
            here = "/" if link.linkname.startswith("/") else here
            left = [*link.linkname.split("/"), *left]
        return (*places, here) if places[-1:] != [here] else tuple(places)

    @contextlib.contextmanager
    def archive(self, image: str, path: str) -> Iterator[IO[bytes]]:
        """A tar archive of a folder that an image has, to unpack in the folder above it. Raises a LostError."""
        with self._lock:
            container = self._container(image)
        with self._engine.files.archive(container, path) as stream:
            if stream is None:
                raise GraderLost(f"the image's own {path} could not be read")
            yield stream

    def _container(self, image: str) -> str:
        """The image's container, made anew if somebody has removed it. Raises ImageLost or EngineLost."""
        known = self._containers.get(image)
        if known is None or self._engine.state(known) is None:
            self._containers[image] = self._create(image)
        return self._containers[image]


def _first(stream: IO[bytes]) -> tarfile.TarInfo | None:
    with tarfile.open(fileobj=stream, mode="r|") as members:
        return members.next()
