"""What the engine tells about its images, containers and commands, as values without the SDK behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

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

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """From what an inspection answers."""
        config = facts.get("Config") or {}
        return cls(
            id=facts["Id"],
            labels=config.get("Labels") or {},
            volumes=tuple(config.get("Volumes") or ()),
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            size=int(facts.get("Size", 0)),
        )


@dataclass(frozen=True, slots=True)
class Labelled:
    """A container, network or image as a listing shows it; `name` is a container's."""

    id: str
    labels: Mapping[str, str]
    name: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """From a row of a listing."""
        names = row.get("Names") or [""]
        return cls(row["Id"], row.get("Labels") or {}, names[0].lstrip("/"))


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What an exec left: `exit_code` is None when it was still running at the deadline."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes
