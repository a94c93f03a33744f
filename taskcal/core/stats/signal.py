"""The signal of a task: the chance that the rewards of a group are not all equal, within a tolerance.

A group-relative update compares rewards. So a task that no rollout passes still teaches if its rewards vary, and a
judge's 0.30 and 0.31 are not contrast but noise that a normalised advantage would make large.

A reward that has not occurred yet still can. Eight equal rewards of a task with four checks are weaker evidence than
eight failures of a task with one check: such groups are mixed more than twice as often as the observed rewards predict.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from taskcal.core.stats import rates
from taskcal.core.stats.posterior import update_grid
from taskcal.core.stats.prior import Counts, Grid

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskcal.core.stats.prior import Prior

TARGET = 0.9

LARGEST_GROUP = 64
"""No larger group is recommended: a task whose groups are flat so often is better left out."""

MOST_LEVELS = 50
"""More levels than these in [0, 1] lie closer together than the default tolerance."""


def mixed_chance(rate: float, group_size: int) -> float:
    """1 - p^G - (1-p)^G: the chance that a group of G at a known rate is mixed (Yu et al. 2025, DAPO)."""
    return 1.0 - rate**group_size - (1.0 - rate) ** group_size


def levels(rewards: Sequence[float], tolerance: float) -> tuple[float, ...]:
    """Each reward replaced by the mean of its level, which reaches from its lowest reward `tolerance` upwards."""
    times = Counter(rewards)
    groups: list[list[float]] = []
    for reward in sorted(times):
        if not groups or reward - groups[-1][0] > tolerance + 1e-9:
            groups.append([])
        groups[-1].append(reward)
    level: dict[float, float] = {}
    for group in groups:
        mean = math.fsum(r * times[r] for r in group) / sum(times[r] for r in group) if len(group) > 1 else group[0]
        level |= dict.fromkeys(group, mean)
    return tuple(level[reward] for reward in rewards)


@lru_cache(maxsize=1024)
def possible_rewards(weights: tuple[float, ...]) -> tuple[float, ...]:
    """The rewards that a task can give whose checks are each met or not, from 0 to 1, in order.

    Of very many checks it is an even grid. Empty without a weight above 0.
    """
    total = math.fsum(weight for weight in weights if weight > 0)
    sums = {0.0} if total else set[float]()
    for weight in weights:
        if weight > 0:
            sums |= {round(before + weight / total, 9) for before in sums}
        if len(sums) > MOST_LEVELS:
            return tuple(step / MOST_LEVELS for step in range(MOST_LEVELS + 1))
    return tuple(sorted(sums))


class TaskSignal:
    """The signal of one task, for any group size.

    The rate of passing has the posterior of the prior; which of the possible rewards among the passed, or among the
    failed, a rollout gets has a Dirichlet posterior whose prior weighs one rollout, spread evenly (Perks 1947). With
    two rewards only it is the beta-binomial chance of a mixed group. None where nothing was graded, or below a group
    of 2.
    """

    def __init__(
        self,
        rewards: Sequence[float],
        passing: float,
        prior: Prior,
        tolerance: float,
        possible: Iterable[float] = (),
    ) -> None:
        """`rewards` are those of the graded rollouts; what shares a level with a passed one counts as passed.

        Any of the `possible` rewards can come as well, also if none of them was seen.
        """
        times = Counter(rewards)
        known = [*times, *possible]
        level = dict(zip(known, levels(known, tolerance), strict=True))
        lowest = min((at for reward, at in level.items() if reward >= passing), default=math.inf)
        seen = dict.fromkeys(level.values(), 0)
        for reward, number in times.items():
            seen[level[reward]] += number
        self._passed = tuple(sorted(number for at, number in seen.items() if at >= lowest))
        self._failed = tuple(sorted(number for at, number in seen.items() if at < lowest))
        self._counts = Counts(sum(self._passed), len(rewards))
        self._prior = prior

    @property
    def key(self) -> tuple[object, ...]:
        """The same for all tasks with this signal; good for as long as the prior lives."""
        return id(self._prior), self._passed, self._failed

    def at(self, group_size: int) -> float | None:
        """The chance that a group of this size is not flat."""
        if not self._counts.graded or group_size < 2:
            return None
        all_pass, none_pass = _extremes(self._prior, self._counts, group_size)
        flat = all_pass * _same(self._passed, group_size) + none_pass * _same(self._failed, group_size)
        return min(1.0, max(0.0, 1.0 - flat))

    def recommended_group_size(self, target: float = TARGET) -> int | None:
        """The smallest group of at most 64 whose signal reaches the target; None where none does."""
        if not self._counts.graded or (self.at(LARGEST_GROUP) or 0.0) < target:
            return None
        low, high = 2, LARGEST_GROUP  # a larger group is never more often flat
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if (self.at(middle) or 0.0) >= target else (middle + 1, high)
        return low


@dataclass(frozen=True, slots=True)
class SignalEstimate:
    """A task's signal at the group size asked for, and the group size to recommend; None as in `TaskSignal`."""

    signal: float | None
    recommended_group_size: int | None


