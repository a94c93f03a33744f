"""How sure a verdict is if some outcomes are unknown: as sure as it is in the worst case.

A lost rollout may have failed or passed, and often it was lost because of how it went. So every unknown outcome is
counted as failed, then as passed, and the verdict keeps only the strength that it has both times. Checking these two
is enough: the counts at which a class is sure have no gap between them (Karlin 1968, on sign changes).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from typing import TYPE_CHECKING

from taskcal.core.adaptive.launches import launch_of
from taskcal.core.adaptive.task_state import CLOSING, Launch
from taskcal.core.calibration.posterior_verdict import judge_rewards, rejudge
from taskcal.core.rollout import Graded
from taskcal.core.settings import Metric
from taskcal.core.stats import rates
from taskcal.core.stats.prior import Counts
from taskcal.core.verdict import Strength, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskcal.core.calibration.posterior_verdict import PosteriorVerdict
    from taskcal.core.rollout import Rollout
    from taskcal.core.settings import CalibrationSettings

IDENTICAL = 4
"""So many equal transcripts in one group are no chance: a cache answered, or the sampling has no temperature."""

ORDER = (Strength.LEANING, Strength.LIKELY, Strength.CERTIFIED)
"""From the weakest up."""


class Doubt(StrEnum):
    """Why a verdict is at most leaning, whatever the counts say."""

    LOST = "lost"
    """With every lost rollout counted as failed, or every one as passed, it would be another, or less than likely."""

    MISSING = "missing"
    """A fixed group is not complete, and the launches before its first gap are not sure enough without it."""

    OWN_WORD = "own-word"
    """With every attempt that was lost on the agent's own word counted as failed, it would be another or less sure."""

    IDENTICAL = "identical"
    """Rollouts of the group are copies of each other, so that n promises more than was seen."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with what it is worth."""

    verdict: Verdict
    strength: Strength | None
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """The final rollouts of a group in the order of their indices, and how often its commonest transcript occurs.

    `own_word` counts the attempts, retried ones too, that were lost on the agent's own word.
    `first_gap` is the lowest index of a fixed group that has no outcome yet; None for a complete group and wherever the
    number of rollouts was not planned.
    """

    finals: tuple[Rollout, ...]
    identical: int
    first_gap: int | None = None
    own_word: int = 0


def weigh_doubts(opinion: PosteriorVerdict, evidence: Evidence, settings: CalibrationSettings) -> Judged:
    """The verdict of a group, and the strength that is left of it."""
    stated = _stated(opinion, evidence.finals, settings)
    if stated.strength is None:
        return stated
    doubts = []
    strength = stated.strength
    for doubt, worlds in (
        (Doubt.LOST, _with_losses(opinion, evidence, settings)),
        (Doubt.MISSING, _before_the_gap(opinion, evidence, settings)),
        (Doubt.OWN_WORD, _with_own_word_failed(opinion, evidence, settings)),
    ):
        found = [_left(stated.verdict, world) for world in worlds]
        least = min((left for left in found if left is not None), key=ORDER.index, default=strength)
        if None in found or (ORDER.index(least) < ORDER.index(strength) and least is Strength.LEANING):
            doubts.append(doubt)
        strength = min(strength, least, key=ORDER.index)
    if evidence.identical >= IDENTICAL:
        doubts.append(Doubt.IDENTICAL)
    return Judged(stated.verdict, Strength.LEANING if doubts else strength, tuple(doubts))


def losses_before(opinion: PosteriorVerdict, finals: Sequence[Rollout], settings: CalibrationSettings) -> int:
    """How many lost rollouts bear on a verdict: all of a fixed group, after adaptive stopping those before its end.

    What was launched after the decision, or behind a launch that never finished, would not have been asked.
    """
    most = sum(not isinstance(row.outcome, Graded) and launch_of(row.outcome) is Launch.LOST for row in finals)
    if not most or not settings.adaptive:
        return most
    graded = lost = 0
    is_decided = opinion.closed in CLOSING.values()
    for place, row in enumerate(finals):
        launch = launch_of(row.outcome)
        if launch is Launch.MISSING or row.id.index > place or (is_decided and graded == opinion.counts.graded):
            break
        lost += launch is Launch.LOST
        graded += launch is not Launch.LOST
    return lost


