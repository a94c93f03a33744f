"""Tables of results by their paths: which kinds of file there are, and cells without the white space around them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from taskcal.yamlfile.tables import Lines, json_lines, separated_cells, table_mistake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskcal.yamlfile.tables import Table

JSON_LINES = frozenset({".jsonl", ".ndjson"})
SEPARATED = frozenset({".csv", ".tsv"})


@contextlib.contextmanager
def open_table(path: Path, delimiter: str | None = None) -> Iterator[Table]:
    """A `.jsonl`, `.ndjson`, `.csv` or `.tsv` file in UTF-8, as long as it is open.

    Without a delimiter a CSV file's header says whether comma, semicolon or tab separates it. Blank lines and rows of
    empty cells are no rows, and the white space around a cell of CSV is not part of it. Raises InputError, also while
    the rows are read.
    """
    kind = path.suffix.lower()
    if kind not in JSON_LINES | SEPARATED:
        hint = "; of a JSON list, `jq -c '.[]'` makes JSONL" if kind == ".json" else ""
        raise table_mistake(str(path), None, f"rows are read from .jsonl and .csv files{hint}")
    try:
        with path.open("rb") as handle:
            lines = Lines(handle, str(path))
            yield json_lines(lines) if kind in JSON_LINES else separated_cells(lines, delimiter, trimmed=True)
    except OSError as error:
        raise table_mistake(str(path), None, error.strerror or str(error)) from error
