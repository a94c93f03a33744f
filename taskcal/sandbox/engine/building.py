"""Building a folder's image with the classic builder, within bounds: what a RUN may use, how long all of it may take.

The engine gives up a build when its client hangs up, so a deadline is kept by closing the connection.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from taskcal.errors import EngineLost, ImageLost, SandboxLost
from taskcal.sandbox.archive import pack_context
from taskcal.sandbox.engine.connection import send_with_credentials
from taskcal.sandbox.engine.docker_types import LabelledResource, follow_progress
from taskcal.sandbox.engine.error_translation import translate_errors
from taskcal.sandbox.engine.layer_labels import LayerLabels, label_layers

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskcal.sandbox.engine.connection import EngineClient

Events = Iterator[Mapping[str, Any]]
"""What the engine reports while it works, one object an event."""

PERIOD = 100_000
"""Microseconds in which the CPUs' share is counted, as Docker does for `cpus`."""


@dataclass(frozen=True, slots=True)
class BuildBounds:
    """`memory` (bytes) and `cpus` bound every RUN, None does not; `seconds` bounds the whole build."""

    network: bool = False
    memory: int | None = None
    cpus: float | None = None
    seconds: float = 600.0

    def query(self) -> dict[str, int]:
        """The bounds as the engine's API names them; memory and swap together are the memory limit."""
        memory = {} if self.memory is None else {"memory": self.memory, "memswap": self.memory}
        cpus = {} if self.cpus is None else {"cpuperiod": PERIOD, "cpuquota": round(self.cpus * PERIOD)}
        return memory | cpus


class ImageBuilder:
    """Builds images of folders, and marks on the engine that a build is under way."""

    def __init__(self, client: EngineClient) -> None:
        """`client` is the engine's."""
        self._client = client

    def build(self, folder: str, bounds: BuildBounds, *, labels: Mapping[str, str], log: Callable[[str], None]) -> str:
        """Build a folder's Dockerfile and give the image's id. Raises ImageLost, also at the deadline."""
        ids: list[str] = []

        def step(event: Mapping[str, Any]) -> None:
            log(str(event.get("stream", "")))
            if "ID" in (event.get("aux") or {}):
                ids.append(event["aux"]["ID"])

        with _context(folder, labels) as context:
            self._follow(folder, context, bounds, labels, step)
        if not ids:
            raise ImageLost(f"building {folder}: the engine named no image")
        return ids[-1]

    @contextlib.contextmanager
    def mark(self, labels: Mapping[str, str]) -> Iterator[None]:
        """Show on the engine, by a labelled volume that nothing uses, that work is under way. Raises EngineLost."""
        with translate_errors("creating a volume"):
            name = self._client.api.create_volume(labels=dict(labels))["Name"]
        try:
            yield
        finally:
            self.remove_mark(name)

    def marks_labelled(self, label: str) -> tuple[LabelledResource, ...]:
        """All that is under way, or was when its process died."""
        with translate_errors("listing volumes"):
            rows = self._client.api.volumes(filters={"label": label})["Volumes"] or ()
        return tuple(LabelledResource.of({**row, "Id": row["Name"], "Created": row.get("CreatedAt")}) for row in rows)

    def remove_mark(self, name: str) -> None:
        """Take a mark away; one that is gone is a success."""
        with contextlib.suppress(SandboxLost), translate_errors("removing a volume"):
            self._client.api.remove_volume(name)

    def unnamed_images(self, label: str) -> tuple[str, ...]:
        """The ids of the images that carry a label, and that have neither a name nor another image on top."""
        with translate_errors("listing images"):
            return tuple(row["Id"] for row in self._client.api.images(filters={"label": label, "dangling": True}))

    def _follow(
        self,
        folder: str,
        context: BuildContext,
        bounds: BuildBounds,
        labels: Mapping[str, str],
        step: Callable[[Mapping[str, Any]], None],
    ) -> None:
        """Read all that the engine reports of a build. Raises ImageLost, also at the deadline."""
        deadline = time.monotonic() + bounds.seconds
        try:
            refused = translate_errors(f"building {folder}", ImageLost, ImageLost)
            with refused, self._events(context, bounds, labels) as events:
                follow_progress(_until(deadline, *events), step)
        except ImageLost as error:
            raise ImageLost(context.layers.restore_names(str(error))) from error
        except EngineLost as error:
            if time.monotonic() < deadline:
                raise
            raise ImageLost(f"building {folder}: not done within {bounds.seconds:g} s (timeouts.setup)") from error

    @contextlib.contextmanager
    def _events(
        self, context: BuildContext, bounds: BuildBounds, labels: Mapping[str, str]
    ) -> Iterator[tuple[Iterator[Mapping[str, Any]], Any]]:
        """What the engine tells, and its socket. The SDK has no words for CPUs, so the session adds them.

        Leaving closes the connection, whatever is still to come.
        """
        with self._client.with_timeout(bounds.seconds) as client, contextlib.ExitStack() as stack:
            answers: list[Any] = []
            client.hooks["response"].append(lambda answer, **_: answers.append(stack.enter_context(answer)))
            client.params = bounds.query()
            options: dict[str, Any] = {"rm": True, "forcerm": True, "decode": True, "timeout": bounds.seconds}
            options |= {"dockerfile": context.layers.dockerfile} if context.layers.dockerfile else {}
            mode = "default" if bounds.network else "none"

            def send() -> Events:
                answers.clear()
                context.archive.seek(0)
                events: Events = client.build(
                    fileobj=context.archive, custom_context=True, labels=dict(labels), network_mode=mode, **options
                )
                return events

            events = send_with_credentials(client, send)
            yield events, answers[-1].raw._fp.fp.raw._sock  # noqa: SLF001 - the SDK's own reads without a deadline


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What the engine gets of a folder, and what of it labels the layers."""

    archive: IO[bytes]
    layers: LayerLabels


@contextlib.contextmanager
def _context(folder: str, labels: Mapping[str, str]) -> Iterator[BuildContext]:
    """All that the engine gets of a folder, in a file without a name. Raises ImageLost if it cannot be read."""
    with tempfile.TemporaryFile() as archive:
        try:
            layers = label_layers(Path(folder), labels)
            pack_context(Path(folder), archive, layers.files, layers.left_out)
        except OSError as error:
            advice = "; make it readable, or name it in .dockerignore" if isinstance(error, PermissionError) else ""
            place = error.filename or folder
            raise ImageLost(f"building {folder}: {place}: {error.strerror or error}{advice}") from error
        archive.seek(0)
        yield BuildContext(archive, layers)


def _until(deadline: float, events: Iterator[Mapping[str, Any]], sock: Any) -> Iterator[Mapping[str, Any]]:
    """Events until they end; raises TimeoutError at the deadline, silent or not."""
    while (left := deadline - time.monotonic()) > 0:
        sock.settimeout(left)
        event = next(events, None)
        if event is None:
            return
        yield event
    raise TimeoutError("the deadline has passed")
