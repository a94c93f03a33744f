"""What is known of each task after its rollouts: rates with their uncertainty, contrast, signal, and a verdict.

The verdict is the class of the success rate k/n against the band; only where the posterior is sure of another class,
which a learned prior can be, it is that one, and every report says so. Its strength is `certified` where a guarantee
holds for that class whatever the prior, `likely` where the posterior gives the class at least 1 - error_rate, else
`leaning`. A doubt about the rollouts themselves makes it leaning too. Lost rollouts are in no other number. What was
lost on the agent's own word, retried or not, also bounds the strength: by that with all of it counted as failed.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from taskcal.core import prior as priors
from taskcal.core import stats
from taskcal.core.check_means import CheckMean, check_means
from taskcal.core.history import final, launches
from taskcal.core.judge import after_failures, judge, judge_rewards, robust
from taskcal.core.question import Metric
from taskcal.core.rollout import Graded, Lost, Stop
from taskcal.core.signal import Signals, levels
from taskcal.core.standing import TaskState
from taskcal.core.verdict import Strength, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskcal.core.judge import Opinion
    from taskcal.core.override import UserOverride
    from taskcal.core.question import Question
    from taskcal.core.rollout import GroupId, Rollout
    from taskcal.core.task import Scalar
    from taskcal.core.verdict import Posterior

IDENTICAL = 4
"""So many equal transcripts in one group are no chance: a cache answered, or the sampling has no temperature."""


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


class Doubt(StrEnum):
    """Why a verdict is at most leaning, whatever the counts say."""

    LOST = "lost"
    """Counting every lost rollout as failed, or every one as passed, would change it."""

    OWN_WORD = "own-word"
    """Counting every attempt that was lost on the agent's own word as failed would change it, or make it less sure."""

    IDENTICAL = "identical"
    """Rollouts of the group are copies of each other, so that n promises more than was seen."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is known of one group. Seconds are the mean of the graded rollouts' totals; `n` counts graded rollouts.

    `interval` is Wilson's for a fixed group, the posterior's after adaptive stopping, where k/n is biased and
    `posterior_mean` is not. `identical` is the size of the largest set of equal transcripts, `cost_unknown` the number
    of rollouts that may have cost something beside `cost_usd`, `own_word` that of the attempts, retried ones among
    them, that were lost because the agent's command reported a failure of its provider.
    """

    group: GroupRecord
    n: int
    passed: int
    lost: int
    retried: int
    stops: Mapping[Stop, int]
    lost_by: Mapping[str, int]
    own_word: int
    success_rate: float | None
    interval: stats.Interval | None
    posterior_mean: float | None
    mean_reward: float | None
    contrast: float | None
    contrast_unbiased: float | None
    signal: float | None
    signal_unbiased: float | None
    recommended_group_size: int | None
    opinion: Opinion
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


@dataclass(frozen=True, slots=True)
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

    @property
    def graded(self) -> tuple[tuple[Rollout, Graded], ...]:
        return tuple((row, row.outcome) for row in self.finals if isinstance(row.outcome, Graded))

    @property
    def losses(self) -> tuple[Lost, ...]:
        return tuple(row.outcome for row in self.finals if isinstance(row.outcome, Lost))

    @property
    def rewards(self) -> tuple[float, ...]:
        return tuple(outcome.reward for _, outcome in self.graded)


def calibrate(
    groups: Sequence[GroupRecord], rollouts: Iterable[Rollout], question: Question
) -> tuple[Calibration, ...]:
    """What the rollouts of a run say of each group; of several attempts at one index the last counts.

    The groups are judged together, since from each something is learned about the others.
    """
    by_group: dict[GroupId, list[Rollout]] = {group.id: [] for group in groups}
    for rollout in rollouts:
        by_group.setdefault(rollout.id.group, []).append(rollout)
    sorted_out = [_sort_out(group, by_group[group.id]) for group in groups]
    if question.metric is Metric.REWARD:
        opinions = judge_rewards([group.rewards for group in sorted_out], question)
    else:
        states = [TaskState(g.record.id, launches(g.finals), question.earlier.get(g.record.id)) for g in sorted_out]
        opinions = judge(states, question)
    signals = Signals(question.group_size, question.flat_tolerance)
    return tuple(_calibrated(*pair, question, signals) for pair in zip(sorted_out, opinions, strict=True))


def _sort_out(record: GroupRecord, rows: Sequence[Rollout]) -> _Group:
    costs = [row.usage.cost_usd for row in rows if row.usage.cost_usd is not None]
    silent = {row.id.index for row in rows if row.usage.cost_usd is None and _acted(row)}
    retried = sum(row.id.attempt > 0 for row in rows)
    own_word = sum(isinstance(row.outcome, Lost) and row.outcome.own_word for row in rows)
    return _Group(record, final(rows), retried, own_word, math.fsum(costs) if costs else None, len(silent))


def _acted(row: Rollout) -> bool:
    """Whether the agent did anything; what was lost before that has cost nothing."""
    return isinstance(row.outcome, Graded) or row.timing.agent > 0


