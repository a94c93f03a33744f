"""The words of a judgement: the classes of a success rate against a band, how sure one is, and the chance of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a task is worth for training at this agent's ability."""

    IN_BAND = "in-band"
    TOO_HARD = "too-hard"
    TOO_EASY = "too-easy"
    UNMEASURED = "unmeasured"
    BROKEN = "broken"

    @property
    def flagged(self) -> bool:
        """Whether a person should look at the task."""
        return self in {Verdict.TOO_HARD, Verdict.TOO_EASY, Verdict.BROKEN}


class Strength(StrEnum):
    """How sure a verdict is."""

    CERTIFIED = "certified"
    LIKELY = "likely"
    LEANING = "leaning"


@dataclass(frozen=True, slots=True)
class Band:
    """Success rates worth training on, both ends included."""

    low: float = 0.05
    high: float = 0.75

    def verdict(self, rate: float) -> Verdict:
        """The class of a rate."""
        if rate < self.low:
            return Verdict.TOO_HARD
        return Verdict.TOO_EASY if rate > self.high else Verdict.IN_BAND

    def stated(self, likely: Verdict | None, rate: float) -> Verdict:
        """The verdict that reports state: the likely class, else that of the observed rate, which only leans."""
        return likely or self.verdict(rate)


@dataclass(frozen=True, slots=True)
class Posterior:
    """Probability of each class given the rollouts and the prior; they sum to 1."""

    too_hard: float
    in_band: float
    too_easy: float

    @property
    def likeliest(self) -> Verdict:
        """The class with the highest probability."""
        classes = (Verdict.TOO_HARD, Verdict.IN_BAND, Verdict.TOO_EASY)
        return max(classes, key=lambda one: self.of(one) or 0.0)

    @property
    def highest(self) -> float:
        """The probability of that class."""
        return max(self.too_hard, self.in_band, self.too_easy)

    def of(self, verdict: Verdict) -> float | None:
        """The probability of a verdict's class; None for those that are no class."""
        classes = {
            Verdict.TOO_HARD: self.too_hard,
            Verdict.IN_BAND: self.in_band,
            Verdict.TOO_EASY: self.too_easy,
        }
        return classes.get(verdict)
