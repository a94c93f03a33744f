"""Variants may stand in a JSONL or CSV file, one a row: numbers as they were written, columns named as params."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.yamlfile.fields import check_param_name
from taskcal.yamlfile.scalars import LONGEST_NUMBER, Written, differs
from taskcal.yamlfile.tables import Lines, json_lines, row_decoder, separated_cells, table_mistake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskcal.yamlfile.tables import Row, Table


def read_rows(path: Path, file: str) -> Iterator[Row]:
    """Yield the rows of a `.jsonl` or `.csv` file, not yet checked; `file` is its name in messages.

    Raises InputError at the first row that cannot be read, ValueError for another kind of file.
    """
    readers = {".jsonl": _json_lines, ".csv": _named_columns}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ValueError("rows come from a .jsonl or a .csv file")
    with path.open("rb") as handle:
        yield from reader(Lines(handle, file)).rows


def _json_lines(lines: Lines) -> Table:
    return json_lines(lines, DECODER)


def _number(value: float, text: str) -> object:
    return Written(value, text) if differs(value, text) else value


def _fraction(text: str) -> object:
    return _number(float(text), text)


def _whole(text: str) -> object:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} digits; put it in quotes if it is text")
    return _number(int(text), text)


def _refuse_constant(word: str) -> object:
    raise ValueError(f"{word} is no JSON number")


DECODER = row_decoder(parse_constant=_refuse_constant, parse_float=_fraction, parse_int=_whole)


def _named_columns(lines: Lines) -> Table:
    table = separated_cells(lines, ",")
    for name in table.header:
        try:
            if name != "id":
                check_param_name(name)
        except ValueError as error:
            raise table_mistake(lines.file, 1, f"a column {error}") from error
    return table
