"""What is known of each task after its rollouts: rates with their uncertainty, contrast, signal, and a verdict.

The verdict is the class of the success rate k/n against the band; only where the posterior is sure of another class,
which a learned prior can be, it is that one, and every report says so. Its strength is `certified` where a guarantee
holds for that class whatever the prior, `likely` where the posterior gives the class at least 1 - error_rate, else
`leaning`. A doubt about the rollouts themselves (`core.doubt`) makes it leaning too. Lost rollouts are in no other
number.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from taskcal.core.adaptive.launches import count_missing, final_rollouts, first_gap, launches_in_order
from taskcal.core.adaptive.task_state import TaskHistory, count_outcomes, finished_outcomes
from taskcal.core.calibration.check_means import CheckMean, check_means
from taskcal.core.calibration.doubt import Doubt, Evidence, weigh
from taskcal.core.calibration.posterior_verdict import judge, judge_rewards, robust
from taskcal.core.rollout import Graded, Lost, Stop
from taskcal.core.settings import Metric
from taskcal.core.stats import rates
from taskcal.core.stats.posterior import credible_interval, posterior_mean
from taskcal.core.stats.signal import SignalCache, levels
from taskcal.core.verdict import Strength, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskcal.core.calibration.posterior_verdict import PosteriorVerdict
    from taskcal.core.rollout import GroupId, Rollout
    from taskcal.core.settings import CalibrationSettings
    from taskcal.core.stats.prior import Counts
    from taskcal.core.task import Scalar
    from taskcal.core.user_override import UserOverride
    from taskcal.core.verdict import Posterior


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """What a run remembers of a group: enough to calibrate it, and to know it again, without its taskset.

    `override` is set if the agent's file names another user than the task.
    """

    id: GroupId
    params: Mapping[str, Scalar]
    prompt: str
    tags: tuple[str, ...]
    passing: float
    checks: tuple[tuple[str, float], ...]
    file: str
    line: int
    parts: Mapping[str, str] = field(default_factory=dict)  # see core.identity; none of an import or an older version
    override: UserOverride | None = None


@dataclass(frozen=True, slots=True)
class ServiceEnds:
    """How many graded rollouts a service failed in while the agent worked, and the sentence of the first."""

    rollouts: int
    example: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is known of one group. Seconds are the mean of the graded rollouts' totals; `n` counts graded rollouts.

    `interval` is Wilson's for a fixed group, the posterior's after adaptive stopping, where k/n is biased and
    `posterior_mean` is not. `count_missing` counts the rollouts of an incomplete fixed group that have no outcome yet,
    `opening` those that every task of an adaptive run has before anything is decided. `identical` is the size of the
    largest set of equal transcripts, `cost_unknown` the number of rollouts that may have cost something beside
    `cost_usd`, `own_word` that of the attempts, retried ones among them, that were lost because the agent's command
    reported a failure of its provider.
    """

    group: GroupRecord
    n: int
    passed: int
    lost: int
    missing: int
    retried: int
    stops: Mapping[Stop, int]
    lost_by: Mapping[str, int]
    own_word: int
    success_rate: float | None
    interval: rates.Interval | None
    posterior_mean: float | None
    mean_reward: float | None
    contrast: float | None
    contrast_unbiased: float | None
    signal: float | None
    signal_unbiased: float | None
    recommended_group_size: int | None
    opening: Counts
    opinion: PosteriorVerdict
    verdict: Verdict
    strength: Strength | None
    doubts: tuple[Doubt, ...]
    robust: bool | None
    limited: bool
    identical: int
    reason: str
    checks: tuple[CheckMean, ...]
    rewards: tuple[float, ...]
    seconds: float | None
    cost_usd: float | None
    cost_unknown: int
    services: ServiceEnds

    @property
    def posterior(self) -> Posterior | None:
        """The probability of each class."""
        return self.opinion.posterior

    @property
    def certificate(self) -> Verdict | None:
        """The verdict, if it is certified: a guarantee that doubts undo, or for another class, is not reported."""
        return self.verdict if self.strength is Strength.CERTIFIED else None

    @property
    def chance_wrong(self) -> float | None:
        """The posterior probability that the rate lies in another class than the verdict's."""
        chance = self.posterior.of(self.verdict) if self.posterior else None
        return None if chance is None else 1.0 - chance

    @property
    def timed_out(self) -> int:
        """Graded rollouts in which the agent ran out of time."""
        return self.stops.get(Stop.TIMEOUT, 0)

    @property
    def crashed(self) -> int:
        """Graded rollouts in which the agent crashed or ran out of memory."""
        return self.stops.get(Stop.CRASHED, 0) + self.stops.get(Stop.OUT_OF_MEMORY, 0)

    @property
    def partial_signal(self) -> bool:
        """Whether rewards vary although nothing passed: too hard, and yet something to learn from."""
        return bool(self.n) and self.passed == 0 and bool(self.contrast)


