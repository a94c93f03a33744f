"""A sandbox's allowed hosts while it lives: the container that listens in its network, and the thread that dials."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from taskcal.core.network import HERE
from taskcal.core.task import Limits, NetworkMode
from taskcal.errors import LostError
from taskcal.sandbox.egress.connect_host import addresses, connect_to_host
from taskcal.sandbox.egress.forwarding import Forwarder
from taskcal.sandbox.egress.script import SCRIPT
from taskcal.sandbox.engine.run_resources import DROPPED, FIRST_PROCESS, host_config

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping

    from taskcal.core.network import AllowedHost, NetworkAccess
    from taskcal.sandbox.engine.docker import DockerEngine

    Dial = Callable[[AllowedHost], socket.socket]

LIMITS = Limits(cpus=0.5, memory=128 * 1024**2, pids=16)


class SandboxEgress:
    """The forwarders to allowed hosts of one sandbox; a fresh container may have one of its own."""

    def __init__(self, engine: DockerEngine, image: str, labels: Mapping[str, str]) -> None:
        """`image` has Perl; `labels` are those of the sandbox."""
        self._engine, self._image, self._labels = engine, image, labels
        self._open: list[Forwarder] = []
        self._closing = contextlib.ExitStack()

    def open(self, container: str, access: NetworkAccess, connect: Dial = connect_to_host) -> None:
        """Let what shares a container's network reach a list of hosts. Raises SetupLost, ImageLost or EngineLost."""
        if access.mode is NetworkMode.HOSTS:
            self._open.append(self._closing.enter_context(self._carried(container, access, connect)))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What could not be reached, and why."""
        return tuple(remark for one in self._open for remark in one.remarks)

    def check(self) -> None:
        """Raise ServiceLost where one has ended by itself."""
        for one in self._open:
            one.check()

    def close(self) -> None:
        """Cut them all; an engine that does not answer is left to the sweep by label."""
        with contextlib.suppress(LostError):
            self._closing.close()

    @contextlib.contextmanager
    def _carried(self, namespace: str, access: NetworkAccess, connect: Dial) -> Iterator[Forwarder]:
        names = {HERE: "127.0.0.1", **addresses(access.ways)}
        places = [f"{names[allowed.host]}:{allowed.port}" for allowed in access.ways]
        container = self._engine.create(
            self._image,
            {**host_config(LIMITS, f"container:{namespace}"), "cap_drop": DROPPED},
            entrypoint=list(FIRST_PROCESS),
            command=[],
            labels=dict(self._labels),
        )
        try:
            self._engine.start(container)
            with self._engine.line(container, ("perl", "-e", SCRIPT, *places), None, {}, tty=False) as line:
                egress = Forwarder(line, access.ways, connect)
                try:
                    egress.await_ready()
                    yield egress
                finally:
                    egress.close()
        finally:
            self._engine.remove(container)
