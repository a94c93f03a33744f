r"""What was said and done in a rollout, in one form for every kind of agent, on disk the moment it happens.

A transcript is a file `transcript.jsonl` beside the rollout's logs: one JSON object a line, in the order of events.

    {"t": 0.0,  "type": "message", "role": "system" | "user" | "assistant", "content": "…"}, "reasoning" if any
    {"t": 1.2,  "type": "tool_call", "id": "call_1", "name": "bash", "arguments": "{\"command\": \"ls\"}"}
    {"t": 1.3,  "type": "tool_result", "id": "call_1", "content": "…", "seconds": 0.06}, "exit_code" if any
    {"t": 1.3,  "type": "usage", "input_tokens": 812, "cached_tokens": 640, "output_tokens": 31}
    {"t": 1.3,  "type": "note", "text": "…"}, a remark of taskcal's own

`t` is seconds since the agent began. `arguments` is the text that the model wrote, even if it is not JSON. A token
count that the server does not report is null. Secrets are replaced by their names before anything is cut or written,
lone surrogates by `?`. The middle of a text beyond 1 MiB is left out. A transcript that grows beyond `LIMIT` bytes ends
with a note that says so.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct

from taskcal.core.text.foreign_text import cut, sound
from taskcal.errors import LostError
from taskcal.store import safe_files
from taskcal.store.typed_json import Count, Number, RowReader, parse_row, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from taskcal.sandbox import Sink

FILE = "transcript.jsonl"
LIMIT = 16 * 1024 * 1024
"""Bytes of one transcript; an agent may go on for ever."""
LONGEST_TEXT = 1024 * 1024
"""Characters of one text of an event: the middle of a longer one is left out, so that it does not hide the rest."""
LONGEST_LINE = 2 * LIMIT
CUT = "the rest of this transcript was cut off"


@dataclass(frozen=True, slots=True)
class Message:
    """Something said by `role` (system, user or assistant); `reasoning` is what some servers add to the content."""

    type: ClassVar[str] = "message"

    role: str
    content: str
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model wants called; `arguments` is its own text, even if it is not JSON."""

    type: ClassVar[str] = "tool_call"

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The reply to the call of that id, after `seconds`; `exit_code` is None if no process exited."""

    type: ClassVar[str] = "tool_result"

    id: str
    content: str
    seconds: float = 0.0
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """The tokens of one answer, as the server counts them; None if it does not."""

    type: ClassVar[str] = "usage"

    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A remark of taskcal's own, not part of the conversation."""

    type: ClassVar[str] = "note"

    text: str


Event = Message | ToolCall | ToolResult | TokenUsage | Note
OPTIONAL = frozenset({"reasoning", "exit_code"})
"""Keys that are left out of a line if they are empty."""


@dataclass(frozen=True, slots=True)
class TranscriptEntry:
    """An event and when it happened, in seconds since the agent began."""

    t: float
    event: Event


class _AnyRow(Struct):
    type: str


class _Row(Struct, kw_only=True):
    t: Number


class _MessageRow(_Row, kw_only=True):
    role: str
    content: str
    reasoning: str | None = None

    def event(self) -> Event:
        return Message(self.role, self.content, self.reasoning or "")


class _ToolCallRow(_Row, kw_only=True):
    id: str
    name: str
    arguments: str

    def event(self) -> Event:
        return ToolCall(self.id, self.name, self.arguments)


class _ToolResultRow(_Row, kw_only=True):
    id: str
    content: str
    seconds: Number
    exit_code: object = None

    def event(self) -> Event:
        exit_code = None if self.exit_code is None else whole_number("exit_code", self.exit_code)
        return ToolResult(self.id, self.content, self.seconds, exit_code)


class _UsageRow(_Row, kw_only=True):
    input_tokens: Count | None = None
    cached_tokens: Count | None = None
    output_tokens: Count | None = None

    def event(self) -> Event:
        return TokenUsage(self.input_tokens, self.cached_tokens, self.output_tokens)


class _NoteRow(_Row, kw_only=True):
    text: str

    def event(self) -> Event:
        return Note(self.text)


ANY: RowReader[_AnyRow] = RowReader(_AnyRow)
READERS: Mapping[str, RowReader[_MessageRow | _ToolCallRow | _ToolResultRow | _UsageRow | _NoteRow]] = {
    Message.type: RowReader(_MessageRow),
    ToolCall.type: RowReader(_ToolCallRow),
    ToolResult.type: RowReader(_ToolResultRow),
    TokenUsage.type: RowReader(_UsageRow),
    Note.type: RowReader(_NoteRow),
}


