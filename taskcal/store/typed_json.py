"""Untrusted JSON as typed values: msgspec decodes it strictly, and an error names the key that does not fit.

A value of another type is never converted. NaN, infinity and numbers that no float holds are errors, unknown keys are
ignored. Of equal keys the last one counts.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, cast

import msgspec

from taskcal.core.text.number_limits import LARGEST_COUNT, LARGEST_NUMBER

if TYPE_CHECKING:
    from enum import StrEnum

    from taskcal.core.task import Scalar

Value = TypeVar("Value")
Member = TypeVar("Member", bound="StrEnum")

Number = Annotated[float, msgspec.Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
OpenShare = Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_COUNT)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_COUNT)]

KINDS = {
    "int": "a whole number from 0",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
}
"""How an error names the types of JSON, by msgspec's word for each. `Count` and `Positive` are its only integers."""
BOUNDS = {
    "`int` >= 1": "at least 1",
    "`float` >= 0.0": "in [0, 1]",
    "`float` <= 1.0": "in [0, 1]",
    "`float` > 0.0": "in (0, 1)",
    "`float` < 1.0": "in (0, 1)",
}
_WHERE = re.compile(r"(?s)(?P<problem>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?")
_EXPECTED = re.compile(r"Expected (?P<bound>`(?P<kind>\w+)[^`]*`[^,]*).*")
_ABSENT = re.compile(r"Object missing required field `(?P<key>.*)`")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


class RowError(ValueError):
    """A row is not what it should be; the message names the key."""


class NotJson:
    """Stands for NaN or infinity, which Python's reader accepts: it fits no type."""

    def __init__(self, name: str) -> None:
        """Take the constant's name, as `json` passes it."""


class RowReader(Generic[Value]):
    """Reads texts of one type. `alternatives` are the values of a key that selects the type, for the error."""

    def __init__(self, kind: Any, alternatives: str = "") -> None:
        """`kind` is a msgspec.Struct, or a union of tagged ones."""
        self._kind, self._alternatives = kind, alternatives
        self._decoder = msgspec.json.Decoder(kind)

    def read(self, text: bytes) -> Value:
        """Decode a text. Raises RowError, ValueError or RecursionError."""
        try:
            value: Value = self._decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):  # also a lone surrogate, which Python writes and reads
            return self.convert(parse_row(text))
        return value

    def convert(self, row: object) -> Value:
        """Convert what `parse_row` returned. Raises RowError."""
        try:
            value: Value = msgspec.convert(row, self._kind)
        except msgspec.ValidationError as error:
            raise RowError(self._explain(str(error), row)) from error
        return value

    def _explain(self, message: str, row: object) -> str:
        where = _WHERE.fullmatch(message)
        problem, path = (where["problem"], where["path"] or "") if where else (message, "")
        if (absent := _ABSENT.fullmatch(problem)) and _set_null(row, path, absent["key"]):
            self.convert(row)  # which type is missing is in the error about null
        key = absent["key"] if absent else next((name for name, _ in reversed(_STEP.findall(path)) if name), "")
        return f"{key}: {self._reason(problem)}" if key else self._reason(problem)

    def _reason(self, problem: str) -> str:
        if expected := _EXPECTED.fullmatch(problem):
            kind = KINDS.get(expected["kind"], expected["kind"])
            return f"must be {BOUNDS.get(expected['bound'], kind)}"
        if problem == "Number out of range":
            return "must be a number"
        return problem.replace("Invalid value", "").strip() + f" is {self._alternatives}"


def _set_null(row: object, path: str, key: str) -> bool:
    """Put null at a missing key; whether the path to it could be followed."""
    if "..." in path:
        return False
    place: Any = row
    for name, index in _STEP.findall(path):
        place = place[name] if name else place[int(index)]
    place[key] = None
    return True


def parse_row(text: bytes) -> Any:
    """JSON as plain data, with `NotJson` for NaN and infinity. Raises ValueError or RecursionError."""
    return json.loads(text, parse_constant=NotJson)


@lru_cache
def member(kind: type[Member], key: str, text: str) -> Member:
    """A member of an enumeration, by its text. Raises RowError."""
    try:
        return kind(text)
    except ValueError as error:
        raise RowError(f"{key}: {error}") from error


def texts(named: dict[str, object] | None) -> dict[str, str]:
    """An object of texts, whose keys msgspec would not name. Raises RowError."""
    for key, value in (named or {}).items():
        if not isinstance(value, str):
            raise RowError(f"{key}: must be text")
    return cast("dict[str, str]", named or {})


def whole_number(key: str, value: object) -> int:
    """A whole number of any sign that a float could hold. Raises RowError."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST_NUMBER:
        raise RowError(f"{key}: must be a whole number")
    return value


def scalar(key: str, value: object) -> Scalar:
    """Null, a text, a number, true or false. Raises RowError."""
    if isinstance(value, dict | list):
        raise RowError(f"{key}: must be one value")
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and abs(value) <= LARGEST_NUMBER:
        return value
    raise RowError(f"{key}: must be a number")
