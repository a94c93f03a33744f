"""Everything that an adaptive run looks up: for a design and a prior, what every k of n means and whether to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core.adaptive.design import Rule
from taskcal.core.adaptive.rollout_value import PRICES, rollout_values
from taskcal.core.stats.certificate import Zone, bets, certificates
from taskcal.core.stats.posterior_table import StoppingTable, expected_left, posterior_table

if TYPE_CHECKING:
    from taskcal.core.adaptive.design import Design
    from taskcal.core.adaptive.rollout_value import RolloutValues
    from taskcal.core.stats.posterior_table import PosteriorTable
    from taskcal.core.stats.prior import Prior, Source
    from taskcal.core.verdict import Verdict


@dataclass(frozen=True, slots=True)
class DecisionTables:
    """What to look up under one prior, by [n][k]: posterior, where to stop, what a rollout is worth, what is left."""

    source: Source
    prior: Prior
    beliefs: PosteriorTable
    table: StoppingTable
    charges: RolloutValues
    left: tuple[tuple[float, ...], ...]


def make_tables(prior: Prior, source: Source, design: Design, certified: StoppingTable) -> DecisionTables:
    """The book of a prior; `certified` depends on the design only and is shared between books."""
    beliefs = posterior_table(prior, design.limit, design.band)
    charges = rollout_values(beliefs, sorted({*PRICES, design.price}))
    table = stopping_table(design, beliefs, charges, certified)
    return DecisionTables(source, prior, beliefs, table, charges, expected_left(table, beliefs))


def certified_table(design: Design) -> StoppingTable:
    """Where a task's first certificate is reached."""
    return certificates(bets(Zone.around(design.band)), design.limit, design.error_rate)


def stopping_table(
    design: Design, beliefs: PosteriorTable, charges: RolloutValues, certified: StoppingTable
) -> StoppingTable:
    """The design's rule, written out."""
    if design.rule is Rule.CERTIFY:
        return certified

    def cell(k: int, n: int) -> Verdict | None:
        if n < design.first or n != design.last_look(n):
            return None
        best, chance = beliefs.best(k, n)
        if design.rule is Rule.POSTERIOR:
            enough = chance >= 1 - design.error_rate
        else:
            enough = design.rule is Rule.VALUE and charges[n][k] < design.price
        return best if enough else None

    return StoppingTable(tuple(tuple(cell(k, n) for k in range(n + 1)) for n in range(beliefs.cap + 1)))
