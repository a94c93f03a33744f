"""People write `15m` and `2g`; everything behind the YAML edge wants seconds and bytes."""

from __future__ import annotations

import math
import re

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
DURATION = re.compile(rf"(?:{DURATION_PART.pattern})+")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
LONGEST = 7 * SECONDS["d"]
BYTES = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
MEMORY = re.compile(r"(\d+(?:\.\d+)?) ?([kmgt]?)(?:i?b)?", re.IGNORECASE)
SMALLEST_MEMORY = 6 * 1024**2
LARGEST_MEMORY = 1024**5
LONGEST_TEXT = 40


def parse_duration(value: object) -> float:
    """Give the seconds of `90s`, `15m`, `1h30m`, `500ms` or a number of seconds; above 0, at most 7 days.

    Raises ValueError for anything else.
    """
    seconds = _duration(value)
    if seconds is None:
        raise ValueError('must be a duration: "90s", "15m", "1h", or a number of seconds')
    if not 0 < seconds <= LONGEST:
        raise ValueError("must be a duration above 0 and at most 7 days")
    return seconds


def _duration(value: object) -> float | None:
    number = _as_number(value)
    if number is not None:
        return number
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        return None
    if NUMBER.fullmatch(value):
        return float(value)
    if not DURATION.fullmatch(value):
        return None
    return sum(float(amount) * SECONDS[unit] for amount, unit in DURATION_PART.findall(value))


def parse_memory(value: object) -> int:
    """Give the bytes of `2g`, `512m`, `1.5GiB` or a number of bytes, as Docker reads them; at least 6 MiB.

    Raises ValueError for anything else.
    """
    number = _memory(value)
    if number is None:
        raise ValueError('must be an amount of memory: "2g", "512m", or a number of bytes')
    if not SMALLEST_MEMORY <= number <= LARGEST_MEMORY:
        raise ValueError('must be at least "6m", the least that Docker accepts, and at most "1024t"')
    return int(number)


def _memory(value: object) -> float | None:
    if not isinstance(value, str):
        return _as_number(value)
    match = MEMORY.fullmatch(value) if len(value) <= LONGEST_TEXT else None
    return float(match[1]) * BYTES[match[2].lower()] if match else None


def _as_number(value: object) -> float | None:
    """Give a finite number as it is; a boolean is none, though Python thinks so."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 and math.isfinite(value) else None
