"""Durations and memory, as people write them."""

from __future__ import annotations

import pytest

from taskcal.yamlfile.quantities import parse_duration, parse_memory


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("1h30m", 5400), ("500ms", 0.5), ("1.5h", 5400), (3, 3), (0.25, 0.25), ("90", 90)],
)
def test_durations_are_seconds(text: object, seconds: float) -> None:
    """Units and plain numbers both give seconds."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "s", "5x", "-1s", -1, 0, "0s", True, None, [], float("nan"), 1e308, 10**400, "8d", "9" * 50],
)
def test_other_durations_are_refused(text: object) -> None:
    """Nothing that is no time, or no sensible one, gets through."""
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2g", 2 * 1024**3),
        ("512m", 512 * 1024**2),
        ("1.5GiB", 1536 * 1024**2),
        ("65536k", 64 * 1024**2),
        (10**9, 10**9),
    ],
)
def test_memory_is_bytes_as_docker_reads_them(text: object, number: int) -> None:
    """Units are powers of 1024, in any case."""
    assert parse_memory(text) == number


@pytest.mark.parametrize("text", ["", "5m", 100, "g", "-2g", True, None, "2x", 10**400, "9" * 60, float("nan")])
def test_other_memory_is_refused(text: object) -> None:
    """Too little, too much and no amount at all are refused."""
    with pytest.raises(ValueError, match="must be"):
        parse_memory(text)
