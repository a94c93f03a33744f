"""The options of an adaptive run: when a task stops, and how many rollouts it may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from taskcal.core.verdict import Band, Verdict

CAP, CERTIFIED_CAP = 64, 128

FIRST = 4
"""The least graded rollouts of a likely verdict. With one each of 300 tasks, 80 % always solved and 20 % at 0.70, a
learned prior called 89 % likely too easy, and 14.8 % of these were not."""


class Rule(StrEnum):
    """When a task stops."""

    POSTERIOR = "posterior"
    """A class has a posterior of at least 1 - error_rate."""

    VALUE = "value"
    """Another rollout is worth less than its price."""

    CERTIFY = "certify"
    """A class is certified."""

    NEVER = "never"
    """Only at its cap: a budget goes to the tasks where it is worth most."""

    FIXED = "fixed"
    """At the same number as every other task: not an adaptive run."""


@dataclass(frozen=True, slots=True)
class Design:
    """The options of an adaptive run.

    A task is decided after at least `first` graded rollouts, at a multiple of `step`. It gets at most `cap` rollouts
    (None: 64, or 128 to certify), `most_in_flight` of them at once. `price` is in wrong verdicts per rollout, `budget`
    in rollouts of the whole run. `first` holds for fixed groups too: a smaller group has no likely verdict.
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
        """The edges of the band."""
        return self.band.low, self.band.high

    def last_look(self, graded: int) -> int:
        """The largest n up to this one at which a decision may be taken."""
        return graded if graded >= self.limit else graded - graded % self.step


def likely_class(verdict: Verdict, chance: float, graded: int, error_rate: float, first: int = FIRST) -> Verdict | None:
    """The class with the highest posterior if it is likely: at least 1 - error_rate, of `first` graded."""
    return verdict if graded >= first and chance >= 1 - error_rate else None
