"""The variables that checks get in a sandbox: the image's, without what leads to something that the agent wrote.

Both rules look at the image before anybody has touched it, one step of a path after the other, links followed. In a
fresh container the agent wrote the artifacts and nothing else. In a shared one it may have written wherever a user
other than root could; one that is root could write everywhere, and no rule would help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.core.shell.sandbox_paths import is_below, plain_path
from taskcal.core.shell.search_paths import CheckVariables, sift_variables
from taskcal.sandbox import TASKCAL_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskcal.core.task import Artifact
    from taskcal.sandbox.engine.image_files import ImageFiles

MADE_ANEW = ("/proc", "/sys", "/dev", TASKCAL_FOLDER)
"""Folders of which an image says nothing; a path through /proc may lead anywhere."""

HARMLESS = "/dev/null"
ROOT_NAMES = {"", "0", "root"}


def check_variables(
    image_files: ImageFiles, image: str, variables: Mapping[str, str], artifacts: Sequence[Artifact] | None, user: str
) -> CheckVariables:
    """What checks get of these variables; `artifacts` is None where they run in the agent's own sandbox.

    `user` is who the agent is. Raises a LostError.
    """
    rule: Callable[[Sequence[str]], str]
    if artifacts:
        rule = _artifact_rule(image_files, image, artifacts)
    elif artifacts is None and user.partition(":")[0] not in ROOT_NAMES:
        rule = _writable_rule(image_files, image)
    else:
        return sift_variables(variables, None)

    def why(path: str) -> str:
        if path == HARMLESS:
            return ""
        steps = image_files.steps_to(image, path)
        if any(is_below(place, MADE_ANEW) for place in steps):
            return "no image has it"
        return rule(steps)

    return sift_variables(variables, why)


def _artifact_rule(
    image_files: ImageFiles, image: str, artifacts: Sequence[Artifact]
) -> Callable[[Sequence[str]], str]:
    """Why a way leads to what arrives of the agent. An excluded folder is the image's, and so is the way to it."""
    paths = [plain_path(artifact.path) for artifact in artifacts]
    known = [
        (path, [place, path], [f"{top}/{name}" for top in (place, path) for name in artifact.exclude])
        for path, artifact in zip(paths, artifacts, strict=True)
        for place in image_files.steps_to(image, path)[-1:]
    ]

    def rule(way: Sequence[str]) -> str:
        for path, places, spared in known:
            inside = [step for step in zip(way, (*way[1:], ""), strict=True) if is_below(step[0], places)]
            if any(place.startswith(f"{way[-1]}/.") for place in places):  # such as ~/.config, which programs read
                return f"the artifact {path} lies in it"
            if not all(_is_spared(step, following, spared) for step, following in inside):
                return f"it leads into the artifact {path}"
        return ""

    return rule


def _is_spared(step: str, following: str, spared: Sequence[str]) -> bool:
    """Whether a step on a way is an excluded folder's, or a folder that leads to one as the next step does."""
    return any(
        is_below(step, (one,))
        or (following != "" and is_below(one, (step,)) and (is_below(following, (one,)) or is_below(one, (following,))))
        for one in spared
    )


def _writable_rule(image_files: ImageFiles, image: str) -> Callable[[Sequence[str]], str]:
    """Why somebody other than root can have written what a way leads to."""

    def rule(way: Sequence[str]) -> str:
        open_ones = (place for place in way if _is_writable(image_files, image, place))
        return next((f"others than root may write {place} in the image" for place in open_ones), "")

    return rule


def _is_writable(image_files: ImageFiles, image: str, place: str) -> bool:
    found = image_files.stat(image, place)
    if found is None or found.is_link:
        return False  # the folder above decides, which is on the way as well
    if found.mode & 0o002:
        return True
    header = image_files.header(image, place)
    return header is not None and (header.uid != 0 or (header.gid != 0 and found.mode & 0o020 != 0))
