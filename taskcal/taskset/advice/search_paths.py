"""Which search paths checks will lose, as far as the taskset and its Dockerfile show; a run's probe sees the image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.core.build.dockerfile import variables
from taskcal.core.shell.sandbox_paths import is_below
from taskcal.core.shell.search_paths import sift_variables
from taskcal.core.task import GraderSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskcal.core.task import Artifact, Environment, Task

MOST_READ = 1024**2
OPEN_TO_ALL = ("/tmp", "/var/tmp")  # noqa: S108 - named because anybody may write there
ROOT_NAMES = {"0", "root"}


def about_search_paths(task: Task) -> Iterator[str]:
    """A line for each entry of the image's variables that checks do not get."""
    environment, grader = task.environment, task.grader
    variables_here = {**_of_dockerfile(environment), **environment.env}
    if grader.sandbox is GraderSandbox.FRESH:
        if grader.artifacts:
            yield from (
                str(gone) for gone in sift_variables(variables_here, lambda path: _why(path, grader.artifacts)).gone
            )
    elif environment.user and environment.user.partition(":")[0] not in ROOT_NAMES:
        reason = "any user may write there"
        yield from map(
            str, sift_variables(variables_here, lambda path: reason if is_below(path, OPEN_TO_ALL) else "").gone
        )


def _why(path: str, artifacts: tuple[Artifact, ...]) -> str:
    """Why a path goes, and what would keep it."""
    for artifact in artifacts:
        top = artifact.path.rstrip("/")
        if is_below(path, [top]) and not is_below(path, [f"{top}/{name}" for name in artifact.exclude]):
            name = path.removeprefix(top).strip("/").partition("/")[0]
            keeping = f"; exclude: [{name}] there keeps the image's own" if name else ""
            return f"it leads into the artifact {artifact.path}{keeping}"
    return ""


def _of_dockerfile(environment: Environment) -> Mapping[str, str]:
    """What ENV sets in the Dockerfile that the image is built from; nothing for one that cannot be read."""
    if environment.source.build is None:
        return {}
    try:
        with Path(environment.source.build, "Dockerfile").open(encoding="utf-8") as file:
            return variables(file.read(MOST_READ))
    except (OSError, ValueError):
        return {}
