"""Tables as texts, read from a throwaway folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.errors import TaskcalError
from taskcal.interop.columns import guess_columns, parse_column_map
from taskcal.interop.rows import ImportedRollouts, ImportSettings, read_results

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, text: str | bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def jsonl(folder: Path, *values: dict[str, Any], name: str = "rows.jsonl") -> Path:
    return write(folder, "".join(json.dumps(value) + "\n" for value in values), name)


def imported(path: Path, *maps: str, **reading: Any) -> ImportedRollouts:
    """What a file holds, by its own names or by a map."""
    return read_results([path], ImportSettings(parse_column_map(maps) if maps else guess_columns(), **reading))


def refused(path: Path, *maps: str, **reading: Any) -> str:
    """The one line that a file is refused with, without its folder."""
    with pytest.raises(TaskcalError) as caught:
        imported(path, *maps, **reading)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{path.parent}/", "")
