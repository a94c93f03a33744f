"""A taskset may come from a stranger: no path that it names may leave the folder that it lies in."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from taskcal.core.shell.sandbox_paths import is_below, plain_path
from taskcal.machine.file_tree import LONGEST_DOCKERFILE, FileEntry, context_entries, dockerfile_of, entries
from taskcal.yamlfile.allowance import LoadAllowance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST_PATH = 1_000
MEMBER_BYTES = 1024
"""Of an archive's header and padding for one member, about."""


class Folder:
    """The folder that a taskset lies in; remembers what it has found, since many tasks share their files."""

    def __init__(self, folder: Path, allowance: LoadAllowance | None = None) -> None:
        """Share `allowance`, which is what files and patterns may cost, with the other folders of a load."""
        self.root = folder.resolve()
        self.allowance = allowance or LoadAllowance()
        self._known: dict[str, str] = {}
        self._built: dict[str, str] = {}
        self._sizes: dict[str, int] = {}

    def inside(self, source: str) -> str:
        """Give the absolute path of `source`, a file or folder below this one.

        Raises ValueError if it is absolute, leaves the folder (also through a symlink, also one inside a folder that
        is named), does not exist, is neither a file nor a folder, or holds too many files.
        """
        if source not in self._known:
            path = self._find(source)
            if str(path) not in self._sizes:
                files = entries(path) if path.is_dir() else iter((FileEntry(path.name, path),))
                self._sizes[str(path)] = self._size(files, source)
            self._known[source] = str(path)
        return self._known[source]

    def build_folder(self, source: str) -> str:
        """Give the absolute path of `source`, a folder below this one from which an image is built.

        Raises ValueError as `inside`, and for a file, or too many bytes. Files that its `.dockerignore` leaves out may
        be anything.
        """
        if source not in self._built:
            path = self._find(source)
            if not path.is_dir():
                raise ValueError(f"must be a folder with a Dockerfile in it, not a file: {source}")
            dockerfile = dockerfile_of(path)
            if dockerfile.exists() and dockerfile.stat().st_size > LONGEST_DOCKERFILE:
                raise ValueError(f"its Dockerfile is larger than 1 MiB: {source}")
            if str(path) not in self._built.values():
                self.allowance.bring(("build", path), self._size(context_entries(path), source))
            self._built[source] = str(path)
        return self._built[source]

    def bring(self, files: Mapping[str, str]) -> None:
        """Take the sizes of files, by destination, that `inside` has found. Raises ValueError for too many bytes."""
        self.allowance.bring(frozenset(files.items()), sum(self._sizes[path] for path in files.values()))

    def _size(self, files: Iterator[FileEntry], source: str) -> int:
        """The bytes of an archive of these. Raises ValueError if a link leaves the folder, or there are too many."""
        size = 0
        try:
            for entry in files:
                self.allowance.look()
                if entry.path.is_symlink():
                    if not Path(os.path.realpath(entry.path)).is_relative_to(self.root):
                        raise ValueError(f"holds a symlink that leaves the taskset's folder: {source}/{entry.name}")
                elif not entry.path.is_dir():
                    size += entry.path.stat().st_size
                size += MEMBER_BYTES
        except OSError as error:
            raise ValueError(f"cannot be read: {source}: {error.strerror}") from error
        return size

    def _find(self, source: str) -> Path:
        if not source or len(source) > LONGEST_PATH:
            raise ValueError(f"must be a path of 1 to {LONGEST_PATH} characters")
        if source.startswith(("/", "~")) or "\\" in source:
            raise ValueError(f"must be relative to the taskset's folder, with forward slashes: {source}")
        path = _resolve(self.root / source, source)
        if not path.is_relative_to(self.root):
            raise ValueError(f"leaves the taskset's folder: {source}")
        if not (path.is_dir() or path.is_file()):
            raise ValueError(f"is neither a file nor a folder: {source}")
        return path


def _resolve(path: Path, source: str) -> Path:
    try:
        return path.resolve(strict=True)
    except FileNotFoundError as error:
        raise ValueError(f"no such file or folder below the taskset's folder: {source}") from error
    except (OSError, RuntimeError) as error:
        raise ValueError(f"cannot be read: {source}") from error


DESTINATION = re.compile(r"/[^\0\n]*")
RESERVED = {
    "/proc": "which is the kernel's",
    "/sys": "which is the kernel's",
    "/dev": "which is made anew for each container",
    "/run/taskcal": "which is taskcal's own",
}
"""Folders of a container where a file would silently vanish, and why."""


def check_destination(path: str) -> str:
    """Give `path` back if it is an absolute container path without `..`; raises ValueError otherwise."""
    if not DESTINATION.fullmatch(path) or len(path) > LONGEST_PATH:
        raise ValueError(f'must be an absolute path in the container, not "{path[:60]}"')
    if ".." in PurePosixPath(path).parts:
        raise ValueError(f'must not contain "..": "{path[:60]}"')
    return path


def check_below(path: str) -> str:
    """Give `path` back, plainly written, if it is a relative path that stays below; raises ValueError otherwise."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or not parts or ".." in parts or not DESTINATION.fullmatch(f"/{path}"):
        raise ValueError(f'must be a path below the artifact, such as .venv, not "{path[:60]}"')
    return "/".join(parts)


def check_delivery(path: str) -> str:
    """Give `path` back if a file can be put there; raises ValueError also if it would vanish or meet taskcal's own."""
    check_destination(path)
    plain = plain_path(path)
    for folder, reason in RESERVED.items():
        if is_below(plain, (folder,)):
            raise ValueError(f'nothing can be put below {folder}, {reason}: "{path[:60]}"; choose another place')
    return path
