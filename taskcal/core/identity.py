"""What makes two tasks, two agents or two images the same: the one definition for resumes, --prior and comparisons.

A task is what an agent meets and how that is judged: prompt, params, environment, grader, tools, timeouts, and the
content of each file that it brings. Its name, tags and solutions are not part of it, nor is the place of its file.

An image goes back to its origin. A named image is its id, whatever its tag. A built one is what it is built from: the
files of its folder and the ids of the images that its Dockerfile takes. So two machines that build the same folder have
the same task, although the images that they build, and those that are baked from them, have other ids.

What a value leaves at its default is not in a digest. A later version may add a field without making all tasks new.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from taskcal.core.task import Environment, FileCopy, Grader, ImageSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskcal.core.task import Group, Service, Solution, Task, WrongAnswer

SCHEME = 1
"""How digests are made; a higher number makes every task another one."""
PART_DIGITS = 24
SANDBOX = ""
"""The sandbox's name among the containers of a group; a service has its own name."""


@dataclass(frozen=True, slots=True)
class FileDigests:
    """SHA-256 in hex of what lies at host paths: `copies` as it is, `contexts` as a build receives it."""

    copies: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageOrigin:
    """What an image goes back to.

    `images` maps names to ids: its own name, or each image that its Dockerfile takes. `context` is the SHA-256 of the
    folder that it is built from, '' for a named image. `built` is the id of the built image itself if the Dockerfile
    does not show which images it takes, else ''.
    """

    images: Mapping[str, str]
    context: str = ""
    built: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 in hex: equal for images that go back to the same."""
        ids = dict(self.images) if self.context else list(self.images.values())
        return value_digest([self.context, ids, self.built])


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that an image goes back to and that is another one now; `image` '' means the folder's own files."""

    container: str
    image: str
    before: str
    now: str