def _calibrated(group: _Group, opinion: Opinion, question: Question, signals: Signals) -> Calibration:
    graded, losses, rewards = group.graded, group.losses, group.rewards
    outcomes = [outcome for _, outcome in graded]
    n, passed = len(outcomes), sum(outcome.passed for outcome in outcomes)
    level = levels(rewards, question.flat_tolerance)
    reading = signals.of(rewards, group.record.passing, opinion.prior)
    verdict = _verdict(opinion, stats.mean(rewards), question)
    identical = _identical(group.finals)
    holds = _holds(verdict, opinion, group, question)
    is_shaken = holds in {None, Strength.LEANING} and holds is not _strength(verdict, opinion)
    doubts = tuple(_doubts(verdict, _extremes(group, question), identical, is_shaken=is_shaken))
    return Calibration(
        group=group.record,
        n=n,
        passed=passed,
        lost=len(losses),
        retried=group.retried,
        stops=Counter(outcome.stop for outcome in outcomes),
        lost_by=Counter(loss.boundary.value for loss in losses),
        own_word=group.own_word,
        success_rate=stats.success_rate(passed, n),
        interval=_interval(opinion, passed, n, question),
        posterior_mean=priors.posterior_mean(opinion.prior, opinion.counts) if opinion.posterior else None,
        mean_reward=stats.mean(rewards),
        contrast=stats.contrast(level),
        contrast_unbiased=stats.contrast_unbiased(level),
        signal=reading.signal,
        signal_unbiased=stats.signal_unbiased(level, question.group_size),
        recommended_group_size=reading.recommended_group_size,
        opinion=opinion,
        verdict=verdict,
        strength=Strength.LEANING if doubts else holds,
        doubts=doubts,
        robust=robust(opinion, question),
        limited=_limited(outcomes),
        identical=identical,
        reason="" if outcomes else _why_unmeasured(losses),
        checks=check_means(group.record.checks, outcomes),
        rewards=rewards,
        seconds=stats.mean([row.timing.total for row, _ in graded if row.timing.total]),
        cost_usd=group.cost_usd,
        cost_unknown=group.cost_unknown,
        services=_service_ends(outcomes),
    )


def _service_ends(outcomes: Sequence[Graded]) -> ServiceEnds:
    ended = [outcome.ended_services for outcome in outcomes if outcome.ended_services]
    return ServiceEnds(len(ended), ended[0][0] if ended else "")


def _verdict(opinion: Opinion, mean_reward: float | None, question: Question) -> Verdict:
    rate = mean_reward if question.metric is Metric.REWARD else stats.success_rate(*opinion.counts)
    return Verdict.UNMEASURED if rate is None else opinion.likely or question.band.verdict(rate)


def _strength(verdict: Verdict, opinion: Opinion) -> Strength | None:
    """How sure a verdict is by the counts alone."""
    if verdict is Verdict.UNMEASURED:
        return None
    if opinion.certificate is verdict:
        return Strength.CERTIFIED
    return Strength.LIKELY if opinion.likely is verdict else Strength.LEANING


CERTAINTY = (None, Strength.LEANING, Strength.LIKELY, Strength.CERTIFIED)
"""From the least to the most."""


def _holds(verdict: Verdict, opinion: Opinion, group: _Group, question: Question) -> Strength | None:
    """How sure a verdict still is if all that was lost on the agent's own word had failed; None if it changes then."""
    strength = _strength(verdict, opinion)
    if not group.own_word or not group.rewards:
        return strength
    worst = after_failures(opinion, group.rewards, group.own_word, question)
    mean = stats.mean((*group.rewards, *[0.0] * group.own_word))
    if _verdict(worst, mean, question) is not verdict:
        return None
    return min(strength, _strength(verdict, worst), key=CERTAINTY.index)


def _interval(opinion: Opinion, passed: int, n: int, question: Question) -> stats.Interval | None:
    return priors.credible(opinion.prior, opinion.counts) if question.adaptive else stats.wilson(passed, n)


def _extremes(group: _Group, question: Question) -> set[Verdict]:
    """The classes of the rate with every lost rollout counted as failed, and as passed; empty where none was lost."""
    lost, n = len(group.losses), len(group.graded)
    if not lost or not n:
        return set()
    if question.metric is Metric.REWARD:
        earned = sum(group.rewards)
    else:
        earned = sum(outcome.passed for _, outcome in group.graded)
    return {question.band.verdict(earned / (n + lost)), question.band.verdict((earned + lost) / (n + lost))}


def _doubts(verdict: Verdict, extremes: set[Verdict], identical: int, *, is_shaken: bool) -> Iterable[Doubt]:
    if verdict is Verdict.UNMEASURED:
        return
    if not extremes <= {verdict}:
        yield Doubt.LOST
    if is_shaken:
        yield Doubt.OWN_WORD
    if identical >= IDENTICAL:
        yield Doubt.IDENTICAL


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