class Transcript:
    """Receives events as they happen. Without a sink it stores nothing, but its digest is the same."""

    def __init__(
        self,
        sink: Sink = lambda _: None,
        redact: Callable[[str], str] = str,
        clock: Callable[[], float] = time.monotonic,
        limit: int = LIMIT,
    ) -> None:
        """`redact` takes secrets out of a text; `sink` receives whole lines, at most about `limit` bytes."""
        self._sink, self._redact, self._clock, self._left = sink, redact, clock, limit
        self._begun = clock()
        self._hash = hashlib.sha256()

    @classmethod
    def at(cls, path: Path, redact: Callable[[str], str]) -> Transcript:
        """One that is stored at `path`, where nothing appears before the first event."""
        path.unlink(missing_ok=True)

        def append(line: bytes) -> None:
            with path.open("ab") as file:
                file.write(line)

        return cls(storage_sink(append, path.name), redact)

    def add(self, event: Event) -> None:
        """Write one event. Raises LostError if it cannot be stored."""
        clean = _clean(event, self._redact)
        self._hash.update(_essence(clean))
        line = line_of(
            TranscriptEntry(self._clock() - self._begun, _each_text(clean, lambda text: cut(text, LONGEST_TEXT)))
        )
        if self._left <= 0:
            return
        self._left -= len(line)
        self._sink(line if self._left > 0 else line_of(TranscriptEntry(self._clock() - self._begun, Note(CUT))))

    @property
    def digest(self) -> str:
        """`conversation_digest` of all events so far, including those after the transcript was cut off."""
        return self._hash.hexdigest()


def storage_sink(write: Sink, name: str) -> Sink:
    """A sink that raises LostError if `write` cannot store a chunk.

    An OSError could be mistaken for one of the sandbox or of the agent's own code, which are caught elsewhere.
    """

    def sink(chunk: bytes) -> None:
        try:
            write(chunk)
        except OSError as error:
            raise LostError(f"{name} cannot be written: {error.strerror or error}") from error

    return sink


def conversation_digest(events: Iterable[Event]) -> str:
    """SHA-256 over messages, tool calls and results without times and ids: equal for conversations that are."""
    total = hashlib.sha256()
    for event in events:
        total.update(_essence(event))
    return total.hexdigest()


def line_of(entry: TranscriptEntry) -> bytes:
    """An entry as a line of the file."""
    row = asdict(entry.event)
    kept = {key: value for key, value in row.items() if key not in OPTIONAL or value not in ("", None)}
    return json.dumps({"t": round(entry.t, 3), "type": entry.event.type, **kept}).encode() + b"\n"


def read_transcript(path: Path) -> Iterator[TranscriptEntry]:
    """The entries of a file, in order; a torn last line is left out. Raises OSError if it cannot be read.

    The file is not trusted: a line that is not an entry becomes a note with its line number. Kinds and keys that a
    later version may add are passed over.
    """
    with safe_files.open_to_read(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), start=1):
            if not line.endswith(b"\n") and len(line) < LONGEST_LINE:
                return
            try:
                entry = entry_of(parse_row(line))
            except (ValueError, RecursionError):
                entry = TranscriptEntry(0.0, Note(f"line {number} cannot be read"))
            if entry is not None:
                yield entry


def entry_of(row: object) -> TranscriptEntry | None:
    """A line's object as an entry; None for a kind that is not known. Raises ValueError for what is none."""
    kind = ANY.convert(row).type
    if kind not in READERS:
        return None
    entry = READERS[kind].convert(row)
    return TranscriptEntry(entry.t, entry.event())


def _clean(event: Event, redact: Callable[[str], str]) -> Event:
    return _each_text(event, lambda text: redact(sound(text)))


def _each_text(event: Event, change: Callable[[str], str]) -> Event:
    changed: dict[str, Any] = {name: change(value) for name, value in asdict(event).items() if isinstance(value, str)}
    return replace(event, **changed)


def _essence(event: Event) -> bytes:
    """The parts of an event that distinguish one conversation from another."""
    if isinstance(event, TokenUsage | Note):
        return b""
    row = {name: value for name, value in asdict(event).items() if name not in {"id", "seconds"}}
    return json.dumps([event.type, row], sort_keys=True).encode() + b"\n"
