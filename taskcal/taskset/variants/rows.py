"""Variants may stand in a JSONL or CSV file, one a row: read as a stream, with every size bounded."""

from __future__ import annotations

import codecs
import csv
import json
from typing import TYPE_CHECKING, NamedTuple

from taskcal.yamlfile.fields import check_param_name
from taskcal.yamlfile.scalars import LONGEST_NUMBER, Written, differs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_ROW = 1024**2


class RowMistake(Exception):
    """A row that cannot be read; nothing after it is."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        super().__init__(message)


class Row(NamedTuple):
    """One row: its line in the file, its length in characters, and its values, not yet checked."""

    line: int
    length: int
    values: dict[str, object]


def read_rows(path: Path) -> Iterator[Row]:
    """Give the rows of a `.jsonl` or `.csv` file; blank lines are skipped.

    Raises RowMistake at the first row that cannot be read, ValueError for another kind of file.
    """
    readers = {".jsonl": _jsonl, ".csv": _csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ValueError("rows come from a .jsonl or a .csv file")
    with path.open(encoding="utf-8-sig", newline="") as handle:
        lines = _Lines(iter(lambda: handle.readline(MAX_ROW + 1), ""))
        try:
            yield from reader(lines)
        except UnicodeDecodeError as error:
            raise RowMistake(_first_undecodable(path), f"not UTF-8: {error.reason}") from error


def _first_undecodable(path: Path) -> int:
    """The first line that is not UTF-8. Text is decoded in blocks, so the error itself comes lines before it."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with path.open("rb") as handle:
        for chunk in iter(lambda: handle.readline(MAX_ROW), b""):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                break
            line += chunk.endswith(b"\n")
    return line


class _Lines:
    """The lines of a file, counted, none too long."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.number = 0
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        if len(line) > MAX_ROW:
            raise RowMistake(self.number, f"a row of more than {MAX_ROW:,} characters")
        return line


def _jsonl(lines: _Lines) -> Iterator[Row]:
    for line in lines:
        if line.strip():
            yield Row(lines.number, len(line), _object(line, lines.number))


def _object(line: str, number: int) -> dict[str, object]:
    try:
        value = json.loads(
            line,
            object_pairs_hook=_without_duplicates,
            parse_constant=_no_constant,
            parse_float=lambda text: _number(float(text), text),
            parse_int=_whole,
        )
    except (ValueError, RecursionError) as error:
        message = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise RowMistake(number, f"not JSON: {message}") from error
    if not isinstance(value, dict):
        raise RowMistake(number, "a row must be a JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands twice in one row")
    return values


def _number(value: float, text: str) -> object:
    return Written(value, text) if differs(value, text) else value


def _whole(text: str) -> object:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} digits; put it in quotes if it is text")
    return _number(int(text), text)


def _no_constant(word: str) -> object:
    raise ValueError(f"{word} is no JSON number")


def _csv(lines: _Lines) -> Iterator[Row]:
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, [])
        if not header or len(set(header)) < len(header):
            raise RowMistake(1, "the first row must name the columns, each once")
        _check_header(header)
        for cells in reader:
            if cells:
                yield _record(header, cells, lines.number)
    except csv.Error as error:
        raise RowMistake(lines.number, f"not CSV: {error}") from error


def _check_header(header: list[str]) -> None:
    for name in header:
        try:
            if name != "id":
                check_param_name(name)
        except ValueError as error:
            raise RowMistake(1, f"a column {error}") from error


def _record(header: list[str], cells: list[str], line: int) -> Row:
    if len(cells) != len(header):
        raise RowMistake(line, f"{len(cells)} values for {len(header)} columns")
    return Row(line, sum(map(len, cells)), dict(zip(header, cells, strict=True)))
