"""A container engine of a test's own, which may be stopped, killed and emptied: dockerd in namespaces of its own.

It shares nothing with the machine's engine but the programs: its network, mounts and processes are behind namespaces
(without one for the network it would take the default bridge away), its images and containers in a folder of its own.
It needs root, as an engine does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.machine.base_image import BASE_IMAGE
from taskcal.sandbox.engine.docker import DockerEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
OFFLINE = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
STARTED_SECONDS = 60.0


class OwnEngine:
    """Use `own_engine`."""

    def __init__(self, folder: Path) -> None:
        """Nothing runs yet; `folder` must have a short name, since sockets are in it."""
        self.folder = folder
        self.address = f"unix://{folder}/s"
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def start(self) -> None:
        """Start it, with what it had before, and wait until it answers."""
        self._starts += 1
        state = self.folder / f"exec{self._starts}"  # what a dead engine left there would confuse the next one
        (self.folder / "config").write_text("{}")
        command = [*NAMESPACES, "dockerd", "--config-file", str(self.folder / "config"), "-H", self.address, *OFFLINE]
        command += ["--data-root", str(self.folder / "data"), "--exec-root", str(state), "--pidfile", f"{state}.pid"]
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": path})
        deadline = time.monotonic() + STARTED_SECONDS
        while not self.answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it does."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5.0)
            line.connect(str(self.folder / "s"))
            line.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b"OK" in line.recv(4096)
        return False

    def connect(self) -> DockerEngine:
        """A connection to it. Raises MissingError."""
        before = os.environ.get("DOCKER_HOST")
        os.environ["DOCKER_HOST"] = self.address
        try:
            return DockerEngine.connect()
        finally:
            if before is None:
                del os.environ["DOCKER_HOST"]
            else:
                os.environ["DOCKER_HOST"] = before

    def stop(self) -> None:
        """Stop it as `systemctl stop` does: it ends its containers first, which takes some seconds."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGTERM)
        self._process.wait(timeout=120)

    def kill(self) -> None:
        """End it and every container of it at once, as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def own_engine(like: DockerEngine, disk: str = "") -> Iterator[OwnEngine]:
    """An engine that has the base image of another one, on a `disk` of so many bytes (such as 300m) where it is given.

    Afterwards nothing of it is left.
    """
    folder = Path(tempfile.mkdtemp(prefix="taskcal-"))
    engine = OwnEngine(folder)
    try:
        (folder / "data").mkdir()
        if disk:
            subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", f"size={disk}", "none", folder / "data"], check=True)
        engine.start()
        client = engine.connect()
        client._api.load_image(b"".join(like._api.get_image(BASE_IMAGE)))
        client.close()
        yield engine
    finally:
        engine.kill()
        if disk:
            subprocess.run(["/bin/umount", folder / "data"], check=True)
        shutil.rmtree(folder)


def use(engine: OwnEngine, patch: pytest.MonkeyPatch) -> None:
    """Let every taskcal that is started from here on use it."""
    patch.setenv("DOCKER_HOST", engine.address)
