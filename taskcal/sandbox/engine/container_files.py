"""The files of a container, running or not: in and out without a process in it.

Reading through the engine needs no shell in the container, so it works on one that the agent has broken, filled or
ended. An archive that is read must be closed: the engine holds the container until then.
"""

from __future__ import annotations

import base64
import contextlib
import json
import tarfile
from typing import IO, TYPE_CHECKING

from taskcal.errors import EngineLost
from taskcal.sandbox.engine.docker_types import PathStat
from taskcal.sandbox.engine.error_translation import translate_container_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.sandbox.engine.connection import EngineClient

NO_FILE = (
    *("could not find the file", "no such file or directory", "not a directory", "too many links"),
    *("too many levels of symbolic links", "file name too long"),
)
"""What an engine says where a path leads nowhere; what is there is the agent's doing, however odd it is."""


class ContainerFiles:
    """Reads and writes files of containers through the engine; safe to share between threads."""

    def __init__(self, client: EngineClient) -> None:
        """`client` is the engine's."""
        self._client = client

    def put_archive(self, container: str, archive: bytes | IO[bytes], at: str = "/") -> None:
        """Unpack a tar archive in a folder of the container."""
        with translate_container_errors("copying files into a container"):
            self._client.api.put_archive(container, at, archive)

    def path_stat(self, container: str, path: str) -> PathStat | None:
        """What is at a path, a link at its end not followed; None where there is nothing, or no container."""
        with translate_container_errors("looking at a container's files"):
            options = {"params": {"path": path}, "timeout": self._client.api.timeout}
            answer = self._client.api.head(self._archive_url(container), **options)
        facts = answer.headers.get("X-Docker-Container-Path-Stat")
        return PathStat.of(json.loads(base64.b64decode(facts))) if answer.status_code == 200 and facts else None

    @contextlib.contextmanager
    def archive(self, container: str, path: str) -> Iterator[IO[bytes] | None]:
        """A tar archive of what is at a path, as a stream; None where there is nothing. Raises SandboxLost."""
        what = "copying files out of a container"
        options = {"params": {"path": path}, "stream": True, "headers": {"Accept-Encoding": "identity"}}
        with translate_container_errors(what):
            answer = self._client.api._get(self._archive_url(container), **options)  # noqa: SLF001 - the SDK's own drops what bounds a read
        with contextlib.closing(answer), translate_container_errors(what):
            if answer.status_code != 200 and any(words in answer.text.lower() for words in NO_FILE):
                yield None
            else:
                self._client.api._raise_for_status(answer)  # noqa: SLF001 - see above
                yield answer.raw

    def read_small(self, container: str, path: str, limit: int = 65536) -> bytes:
        """The first bytes of a regular file that the engine made. Raises EngineLost where there is none."""
        with self.archive(container, path) as stream:
            if stream is not None:
                with tarfile.open(fileobj=stream, mode="r|") as members:
                    member = members.next()
                    content = members.extractfile(member) if member is not None else None
                    if content is not None:
                        return content.read(limit)
        raise EngineLost(f"the engine has no {path} for a container")

    def _archive_url(self, container: str) -> str:
        return str(self._client.api._url("/containers/{0}/archive", container))  # noqa: SLF001 - see above