def value_digest(value: object) -> str:
    """SHA-256 in hex of any plain value: the same for the same value, in whatever order its maps are."""
    text = json.dumps([SCHEME, canonical(value)])
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value: object) -> object:
    """A value as lists and scalars; a dataclass by its name and by those fields that are not at their defaults.

    A field that is not in a dataclass's `repr`, such as the folder of a file, is not part of it.
    """
    if isinstance(value, Enum):
        return canonical(value.value)
    if is_dataclass(value) and not isinstance(value, type):
        given = {one.name: getattr(value, one.name) for one in fields(value) if one.repr}
        changed = {one.name: given[one.name] for one in fields(value) if one.repr and given[one.name] != _default(one)}
        return {type(value).__name__: canonical(changed)}
    if isinstance(value, Mapping):
        pairs = [[canonical(key), canonical(one)] for key, one in value.items()]
        return {"map": sorted(pairs, key=json.dumps)}
    if isinstance(value, list | tuple):
        return [canonical(one) for one in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return repr(value)


def _default(one: Field[Any]) -> object:
    """A field's default; MISSING, which equals nothing else, if it has none."""
    return one.default if one.default_factory is MISSING else one.default_factory()


def group_parts(group: Group, shared: Mapping[str, str]) -> dict[str, str]:
    """What makes a group what it is, by name, each part as 24 hex digits; `shared` are its task's."""
    variant = group.variant
    own = {"prompt": variant.prompt, "params": variant.params, "checks": variant.checks}
    return {**{name: _part(value) for name, value in own.items() if value is not None}, **shared}


def task_parts(task: Task, contents: FileDigests) -> dict[str, str]:
    """The parts that all variants of a task share. All fields count but those that are left out by name."""
    environment, grader, services = task.environment, task.grader, task.environment.services
    containers: dict[str, Environment | Service] = {SANDBOX: environment}
    containers |= {service.name: service for service in services}
    checks = grader.checks if all(variant.checks is None for variant in task.variants) else ()
    bare = replace(environment, name="", source=ImageSource(), files=(), setup="", services=())
    rest = replace(
        task,
        id="",
        variants=(),
        environment=Environment("", ImageSource()),
        grader=Grader(()),
        tags=(),
        solutions=(),
        wrong=(),
        tools=(),
        mcp=(),
        file="",
        line=0,
    )
    values: dict[str, object] = {
        "build folder": {n: contents.contexts[p.source.build] for n, p in containers.items() if p.source.build},
        "files": {name: brought(part.files, contents) for name, part in containers.items()},
        "setup": {name: part.setup for name, part in containers.items()},
        "environment": bare,
        "services": [replace(service, source=ImageSource(), files=(), setup="") for service in services],
        "grader": replace(grader, files=(), checks=checks),
        "grader's files": brought(grader.files, contents),
        "tools": [task.tools, task.mcp],
        "timeouts and limits": rest,
    }
    return {name: _part(value) for name, value in values.items()}


def _part(value: object) -> str:
    return value_digest(value)[:PART_DIGITS]


def brought(copies: Iterable[FileCopy], contents: FileDigests) -> list[tuple[str, str]]:
    """The destinations of files with their contents; in the order of copying only if one covers another."""
    placed = sorted((_place(copy.destination), contents.copies[copy.source]) for copy in copies)
    if any(later[: len(place)] == place for (place, _), (later, _) in pairwise(placed)):
        placed = [(_place(copy.destination), contents.copies[copy.source]) for copy in copies]
    return [("/".join(place), content) for place, content in placed]


def _place(destination: str) -> tuple[str, ...]:
    """A path's names; among sorted ones, what lies below a folder comes right after it."""
    return tuple(part for part in destination.split("/") if part not in {"", "."})


def plays(task: Task, contents: FileDigests) -> str:
    """SHA-256 in hex of what an agent plays that knows the answers: a part of that agent, and not of the task."""
    moves: tuple[Solution | WrongAnswer, ...] = (*task.solutions, *task.wrong)
    return value_digest([(replace(move, files=()), brought(move.files, contents)) for move in moves])


def definition(parts: Mapping[str, str]) -> str:
    """SHA-256 in hex of a group's parts: its whole definition, without image ids, which only an engine knows."""
    return value_digest(parts)


def taskset_digest(definitions: Mapping[str, str]) -> str:
    """SHA-256 in hex of the definitions of groups, by their ids, in whatever order they are."""
    return value_digest(definitions)


def group_identity(parts: Mapping[str, str], origins: Mapping[str, ImageOrigin]) -> str:
    """SHA-256 in hex of a group with its images: equal on two machines that measure the same."""
    return value_digest([definition(parts), {container: origin.digest for container, origin in origins.items()}])


def agent_digest(agent: object, version: str = "", played: Mapping[str, str] | None = None) -> str:
    """SHA-256 in hex of an agent: its file, the weights that are served, its version, and what it plays."""
    return value_digest([agent, version, played or {}])


def changed_parts(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the parts in which two groups differ."""
    names = dict.fromkeys((*before, *now))
    return tuple(name for name in names if before.get(name) != now.get(name))


def moves(before: Mapping[str, ImageOrigin], now: Mapping[str, ImageOrigin]) -> tuple[Move, ...]:
    """The differences between what images went back to and go back to now, for the containers that both have."""
    return tuple(
        move for container, origin in before.items() if container in now for move in _moves(container, origin, now)
    )


def _moves(container: str, before: ImageOrigin, everything: Mapping[str, ImageOrigin]) -> Iterable[Move]:
    now = everything[container]
    if before.digest == now.digest:
        return
    if before.context != now.context:
        yield Move(container, "", before.context, now.context)
    elif not before.context:
        (then,), ((name, image),) = before.images.values(), now.images.items()
        yield Move(container, name, then, image)
    else:
        names = dict.fromkeys((*before.images, *now.images))
        pairs = ((name, before.images.get(name, ""), now.images.get(name, "")) for name in names)
        yield from (Move(container, name, then, image) for name, then, image in pairs if then != image)
        if before.built != now.built:
            yield Move(container, "", before.built, now.built)
