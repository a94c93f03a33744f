r"""Text that a model, a server or a program in a sandbox wrote, made fit for everything that handles it later.

JSON can escape half of a surrogate pair (`"\ud83d"`). Python reads it without complaint, but no file, request, script
or terminal can hold it, so the error comes much later and looks like ours. `parse_json` is therefore the one way in for
JSON from outside: every text in its result can be written as UTF-8, nothing in it nests deeper than `MOST_DEPTH`, which
every later reader and writer of JSON can follow, and it holds at most about `MOST_VALUES` values: three bytes such as
`{},` take a hundred in memory.
"""

from __future__ import annotations

import json
import re
from typing import Any

MOST_DEPTH = 100
"""Levels of lists and objects in JSON from outside; Python's own reader and writer end at about 1,000."""
MOST_VALUES = 500_000
"""Values of a JSON document from outside; all of them take at most about 100 MB."""
FEW_BYTES = 256 * 1024
"""A shorter document cannot hold so many."""
STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
MOST_DIGITS = 4300
"""Digits of a whole number that Python converts."""


def sound(text: str) -> str:
    """A text that UTF-8 can hold: half of a surrogate pair becomes `?`."""
    return str.encode(text, errors="replace").decode()


def sound_value(value: Any, depth: int = MOST_DEPTH) -> Any:
    """A JSON value in which every text, keys included, is sound. Raises ValueError beyond `depth` levels."""
    if isinstance(value, str):
        return sound(value)
    if not isinstance(value, dict | list):
        return value
    if depth == 0:
        raise ValueError(f"it nests deeper than {MOST_DEPTH} levels")
    if isinstance(value, list):
        return [sound_value(item, depth - 1) for item in value]
    return {sound(key): sound_value(item, depth - 1) for key, item in value.items()}


def parse_json(text: str | bytes) -> Any:
    """A JSON document from outside, all of its texts sound. Raises ValueError, with one line for a reason.

    As in Python, `NaN` and `Infinity` are read, since servers write them; `json.dumps(…, allow_nan=False)` refuses
    them later.
    """
    if len(text) > FEW_BYTES and _count(text) > MOST_VALUES:
        raise ValueError(f"it holds more than {MOST_VALUES:,} values")
    try:
        return sound_value(json.loads(text, parse_int=_whole))
    except RecursionError:
        raise ValueError(f"it nests deeper than {MOST_DEPTH} levels") from None


def _count(text: str | bytes) -> int:
    """About how many values a document holds, strings left out; nothing is parsed for it."""
    bare = STRING.sub("", text if isinstance(text, str) else text.decode(errors="replace"))
    return bare.count(",") + bare.count("[") + bare.count("{")


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"it holds a number of {len(digits)} digits")
    return int(digits)


def clip(text: str, bound: int) -> str:
    """The beginning of a text, at most `bound` characters; a mark at its end says where it was cut.

    Every cut leaves a mark: the redactor of secrets looks there for what is left of one.
    """
    return text if len(text) <= bound else f"{text[: max(0, bound - 1)]}…"


def cut(text: str, bound: int) -> str:
    """A text of at most about `bound` characters: the beginning and the end, with a word about what is missing."""
    if len(text) <= bound:
        return text
    half = bound // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[len(text) - half :]}"
