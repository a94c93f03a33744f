"""What a Dockerfile's RUN may use, and how long a build may take."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import docker
import pytest

from taskcal.errors import ImageLost
from taskcal.sandbox.engine.building import BuildBounds
from taskcal.sandbox.engine.labels import BAKE, BOOT, BUILDING, BUILT, STARTED, RunOwner
from taskcal.sandbox.engine.sweep import sweep_layers
from tests.docker.rooms import IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from taskcal.sandbox.engine.docker import DockerEngine

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
    engine.remove_image(
        engine.builder.build(str(write("box/Dockerfile", text).parent), bounds, labels={}, log=said.append)
    )
    words = "".join(said).split()
    assert "67108864" in words
    assert "50000" in words


@pytest.mark.parametrize(
    "script", [pytest.param("sleep 300", marks=pytest.mark.long), "while :; do echo busy; done"], ids=["silent", "busy"]
)
def test_a_build_is_given_up_at_its_deadline(
    engine: DockerEngine, write: Callable[[str, str], Path], script: str
) -> None:
    """Whether it prints or not, it is lost at the image, and the engine ends it."""
    token = secrets.token_hex(8)
    folder = write("box/Dockerfile", f"FROM {IMAGE}\nRUN : {token}; {script}\n").parent
    begun = time.monotonic()
    with pytest.raises(ImageLost, match=r"not done within 3 s \(timeouts.setup\)"):
        engine.builder.build(str(folder), BuildBounds(seconds=3), labels={}, log=lambda _: None)
    assert time.monotonic() - begun < 10
    while is_building(token):
        assert time.monotonic() - begun < 60
        time.sleep(0.2)


def test_what_a_failed_build_leaves_is_found(engine: DockerEngine, write: Callable[[str, str], Path]) -> None:
    """Its layers carry the label from the first on, the image has the folder's files alone, and a sweep removes them.

    A build that is under way, also one of which nobody here can know, keeps them; the mark of a dead process does not.
    """
    token, said = secrets.token_hex(8), list[str]()
    folder = write("box/Dockerfile", f"FROM {IMAGE}\nCOPY . /c\nRUN ls -A /c && echo {token} >/x\nRUN false\n").parent
    mine = RunOwner.here().labels("a run")
    with engine.builder.mark({**mine, BOOT: "another", BUILDING: BUILT}), pytest.raises(ImageLost, match="code: 1"):
        engine.builder.build(
            str(folder), BuildBounds(seconds=60), labels={BAKE: BUILT, "token": token}, log=said.append
        )
    assert "Dockerfile\n" in said
    assert not [line for line in said if line.startswith(".")]
    with engine.builder.mark({**mine, BUILDING: BUILT}):
        assert sweep_layers(engine) == 0
        assert engine.builder.unnamed_images(f"token={token}")
    with engine.builder.mark({**mine, STARTED: "1", BUILDING: BUILT, "token": token}):
        begun = time.monotonic()
        while engine.builder.unnamed_images(f"token={token}"):  # another test's build may be under way
            assert time.monotonic() - begun < 60
            sweep_layers(engine)
        assert engine.builder.marks_labelled(f"token={token}") == ()


def test_a_build_reads_as_we_do(engine: DockerEngine, write: Callable[[str, str], Path]) -> None:
    """A stage is no source of itself, an indented # inside an instruction is a comment, and pieces are joined."""
    token = f"taskcal-test-{secrets.token_hex(8)}"
    own = write("own/Dockerfile", f"FROM {IMAGE} AS {token}\nCOPY --from={token} /etc/hostname /x\n").parent
    with pytest.raises(ImageLost, match=rf"{token}.*(denied|lookup|not|no )"):
        engine.builder.build(str(own), BuildBounds(seconds=60), labels={}, log=lambda _: None)
    text = f"FROM {IMAGE} AS One\nFROM oNE\nRUN echo a\\\n  # said\n\nb {token}\nCOPY --from=0 /etc/passwd /x\n"
    said: list[str] = []
    folder = write("box/Dockerfile", text).parent
    engine.remove_image(engine.builder.build(str(folder), BuildBounds(seconds=60), labels={}, log=said.append))
    assert f"ab {token}\n" in said
