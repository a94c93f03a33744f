"""What each check of a task came to over its graded rollouts: how it scores, and what it says when it is not met."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core.stats import rates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.rollout import Graded

NOT_STARTED = re.compile(r"exit 12[67]\b")
"""How a note begins if a script ended with a shell's status for a program that is missing or cannot run."""


@dataclass(frozen=True, slots=True)
class CheckMean:
    """The mean score of one check over the graded rollouts; None where none was graded.

    `note` is the commonest one of the rollouts that did not fully meet it; '' for none.
    """

    name: str
    weight: float
    mean_score: float | None
    note: str = ""

    @property
    def cannot_run(self) -> bool:
        """Whether no rollout ever scored, and most often because a program of the check was missing."""
        return self.mean_score == 0 and bool(NOT_STARTED.match(self.note))


def check_means(checks: Sequence[tuple[str, float]], outcomes: Sequence[Graded]) -> tuple[CheckMean, ...]:
    """A mean for each of a group's checks (name and weight), in their order."""
    scores: dict[str, list[float]] = {name: [] for name, _ in checks}
    notes: dict[str, Counter[str]] = {name: Counter() for name, _ in checks}
    for outcome in outcomes:
        for check in outcome.checks:
            scores.setdefault(check.name, []).append(check.score)
            if check.note and check.score < 1.0:
                notes.setdefault(check.name, Counter())[check.note] += 1
    return tuple(CheckMean(name, weight, rates.mean(scores[name]), _commonest(notes[name])) for name, weight in checks)


def _commonest(notes: Counter[str]) -> str:
    return notes.most_common(1)[0][0] if notes else ""
