"""Reading values out of untrusted JSON: each reader gives exactly its type, or says which key is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskcal.core.task import Scalar

Value = TypeVar("Value")

LARGEST = 1e300
"""Beyond it a number is a mistake; JSON can write whole numbers that no float holds."""
MOST = 2**53
"""Beyond it a count is a mistake: not every reader of JSON has larger whole numbers."""


class RowError(ValueError):
    """A row is not what it should be; the message names the key."""


def part(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object; {} where it is missing or null."""
    value = row.get(key)
    if value is not None and not isinstance(value, dict):
        raise RowError(f"{key}: must be an object")
    return value or {}


def items(row: Mapping[str, Any], key: str) -> list[Any]:
    """A list; [] where it is missing or null."""
    value = row.get(key)
    if value is not None and not isinstance(value, list):
        raise RowError(f"{key}: must be a list")
    return value or []


def texts(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of texts."""
    return tuple(text({key: value}, key) for value in items(row, key))


def objects(row: Mapping[str, Any], key: str) -> tuple[Mapping[str, Any], ...]:
    """A list of objects."""
    return tuple(part({key: value}, key) for value in items(row, key))


def or_none(read: Callable[[Mapping[str, Any], str], Value], row: Mapping[str, Any], key: str) -> Value | None:
    """What `read` reads, or None where it is missing or null."""
    return None if row.get(key) is None else read(row, key)


def text(row: Mapping[str, Any], key: str) -> str:
    """A text."""
    value = row.get(key)
    if not isinstance(value, str):
        raise RowError(f"{key}: must be text")
    return value


def whole(row: Mapping[str, Any], key: str) -> int:
    """A whole number that a float could hold."""
    value = row.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST:
        raise RowError(f"{key}: must be a whole number")
    return value


def count(row: Mapping[str, Any], key: str) -> int:
    """A whole number from 0."""
    value = row.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise RowError(f"{key}: must be a whole number from 0")
    return value


def positive(row: Mapping[str, Any], key: str) -> int:
    """A whole number from 1."""
    if count(row, key) == 0:
        raise RowError(f"{key}: must be at least 1")
    return count(row, key)


def truth(row: Mapping[str, Any], key: str) -> bool:
    """True or false."""
    value = row.get(key)
    if not isinstance(value, bool):
        raise RowError(f"{key}: must be true or false")
    return value


def scalar(row: Mapping[str, Any], key: str) -> Scalar:
    """Null, a text, a number, true or false."""
    value = row.get(key)
    if isinstance(value, float):
        return number(row, key)
    if value is None or isinstance(value, bool | int | str):
        return value
    raise RowError(f"{key}: must be one value")


def number(row: Mapping[str, Any], key: str) -> float:
    """A finite number."""
    value = row.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not -LARGEST <= value <= LARGEST:
        raise RowError(f"{key}: must be a number")
    return float(value)


def share(row: Mapping[str, Any], key: str) -> float:
    """A number in [0, 1]."""
    value = number(row, key)
    if not 0.0 <= value <= 1.0:
        raise RowError(f"{key}: must be in [0, 1]")
    return value


def open_share(row: Mapping[str, Any], key: str) -> float:
    """A number in (0, 1), without its ends."""
    if not 0.0 < number(row, key) < 1.0:
        raise RowError(f"{key}: must be in (0, 1)")
    return number(row, key)


def member(kind: type[Any], row: Mapping[str, Any], key: str) -> Any:
    """A member of an enumeration, by its text."""
    try:
        return kind(text(row, key))
    except ValueError as error:
        raise RowError(f"{key}: {error}") from error
