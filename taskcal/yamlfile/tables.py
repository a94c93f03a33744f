"""Tables from strangers, JSONL or CSV, read as a stream of rows with every size bounded and every mistake placed."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from taskcal.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST_ROW = 16 * 1024**2
"""Bytes of one line."""
DELIMITERS = (",", ";", "\t")
HINTS = {
    "field larger than": "; as JSONL such a long cell can be read",
    "new-line character": "; its lines must end with a newline",
}
HINTS_OF_A_GUESS = {**HINTS, "'": "; if another character separates its cells, name it with --delimiter"}
"""For a file whose delimiter was not named: by the beginning of the error."""


class Row(NamedTuple):
    """One row: the line on which it ends, and its values by column."""

    line: int
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Table:
    """A file of rows; `header` names its columns if every row has the same ones, and is empty if not."""

    file: str
    header: tuple[str, ...]
    rows: Iterator[Row]


def table_mistake(file: str, line: int | None, message: str, key: str = "") -> InputError:
    """One mistake in a table, with its place."""
    return InputError((Problem(file, line, key, message),))


class Lines:
    """The lines of a file as text in UTF-8, counted; `file` is its name in messages. Iterating raises InputError."""

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
            raise self.mistake(f"a row of more than {LONGEST_ROW // 1024**2} MiB")
        try:
            return line.decode("utf-8-sig" if self.number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise self.mistake(f"not UTF-8 ({error.reason}); save the file in that encoding") from error

    def mistake(self, message: str) -> InputError:
        """A mistake on the line that was read last."""
        return table_mistake(self.file, self.number or None, message)


def row_decoder(**hooks: Any) -> json.JSONDecoder:
    """A decoder of JSON that refuses a key that stands twice in one object; `hooks` are those of `JSONDecoder`."""
    return json.JSONDecoder(object_pairs_hook=_without_duplicates, **hooks)


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands twice in one row")
    return values


PLAIN_DECODER = row_decoder()


def json_lines(lines: Lines, decoder: json.JSONDecoder = PLAIN_DECODER) -> Table:
    """The table of a JSONL file, one object a line; blank lines are skipped. Its rows raise InputError."""
    rows = (Row(lines.number, _object(lines, line, decoder)) for line in lines if line.strip())
    return Table(lines.file, (), rows)


def _object(lines: Lines, line: str, decoder: json.JSONDecoder) -> dict[str, object]:
    try:
        value = decoder.decode(line)
    except RecursionError as error:
        raise lines.mistake("not JSON: nested too deep") from error
    except ValueError as error:
        raise lines.mistake(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise lines.mistake("a row must be a JSON object")
    return value


def separated_cells(lines: Lines, delimiter: str | None, *, trimmed: bool = False) -> Table:
    """The table of a CSV file, without its empty lines.

    Without a delimiter the header decides which of comma, semicolon and tab it is. `trimmed` takes the white space
    around a cell away and skips rows of empty cells. Raises InputError, and so do its rows.
    """
    first = next(lines, "")
    reader = csv.reader(_prepend(first, lines), delimiter=delimiter or _delimiter_of(first, lines), strict=True)
    records = _records(reader, HINTS if delimiter else HINTS_OF_A_GUESS, lines)
    header = tuple(next(records, ()))
    if trimmed:
        header = tuple(map(str.strip, header))
        records = ([cell.strip() for cell in cells] for cells in records if any(cells))
    names = [name for name in header if name]
    if not names or len(set(names)) < len(names):
        raise lines.mistake("the first row must name the columns, each once")
    return Table(lines.file, header, (_row(header, cells, lines) for cells in records if cells))


def _prepend(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines


def _records(reader: Iterator[list[str]], hints: Mapping[str, str], lines: Lines) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        hint = next((hint for start, hint in hints.items() if str(error).startswith(start)), "")
        raise lines.mistake(f"not CSV: {error}{hint}") from error


def _delimiter_of(header: str, lines: Lines) -> str:
    """The one of the usual delimiters that separates a header; a comma if there is nothing to separate."""
    separators = [delimiter for delimiter in DELIMITERS if _columns(header, delimiter) > 1]
    if len(separators) > 1:
        raise lines.mistake(
            f"{' and '.join(map(repr, separators))} could both separate the columns; say with --delimiter"
        )
    return separators[0] if separators else DELIMITERS[0]


def _columns(header: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([header], delimiter=delimiter, strict=True), []))
    except csv.Error:
        return 1


def _row(header: tuple[str, ...], cells: list[str], lines: Lines) -> Row:
    if len(cells) != len(header):
        raise lines.mistake(f"{len(cells)} values for {len(header)} columns")
    return Row(lines.number, dict(zip(header, cells, strict=True)))
