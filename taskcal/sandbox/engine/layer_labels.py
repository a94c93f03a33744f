"""A build whose layers carry a label from the first on, so that what a failed or a killed one leaves can be found.

The engine labels the last layer only. So it is given a Dockerfile of taskcal's beside the folder's files, in which a
LABEL follows each FROM. It removes that file before the first COPY, because `.dockerignore` leaves it out: either a
pattern of the folder's own does, or the folder has none and gets one that leaves itself out, too. So the image holds
neither.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskcal.core.build.dockerfile import Labelled, labelled
from taskcal.machine.file_tree import IGNORE_FILE, LONGEST_DOCKERFILE, context_entries, dockerfile_of, ignored_by
from taskcal.sandbox.engine.docker_types import label_changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

NAME = ".taskcal.dockerfile"
UNCHANGED = Labelled("", ())
LINE = re.compile(r"\bline (\d+)")


@dataclass(frozen=True, slots=True)
class LayerLabels:
    """The files that a build receives beside its folder's, and the name of its Dockerfile; None is the usual one."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    dockerfile: str | None = None
    written: Labelled = UNCHANGED
    left_out: tuple[str, ...] = ()
    """Files of the folder that the engine would have left out by itself."""

    def restore_names(self, message: str) -> str:
        """An engine's message with the name and the lines of the folder's own Dockerfile."""
        message = message.replace(f"failed to parse {self.dockerfile}: ", "failed to parse Dockerfile: ")
        return LINE.sub(lambda match: f"line {self.written.original_line(int(match[1]))}", message)


def label_layers(folder: Path, labels: Mapping[str, str]) -> LayerLabels:
    """What labels the layers of a folder's build; nothing where that would change its files. Raises OSError."""
    path, ignore_file = dockerfile_of(folder), folder / IGNORE_FILE
    if not labels or not _is_plain(path) or not (_is_plain(ignore_file) or not os.path.lexists(ignore_file)):
        return LayerLabels()
    pairs = [change.removeprefix("LABEL ") for change in label_changes(labels)]
    written = labelled(path.read_bytes().decode(errors="surrogateescape"), f"LABEL {' '.join(pairs)}")
    name = _name_left_out(folder)
    if not written.added or name is None:
        return LayerLabels()
    ignore = {} if ignore_file.exists() else {IGNORE_FILE: f"{IGNORE_FILE}\n{name}\n".encode()}
    without = (path.name,) if ignored_by(folder).leaves_out(path.name) else ()
    return LayerLabels({name: written.text.encode(errors="surrogateescape"), **ignore}, name, written, without)


def _is_plain(path: Path) -> bool:
    """Whether a path is a regular file, which the engine reads where it stands, of a size that people write."""
    return not path.is_symlink() and path.is_file() and path.stat().st_size <= LONGEST_DOCKERFILE


def _name_left_out(folder: Path) -> str | None:
    """A name that no file of a build has, and that its `.dockerignore` leaves out."""
    if not (folder / IGNORE_FILE).exists():
        return None if (folder / NAME).exists() else NAME
    ignored, sent = ignored_by(folder), {entry.name.split("/")[0] for entry in context_entries(folder)}
    candidates = (name for name in _names(folder) if name.split("/")[0] not in sent)
    return next((name for name in candidates if ignored.leaves_out(name)), None)


def _names(folder: Path) -> Iterator[str]:
    """A plain name for each pattern, which it may match."""
    for line in (folder / IGNORE_FILE).read_text(encoding="utf-8", errors="replace").split("\n"):
        plain = line.strip().replace("**/", "").replace("*", "taskcal").replace("?", "t").strip("/")
        if re.fullmatch(r"[A-Za-z0-9_.-]+", plain) and plain.strip("."):
            yield plain
