"""What an image would start by itself and a sandbox does not: taskcal's own first process takes its place.

The first process must outlive everything that an agent kills and reap every orphan, which no image's own does. So a
database, an sshd or a PATH that an entrypoint sets is missing in a sandbox. A service keeps its entrypoint.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.sandbox.engine.docker_types import ImageInfo

INITS = frozenset({"tini", "tini-static", "dumb-init", "docker-init", "catatonit", "env"})
PROMPTS = frozenset(
    {"sh", "bash", "dash", "ash", "zsh", "fish", "busybox", "python", "python3", "node", "irb", "R", "julia", "jshell"}
)
"""Programs that an image names so that a person gets a prompt; they start nothing."""


def unused_command(image: ImageInfo) -> str:
    """What an image would start, as its Dockerfile has it; '' for one that starts nothing but a prompt."""
    parts = [
        f"{name} {json.dumps(list(words), ensure_ascii=False)}"
        for name, words in (("ENTRYPOINT", image.entrypoint), ("CMD", image.command))
        if words
    ]
    return " and ".join(parts) if _starts((*image.entrypoint, *image.command)) else ""


def entrypoint_remark(name: str, image: ImageInfo) -> str:
    """One sentence about an image that would start something by itself, '' for another one."""
    what = unused_command(image)
    return f"image {name} has {what}, which a sandbox does not run; put what it starts into `start:`" if what else ""


def _starts(words: Sequence[str]) -> bool:
    """Whether a command line does more than open a prompt, with or without an init before it."""
    left = [word for word in words if word.rpartition("/")[2] not in INITS and word != "--"]
    bare = [word for word in left if word not in ("-g", "-s", "-l", "-i", "--login")]
    return bool(bare) and not (len(bare) == 1 and bare[0].rpartition("/")[2] in PROMPTS)
