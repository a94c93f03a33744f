"""What the engine tells about its images, containers and commands, as values without the SDK behind them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from taskcal.errors import ImageLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the engine knows of an image; `volumes` are container paths that a commit leaves out.

    `used` is when it was made or last named, in seconds since 1970: a run names anew what it uses. `user` is its USER,
    '' for root.
    """

    id: str
    labels: Mapping[str, str]
    volumes: tuple[str, ...]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    size: int
    used: float
    user: str = ""

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
            used=max(_seconds(facts.get("Created")), _seconds((facts.get("Metadata") or {}).get("LastTagTime"))),
            user=str(config.get("User") or ""),
        )


@dataclass(frozen=True, slots=True)
class StoredImage:
    """What an image takes of the engine's disk: `own` bytes beyond the image that it was made from; `used` as above."""

    id: str
    own: int
    used: float


def unshared_bytes(image: str, listed: Mapping[str, Mapping[str, Any]]) -> int:
    """Bytes of an image that no other image with a name has, from the rows of all images by their ids.

    Between a built image and what it is built on lie the images of its steps, which go with it. An engine that tells of
    no parents leaves the whole size.
    """
    parent = listed.get(listed[image].get("ParentId", ""))
    while parent is not None and not _stands_alone(parent):
        parent = listed.get(parent.get("ParentId", ""))
    return max(0, int(listed[image].get("Size", 0)) - int(parent.get("Size", 0) if parent else 0))


def _stands_alone(row: Mapping[str, Any]) -> bool:
    return any(name != "<none>:<none>" for name in row.get("RepoTags") or ())


@dataclass(frozen=True, slots=True)
class LabelledResource:
    """A container, network or image as a listing shows it; `name` is a container's, `created` seconds since 1970."""

    id: str
    labels: Mapping[str, str]
    name: str = ""
    created: float = 0.0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """From a row of a listing."""
        names, created = row.get("Names") or [""], row.get("Created")
        moment = _seconds(created) if isinstance(created, str) else float(created or 0)
        return cls(row["Id"], row.get("Labels") or {}, names[0].lstrip("/"), moment)


@dataclass(frozen=True, slots=True)
class ContainerState:
    """How a container is, and with `exited` how its first process ended; times are seconds since 1970, the engine's.

    `out_of_memory` says that the kernel killed in it for memory, at its end or at any time before.
    """

    running: bool
    exited: bool
    out_of_memory: bool
    exit_code: int
    workdir: str
    started: float = 0.0
    finished: float = 0.0
    variables: Mapping[str, str] = field(default_factory=dict)
    """The image's and the environment's variables, which every process in it gets."""
    user: str = ""
    """Who runs processes in it if nobody is named; '' is root."""

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """From what an inspection answers; a container that never started has not exited."""
        state, config = facts["State"], facts.get("Config") or {}
        return cls(
            running=bool(state["Running"]),
            exited=state.get("Status") == "exited" and not state.get("Error"),
            out_of_memory=bool(state.get("OOMKilled")),
            exit_code=int(state.get("ExitCode", 0)),
            workdir=str(config.get("WorkingDir") or "/"),
            started=_seconds(state.get("StartedAt")),
            finished=_seconds(state.get("FinishedAt")),
            variables=as_mapping(config.get("Env")),
            user=str(config.get("User") or ""),
        )


def as_mapping(written: Sequence[str] | None) -> dict[str, str]:
    """Variables as an engine lists them (`NAME=value`), by name."""
    pairs = (entry.partition("=") for entry in written or ())
    return {name: value for name, _, value in pairs}


def _seconds(written: str | None) -> float:
    """An engine's way to write a time; the year 1 stands for none."""
    return datetime.fromisoformat(written).timestamp() if written and not written.startswith("0001") else 0.0


GO_FOLDER = 1 << 31
GO_LINK = 1 << 27
"""How Go's os.FileMode says what a path is."""


@dataclass(frozen=True, slots=True)
class PathStat:
    """What is at a path of a container. `leads_to` is a link's place, all links on the way followed; '' for others.

    `mode` are its nine bits of rights.
    """

    is_folder: bool
    leads_to: str
    mode: int = 0o755

    @property
    def is_link(self) -> bool:
        """Whether it is a link; one that leads to the root has a place as well."""
        return self.leads_to != ""

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """From the engine's own words for it."""
        mode = int(facts["mode"])
        return cls(bool(mode & GO_FOLDER), str(facts["linkTarget"]) if mode & GO_LINK else "", mode & 0o777)


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What an exec left: `exit_code` is None when it was still running at the deadline.

    `started` is False if the engine could not start its process, so that nothing of the command has run.
    """

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    started: bool = True


def follow_progress(events: Iterable[Mapping[str, Any]], step: Callable[[Mapping[str, Any]], None]) -> None:
    """Read a progress stream to its end. Raises ImageLost with the engine's own words where it reported an error."""
    errors: list[str] = []
    for event in events:
        errors += [str(event["error"])] if "error" in event else []
        step(event)
    if errors:
        raise ImageLost(" ".join(errors[0].split()))


def label_changes(labels: Mapping[str, str]) -> list[str]:
    """Labels as instructions of a Dockerfile."""
    return [f"LABEL {name}={json.dumps(value)}" for name, value in labels.items()]


def innermost(error: BaseException) -> str:
    """The innermost reason, since the SDK wraps a refused connection four times."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error)
