"""The value of one more rollout of a task, in wrong verdicts: open tasks get rollouts in this order.

The value at k of n is the largest price per rollout at which going on with the task still pays, if a wrong class costs
1. Launching where it is largest is the optimal use of a budget that many tasks share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.stats.posterior_table import PosteriorTable

LOWEST, HIGHEST, STEPS = 3e-5, 0.2, 36

PRICES = tuple(LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1)) for step in range(STEPS))
"""The prices that a value can have, evenly spaced by ratio."""

RolloutValues = tuple[tuple[float, ...], ...]
"""`[n][k]`; 0 where going on pays at none of the prices."""


def rollout_values(posteriors: PosteriorTable, prices: Sequence[float] = PRICES) -> RolloutValues:
    """For every k of n, the largest of these (rising) prices at which one still goes on.

    Backward induction (Arrow, Blackwell, Girshick 1949) on V(cap) = 1 - max P and
    V(n, k) = min(1 - max P(n, k), c + p V(n+1, k+1) + (1-p) V(n+1, k)), p the chance that the next one passes, for
    each price c; the price at the margin is the index of Gittins 1979, named fair charge by Weber 1992.
    """
    after = [_Worth(1.0 - max(triple), ()) for triple in posteriors.right[-1]]
    rows: list[tuple[float, ...]] = [(0.0,) * (posteriors.cap + 1)]
    for n in range(posteriors.cap - 1, -1, -1):
        after = [
            _worth(1.0 - max(triple), chance, (after[k + 1], after[k]), prices)
            for k, (triple, chance) in enumerate(zip(posteriors.right[n], posteriors.passing[n], strict=True))
        ]
        rows.append(tuple(prices[len(worth.going) - 1] if worth.going else 0.0 for worth in after))
    return tuple(reversed(rows))


class _Worth:
    """The loss of stopping here, and of going on at each price at which that is smaller: a prefix of the prices."""

    __slots__ = ("going", "stopping")

    def __init__(self, stopping: float, going: Sequence[float]) -> None:
        self.stopping = stopping
        self.going = going


def _worth(stopping: float, chance: float, after: tuple[_Worth, _Worth], prices: Sequence[float]) -> _Worth:
    passes, fails = after
    going: list[float] = []
    for j, price in enumerate(prices):
        up = passes.going[j] if j < len(passes.going) else passes.stopping
        down = fails.going[j] if j < len(fails.going) else fails.stopping
        value = price + chance * up + (1.0 - chance) * down
        if value >= stopping:
            break
        going.append(value)
    return _Worth(stopping, going)
