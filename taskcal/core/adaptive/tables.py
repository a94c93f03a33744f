"""The tables that an adaptive run looks up: for a design and a prior, what each k of n means and whether to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core.adaptive.design import Rule
from taskcal.core.adaptive.rollout_value import PRICES, rollout_values
from taskcal.core.stats.certificate import Zone, certificate_table, recommended_bets
from taskcal.core.stats.posterior_table import StoppingTable, expected_left, posterior_table

if TYPE_CHECKING:
    from taskcal.core.adaptive.design import Design
    from taskcal.core.adaptive.rollout_value import RolloutValues
    from taskcal.core.stats.posterior_table import PosteriorTable
    from taskcal.core.stats.prior import Prior, PriorSource
    from taskcal.core.verdict import Verdict


@dataclass(frozen=True, slots=True)
class DecisionTables:
    """Tables under one prior, by [n][k].

    `posteriors` has the class probabilities, `table` where to stop, `rollout_values` the value of one more rollout (in
    wrong verdicts), `expected_left` the rollouts that the rule is expected to take from there.
    """

    source: PriorSource
    prior: Prior
    posteriors: PosteriorTable
    table: StoppingTable
    rollout_values: RolloutValues
    expected_left: tuple[tuple[float, ...], ...]


def make_tables(prior: Prior, source: PriorSource, design: Design, certified: StoppingTable) -> DecisionTables:
    """The tables of a prior; `certified` depends only on the design and is shared by all priors."""
    posteriors = posterior_table(prior, design.limit, design.band)
    values = rollout_values(posteriors, sorted({*PRICES, design.price}))
    table = stopping_table(design, posteriors, values, certified)
    return DecisionTables(source, prior, posteriors, table, values, expected_left(table, posteriors))


def certified_table(design: Design) -> StoppingTable:
    """The k of n at which a task's first certificate is reached."""
    return certificate_table(recommended_bets(Zone.around(design.band)), design.limit, design.error_rate)


def stopping_table(
    design: Design, posteriors: PosteriorTable, values: RolloutValues, certified: StoppingTable
) -> StoppingTable:
    """The design's rule as a table."""
    if design.rule is Rule.CERTIFY:
        return certified

    def cell(k: int, n: int) -> Verdict | None:
        if n < design.first or n != design.last_look(n):
            return None
        best, chance = posteriors.best(k, n)
        if design.rule is Rule.POSTERIOR:
            enough = chance >= 1 - design.error_rate
        else:
            enough = design.rule is Rule.VALUE and values[n][k] < design.price
        return best if enough else None

    return StoppingTable(tuple(tuple(cell(k, n) for k in range(n + 1)) for n in range(posteriors.cap + 1)))
