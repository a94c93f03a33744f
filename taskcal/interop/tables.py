"""Tables from strangers, JSONL or CSV, read as a stream of rows with every size bounded and every mistake placed."""

from __future__ import annotations

import contextlib
import csv
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from taskcal.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LONGEST_ROW = 16 * 1024**2
"""Bytes of one line."""
JSON_LINES = frozenset({".jsonl", ".ndjson"})
SEPARATED = frozenset({".csv", ".tsv"})
DELIMITERS = (",", ";", "\t")
HINTS = {
    "field larger than": "; as JSONL such a long cell can be read",
    "new-line character": "; its lines must end with a newline",
    "'": "; if another character separates its cells, name it with --delimiter",
}


class Row(NamedTuple):
    """One row: the line on which it ends, and its values by column."""

    line: int
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Table:
    """A file of rows; `header` names its columns where every row has the same ones, and is empty where not."""

    file: str
    header: tuple[str, ...]
    rows: Iterator[Row]


def problem(file: str, line: int | None, message: str, key: str = "") -> InputError:
    """One mistake in a table, with its place."""
    return InputError((Problem(file, line, key, message),))


@contextlib.contextmanager
def opened(path: Path, delimiter: str | None = None) -> Iterator[Table]:
    """A `.jsonl`, `.ndjson`, `.csv` or `.tsv` file in UTF-8, as long as it is open.

    Without a delimiter a CSV file's header says whether comma, semicolon or tab separates it. Blank lines and rows of
    empty cells are no rows, and the white space around a cell of CSV is not part of it. Raises InputError, also while
    the rows are read.
    """
    kind = path.suffix.lower()
    if kind not in JSON_LINES | SEPARATED:
        hint = "; of a JSON list, `jq -c '.[]'` makes JSONL" if kind == ".json" else ""
        raise problem(str(path), None, f"rows are read from .jsonl and .csv files{hint}")
    try:
        with path.open("rb") as handle:
            lines = _Lines(handle, str(path))
            yield _json_lines(lines) if kind in JSON_LINES else _separated(lines, delimiter)
    except OSError as error:
        raise problem(str(path), None, error.strerror or str(error)) from error


class _Lines:
    """The lines of a file as text, counted."""

    def __init__(self, handle: BinaryIO, file: str) -> None:
        self.file = file
        self.number = 0
        self._handle = handle

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._handle.readline(LONGEST_ROW + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > LONGEST_ROW:
            raise self.mistake(f"a line of more than {LONGEST_ROW // 1024**2} MiB")
        try:
            return line.decode("utf-8-sig" if self.number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise self.mistake(f"not UTF-8 ({error.reason}); save the file in that encoding") from error

    def mistake(self, message: str) -> InputError:
        """A mistake on the line that was read last."""
        return problem(self.file, self.number or None, message)


def _json_lines(lines: _Lines) -> Table:
    rows = (Row(lines.number, _object(lines, line)) for line in lines if line.strip())
    return Table(lines.file, (), rows)


def _object(lines: _Lines, line: str) -> dict[str, object]:
    try:
        value = _DECODER.decode(line)
    except RecursionError as error:
        raise lines.mistake("not JSON: nested too deep") from error
    except ValueError as error:
        raise lines.mistake(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise lines.mistake("a row must be a JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands twice in one row")
    return values


_DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates)


def _separated(lines: _Lines, delimiter: str | None) -> Table:
    first = next(lines, "")
    records = _records(_again(first, lines), delimiter or _delimiter_of(first, lines), lines)
    header = tuple(name.strip() for name in next(records, []))
    named = [name for name in header if name]
    if not named or len(set(named)) < len(named):
        raise lines.mistake("the first line must name the columns, each once")
    return Table(lines.file, header, (_row(header, cells, lines) for cells in records if any(cells)))


def _again(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines


def _records(texts: Iterator[str], delimiter: str, lines: _Lines) -> Iterator[list[str]]:
    try:
        yield from csv.reader(texts, delimiter=delimiter, strict=True)
    except csv.Error as error:
        hint = next((hint for start, hint in HINTS.items() if str(error).startswith(start)), "")
        raise lines.mistake(f"not CSV: {error}{hint}") from error


def _delimiter_of(header: str, lines: _Lines) -> str:
    """The one of the usual delimiters that separates a header; a comma where there is nothing to separate."""
    found = [delimiter for delimiter in DELIMITERS if _columns(header, delimiter) > 1]
    if len(found) > 1:
        raise lines.mistake(f"{' and '.join(map(repr, found))} could both separate the columns; say with --delimiter")
    return found[0] if found else DELIMITERS[0]


def _columns(header: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([header], delimiter=delimiter, strict=True), []))
    except csv.Error:
        return 1


def _row(header: tuple[str, ...], cells: list[str], lines: _Lines) -> Row:
    if len(cells) != len(header):
        raise lines.mistake(f"{len(cells)} cells in a row of {len(header)} columns")
    return Row(lines.number, dict(zip(header, map(str.strip, cells), strict=True)))
