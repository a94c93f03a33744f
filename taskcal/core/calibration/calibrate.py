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
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from taskcal.core.adaptive.launches import count_missing, final_rollouts, first_gap, launches_in_order
from taskcal.core.adaptive.task_state import TaskHistory, count_outcomes, finished_outcomes
from taskcal.core.calibration.calibration import (
    Calibration,
    Learning,
    RolloutCounts,
    ServiceEnds,
    TaskCost,
    TaskJudgement,
    TaskRates,
)
from taskcal.core.calibration.check_means import check_means
from taskcal.core.calibration.doubt import Evidence, weigh_doubts
from taskcal.core.calibration.posterior_verdict import agrees_across_priors, judge_counts, judge_rewards
from taskcal.core.rollout import Graded, Lost, Stop
from taskcal.core.settings import Metric
from taskcal.core.stats import rates
from taskcal.core.stats.posterior import credible_interval, posterior_mean
from taskcal.core.stats.signal import SignalCache, levels
from taskcal.core.verdict import Strength

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskcal.core.calibration.posterior_verdict import PosteriorVerdict
    from taskcal.core.group_record import GroupRecord
    from taskcal.core.rollout import GroupId, Rollout
    from taskcal.core.settings import CalibrationSettings
    from taskcal.core.stats.prior import Counts
    from taskcal.core.verdict import Verdict


