"""Texts of the command line as values, with an error that names the option."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from taskcal.core.task import NetworkMode
from taskcal.core.verdict import Band, Verdict
from taskcal.errors import UsageError
from taskcal.report.wording.actions import RowChoice, Sort
from taskcal.yamlfile.quantities import parse_duration, parse_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
BAND_FORMS = "0.05,0.75 or, in percent, 5,75"


def read_band(text: str) -> Band:
    """`0.05,0.75` as a band; also `5,75` or `5%,75%` in percent. Raises UsageError.

    The two ends have one unit: percent if one has the sign or the upper one is at least 2, else fractions. An end
    between 0 and 1 without the sign could mean either beside one in percent, as in `0.5,75`, so it is refused; so is an
    upper end between 1 and 2, which may be a mistyped fraction.
    """
    parts = [part.strip() for part in text.split(",")]
    numbers = [part.removesuffix("%").rstrip() for part in parts]
    if len(parts) != 2 or not all(map(NUMBER.fullmatch, numbers)):
        raise UsageError(f"--band {text}: two numbers with a comma between them, such as {BAND_FORMS}")
    ends = [Decimal(number) for number in numbers]
    marked = [part.endswith("%") for part in parts]
    percent = any(marked) or ends[1] >= 2
    if percent and any(0 < end < 1 and not mark for end, mark in zip(ends, marked, strict=True)):
        raise UsageError(f"--band {text}: mixes fractions and percent; write both ends alike, such as {BAND_FORMS}")
    low, high = (float(end / 100 if percent else end) for end in ends)
    if not 0.0 <= low < high <= 1.0:
        raise UsageError(f"--band {text}: both ends lie in [0, 1], the lower one first, such as {BAND_FORMS}")
    return Band(low, high)


def read_duration(option: str, text: str) -> float:
    """`90s`, `2h` or seconds, as seconds. Raises UsageError."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from error


def read_amount(option: str, text: str) -> int:
    """`20g`, `512m` or bytes, as bytes. Raises UsageError."""
    try:
        return parse_memory(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from error


def read_network(option: str, text: str) -> NetworkMode:
    """`none`, `hosts` or `bridge`. Raises UsageError."""
    try:
        return NetworkMode(text)
    except ValueError:
        raise UsageError(f"{option} {text}: must be none, hosts or bridge") from None


def read_pairs(option: str, texts: list[str]) -> tuple[tuple[str, str], ...]:
    """`name=value` texts as pairs. Raises UsageError."""
    for text in texts:
        if not text.partition("=")[0] or "=" not in text:
            raise UsageError(f"{option} {text}: must be name=value")
    return tuple((text.partition("=")[0], text.partition("=")[2]) for text in texts)


def read_row_choice(verdicts: Sequence[str], sort: str, *, show_all: bool) -> RowChoice:
    """The rows that --verdict, --sort and --all ask for. Raises UsageError."""
    for verdict in verdicts:
        if verdict not in set(Verdict):
            raise UsageError(f"--verdict {verdict}: must be one of {', '.join(Verdict)}")
    if sort not in set(Sort):
        raise UsageError(f"--sort {sort}: must be one of {', '.join(Sort)}")
    return RowChoice(frozenset(map(Verdict, verdicts)), Sort(sort), show_all)
