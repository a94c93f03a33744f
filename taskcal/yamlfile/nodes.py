"""Parsed YAML that remembers where it was written, also after it was merged with something else."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.yamlfile.scalars import Written, differs

if TYPE_CHECKING:
    from collections.abc import Iterable

PLAIN_STEP = re.compile(r"[\w-]+")
LONGEST_STEP = 60


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where a value was written: its line and its path, as `tasks[3].grader.checks[0].weight`."""

    line: int
    key: str


class Node:
    """What a map and a list have in common: their own line, and the way to them from the top of the file."""

    __slots__ = ()

    line: int
    parent: Map | Seq | None
    step: str | int

    def path(self) -> str:
        """Spell the way from the top of the file to here."""
        steps: list[str | int] = []
        node: Node = self
        while node.parent is not None:
            steps.append(node.step)
            node = node.parent
        return spell(reversed(steps))

    def at(self, step: str | int) -> KeyPlace:
        """Return the place of the child at `step`, also if there is none yet."""
        return KeyPlace(self._line_of(step), spell([step], self.path()))

    def place(self) -> KeyPlace:
        """Return the place of this node itself."""
        return KeyPlace(self.line, self.path())

    def _line_of(self, step: str | int) -> int:
        raise NotImplementedError


class Map(dict[str, object], Node):
    """A YAML map. `origins` names the maps that keys of a merged one came from.

    `written` holds the text of the numbers and truth values that would become another text, by key; see `scalars`.
    """

    __slots__ = ("blocks", "line", "lines", "origins", "parent", "step", "written")

    def __init__(self, line: int, parent: Map | Seq | None = None, step: str | int = "") -> None:
        super().__init__()
        self.line = line
        self.parent = parent
        self.step = step
        self.lines: dict[str, int] = {}
        self.blocks: dict[str, int] | None = None
        self.origins: dict[str, Map] | None = None
        self.written: dict[str, str] | None = None

    def as_written(self, key: str) -> object:
        """Give the value at `key`, as Written if its text in the file is not the text that it would become."""
        return _as_written(self[key], (self.written or {}).get(key))

    def origin(self, key: str) -> Map:
        """Give the map that `key` was written in."""
        return self.origins.get(key, self) if self.origins else self

    def at(self, step: str | int) -> KeyPlace:
        """Return where `step` was written, before any merge."""
        origin = self.origin(str(step))
        return super().at(step) if origin is self else origin.at(step)

    def line_inside(self, key: str, line: int) -> int:
        """Give the file's line for a line (from 1) of the text at `key`; for others than block scalars, the key's."""
        origin = self.origin(key)
        first = (origin.blocks or {}).get(key)
        return origin.lines.get(key, origin.line) if first is None else first + line - 1

    def _line_of(self, step: str | int) -> int:
        return self.lines.get(str(step), self.line)


class Seq(list[object], Node):
    """A YAML list, with the line of each item, and `written` as in a map."""

    __slots__ = ("line", "lines", "parent", "step", "written")

    def __init__(self, line: int, parent: Map | Seq | None = None, step: str | int = "") -> None:
        super().__init__()
        self.line = line
        self.parent = parent
        self.step = step
        self.lines: list[int] = []
        self.written: dict[int, str] | None = None

    def as_written(self, index: int) -> object:
        """Give the item at `index`, as Written if its text in the file is not the text that it would become."""
        return _as_written(self[index], (self.written or {}).get(index))

    def _line_of(self, step: str | int) -> int:
        known = isinstance(step, int) and 0 <= step < len(self.lines)
        return self.lines[int(step)] if known else self.line


def _as_written(value: object, text: str | None) -> object:
    """Ask the value too: it may have been replaced since the file was read."""
    if text is None or not isinstance(value, bool | int | float) or not differs(value, text):
        return value
    return Written(value, text)


def spell(steps: Iterable[str | int], start: str = "") -> str:
    """Spell a path: `a.b[0]["odd key"]`."""
    text = start
    for step in steps:
        text += _spell_step(step, first=not text)
    return text


def _spell_step(step: str | int, *, first: bool) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if len(step) > LONGEST_STEP:
        step = step[: LONGEST_STEP - 1] + "…"
    if PLAIN_STEP.fullmatch(step):
        return step if first else f".{step}"
    return f"[{json.dumps(step, ensure_ascii=False)}]"


def locate(root: Map | Seq, steps: Iterable[str | int]) -> KeyPlace:
    """Return where the value at `steps` below `root` was written; steps that lead nowhere end at the last known one."""
    node: Map | Seq = root
    place = root.place()
    for step in steps:
        place = node.at(step)
        child = _child(node, step)
        if not isinstance(child, Map | Seq):
            break
        node = child
    return place


def _child(node: Map | Seq, step: str | int) -> object:
    if isinstance(node, Map):
        return node.get(str(step))
    return node[step] if isinstance(step, int) and 0 <= step < len(node) else None


def to_plain(value: object) -> object:
    """Give the same value in plain dicts and lists, for those who compare or print it."""
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    return value
