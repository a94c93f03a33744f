"""How numbers are written, the same in every format for people; what is undefined is a dash, never 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.core.calibrate import Calibration
    from taskcal.core.verdict import Band

DASH = "\N{EN DASH}"


def percent(value: float | None) -> str:
    """`38 %`; what is nearly none or nearly all never rounds to it."""
    return DASH if value is None else f"{_hundredths(value)} %"


def _hundredths(value: float) -> str:
    rounded = round(100 * value)
    if rounded <= 0 < value:
        return "<1"
    return ">99" if rounded >= 100 and value < 1 else str(rounded)


def decimal(value: float | None, digits: int = 2) -> str:
    """`0.35`."""
    return DASH if value is None else f"{value:.{digits}f}"


def money(value: float | None) -> str:
    """US dollars, to a cent or, below one, to four digits."""
    if value is None:
        return DASH
    return f"${value:.2f}" if value >= 0.1 else f"${value:.4f}"


def duration(seconds: float | None) -> str:
    """`0.4s`, `12s`, `1m 12s`, `2h 03m`."""
    if seconds is None:
        return DASH
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m {rest:02d}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02d}m"


def band(value: Band) -> str:
    """`5 to 75 %`."""
    return f"{100 * value.low:g} to {100 * value.high:g} %"


def sample(calibration: Calibration) -> str:
    """The graded rollouts, with the lost ones beside them: `8`, or `6 +2 lost`."""
    return f"{calibration.n} +{calibration.lost} lost" if calibration.lost else str(calibration.n)


def rate(calibration: Calibration) -> str:
    """The success rate with its 95 % interval: `38 % [14-69]`, with a longer dash."""
    interval = calibration.interval
    if interval is None:
        return DASH
    return f"{percent(calibration.success_rate)} [{_hundredths(interval.low)}{DASH}{_hundredths(interval.high)}]"


def verdict(calibration: Calibration) -> str:
    """The verdict with its strength: `too-hard, leaning`."""
    parts = (calibration.verdict, calibration.strength)
    return ", ".join(part.value for part in parts if part is not None)


def sure(calibration: Calibration) -> str:
    """The posterior probability of the verdict."""
    posterior = calibration.posterior
    return DASH if posterior is None else percent(posterior.of(calibration.verdict))


def tally(counts: Mapping[str, int]) -> str:
    """`sandbox 2, provider 1`: the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count}" for name, count in ordered)


def many(count: int, noun: str) -> str:
    """`1 rollout`, `5,000 rollouts`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
