"""How numbers are written, the same in every format for people; what is undefined is a dash, never 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.core.settings import Metric
from taskcal.core.stats.signal import LARGEST_GROUP
from taskcal.core.verdict import Strength, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.rollout import GroupId
    from taskcal.core.run import RunRecord
    from taskcal.core.settings import CalibrationSettings
    from taskcal.core.stats.rates import Interval
    from taskcal.core.verdict import Band

DASH = "\N{EN DASH}"
SMALLEST = 1e-9


def percent(value: float | None) -> str:
    """`38 %`; what is nearly none or nearly all never rounds to it."""
    return DASH if value is None else f"{_hundredths(value)} %"


def chance(probability: float | None) -> str:
    """The same of a posterior probability, which is never 0 or 1, although a float may be."""
    if probability is None:
        return DASH
    return percent(min(max(probability, SMALLEST), 1 - SMALLEST))


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


def format_duration(seconds: float | None) -> str:
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


def percent_band(value: Band) -> str:
    """`5 to 75 %`."""
    return f"{100 * value.low:g} to {100 * value.high:g} %"


def band_of(settings: CalibrationSettings) -> str:
    """The band in the unit of what it is about: `5 to 75 %`, or `0.05 to 0.75` of mean rewards."""
    if settings.metric is Metric.REWARD:
        return f"{settings.band.low:g} to {settings.band.high:g}"
    return percent_band(settings.band)


def sample(calibration: Calibration) -> str:
    """The graded rollouts, with the lost ones beside them: `8`, or `6 +2 lost`."""
    return (
        f"{calibration.counts.graded} +{calibration.counts.lost} lost"
        if calibration.counts.lost
        else str(calibration.counts.graded)
    )


def fraction(calibration: Calibration) -> str:
    """After adaptive stopping the counts that the verdict rests on, and what there is beside: `7/7 +1 late +2 lost`."""
    counts = calibration.judgement.basis.counts
    beside = (("late", calibration.counts.graded - counts.graded), ("lost", calibration.counts.lost))
    return " ".join([f"{counts.passed}/{counts.graded}", *(f"+{number} {what}" for what, number in beside if number)])


def rate(calibration: Calibration) -> str:
    """The success rate with its 95 % interval: `38 % [14-69]`, with a longer dash."""
    return with_interval(calibration.rates.success_rate, calibration.rates.interval)


def posterior_rate(calibration: Calibration) -> str:
    """The posterior mean with its 95 % interval."""
    return with_interval(calibration.rates.posterior_mean, calibration.rates.interval)


def with_interval(value: float | None, interval: Interval | None) -> str:
    """`38 % [14-69]`, or the share alone where no interval is known; a dash for nothing."""
    if interval is None:
        return percent(value)
    return f"{percent(value)} {bounds(interval)}"


def bounds(interval: Interval) -> str:
    """`[14-69]` in percent, with a longer dash."""
    return f"[{_hundredths(interval.low)}{DASH}{_hundredths(interval.high)}]"


def verdict(calibration: Calibration) -> str:
    """The verdict with its strength: `too-hard, leaning`."""
    parts = (calibration.judgement.verdict, calibration.judgement.strength)
    return ", ".join(part.value for part in parts if part is not None)


def full_verdict(calibration: Calibration) -> str:
    """The same with what else there is to it: `too-hard, leaning, partial signal 0.87`."""
    return ", ".join(part for part in (verdict(calibration), partial_signal(calibration)) if part)


def partial_signal(calibration: Calibration) -> str:
    """`partial signal 0.87` where nothing passes and rewards vary all the same, else ''."""
    if not (calibration.partial_signal and calibration.judgement.verdict is Verdict.TOO_HARD):
        return ""
    return (
        "partial signal" if calibration.learning.signal is None else f"partial signal {calibration.learning.signal:.2f}"
    )


def is_sure(calibration: Calibration) -> bool:
    """Whether its verdict is more than leaning."""
    return calibration.judgement.strength in {Strength.CERTIFIED, Strength.LIKELY}


def recommended(calibration: Calibration) -> str:
    """The smallest group of which nine in ten are mixed; `>64` where no sensible one is."""
    if calibration.learning.signal is None:
        return DASH
    size = calibration.learning.recommended_group_size
    return f">{LARGEST_GROUP}" if size is None else str(size)


def sure(calibration: Calibration) -> str:
    """The posterior probability of the verdict."""
    posterior = calibration.judgement.posterior
    return DASH if posterior is None else chance(posterior.of(calibration.judgement.verdict))


def agent(run: RunRecord) -> str:
    """The agent with the version that was given of it: `my-model (step-1200)`; not yet cleaned."""
    return f"{run.agent} ({run.agent_version})" if run.agent_version else run.agent


def list_counts(counts: Mapping[str, int]) -> str:
    """`sandbox 2, provider 1`: the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count}" for name, count in ordered)


def extent(groups: Iterable[GroupId]) -> str:
    """`8 tasks`, or `16 variants of 8 tasks` if one of them has variants; a task without variants counts as one."""
    ids = tuple(groups)
    tasks = many(len({group.task for group in ids}), "task")
    return f"{many(len(ids), 'variant')} of {tasks}" if any(group.variant for group in ids) else tasks


def many(count: int, noun: str) -> str:
    """`1 rollout`, `5,000 rollouts`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
