"""What a container is and holds, running or not: its state, its log, and files in and out without a process in it.

Reading through the engine needs no shell in the container, so it works on one that the agent has broken, filled or
ended. An archive that is read must be closed: the engine holds the container until then.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import tarfile
from typing import IO, TYPE_CHECKING, Any

from taskcal.errors import EngineLost, LostError, SandboxLost
from taskcal.sandbox.engine.docker_types import ContainerState, PathStat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

NO_FILE = (
    *("could not find the file", "no such file or directory", "not a directory", "too many links"),
    *("too many levels of symbolic links", "file name too long"),
)
"""What an engine says where a path leads nowhere; what is there is the agent's doing, however odd it is."""


LIST_SECONDS = 20.0


class Contents:
    """The part of the engine's connection that looks into containers; `DockerEngine` is made of it."""

    _client: Any
    _translated: Callable[[str], AbstractContextManager[None]]
    _of_container: Callable[[str], AbstractContextManager[None]]
    _own_client: Callable[[float], AbstractContextManager[Any]]

    def state(self, container: str, seconds: float | None = None) -> ContainerState | None:
        """How the container is; None for one that is gone. Raises EngineLost, soon after `seconds` if given."""
        try:
            with self._translated("inspecting a container"), self._patient(seconds) as client:
                return ContainerState.of(client.inspect_container(container))
        except SandboxLost:
            return None

    def lists(self, container: str) -> bool:
        """Whether the engine lists a container as running, for which it need not get at it. Raises EngineLost."""
        with self._translated("listing containers"), self._patient(LIST_SECONDS) as client:
            return bool(client.containers(filters={"id": container}))

    def _patient(self, seconds: float | None) -> AbstractContextManager[Any]:
        """The client, or one of its own for a call that may take so many seconds without a byte."""
        return contextlib.nullcontext(self._client) if seconds is None else self._own_client(seconds)

    def is_running(self, container: str) -> bool | None:
        """Whether the engine believes that the container runs; None for one that is gone."""
        state = self.state(container)
        return None if state is None else state.running

    def logs(self, container: str, lines: int = 20) -> str:
        """The last lines of what a container's first process printed, a mark before them if there may be more.

        Empty where there is nothing to read.
        """
        try:
            with self._translated("reading a container's log"):
                said: str = self._client.logs(container, tail=lines).decode(errors="replace")
        except LostError:
            return ""
        return f"…{said.strip()}" if said.count("\n") >= lines and said.strip() else said.strip()

    def ended_unaided(self, container: str, state: ContainerState) -> bool:
        """Whether the engine remembers how a container ended, and that nobody had asked it to kill anything there."""
        window = {"since": int(state.started), "until": math.ceil(state.finished) + 1}
        with self._translated("asking what happened to a container"):
            events = self._client.events(
                **window, filters={"container": container, "event": ["kill", "die"]}, decode=True
            )
            seen = [(str(event.get("Action")), _exit_code_of(event)) for event in events]
        # Where the engine's helper of a container was killed, the event and the state tell of different statuses.
        return seen == [("die", str(state.exit_code))]

    def kill(self, container: str) -> None:
        """End every process of a container and keep its files; one that has ended already is a success."""
        with contextlib.suppress(SandboxLost), self._translated("stopping a container"):
            self._client.kill(container)

    def put_archive(self, container: str, archive: bytes | IO[bytes], at: str = "/") -> None:
        """Unpack a tar archive in a folder of the container."""
        with self._of_container("copying files into a container"):
            self._client.put_archive(container, at, archive)

    def path_stat(self, container: str, path: str) -> PathStat | None:
        """What is at a path, a link at its end not followed; None where there is nothing, or no container."""
        with self._of_container("looking at a container's files"):
            options = {"params": {"path": path}, "timeout": self._client.timeout}
            answer = self._client.head(self._archive_url(container), **options)
        facts = answer.headers.get("X-Docker-Container-Path-Stat")
        return PathStat.of(json.loads(base64.b64decode(facts))) if answer.status_code == 200 and facts else None

    @contextlib.contextmanager
    def archive(self, container: str, path: str) -> Iterator[IO[bytes] | None]:
        """A tar archive of what is at a path, as a stream; None where there is nothing. Raises SandboxLost."""
        what = "copying files out of a container"
        options = {"params": {"path": path}, "stream": True, "headers": {"Accept-Encoding": "identity"}}
        with self._of_container(what):
            answer = self._client._get(self._archive_url(container), **options)  # noqa: SLF001 - the SDK's own drops what bounds a read
        with contextlib.closing(answer), self._of_container(what):
            if answer.status_code != 200 and any(words in answer.text.lower() for words in NO_FILE):
                yield None
            else:
                self._client._raise_for_status(answer)  # noqa: SLF001 - see above
                yield answer.raw

    def _archive_url(self, container: str) -> str:
        return str(self._client._url("/containers/{0}/archive", container))  # noqa: SLF001 - see above


def _exit_code_of(event: Mapping[str, Any]) -> str:
    return str(((event.get("Actor") or {}).get("Attributes") or {}).get("exitCode", ""))


def read_small(contents: Contents, container: str, path: str, limit: int = 65536) -> bytes:
    """The first bytes of a regular file that the engine made. Raises EngineLost where there is none."""
    with contents.archive(container, path) as stream:
        if stream is not None:
            with tarfile.open(fileobj=stream, mode="r|") as members:
                member = members.next()
                content = members.extractfile(member) if member is not None else None
                if content is not None:
                    return content.read(limit)
    raise EngineLost(f"the engine has no {path} for a container")