class SignalCache:
    """The signals of a whole taskset. Many tasks have the same counts, so each estimate is computed once."""

    def __init__(self, group_size: int, tolerance: float, rewards: Iterable[float] = ()) -> None:
        """For this group size; `rewards` are those of all tasks."""
        self._group_size, self._tolerance = group_size, tolerance
        self._anywhere = tuple({*levels(sorted({*rewards}), max(tolerance, 1 / MOST_LEVELS))})
        self._known: dict[tuple[object, ...], SignalEstimate] = {}

    def of(
        self, rewards: Sequence[float], passing: float, prior: Prior, weights: Sequence[float] = ()
    ) -> SignalEstimate:
        """The estimate from these rewards of graded rollouts, in a task whose checks have these weights.

        Where its rewards are not those of checks that are met or not, any reward that another task got can come.
        """
        possible = possible_rewards(tuple(weights))
        if not {round(reward, 6) for reward in rewards} <= {round(reward, 6) for reward in possible}:
            possible = self._anywhere
        signal = TaskSignal(rewards, passing, prior, self._tolerance, possible)
        known = self._known.get(key := signal.key)
        if known is None:
            known = self._known[key] = SignalEstimate(signal.at(self._group_size), signal.recommended_group_size())
        return known


def _same(counts: Sequence[int], group_size: int) -> float:
    """The chance that G rewards of this side are all of one level."""
    if len(counts) < 2:
        return 1.0
    share, seen = 1 / len(counts), sum(counts)
    return math.fsum(math.exp(_rising(share + count, group_size) - _rising(1.0 + seen, group_size)) for count in counts)


def _rising(start: float, steps: int) -> float:
    """The log of start (start + 1) … (start + steps - 1)."""
    return math.lgamma(start + steps) - math.lgamma(start)


def _extremes(prior: Prior, counts: Counts, group_size: int) -> tuple[float, float]:
    """The chances that all of a group pass, and that none does."""
    if isinstance(prior, Grid):
        known = update_grid(prior, counts)
        pairs = list(zip(known.nodes, known.weights, strict=True))
        return (
            math.fsum(weight * node**group_size for node, weight in pairs),
            math.fsum(weight * (1.0 - node) ** group_size for node, weight in pairs),
        )
    parts = rates.posterior(*counts, prior)
    both = [_rising(part.a + part.b, group_size) for part in parts]
    return (
        math.fsum(p.weight * math.exp(_rising(p.a, group_size) - all_) for p, all_ in zip(parts, both, strict=True)),
        math.fsum(p.weight * math.exp(_rising(p.b, group_size) - all_) for p, all_ in zip(parts, both, strict=True)),
    )
