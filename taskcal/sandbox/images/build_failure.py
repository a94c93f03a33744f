"""Why a Dockerfile did not build, in one sentence that an author can act on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.core.build.dockerfile import find_buildkit_need
from taskcal.core.text.excerpt import excerpt
from taskcal.machine.file_tree import LONGEST_DOCKERFILE, dockerfile_of
from taskcal.store import safe_files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskcal.core.build.dockerfile import BuildKitNeed

CLASSIC = re.compile("buildkit|parse error|parse platform|unknown (instruction|flag)", re.IGNORECASE)
"""Words of a builder that does not know an instruction; other builders, such as Podman's, know those of BuildKit."""

OTHER_BUILDERS = (
    "taskcal builds with the engine's classic builder; write it without BuildKit, or build the image yourself "
    "(docker buildx build --load -t NAME .) and use `image: NAME`"
)


def explain_build(folder: Path, words: str, output: Iterable[str]) -> str:
    """The failure of a build from the engine's `words` and the lines that it printed."""
    need = _buildkit_need(folder) if CLASSIC.search(words) else None
    if need is not None:
        return f"{here(str(folder / 'Dockerfile'))}:{need.line}: {need.what} needs BuildKit, and {OTHER_BUILDERS}"
    if not folder.is_dir():
        return f"the folder {here(str(folder))} is not there any more"
    told = excerpt("".join(output))
    place = here(str(folder))
    reason = words.replace(str(folder), place)
    named = reason if place in reason else f"building {place}: {reason}"
    return f"{named}{f' ({told})' if told else ''}"


def _buildkit_need(folder: Path) -> BuildKitNeed | None:
    try:
        with safe_files.open_to_read(dockerfile_of(folder)) as file:
            return find_buildkit_need(file.read(LONGEST_DOCKERFILE).decode(errors="replace"))
    except OSError:
        return None


def here(folder: str) -> str:
    """A folder as a person in this folder would name it."""
    path = Path(folder)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else folder
