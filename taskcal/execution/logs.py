"""Where the logs of rollouts go: a sink, so that a rollout knows no folder of the process that drives the run."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from taskcal.core.rollout import RolloutId
    from taskcal.sandbox import Sink


class LogSink(Protocol):
    """Takes the logs of rollouts, each by the attempt and a name such as `agent.log`. Sinks raise OSError."""

    def open(self, rollout: RolloutId, name: str) -> AbstractContextManager[Sink]:
        """A log that begins anew now. What it is given is kept at once."""
        ...

    def open_late(self, rollout: RolloutId, name: str) -> Sink:
        """A log that is not there before its first chunk; what an earlier process left of it is removed now."""
        ...


class FileLogs:
    """Files of this machine."""

    def __init__(self, path: Callable[[RolloutId, str], Path]) -> None:
        """`path` gives where a log belongs, in a folder that exists, after it removed what lay there."""
        self._path = path

    @contextlib.contextmanager
    def open(self, rollout: RolloutId, name: str) -> Iterator[Sink]:
        """Unbuffered, so that a person can follow it, and so that a kill loses nothing."""
        with self._path(rollout, name).open("wb", buffering=0) as file:

            def write(chunk: bytes) -> None:
                while chunk:  # a full disk may take a part, and raises for the rest
                    chunk = chunk[file.write(chunk) :]

            yield write

    def open_late(self, rollout: RolloutId, name: str) -> Sink:
        """Opened for each chunk: a transcript has few of them."""
        path = self._path(rollout, name)

        def append(chunk: bytes) -> None:
            with path.open("ab") as file:
                file.write(chunk)

        return append