@dataclass(frozen=True)
class _Group:
    """The rows of one group: the final attempt at each index, and what is counted over all attempts."""

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
    def outcomes(self) -> tuple[Graded, ...]:
        return tuple(outcome for _, outcome in self.graded)

    @cached_property
    def losses(self) -> tuple[Lost, ...]:
        return tuple(row.outcome for row in self.finals if isinstance(row.outcome, Lost))

    @cached_property
    def rewards(self) -> tuple[float, ...]:
        return tuple(outcome.reward for outcome in self.outcomes)

    @cached_property
    def passed(self) -> int:
        return sum(outcome.passed for outcome in self.outcomes)

    @cached_property
    def identical(self) -> int:
        """How many rollouts share the commonest transcript; 0 if no two do."""
        times_seen = Counter(row.transcript_sha256 for row in self.finals if row.transcript_sha256)
        return max((times for times in times_seen.values() if times > 1), default=0)

    def evidence(self, planned: int | None) -> Evidence:
        """What the strength of a verdict rests on, in a group that is to have this many rollouts."""
        gap = None if planned is None else first_gap(self.finals, planned)
        return Evidence(self.finals, self.identical, gap, self.own_word)


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
            self._rates[key] = opinion, self._compute(opinion)
        return self._rates[key][1]

    def _compute(self, opinion: PosteriorVerdict) -> _Rate:
        return _Rate(
            mean=posterior_mean(opinion.prior, opinion.counts) if opinion.posterior else None,
            interval=credible_interval(opinion.prior, opinion.counts) if self.settings.adaptive else None,
            robust=agrees_across_priors(opinion, self.settings),
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
    sorted_groups = [_sort_out(group, by_group[group.id]) for group in groups]
    if settings.metric is Metric.REWARD:
        opinions = judge_rewards([group.rewards for group in sorted_groups], settings)
    else:
        states = [
            TaskHistory(g.record.id, launches_in_order(g.finals), settings.earlier.get(g.record.id))
            for g in sorted_groups
        ]
        opinions = judge_counts(states, settings)
    context = _Context(settings, planned, sorted_groups)
    return tuple(_calibration(*pair, context) for pair in zip(sorted_groups, opinions, strict=True))


def _sort_out(record: GroupRecord, rows: Sequence[Rollout]) -> _Group:
    costs = [row.usage.cost_usd for row in rows if row.usage.cost_usd is not None]
    silent = {row.id.index for row in rows if row.usage.cost_usd is None and _acted(row)}
    retried = sum(row.id.attempt > 0 for row in rows)
    own_word = sum(isinstance(row.outcome, Lost) and row.outcome.own_word for row in rows)
    return _Group(record, final_rollouts(rows), retried, own_word, math.fsum(costs) if costs else None, len(silent))


def _acted(row: Rollout) -> bool:
    """Whether the agent did anything; what was lost before that has cost nothing."""
    return isinstance(row.outcome, Graded) or row.timing.agent > 0


def _calibration(group: _Group, opinion: PosteriorVerdict, context: _Context) -> Calibration:
    return Calibration(
        group=group.record,
        counts=_counts(group, context),
        rates=_rates(group, context.rate(opinion), context.settings),
        learning=_learning(group, opinion, context),
        judgement=_judgement(group, opinion, context),
        checks=check_means(group.record.checks, group.outcomes),
        cost=TaskCost(
            seconds=rates.mean([row.timing.total for row, _ in group.graded if row.timing.total]),
            usd=group.cost_usd,
            unknown=group.cost_unknown,
        ),
    )


def _counts(group: _Group, context: _Context) -> RolloutCounts:
    return RolloutCounts(
        graded=len(group.graded),
        passed=group.passed,
        lost=len(group.losses),
        missing=0 if context.planned is None else count_missing(group.finals, context.planned),
        retried=group.retried,
        stops=Counter(outcome.stop for outcome in group.outcomes),
        lost_by=Counter(loss.boundary.value for loss in group.losses),
        own_word=group.own_word,
        identical=group.identical,
        limited=_limited(group.outcomes),
        services=_service_ends(group.outcomes),
        opening=_opening(group, context.settings),
    )


def _rates(group: _Group, rate: _Rate, settings: CalibrationSettings) -> TaskRates:
    n = len(group.graded)
    return TaskRates(
        success_rate=rates.success_rate(group.passed, n),
        interval=rate.interval if settings.adaptive else rates.wilson(group.passed, n),
        posterior_mean=rate.mean,
        mean_reward=rates.mean(group.rewards),
    )


def _learning(group: _Group, opinion: PosteriorVerdict, context: _Context) -> Learning:
    level = levels(group.rewards, context.settings.flat_tolerance)
    weights = [weight for _, weight in group.record.checks]
    reading = context.signals.of(group.rewards, group.record.passing, opinion.prior, weights)
    return Learning(
        rewards=group.rewards,
        contrast=rates.contrast(level),
        contrast_unbiased=rates.contrast_unbiased(level),
        signal=reading.signal,
        signal_unbiased=rates.signal_unbiased(level, context.settings.group_size),
        recommended_group_size=reading.recommended_group_size,
    )


def _judgement(group: _Group, opinion: PosteriorVerdict, context: _Context) -> TaskJudgement:
    judged = weigh_doubts(opinion, group.evidence(context.planned), context.settings)
    return TaskJudgement(
        verdict=judged.verdict,
        strength=judged.strength,
        doubts=judged.doubts,
        basis=opinion,
        robust=context.rate(opinion).robust if judged.strength is not Strength.LEANING else None,
        reason="" if group.graded else _why_unmeasured(group.losses),
    )


def _opening(group: _Group, settings: CalibrationSettings) -> Counts:
    launches = launches_in_order(group.finals) if settings.adaptive else ()
    return count_outcomes(finished_outcomes(launches, settings.design.first))


def _service_ends(outcomes: Sequence[Graded]) -> ServiceEnds:
    ended = [outcome.ended_services for outcome in outcomes if outcome.ended_services]
    return ServiceEnds(len(ended), ended[0][0] if ended else "")


def _limited(outcomes: Sequence[Graded]) -> bool:
    """Whether over half of the failures ran out of time or memory: limits, not difficulty."""
    failures = [outcome.stop for outcome in outcomes if not outcome.passed]
    return 2 * sum(stop in {Stop.TIMEOUT, Stop.OUT_OF_MEMORY} for stop in failures) > len(failures)


def _why_unmeasured(losses: Sequence[Lost]) -> str:
    return f"{losses[0].boundary.value}: {losses[0].reason}" if losses else "not run"
