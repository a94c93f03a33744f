"""Hostile or mistaken YAML must end in a line number, quickly: text is parsed event by event with every size bounded.

Events need no recursion and let depth, node count and the expansion of aliases be counted as they come. Aliases give
the same object again, so that a bomb costs nothing but is refused all the same. Tags, merge keys, keys that are not
text, duplicate keys and several documents are refused. Plain words mean what `taskcal.yamlfile.scalars` says. libyaml
parses where it is there, PyYAML's own slow parser elsewhere.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import yaml

from taskcal.errors import InputError, Problem
from taskcal.yamlfile.nodes import Map, Seq
from taskcal.yamlfile.scalars import check_writable, differs, read_scalar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 32 * 1024**2
MAX_NODES = 1_000_000
MAX_DEPTH = 64
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
PARSERS_DEPTH = "maximum nesting depth"
MAX_KEPT = 1_000
FASTEST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_text(path: Path, file: str) -> str:
    """Give the text of a YAML file, at most 32 MiB of UTF-8; `file` is its name in messages.

    Raises InputError for a file that is larger, not UTF-8 or cannot be read, and for a link that leaves its folder: a
    stranger may have made it, and messages would show the keys of what it leads to.
    """
    if path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve()):
        raise _refusal(file, None, f"a link that leaves its folder; name the file itself: {path.resolve()}")
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refusal(file, None, f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise _refusal(
            file, None, "larger than 32 MiB; split it, or keep rows in a JSONL file (variants: {from: FILE})"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refusal(file, line, "not UTF-8; save the file as UTF-8") from error


class Parsed(NamedTuple):
    """A document, and the mistakes in it that did not keep the rest from being read: keys and numbers."""

    top: Map
    problems: tuple[Problem, ...]


def parse_yaml(text: str, file: str) -> Parsed:
    """Parse one YAML document whose top is a map; `file` is its name in messages.

    Raises InputError if a mistake makes the rest unreadable.
    """
    builder = _Builder(file)
    try:
        for event in _events(text):
            builder.take(event)
    except yaml.YAMLError as error:
        raise InputError((*builder.problems, _syntax(file, error))) from error
    if not isinstance(builder.top, Map):
        raise _refusal(file, 1, "empty, or not a map (key: value) at the top")
    return Parsed(builder.top, tuple(builder.problems))


def _events(text: str) -> Iterator[yaml.Event]:
    """Give the events of `text`; as a stream, so that the pure parser need not look at all of it first."""
    return iter(yaml.parse(io.StringIO(text), Loader=FASTEST_LOADER))


def _refusal(file: str, line: int | None, message: str) -> InputError:
    return InputError((Problem(file, line, "", message),))


def _syntax(file: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    message = f"not valid YAML: {what}{_context(error)}"
    if PARSERS_DEPTH in what:  # libyaml looks ahead, and may give up before it tells of the first level
        message = TOO_DEEP
    return Problem(file, None if mark is None else mark.line + 1, "", message)


def _context(error: yaml.YAMLError) -> str:
    """Name what was being read, and where that began: an open bracket is noticed lines later."""
    context, mark = getattr(error, "context", None), getattr(error, "context_mark", None)
    if not context:
        return ""
    return f" ({context})" if mark is None else f" ({context} that begins on line {mark.line + 1})"


@dataclass(slots=True)
class _Frame:
    """A map or list that is still open; `size` counts its nodes with aliases expanded."""

    node: Map | Seq
    anchor: str | None
    size: int = 1
    key: str | None = None
    key_line: int = 0


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: object
    size: int
    text: str | None = None


class _Builder:
    """Takes events one by one and builds `top`; raises InputError if it cannot go on."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.top: object = None
        self.problems: list[Problem] = []
        self._documents = 0
        self._nodes = 0
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Anchored | None] = {}

    def take(self, event: yaml.Event) -> None:
        """Take the next event."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._document(event)

    def _document(self, event: yaml.Event) -> None:
        self._documents += 1
        if self._documents > 1:
            self._refuse(_line(event), "a second document (---) begins here; one file holds one")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        line, text = _line(event), event.value
        self._refuse_tag(event)
        self._refuse_unwritable(text, line)
        frame = self._frames[-1] if self._frames else None
        if frame is not None and frame.key is None and isinstance(frame.node, Map):
            self._count(1, line)
            self._key(frame, event)
            return
        value = self._read_plain(text, line) if event.implicit[0] else text
        written = text if differs(value, text) else None
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(value, 1, written)
        if event.style == "|" and frame is not None and frame.key is not None:
            _remember_block(frame.node, frame.key, line + 1)
        self._put(value, 1, line, written)

    def _read_plain(self, text: str, line: int) -> object:
        try:
            return read_scalar(text)
        except ValueError as error:
            self._report(line, str(error))
            return text

    def _key(self, frame: _Frame, event: yaml.ScalarEvent) -> None:
        line, key = _line(event), event.value
        if key == "<<" and event.implicit[0]:
            self._refuse(line, "merge keys (<<) are not supported; use defaults, or extends: NAME")
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(key, 1)
        first = frame.node.lines.get(key) if isinstance(frame.node, Map) else None
        if first is not None:
            self._report(line, f"duplicate key, first on line {first}", frame.node.at(key).key)
        frame.key, frame.key_line = key, line

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        line = _line(event)
        self._refuse_tag(event)
        if len(self._frames) >= MAX_DEPTH:
            self._refuse(line, TOO_DEEP)
        parent = self._frames[-1] if self._frames else None
        if parent is not None and parent.key is None and isinstance(parent.node, Map):
            self._refuse(line, "a key must be text, not a map or a list; quote it if it begins with { or [")
        self._count(1, line)
        self._frames.append(_Frame(_collection(event, parent), event.anchor))
        if event.anchor:
            self._anchors[event.anchor] = None

    def _close(self) -> None:
        frame = self._frames.pop()
        if frame.anchor:
            self._anchors[frame.anchor] = _Anchored(frame.node, frame.size)
        self._nodes -= frame.size
        self._put(frame.node, frame.size, frame.node.line)

    def _alias(self, event: yaml.AliasEvent) -> None:
        line, name = _line(event), event.anchor
        if name not in self._anchors:
            self._refuse(line, f"unknown alias *{name}")
        anchored = self._anchors[name]
        if anchored is None:
            self._refuse(line, f"the alias *{name} stands inside what it names")
        frame = self._frames[-1]
        if frame.key is None and isinstance(frame.node, Map):
            self._refuse(line, "an alias cannot be a key")
        else:
            self._put(anchored.value, anchored.size, line, anchored.text)

    def _put(self, value: object, size: int, line: int, text: str | None = None) -> None:
        self._count(size, line)
        if not self._frames:
            self.top = value
            return
        frame = self._frames[-1]
        frame.size += size
        if text is not None:
            _remember_text(frame, text)
        if isinstance(frame.node, Seq):
            frame.node.append(value)
            frame.node.lines.append(line)
        elif frame.key is not None:
            frame.node[frame.key] = value
            frame.node.lines[frame.key] = frame.key_line
            frame.key = None

    def _count(self, size: int, line: int) -> None:
        self._nodes += size
        if self._nodes > MAX_NODES:
            self._refuse(
                line, f"more than {MAX_NODES:,} values (aliases count as often as they are used); split the file"
            )

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            self._refuse(
                _line(event), f"the tag {event.tag} is not allowed; write plain values, quoted where they are text"
            )

    def _refuse_unwritable(self, text: str, line: int) -> None:
        try:
            check_writable(text)
        except ValueError as error:
            self._refuse(line, str(error))

    def _report(self, line: int, message: str, key: str = "") -> None:
        if len(self.problems) < MAX_KEPT:
            self.problems.append(Problem(self.file, line, key, message))

    def _refuse(self, line: int, message: str) -> NoReturn:
        raise InputError((*self.problems, Problem(self.file, line, "", message)))


def _line(event: yaml.Event) -> int:
    return 1 if event.start_mark is None else int(event.start_mark.line) + 1


def _collection(event: yaml.CollectionStartEvent, parent: _Frame | None) -> Map | Seq:
    kind: type[Map | Seq] = Map if isinstance(event, yaml.MappingStartEvent) else Seq
    if parent is None:
        return kind(_line(event))
    step = len(parent.node) if isinstance(parent.node, Seq) else parent.key or ""
    line = _line(event) if isinstance(parent.node, Seq) else parent.key_line
    return kind(line, parent.node, step)


def _remember_text(frame: _Frame, text: str) -> None:
    """Keep the text of the value that is put into the open map or list next."""
    if isinstance(frame.node, Seq):
        frame.node.written = frame.node.written or {}
        frame.node.written[len(frame.node)] = text
    elif frame.key is not None:
        frame.node.written = frame.node.written or {}
        frame.node.written[frame.key] = text


def _remember_block(node: Map | Seq, key: str, line: int) -> None:
    if isinstance(node, Map):
        node.blocks = {} if node.blocks is None else node.blocks
        node.blocks[key] = line
