"""One cell of somebody's table as a value: what is missing is said to be missing, never taken for 0."""

from __future__ import annotations

import json
import math
import re

from taskcal.core.grading.grade import TOLERANCE
from taskcal.core.text.number_limits import LARGEST_COUNT, LARGEST_NUMBER

MISSING = frozenset({"", "nan", "null", "none", "na", "n/a", "#n/a", "<na>"})
"""How tables write that a number is not there, in any case."""
TRUE = "true"
YES = frozenset({TRUE, "yes"})
NO = frozenset({"false", "no"})
LONGEST_NAME = 500
LONGEST_SHOWN = 60
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class CellError(ValueError):
    """A cell holds what its column cannot hold; the message says what, and what to do."""


def quote_value(value: object) -> str:
    """A value as an error quotes it: one line, short."""
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object"
    text = value if isinstance(value, str) else repr(value)
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def is_missing(value: object) -> bool:
    """Whether a cell says that there is no number: empty, null, NaN, or one of the words for it."""
    if isinstance(value, str):
        return value.strip().lower() in MISSING
    return value is None or (isinstance(value, float) and math.isnan(value))


def number_in(value: object) -> float:
    """A number, as such, as text or as true or false (1 or 0). Raises CellError."""
    if isinstance(value, str):
        return _number_of_text(value.strip())
    if isinstance(value, int | float) and -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        return float(value)
    raise CellError(f"{quote_value(value)} is no number")


def _number_of_text(text: str) -> float:
    word = text.lower()
    if word in YES | NO:
        return float(word in YES)
    if _NUMBER.fullmatch(text) and abs(float(text)) <= LARGEST_NUMBER:
        return float(text)
    hint = "; decimals are written with a point" if "," in text and _NUMBER.fullmatch(text.replace(",", ".", 1)) else ""
    raise CellError(f"{quote_value(text)} is no number{hint}")


def place_in_range(value: float, low: float, high: float) -> float | None:
    """A number's place in a range, from 0 to 1; None outside it, by more than binary fractions explain."""
    place = (value - low) / (high - low)
    return min(1.0, max(0.0, place)) if -TOLERANCE <= place <= 1 + TOLERANCE else None


def score_in(value: object) -> float:
    """A number in [0, 1]. Raises CellError."""
    place = place_in_range(number_in(value), 0.0, 1.0)
    if place is None:
        raise CellError(f"{quote_value(value)} is outside 0 to 1")
    return place


def amount_in(value: object) -> float:
    """A number from 0. Raises CellError."""
    amount = number_in(value)
    if amount < 0:
        raise CellError(f"{quote_value(value)} is below 0")
    return amount


def count_in(value: object) -> int:
    """A whole number from 0; a table that knows only floats may write it as 3.0. Raises CellError."""
    amount = amount_in(value)
    if amount != int(amount) or amount > LARGEST_COUNT:
        raise CellError(f"{quote_value(value)} is no whole number from 0")
    return int(amount)


def truth_in(value: object) -> bool:
    """True or false, also as 1 or 0, yes or no. Raises CellError."""
    try:
        amount = number_in(value)
    except CellError:
        amount = math.nan
    if amount not in {0.0, 1.0}:
        raise CellError(f"{quote_value(value)} is neither true nor false")
    return amount == 1.0


def name_in(value: object) -> str:
    """A name, which may be a number; '' if there is none. Raises CellError."""
    if not isinstance(value, str) and is_missing(value):
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise CellError(f"{quote_value(value)} is no name")
    text = value if isinstance(value, str) else repr(value)
    if len(text) > LONGEST_NAME:
        raise CellError(f"{quote_value(text)} is a name of more than {LONGEST_NAME} characters")
    return text


def text_in(value: object) -> str:
    """What a cell says for people: its text, or what else it holds as JSON. Raises CellError."""
    if isinstance(value, str):
        return value.strip()
    try:
        return json.dumps(value)
    except RecursionError as error:
        raise CellError("nested too deep") from error


def failure_in(value: object) -> str:
    """The failure that a cell reports: '' if nothing failed, TRUE if it gives no reason.

    Nothing failed if it is missing, false, zero, or an empty list or object.
    """
    if is_missing(value) or value in ([], {}):
        return ""
    try:
        return TRUE if number_in(value) else ""
    except CellError:
        return text_in(value)
