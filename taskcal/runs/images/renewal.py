"""Images that somebody removed under a run: made again from the same content, so that the next attempt finds them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from taskcal.core.rollout import Lost
from taskcal.errors import Boundary, UsageError
from taskcal.runs.images.moved import refuse_moved_images, with_images
from taskcal.runs.images.probe import ReadyGroup

if TYPE_CHECKING:
    from taskcal.core.rollout import GroupId, Outcome
    from taskcal.execution.workplace import RolloutJob
    from taskcal.runs.live_run import Run
    from taskcal.sandbox.images.baking import PreparedImages


class Renewal:
    """Makes a group's images again that somebody removed under the run, so that the next attempt finds them."""

    def __init__(self, run: Run) -> None:
        """The images of the run are changed in place."""
        self._run = run
        self._lock = threading.Lock()

    def note(self, job: RolloutJob, outcome: Outcome) -> None:
        """A rollout has ended; of many that miss their images the first makes them again."""
        if not (isinstance(outcome, Lost) and outcome.boundary is Boundary.IMAGE):
            return
        group, run = job.planned.group, self._run
        with self._lock:
            if run.images[group.id] is job.images and not run.cancelled.is_set():
                request = run.request
                preparation = run.on_engine.preparation(request.agent, request.bounds, run.listener.log, anew=True)
                made = preparation.prepare(group)
                if isinstance(made, ReadyGroup) and self._is_same(group.id, made.images):
                    run.images[group.id] = made.images

    def _is_same(self, group: GroupId, made: PreparedImages) -> bool:
        """Put images that were made again on record; report those that are other ones, which nothing may run on."""
        try:
            refuse_moved_images(self._run, {group: made})
        except UsageError as error:
            self._run.listener.log(f"{group} does not go on: {error}")
            return False
        self._run.record = with_images(self._run, {group: made})
        self._run.folder.write_record(self._run.record)
        return True
