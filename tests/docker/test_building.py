"""What a Dockerfile's RUN may use, and how long a build may take."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import docker
import pytest

from taskcal.errors import ImageLost
from taskcal.sandbox.building import BuildBounds
from tests.docker.rooms import IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from taskcal.sandbox.docker import DockerEngine

pytestmark = pytest.mark.docker

V1 = "cd /sys/fs/cgroup && cat memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes cpu/cpu.cfs_quota_us"
V2 = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max"


def is_building(token: str) -> bool:
    """Whether a container of the engine's own runs a command with this word."""
    client = docker.APIClient(version="auto")
    try:
        return any(token in row["Command"] for row in client.containers())
    finally:
        client.close()


def test_a_run_has_the_operators_bounds(engine: DockerEngine, write: Callable[[str, str], Path]) -> None:
    """Memory, without swap beyond it, and CPUs are limits of the container in which each RUN happens."""
    text = f"FROM {IMAGE}\nRUN : {secrets.token_hex(8)}; ({V1}) 2>/dev/null || {V2}\n"
    said: list[str] = []
    bounds = BuildBounds(memory=64 * 1024**2, cpus=0.5, seconds=60)
    engine.remove_image(engine.build(str(write("box/Dockerfile", text).parent), bounds, labels={}, log=said.append))
    words = "".join(said).split()
    assert "67108864" in words
    assert "50000" in words


@pytest.mark.parametrize("script", ["sleep 300", "while :; do echo busy; done"], ids=["silent", "busy"])
def test_a_build_is_given_up_at_its_deadline(
    engine: DockerEngine, write: Callable[[str, str], Path], script: str
) -> None:
    """Whether it prints or not, it is lost at the image, and the engine ends it."""
    token = secrets.token_hex(8)
    folder = write("box/Dockerfile", f"FROM {IMAGE}\nRUN : {token}; {script}\n").parent
    begun = time.monotonic()
    with pytest.raises(ImageLost, match=r"not done within 3 s \(timeouts.setup\)"):
        engine.build(str(folder), BuildBounds(seconds=3), labels={}, log=lambda _: None)
    assert time.monotonic() - begun < 10
    while is_building(token):
        assert time.monotonic() - begun < 60
        time.sleep(0.2)


def test_a_build_reads_as_we_do(engine: DockerEngine, write: Callable[[str, str], Path]) -> None:
    """A stage is no source of itself, an indented # inside an instruction is a comment, and pieces are joined."""
    token = f"taskcal-test-{secrets.token_hex(8)}"
    own = write("own/Dockerfile", f"FROM {IMAGE} AS {token}\nCOPY --from={token} /etc/hostname /x\n").parent
    with pytest.raises(ImageLost, match=rf"{token}.*(denied|lookup|not|no )"):
        engine.build(str(own), BuildBounds(seconds=60), labels={}, log=lambda _: None)
    text = f"FROM {IMAGE} AS One\nFROM oNE\nRUN echo a\\\n  # said\n\nb {token}\nCOPY --from=0 /etc/passwd /x\n"
    said: list[str] = []
    folder = write("box/Dockerfile", text).parent
    engine.remove_image(engine.build(str(folder), BuildBounds(seconds=60), labels={}, log=said.append))
    assert f"ab {token}\n" in said
