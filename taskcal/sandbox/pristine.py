"""What images hold before anybody has touched them: one container of each that never starts, to be looked into."""

from __future__ import annotations

import contextlib
import threading
from typing import IO, TYPE_CHECKING

from taskcal.errors import GraderLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskcal.sandbox.contents import Contents
    from taskcal.sandbox.facts import PathStat


class Pristine:
    """The images of one run, safe to ask from many threads. An image does not change, so answers are remembered."""

    def __init__(self, engine: Contents, create: Callable[[str], str]) -> None:
        """`create` makes a container of an image and gives its id; who closes the run removes it."""
        self._engine = engine
        self._create = create
        self._lock = threading.Lock()
        self._containers: dict[str, str] = {}
        self._found: dict[tuple[str, str], PathStat | None] = {}

    def stat(self, image: str, path: str) -> PathStat | None:
        """What an image has at a path, a link at its end not followed; None for nothing. Raises a LostError."""
        with self._lock:
            if (image, path) not in self._found:
                self._found[image, path] = self._engine.path_stat(self._container(image), path)
            return self._found[image, path]

    def is_folder(self, image: str, path: str) -> bool:
        """Whether an image has a folder at a path. Raises a LostError."""
        found = self.stat(image, path)
        return found is not None and found.is_folder

    @contextlib.contextmanager
    def archive(self, image: str, path: str) -> Iterator[IO[bytes]]:
        """A tar archive of a folder that an image has, to unpack in the folder above it. Raises a LostError."""
        with self._lock:
            container = self._container(image)
        with self._engine.archive(container, path) as stream:
            if stream is None:
                raise GraderLost(f"the image's own {path} could not be read")
            yield stream

    def _container(self, image: str) -> str:
        """The image's container, made anew if somebody has removed it. Raises ImageLost or EngineLost."""
        known = self._containers.get(image)
        if known is None or self._engine.state(known) is None:
            self._containers[image] = self._create(image)
        return self._containers[image]
