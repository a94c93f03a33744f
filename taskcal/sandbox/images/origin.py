"""What a built image goes back to: the files of its folder, and the images that its Dockerfile takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.core.build.dockerfile import taken_images
from taskcal.core.identity import ImageOrigin
from taskcal.errors import ImageLost
from taskcal.machine.file_tree import context_digest, dockerfile_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def origin_of_build(folder: Path, built: str, image_id: Callable[[str], str | None]) -> ImageOrigin:
    """The origin of the image `built` of a folder; `image_id` looks a name up on the engine. Raises ImageLost.

    An image that the Dockerfile takes and that the engine does not have by that name leaves the origin open, so that it
    is the built image itself: it may not be the same on another machine, and is never taken for another one.
    """
    try:
        context = context_digest(folder)
        taken = taken_images(dockerfile_of(folder).read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise ImageLost(f"{error.filename or folder}: {error.strerror or error}") from error
    found = {name: image_id(name) for name in taken.names}
    known = {name: image for name, image in found.items() if image is not None}
    is_complete = taken.complete and len(known) == len(found)
    return ImageOrigin(known, context, "" if is_complete else built)
