"""Everything that an adaptive run looks up: for a design and a prior, what every k of n means and whether to go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from taskcal.core.adaptive.rollout_value import PRICES, fair_charges
from taskcal.core.stats.certificate import Zone, bets, certificates
from taskcal.core.stats.posterior_table import StoppingTable, expected_left, lattice
from taskcal.core.verdict import Band

if TYPE_CHECKING:
    from taskcal.core.adaptive.rollout_value import Charges
    from taskcal.core.stats.posterior_table import Lattice
    from taskcal.core.stats.prior import Prior
    from taskcal.core.verdict import Verdict

CAP, CERTIFIED_CAP = 64, 128

FIRST = 4
"""The least graded rollouts of a likely verdict. With one each of 300 tasks, 80 % always solved and 20 % at 0.70, a
learned prior called 89 % likely too easy, and 14.8 % of these were not."""


class Rule(StrEnum):
    """When a task has had enough."""

    POSTERIOR = "posterior"
    """A class has a posterior of at least 1 - error_rate."""

    VALUE = "value"
    """Another rollout is worth less than its price."""

    CERTIFY = "certify"
    """A class is certified."""

    NEVER = "never"
    """Before its cap: a budget is spent where it is worth most."""

    FIXED = "fixed"
    """As many as every other task, whatever was seen: no adaptive run at all."""


class Source(StrEnum):
    """Where a prior came from."""

    NONE = "none"
    DEFAULT = "default"
    LEARNED = "learned"
    WARM = "warm"


@dataclass(frozen=True, slots=True)
class Design:
    """What an adaptive run was asked.

    A decision needs `first` graded rollouts and comes at multiples of `step`; none takes more than `cap` (None: 64, to
    certify 128) or has more than `most_in_flight` at once. `price` is in wrong verdicts per rollout, `budget` in
    rollouts of the whole run. `first` holds for fixed groups too: none smaller is ever sure.
    """

    band: Band = field(default_factory=Band)
    error_rate: float = 0.05
    rule: Rule = Rule.POSTERIOR
    cap: int | None = None
    first: int = FIRST
    step: int = 1
    price: float = 0.001
    budget: int | None = None
    most_in_flight: int = 8
    learn: bool = True

    @property
    def limit(self) -> int:
        """The largest n of a task."""
        return self.cap or (CERTIFIED_CAP if self.rule is Rule.CERTIFY else CAP)

    @property
    def edges(self) -> tuple[float, float]:
        """The band's."""
        return self.band.low, self.band.high

    def last_look(self, graded: int) -> int:
        """The largest n up to this one at which a decision may be taken."""
        return graded if graded >= self.limit else graded - graded % self.step


@dataclass(frozen=True, slots=True)
class Book:
    """What to look up under one prior, by [n][k]: posterior, where to stop, what a rollout is worth, what is left."""

    source: Source
    prior: Prior
    beliefs: Lattice
    table: StoppingTable
    charges: Charges
    left: tuple[tuple[float, ...], ...]


def make_book(prior: Prior, source: Source, design: Design, certified: StoppingTable) -> Book:
    """The book of a prior; `certified` depends on the design only and is shared between books."""
    beliefs = lattice(prior, design.limit, design.band)
    charges = fair_charges(beliefs, sorted({*PRICES, design.price}))
    table = stopping_table(design, beliefs, charges, certified)
    return Book(source, prior, beliefs, table, charges, expected_left(table, beliefs))


def certified_table(design: Design) -> StoppingTable:
    """Where a task's first certificate is reached."""
    return certificates(bets(Zone.around(design.band)), design.limit, design.error_rate)


def stopping_table(design: Design, beliefs: Lattice, charges: Charges, certified: StoppingTable) -> StoppingTable:
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