@dataclass(frozen=True)
class _Group:
    """One group's rows, sorted out: the final attempt at each index, and how many attempts there were beside them.

    `cost_usd` is that of all attempts, lost ones among them: they were paid for. None where none of them told. In
    `cost_unknown` rollouts the agent acted and did not tell, so that the cost is at least this. `own_word` counts the
    attempts, of all, that were lost on the agent's own word.
    """

    record: GroupRecord
    finals: tuple[Rollout, ...]
    retried: int
    own_word: int
    cost_usd: float | None
    cost_unknown: int

    @cached_property
    def graded(self) -> tuple[tuple[Rollout, Graded], ...]:
        return tuple((row, row.outcome) for row in self.finals if isinstance(row.outcome, Graded))

    @cached_property
    def losses(self) -> tuple[Lost, ...]:
        return tuple(row.outcome for row in self.finals if isinstance(row.outcome, Lost))

    @cached_property
    def rewards(self) -> tuple[float, ...]:
        return tuple(outcome.reward for _, outcome in self.graded)

    def evidence(self, planned: int | None) -> Evidence:
        """What the strength of a verdict rests on, in a group that is to have this many rollouts."""
        gap = None if planned is None else first_gap(self.finals, planned)
        return Evidence(self.finals, _identical(self.finals), gap, self.own_word)


@dataclass(frozen=True, slots=True)
class _Rate:
    """What the counts of a task say of its rate under its prior, and whether other priors decide the same."""

    mean: float | None
    interval: rates.Interval | None
    robust: bool | None


class _Context:
    """What all groups of a run share; each rate and each signal is worked out once for all that have the same counts.

    The keys hold the identity of a prior, so an entry keeps its opinion, and with it the prior, alive.
    """

    def __init__(self, settings: CalibrationSettings, planned: int | None, groups: Sequence[_Group]) -> None:
        self.settings, self.planned = settings, planned
        rewards = {reward for group in groups for reward in group.rewards}
        self.signals = SignalCache(settings.group_size, settings.flat_tolerance, rewards)
        self._rates: dict[tuple[int, Counts, Verdict | None], tuple[PosteriorVerdict, _Rate]] = {}

    def rate(self, opinion: PosteriorVerdict) -> _Rate:
        key = id(opinion.prior), opinion.counts, opinion.likely
        if key not in self._rates:
            self._rates[key] = opinion, self._worked_out(opinion)
        return self._rates[key][1]

    def _worked_out(self, opinion: PosteriorVerdict) -> _Rate:
        return _Rate(
            mean=posterior_mean(opinion.prior, opinion.counts) if opinion.posterior else None,
            interval=credible_interval(opinion.prior, opinion.counts) if self.settings.adaptive else None,
            robust=robust(opinion, self.settings),
        )


def calibrate(
    groups: Sequence[GroupRecord],
    rollouts: Iterable[Rollout],
    settings: CalibrationSettings,
    planned: int | None = None,
) -> tuple[Calibration, ...]:
    """What the rollouts of a run say of each group; of several attempts at one index the last counts.

    The groups are judged together, since from each something is learned about the others. `planned` is the number of
    rollouts that each group of a fixed design was to have, to see where some have not finished; None if unknown.
    """
    by_group: dict[GroupId, list[Rollout]] = {group.id: [] for group in groups}
    for rollout in rollouts:
        by_group.setdefault(rollout.id.group, []).append(rollout)
    sorted_out = [_sort_out(group, by_group[group.id]) for group in groups]
    if settings.metric is Metric.REWARD:
        opinions = judge_rewards([group.rewards for group in sorted_out], settings)
    else:
        states = [
            TaskHistory(g.record.id, launches_in_order(g.finals), settings.earlier.get(g.record.id)) for g in sorted_out
        ]
        opinions = judge(states, settings)
    context = _Context(settings, planned, sorted_out)
    return tuple(_calibrated(*pair, context) for pair in zip(sorted_out, opinions, strict=True))


