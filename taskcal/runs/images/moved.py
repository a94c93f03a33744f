"""Images that are other ones than a run has measured: refused by name, so that rollouts of two are never one group."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from taskcal.core.identity import SANDBOX, ImageOrigin, group_identity, moves
from taskcal.core.run import GroupImages
from taskcal.errors import UsageError
from taskcal.runs.resume import SHOWN, some_names, unfinished
from taskcal.sandbox.images.build_failure import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from taskcal.core.identity import Move
    from taskcal.core.rollout import GroupId
    from taskcal.core.run import RunRecord
    from taskcal.core.task import Group, ImageSource
    from taskcal.runs.live_run import Run
    from taskcal.sandbox.images.baking import PreparedImages

    FindId = Callable[[str], str | None]
    """Looks up the id of an image by its name, or by its id; None if the engine does not have it."""

REMADE = "some images were made again, so that a task ran on more than one id; run.json lists all of them"


def refuse_moved(run: Run) -> None:
    """Raise UsageError if a name stands for another image than the run has measured. Nothing is pulled or built."""
    find = image_lookup(run)
    groups = unfinished(run.request, run.recorded)
    known = [(group, run.record.groups[str(group.id)]) for group in groups if str(group.id) in run.record.groups]
    _refuse(run, [(group, moves(was.origins, _origins_today(group, was, find))) for group, was in known])


def refuse_moved_images(run: Run, made: Mapping[GroupId, PreparedImages]) -> None:
    """Raise UsageError if images that were just made go back to something else than those on record."""
    known = [(group, run.record.groups[str(group.id)]) for group in run.request.groups if _is_known(run, group, made)]
    _refuse(run, [(group, moves(was.origins, made[group.id].origins)) for group, was in known])


def _is_known(run: Run, group: Group, made: Mapping[GroupId, PreparedImages]) -> bool:
    return group.id in made and str(group.id) in run.record.groups


def with_images(run: Run, made: Mapping[GroupId, PreparedImages]) -> RunRecord:
    """The run's record with the images of these groups. An id that is on record stays; another one is put after it."""
    before, parts = run.record.groups, {record.id: record.parts for record in run.folder.groups()}
    new = {
        str(id_): GroupImages(group_identity(parts[id_], images.origins), images.origins, {})
        for id_, images in made.items()
    }
    groups = {**new, **before}
    groups |= {str(id_): groups[str(id_)].with_ids(images.ids) for id_, images in made.items()}
    is_remade = any(len(ids) > 1 for images in groups.values() for ids in images.ids.values())
    notes = dict.fromkeys((*run.record.notes, *([REMADE] if is_remade else [])))
    first = {str(id_): images.sandbox for id_, images in made.items()}
    return replace(run.record, groups=groups, images={**first, **run.record.images}, notes=tuple(notes))


def drop_moved_prior(run: Run) -> None:
    """Begin anew with each group whose image is another one than in the run that --prior names, and report which."""
    settings, measured = run.request.settings, run.request.earlier.images
    dropped = [
        id_
        for id_, images in run.images.items()
        if id_ in settings.earlier and id_ in measured and moves(measured[id_].origins, images.origins)
    ]
    if not dropped:
        return
    kept = {id_: counts for id_, counts in settings.earlier.items() if id_ not in dropped}
    asked = replace(settings, earlier=kept)
    names, earlier = some_names([str(id_) for id_ in dropped]), run.request.earlier.run
    note = f"{names}: not begun from run {earlier}, which measured another image"
    run.request = replace(run.request, settings=asked)
    run.record = replace(run.record, settings=asked, notes=(*run.record.notes, note))
    run.listener.log(note)


def image_lookup(run: Run) -> FindId:
    """How the ids of images are found on the run's engine; each name is asked for once."""
    return functools.cache(run.engine.image_id)


def _origins_today(group: Group, before: GroupImages, find: FindId) -> dict[str, ImageOrigin]:
    """What the images of a group would go back to now; a name that is not here is taken to be what it was."""
    sources = _sources(group)
    found: dict[str, ImageOrigin] = {}
    for container, origin in before.origins.items():
        name = sources[container].image if container in sources else None
        if name and not origin.context:
            (was,) = origin.images.values()
            found[container] = ImageOrigin({name: find(name) or was})
        else:
            found[container] = replace(origin, images={one: find(one) or was for one, was in origin.images.items()})
    return found


def _sources(group: Group) -> dict[str, ImageSource]:
    environment = group.task.environment
    return {SANDBOX: environment.source, **{service.name: service.source for service in environment.services}}


def _refuse(run: Run, found: Iterable[tuple[Group, Sequence[Move]]]) -> None:
    """Raise UsageError for every move, each once with the groups that it concerns."""
    concerned: dict[tuple[str, str, str, str], list[str]] = {}
    for group, some in found:
        for move in some:
            folder = _sources(group)[move.container].build or ""
            concerned.setdefault((folder, move.image, move.before, move.now), []).append(str(group.id))
    if not concerned:
        return
    words = [
        f"{_describe_move(*move)} (of {some_names(list(dict.fromkeys(names)))})" for move, names in concerned.items()
    ]
    more = f"; and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    raise UsageError(
        f"run {run.record.id} cannot be resumed: {'; '.join(words[:SHOWN])}{more}. "
        f"Start a new run, or {_way_back(concerned, image_lookup(run))}"
    )


def _describe_move(folder: str, image: str, before: str, now: str) -> str:
    place = f"{here(folder)} builds on {image}, which" if folder and image else image or here(folder)
    if image or before.startswith("sha256:"):
        return f"{place} is {_short(now)} now and was {_short(before)}"
    return f"the files of {place} changed"


def _way_back(concerned: Iterable[tuple[str, str, str, str]], find: FindId) -> str:
    """What brings back the images on record."""
    tags = [f"docker tag {_short(before)} {image}" for _, image, before, _ in concerned if image and find(before)]
    commands = " && ".join(list(dict.fromkeys(tags))[:SHOWN])
    return "bring the recorded images back" + (f": {commands}" if commands else "")


def _short(image: str) -> str:
    return image[:19] or "none"
