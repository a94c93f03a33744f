"""What is known of each task after its rollouts: rates with their uncertainty, contrast, signal, and a verdict.

The verdict is the class of the success rate k/n against the band. Its strength is `likely` where the posterior
probability of that class is at least 95 % under the default prior, else `leaning`; where counting every lost rollout
as failed, or every one as passed, would change the verdict, it is at most leaning. Lost rollouts are in no other
number.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core import stats
from taskcal.core.rollout import Graded, Lost, Stop
from taskcal.core.verdict import Posterior, Strength, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskcal.core.rollout import GroupId, Rollout
    from taskcal.core.task import Scalar
    from taskcal.core.verdict import Band

SURE = 0.95


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """What a run remembers of a group: enough to calibrate it, and to know it again, without its taskset."""

    id: GroupId
    params: Mapping[str, Scalar]
    prompt: str
    tags: tuple[str, ...]
    passing: float
    checks: tuple[tuple[str, float], ...]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class CheckMean:
    """The mean score of one check over the graded rollouts; None where none was graded."""

    name: str
    weight: float
    mean_score: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is known of one group. Seconds are the mean of the graded rollouts' totals; `n` counts graded rollouts."""

    group: GroupRecord
    n: int
    passed: int
    lost: int
    retried: int
    stops: Mapping[Stop, int]
    lost_by: Mapping[str, int]
    success_rate: float | None
    interval: stats.Interval | None
    mean_reward: float | None
    contrast: float | None
    contrast_unbiased: float | None
    signal: float | None
    signal_unbiased: float | None
    posterior: Posterior | None
    verdict: Verdict
    strength: Strength | None
    reason: str
    checks: tuple[CheckMean, ...]
    rewards: tuple[float, ...]
    seconds: float | None
    cost_usd: float | None

    @property
    def timed_out(self) -> int:
        """Graded rollouts in which the agent ran out of time."""
        return self.stops.get(Stop.TIMEOUT, 0)

    @property
    def crashed(self) -> int:
        """Graded rollouts in which the agent crashed or ran out of memory."""
        return self.stops.get(Stop.CRASHED, 0) + self.stops.get(Stop.OUT_OF_MEMORY, 0)


@dataclass(frozen=True, slots=True)
class Summary:
    """A taskset's calibrations in numbers; `flat_share` is the share of groups expected to teach nothing."""

    tasks: int
    verdicts: Mapping[Verdict, int]
    leaning: int
    graded: int
    lost: int
    mean_success_rate: float | None
    mean_signal: float | None
    flat_share: float | None


@dataclass(frozen=True, slots=True)
class Question:
    """What a calibration answers: for which group size, and against which band."""

    group_size: int
    band: Band


def calibrate(group: GroupRecord, rollouts: Iterable[Rollout], question: Question) -> Calibration:
    """What the rollouts of one group say; of several attempts at one index the last counts."""
    rows = tuple(rollouts)
    last = {rollout.id.index: rollout for rollout in sorted(rows, key=lambda row: row.id.attempt)}
    finals = tuple(last[index] for index in sorted(last))
    graded = [(row, row.outcome) for row in finals if isinstance(row.outcome, Graded)]
    losses = [row.outcome for row in finals if isinstance(row.outcome, Lost)]
    outcomes = [outcome for _, outcome in graded]
    rewards = tuple(outcome.reward for outcome in outcomes)
    n, passed = len(outcomes), sum(outcome.passed for outcome in outcomes)
    rate = stats.success_rate(passed, n)
    verdict = Verdict.UNMEASURED if rate is None else question.band.verdict(rate)
    posterior = _posterior(passed, n, question.band)
    costs = [row.usage.cost_usd for row, _ in graded if row.usage.cost_usd is not None]
    return Calibration(
        group=group,
        n=n,
        passed=passed,
        lost=len(losses),
        retried=sum(1 for row in rows if row.id.attempt > 0),
        stops=Counter(outcome.stop for outcome in outcomes),
        lost_by=Counter(loss.boundary.value for loss in losses),
        success_rate=rate,
        interval=stats.wilson(passed, n),
        mean_reward=stats.mean(rewards),
        contrast=stats.contrast(rewards),
        contrast_unbiased=stats.contrast_unbiased(rewards),
        signal=stats.signal(passed, n, question.group_size),
        signal_unbiased=stats.signal_unbiased(rewards, question.group_size),
        posterior=posterior,
        verdict=verdict,
        strength=_strength(posterior, verdict, (passed, n, len(losses)), question.band),
        reason="" if outcomes else _why_unmeasured(losses),
        checks=_check_means(group, outcomes),
        rewards=rewards,
        seconds=stats.mean([row.timing.total for row, _ in graded]),
        cost_usd=sum(costs) if costs else None,
    )


def summarise(calibrations: Sequence[Calibration]) -> Summary:
    """The taskset's numbers; means are over the measured groups, each counted once."""
    rates = [c.success_rate for c in calibrations if c.success_rate is not None]
    signals = [c.signal for c in calibrations if c.signal is not None]
    mean_signal = stats.mean(signals)
    return Summary(
        tasks=len(calibrations),
        verdicts=Counter(c.verdict for c in calibrations),
        leaning=sum(c.strength is Strength.LEANING for c in calibrations),
        graded=sum(c.n for c in calibrations),
        lost=sum(c.lost for c in calibrations),
        mean_success_rate=stats.mean(rates),
        mean_signal=mean_signal,
        flat_share=None if mean_signal is None else 1.0 - mean_signal,
    )


def _posterior(passed: int, n: int, band: Band) -> Posterior | None:
    return Posterior(*stats.class_probabilities(passed, n, (band.low, band.high))) if n else None


def _strength(
    posterior: Posterior | None, verdict: Verdict, counts: tuple[int, int, int], band: Band
) -> Strength | None:
    """`counts` are passed, graded and lost."""
    sure = posterior.of(verdict) if posterior else None
    if sure is None:
        return None
    passed, graded, lost = counts
    extremes = {band.verdict(passed / (graded + lost)), band.verdict((passed + lost) / (graded + lost))}
    return Strength.LIKELY if sure >= SURE and extremes == {verdict} else Strength.LEANING


def _why_unmeasured(losses: Sequence[Lost]) -> str:
    return f"{losses[0].boundary.value}: {losses[0].reason}" if losses else "not run"


def _check_means(group: GroupRecord, outcomes: Sequence[Graded]) -> tuple[CheckMean, ...]:
    scores: dict[str, list[float]] = {name: [] for name, _ in group.checks}
    for outcome in outcomes:
        for check in outcome.checks:
            scores.setdefault(check.name, []).append(check.score)
    return tuple(CheckMean(name, weight, stats.mean(scores[name])) for name, weight in group.checks)