def _sort_out(record: GroupRecord, rows: Sequence[Rollout]) -> _Group:
    costs = [row.usage.cost_usd for row in rows if row.usage.cost_usd is not None]
    silent = {row.id.index for row in rows if row.usage.cost_usd is None and _acted(row)}
    retried = sum(row.id.attempt > 0 for row in rows)
    own_word = sum(isinstance(row.outcome, Lost) and row.outcome.own_word for row in rows)
    return _Group(record, final_rollouts(rows), retried, own_word, math.fsum(costs) if costs else None, len(silent))


def _acted(row: Rollout) -> bool:
    """Whether the agent did anything; what was lost before that has cost nothing."""
    return isinstance(row.outcome, Graded) or row.timing.agent > 0


def _calibrated(group: _Group, opinion: PosteriorVerdict, context: _Context) -> Calibration:
    settings, graded, losses, rewards = context.settings, group.graded, group.losses, group.rewards
    outcomes = [outcome for _, outcome in graded]
    n, passed = len(outcomes), sum(outcome.passed for outcome in outcomes)
    level = levels(rewards, settings.flat_tolerance)
    weights = [weight for _, weight in group.record.checks]
    reading = context.signals.of(rewards, group.record.passing, opinion.prior, weights)
    rate = context.rate(opinion)
    evidence = group.evidence(context.planned)
    judged = weigh(opinion, evidence, settings)
    return Calibration(
        group=group.record,
        n=n,
        passed=passed,
        lost=len(losses),
        missing=0 if context.planned is None else count_missing(group.finals, context.planned),
        retried=group.retried,
        stops=Counter(outcome.stop for outcome in outcomes),
        lost_by=Counter(loss.boundary.value for loss in losses),
        own_word=group.own_word,
        success_rate=rates.success_rate(passed, n),
        interval=rate.interval if settings.adaptive else rates.wilson(passed, n),
        posterior_mean=rate.mean,
        mean_reward=rates.mean(rewards),
        contrast=rates.contrast(level),
        contrast_unbiased=rates.contrast_unbiased(level),
        signal=reading.signal,
        signal_unbiased=rates.signal_unbiased(level, settings.group_size),
        recommended_group_size=reading.recommended_group_size,
        opening=_opening(group, settings),
        opinion=opinion,
        verdict=judged.verdict,
        strength=judged.strength,
        doubts=judged.doubts,
        robust=rate.robust if judged.strength is not Strength.LEANING else None,
        limited=_limited(outcomes),
        identical=evidence.identical,
        reason="" if outcomes else _why_unmeasured(losses),
        checks=check_means(group.record.checks, outcomes),
        rewards=rewards,
        seconds=rates.mean([row.timing.total for row, _ in graded if row.timing.total]),
        cost_usd=group.cost_usd,
        cost_unknown=group.cost_unknown,
        services=_service_ends(outcomes),
    )


def _opening(group: _Group, settings: CalibrationSettings) -> Counts:
    launches = launches_in_order(group.finals) if settings.adaptive else ()
    return count_outcomes(finished_outcomes(launches, settings.design.first))


def _service_ends(outcomes: Sequence[Graded]) -> ServiceEnds:
    ended = [outcome.ended_services for outcome in outcomes if outcome.ended_services]
    return ServiceEnds(len(ended), ended[0][0] if ended else "")


def _identical(finals: Sequence[Rollout]) -> int:
    """How many rollouts share the commonest transcript; 0 where no two do."""
    seen = Counter(row.transcript_sha256 for row in finals if row.transcript_sha256)
    return max((times for times in seen.values() if times > 1), default=0)


def _limited(outcomes: Sequence[Graded]) -> bool:
    """Whether over half of the failures ran out of time or memory: limits, not difficulty."""
    failures = [outcome.stop for outcome in outcomes if not outcome.passed]
    return 2 * sum(stop in {Stop.TIMEOUT, Stop.OUT_OF_MEMORY} for stop in failures) > len(failures)


def _why_unmeasured(losses: Sequence[Lost]) -> str:
    return f"{losses[0].boundary.value}: {losses[0].reason}" if losses else "not run"
