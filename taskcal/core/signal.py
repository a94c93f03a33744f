"""The chance that a group teaches anything: that its rewards are not all equal, where equal has a tolerance.

A group-relative update compares rewards, so a task that nobody passes may still teach where its rewards vary, and a
judge's 0.30 and 0.31 are no contrast, only noise that a normalised advantage would make large.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core import stats
from taskcal.core.advantages import LARGEST_GROUP
from taskcal.core.prior import Counts, Grid, after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.prior import Prior

TARGET = 0.9


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


class Signal:
    """The signal of one task, for any group size.

    The rate of passing has the posterior of the prior; which of the rewards seen among the passed, or among the failed,
    a rollout gets has a Dirichlet posterior whose prior weighs one rollout, spread evenly (Perks 1947). With two
    rewards only it is the beta-binomial chance of a mixed group. None where nothing was graded, or below a group of 2.
    """

    def __init__(self, rewards: Sequence[float], passing: float, prior: Prior, tolerance: float) -> None:
        """`rewards` are those of the graded rollouts; what shares a level with a passed one counts as passed."""
        level = levels(rewards, tolerance)
        lowest = min((at for at, reward in zip(level, rewards, strict=True) if reward >= passing), default=math.inf)
        self._passed = tuple(sorted(Counter(at for at in level if at >= lowest).values()))
        self._failed = tuple(sorted(Counter(at for at in level if at < lowest).values()))
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
class Reading:
    """A task's signal at the group size asked for, and the group size to recommend; None as in `Signal`."""

    signal: float | None
    recommended_group_size: int | None


class Signals:
    """The readings of a whole taskset, where many tasks have the same counts: each is worked out once."""

    def __init__(self, group_size: int, tolerance: float) -> None:
        """For this group size."""
        self._group_size, self._tolerance = group_size, tolerance
        self._known: dict[tuple[object, ...], Reading] = {}

    def of(self, rewards: Sequence[float], passing: float, prior: Prior) -> Reading:
        """The reading of these rewards of graded rollouts."""
        signal = Signal(rewards, passing, prior, self._tolerance)
        known = self._known.get(key := signal.key)
        if known is None:
            known = self._known[key] = Reading(signal.at(self._group_size), signal.recommended_group_size())
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
        known = after(prior, counts)
        pairs = list(zip(known.nodes, known.weights, strict=True))
        return (
            math.fsum(weight * node**group_size for node, weight in pairs),
            math.fsum(weight * (1.0 - node) ** group_size for node, weight in pairs),
        )
    parts = stats.posterior(*counts, prior)
    both = [_rising(part.a + part.b, group_size) for part in parts]
    return (
        math.fsum(p.weight * math.exp(_rising(p.a, group_size) - all_) for p, all_ in zip(parts, both, strict=True)),
        math.fsum(p.weight * math.exp(_rising(p.b, group_size) - all_) for p, all_ in zip(parts, both, strict=True)),
    )
