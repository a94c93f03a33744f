"""What an image starts by itself is reported, and an image for a prompt is not."""

from __future__ import annotations

import pytest

from taskcal.sandbox.engine.docker_types import ImageInfo
from taskcal.sandbox.images.entrypoint import entrypoint_remark


def image(entrypoint: tuple[str, ...], command: tuple[str, ...]) -> ImageInfo:
    return ImageInfo("sha256:1", {}, (), entrypoint, command, 0, 0.0)


@pytest.mark.parametrize(
    ("entrypoint", "command"),
    [
        ((), ()),
        ((), ("bash",)),
        ((), ("/bin/bash",)),
        ((), ("python3",)),
        (("/usr/bin/tini", "--"), ("bash",)),
        (("/tini", "-g", "--"), ()),
        (("/bin/sh",), ()),
        (("bash", "-l"), ()),
    ],
)
def test_a_prompt_is_nothing_to_report(entrypoint: tuple[str, ...], command: tuple[str, ...]) -> None:
    """Shells and interpreters without a script, with an init before them or not."""
    assert entrypoint_remark("x", image(entrypoint, command)) == ""


@pytest.mark.parametrize(
    ("entrypoint", "command", "says"),
    [
        (("/docker-entrypoint.sh",), (), 'ENTRYPOINT ["/docker-entrypoint.sh"],'),
        (("/e",), ("nginx", "-g"), 'ENTRYPOINT ["/e"] and CMD ["nginx", "-g"],'),
        ((), ("/usr/sbin/sshd", "-D"), 'CMD ["/usr/sbin/sshd", "-D"],'),
        (("tini", "--"), ("jupyter", "lab"), 'ENTRYPOINT ["tini", "--"] and CMD ["jupyter", "lab"],'),
        (("/bin/sh", "-c", "export PATH; exec sh"), (), 'ENTRYPOINT ["/bin/sh", "-c", "export PATH; exec sh"],'),
        ((), ("python3", "app.py"), 'CMD ["python3", "app.py"],'),
    ],
)
def test_what_is_not_run_is_named(entrypoint: tuple[str, ...], command: tuple[str, ...], says: str) -> None:
    """As its Dockerfile has it, with what to do."""
    said = entrypoint_remark("shop:2", image(entrypoint, command))
    assert said == f"image shop:2 has {says} which a sandbox does not run; put what it starts into `start:`"
