"""Texts of the command line as values, with an error that names the option."""

from __future__ import annotations

from taskcal.core.task import NetworkMode
from taskcal.core.verdict import Band
from taskcal.errors import UsageError
from taskcal.taskset.quantities import parse_duration, parse_memory


def band(text: str) -> Band:
    """`0.05,0.75` as a band. Raises UsageError."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--band {text}: two numbers with a comma between them, such as 0.05,0.75") from None
    if not 0.0 <= low < high <= 1.0:
        raise UsageError(f"--band {text}: both ends lie in [0, 1], the lower one first")
    return Band(low, high)


def duration(option: str, text: str) -> float:
    """`90s`, `2h` or seconds, as seconds. Raises UsageError."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from error


def amount(option: str, text: str) -> int:
    """`20g`, `512m` or bytes, as bytes. Raises UsageError."""
    try:
        return parse_memory(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from error


def network(option: str, text: str) -> NetworkMode:
    """`none`, `hosts` or `bridge`. Raises UsageError."""
    try:
        return NetworkMode(text)
    except ValueError:
        raise UsageError(f"{option} {text}: must be none, hosts or bridge") from None


def pairs(option: str, texts: list[str]) -> tuple[tuple[str, str], ...]:
    """`name=value` texts as pairs. Raises UsageError."""
    for text in texts:
        if not text.partition("=")[0] or "=" not in text:
            raise UsageError(f"{option} {text}: must be name=value")
    return tuple((text.partition("=")[0], text.partition("=")[2]) for text in texts)
