"""A `crc32` as the last key of an object: a digit that a disk or an editor changed is an error, not another number.

It is over the compact JSON of the object without it. Who means to change something removes the key with it.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

from taskcal.store.typed_json import RowError, parse_row

if TYPE_CHECKING:
    from collections.abc import Mapping

SEAL = "crc32"
_BEFORE, _AFTER = f', "{SEAL}": "'.encode(), b'"}'


def sealed(row: Mapping[str, Any], indent: int | None = None) -> str:
    """An object as JSON, with its checksum."""
    text = json.dumps(row, allow_nan=False)
    seal = f"{zlib.crc32(text.encode()):08x}"
    if indent is None and row:
        return f'{text[:-1]}, "{SEAL}": "{seal}"}}'
    return json.dumps({**row, SEAL: seal}, indent=indent, allow_nan=False)


def check_seal(text: bytes) -> None:
    """Raise RowError if an object has a checksum that does not fit, or ValueError or RecursionError if it is no JSON.

    A text as `sealed` wrote it is not parsed, for many thousand lines.
    """
    if _is_as_written(text):
        return
    row = parse_row(text)
    if not isinstance(row, dict):
        raise RowError("must be an object")
    seal = row.pop(SEAL, None)
    if seal is not None and seal != f"{zlib.crc32(json.dumps(row, default=repr).encode()):08x}":
        raise RowError(f"changed after it was written; remove its {SEAL} if that was meant")


def _is_as_written(text: bytes) -> bool:
    body, _, seal = text.rstrip().rpartition(_BEFORE)
    return seal == b"%08x" % zlib.crc32(b"}", zlib.crc32(body)) + _AFTER
