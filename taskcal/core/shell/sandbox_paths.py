"""Paths inside a sandbox, as text: nothing is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def plain_path(path: str) -> str:
    """An absolute path without empty and `.` parts, and without a slash at its end."""
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def parent_folders(path: str) -> list[str]:
    """The folders above a path, from the top, without the root."""
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[:count]) for count in range(1, len(parts))]


def is_below(path: str, folders: Iterable[str]) -> bool:
    """Whether a plain path is one of these plain paths, or lies below one."""
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)
