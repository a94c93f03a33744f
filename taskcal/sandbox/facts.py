"""What the engine tells about its images, containers and commands, as values without the SDK behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the engine knows of an image; `volumes` are container paths that a commit leaves out."""

    id: str
    labels: Mapping[str, str]
    volumes: tuple[str, ...]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    """A container as a listing shows it."""

    id: str
    labels: Mapping[str, str]
    name: str = ""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What an exec left: `exit_code` is None when it was still running at the deadline."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes
