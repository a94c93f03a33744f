"""The files that a taskset brings: which of a folder an image is built from, and a digest that goes with them anywhere.

A digest covers relative names, contents, link targets, and the one bit of the modes that git keeps: whether the owner
may execute a file. Owners, times, the other bits and the place of the folder are not in it, since they differ from
checkout to checkout. Pipes, sockets and devices are not files of a taskset.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.core.build.dockerignore import Ignored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

IGNORE_FILE = ".dockerignore"
DOCKERFILES = ("Dockerfile", "dockerfile")
"""The names of the file with a folder's instructions; the engine takes the first that is there."""
LONGEST_DOCKERFILE = 1024**2
LONGEST_IGNORE_FILE = 64 * 1024
MOST_STEPS = 50_000_000
"""Characters of names that all patterns of a `.dockerignore` may look at; they take about 10 s."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file, a folder or a link: its path on the host, and its name from the top on, with slashes."""

    name: str
    path: Path


def entries(top: Path) -> Iterator[FileEntry]:
    """Everything below a folder, sorted. Raises OSError."""
    return _below(top, lambda _: False, goes_in=False)


def context_entries(folder: Path) -> Iterator[FileEntry]:
    """Everything that a build of a folder receives, the Dockerfile and `.dockerignore` always. Raises OSError."""
    ignored, sent = ignored_by(folder), {IGNORE_FILE, dockerfile_of(folder).name}

    def leaves_out(name: str) -> bool:
        if ignored.steps > MOST_STEPS:
            raise OSError(0, "too many patterns for so many files; use fewer of either", str(folder / IGNORE_FILE))
        return name not in sent and ignored.leaves_out(name)

    yield from _below(folder, leaves_out, goes_in=ignored.brings_back)


def dockerfile_of(folder: Path) -> Path:
    """The file with a folder's instructions, which may be missing."""
    return next((path for name in DOCKERFILES if (path := folder / name).is_file()), folder / DOCKERFILES[0])


def ignored_by(folder: Path) -> Ignored:
    """The patterns of a folder's `.dockerignore`. Raises OSError, also for one of more than 64 KiB."""
    path = folder / IGNORE_FILE
    if not path.is_file():
        return Ignored()
    with path.open("rb") as file:
        content = file.read(LONGEST_IGNORE_FILE + 1)
    if len(content) > LONGEST_IGNORE_FILE:
        raise OSError(0, "larger than 64 KiB", str(path))
    return Ignored(content.decode(errors="surrogateescape"))


def _below(top: Path, leaves_out: Callable[[str], bool], *, goes_in: bool) -> Iterator[FileEntry]:
    """What is below a folder, sorted; `goes_in` is whether a folder that is left out may hold something that is not."""
    open_folders = [_items(top, "")]
    while open_folders:
        item = next(open_folders[-1], None)
        if item is None:
            open_folders.pop()
            continue
        name, found = item
        is_folder, is_left_out = found.is_dir(follow_symlinks=False), leaves_out(name)
        if not is_left_out and (is_folder or found.is_symlink() or found.is_file(follow_symlinks=False)):
            yield FileEntry(name, Path(found.path))
        if is_folder and (goes_in or not is_left_out):
            open_folders.append(_items(Path(found.path), f"{name}/"))


def _items(folder: Path, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as found:
        return iter(sorted(((prefix + item.name, item) for item in found), key=lambda pair: pair[0]))


def tree_digest(source: Path) -> str:
    """SHA-256 in hex of a file, or of everything below a folder. Raises OSError."""
    top = [FileEntry("", source)]
    return _digest(top if not source.is_dir() else [*top, *entries(source)])


def context_digest(folder: Path) -> str:
    """SHA-256 in hex of the files that decide a build of a folder. Raises OSError.

    A Dockerfile that its own `.dockerignore` leaves out counts all the same: it is read, though it is not copied.
    """
    ignored = ignored_by(folder)
    return _digest(
        entry for entry in context_entries(folder) if entry.name != IGNORE_FILE or not ignored.leaves_out(IGNORE_FILE)
    )


def _digest(found: Iterable[FileEntry]) -> str:
    total = hashlib.sha256()
    for entry in found:
        name = os.fsencode(entry.name)
        for part in (name, *_facts(entry.path)):
            total.update(b"%d:" % len(part))
            total.update(part)
    return total.hexdigest()


def _facts(path: Path) -> tuple[bytes, bytes]:
    """The kind of a path, and its content: the digest of a file's, or a link's target."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return b"link", os.fsencode(path.readlink())
    if stat.S_ISDIR(mode):
        return b"folder", b""
    with path.open("rb") as file:
        return b"program" if mode & stat.S_IXUSR else b"file", hashlib.file_digest(file, "sha256").digest()