def _stated(opinion: PosteriorVerdict, finals: Sequence[Rollout], settings: CalibrationSettings) -> Judged:
    """What the counts, or the rewards, alone say."""
    by_reward = settings.metric is Metric.REWARD
    return _of_rate(opinion, rates.mean(_rewards(finals)) if by_reward else _rate(opinion), settings)


def _rate(opinion: PosteriorVerdict) -> float | None:
    return rates.success_rate(*opinion.counts)


def _of_rate(opinion: PosteriorVerdict, rate: float | None, settings: CalibrationSettings) -> Judged:
    """The class that is likely, else that of the rate; certified only if the certificate is of that class too."""
    if rate is None:
        return Judged(Verdict.UNMEASURED, None)
    verdict = settings.band.stated(opinion.likely, rate)
    if opinion.certificate is verdict:
        return Judged(verdict, Strength.CERTIFIED)
    return Judged(verdict, Strength.LIKELY if opinion.likely is verdict else Strength.LEANING)


def _left(verdict: Verdict, world: Judged) -> Strength | None:
    """The strength of a verdict in another world; None where it is another verdict there."""
    return world.strength if world.verdict is verdict else None


def _with_losses(opinion: PosteriorVerdict, evidence: Evidence, settings: CalibrationSettings) -> Iterator[Judged]:
    lost = losses_before(opinion, evidence.finals, settings)
    if lost:
        yield from _both_ways(opinion, evidence.finals, opinion.counts, lost, settings)


def _before_the_gap(opinion: PosteriorVerdict, evidence: Evidence, settings: CalibrationSettings) -> Iterator[Judged]:
    """The launches before the first that has not finished, and that one both ways.

    What finished behind it is no fair sample: where failures are slow, the successes are in first. That the first one
    has not finished may itself be due to how it ends, so it is counted as failed and as passed.
    """
    gap = evidence.first_gap
    if gap is None:
        return
    before = tuple(takewhile(lambda row: row.id.index < gap, evidence.finals))
    outcomes = [row.outcome.passed for row in before if isinstance(row.outcome, Graded)]
    unknown = 1 + len(before) - len(outcomes)
    yield from _both_ways(opinion, before, Counts(sum(outcomes), len(outcomes)), unknown, settings)


def _with_own_word_failed(
    opinion: PosteriorVerdict, evidence: Evidence, settings: CalibrationSettings
) -> Iterator[Judged]:
    """An agent that sees that it is failing can report its provider's failure, so that its attempt is lost."""
    if evidence.own_word:
        yield _with_outcomes(opinion, evidence.finals, opinion.counts, (0, evidence.own_word), settings)


def _both_ways(
    opinion: PosteriorVerdict, finals: Sequence[Rollout], counts: Counts, unknown: int, settings: CalibrationSettings
) -> Iterator[Judged]:
    for outcomes in ((0, unknown), (unknown, 0)):
        yield _with_outcomes(opinion, finals, counts, outcomes, settings)


def _with_outcomes(
    opinion: PosteriorVerdict,
    finals: Sequence[Rollout],
    counts: Counts,
    outcomes: tuple[int, int],
    settings: CalibrationSettings,
) -> Judged:
    """What would be judged with more `outcomes` than were seen: so many passes, and so many failures."""
    passed, failed = outcomes
    if settings.metric is Metric.REWARD:
        rewards = (*_rewards(finals), *[1.0] * passed, *[0.0] * failed)
        return _of_rate(judge_rewards([rewards], settings)[0], rates.mean(rewards), settings)
    other = rejudge(opinion, Counts(counts.passed + passed, counts.graded + passed + failed), settings)
    return _of_rate(other, _rate(other), settings)


def _rewards(finals: Iterable[Rollout]) -> tuple[float, ...]:
    return tuple(row.outcome.reward for row in finals if isinstance(row.outcome, Graded))
