"""What a fresh container receives before it grades: the agent's artifacts and answer, then the grader's files.

The grader's files win. Their places are those that the image's links lead to: `/app/tests` is `/srv/app/tests` where
`/app` is a link to `/srv/app`, and nothing of the agent arrives under either name. A link inside an artifact is the
agent's to replace, so it is not followed, and a folder is made in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.core.shell.sandbox_paths import plain_path
from taskcal.errors import GraderLost
from taskcal.sandbox import ROOT_USER, Script
from taskcal.sandbox.artifacts.collect import ArtifactCollector
from taskcal.sandbox.delivery import without_artifacts
from taskcal.sandbox.scripts import READY_SECONDS, clear_artifact_places

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.core.task import FileCopy
    from taskcal.sandbox.artifacts.collect import ArtifactSource
    from taskcal.sandbox.delivery import Destination, Run


def fill_fresh_container(
    place: Destination,
    sources: Sequence[ArtifactSource],
    files: Sequence[FileCopy],
    run: Run,
    names: Mapping[str, bytes],
) -> tuple[str, ...]:
    """Fill a fresh container; `names` are small files to put back as they were. Gives a note for what did not arrive.

    Raises a LostError.
    """
    artifacts = [plain_path(source.path) for source in sources]
    true = place.resolved(files, artifacts)
    restored = without_artifacts(place.restored(true), artifacts)
    reserved = (*(copy.destination for copy in (*files, *true)), *restored)
    carrier = ArtifactCollector(place.engine.files, place.container, reserved=reserved, folders=[place.workdir])
    with carrier.parcels(sources) as parcels:
        taken = {one.path: one.spared for one in parcels if place.engine.files.path_stat(place.container, one.path)}
        if taken or names:
            _clear(clear_artifact_places(taken, names, place.workdir), run)
        for parcel in parcels:
            if parcel.archive is not None:
                place.engine.files.put_archive(place.container, parcel.archive)
    place.restore(restored)
    place.put(true, artifacts)
    return tuple(parcel.note for parcel in parcels if parcel.note)


def _clear(source: str, run: Run) -> None:
    result = run(Script(source, READY_SECONDS, user=ROOT_USER, hidden=True, workdir="/", clean=True))
    if not result.ok:
        raise GraderLost(f"the image's own files could not be removed where artifacts belong: {result.tail}")
