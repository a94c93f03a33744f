"""How an adaptive run came to its end: which tasks it decided, why it left the others, and what that saved."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

from taskcal.core.book import Rule
from taskcal.core.standing import Closed
from taskcal.report import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.calibrate import Calibration
    from taskcal.core.question import Question

DECIDED = frozenset({Closed.CONFIDENT, Closed.CERTIFIED, Closed.NOT_WORTH_MORE})

REASONS = MappingProxyType(
    {
        Closed.CONFIDENT: "confident",
        Closed.CERTIFIED: "certified",
        Closed.NOT_WORTH_MORE: "not worth more",
        Closed.CAP: "at the cap",
        Closed.BUDGET: "out of budget",
        Closed.LOSSES: "too many losses",
        None: "cut short",
    }
)

RULES = MappingProxyType(
    {
        Rule.POSTERIOR: "each task until it is sure",
        Rule.VALUE: "each task until another rollout is not worth it",
        Rule.CERTIFY: "each task until it is certified",
        Rule.NEVER: "a budget, spent where it is worth most",
        Rule.FIXED: "as many rollouts of each task",
    }
)


def is_decided(calibration: Calibration, question: Question) -> bool:
    """Whether the rule had enough of a task; one that never has enough leaves it to the verdict."""
    if question.design.rule is Rule.NEVER:
        return figures.is_sure(calibration)
    return calibration.opinion.closed in DECIDED


def rollouts_saved(calibrations: Sequence[Calibration], question: Question) -> int:
    """How many fewer the decided tasks took than a fixed design of the largest n; one that is left open saves nothing.

    Nor does a budget, which is spent to its end.
    """
    limit = question.design.limit
    return sum(max(0, limit - c.n - c.lost) for c in calibrations if c.opinion.closed in DECIDED)


def told(calibrations: Sequence[Calibration], question: Question) -> str:
    """Decided and open with the reasons, rollouts taken and saved, and how to read the rates; '' for fixed groups."""
    if not question.adaptive:
        return ""
    decided = [c for c in calibrations if is_decided(c, question)]
    still = [c for c in calibrations if not is_decided(c, question)]
    parts = [
        f"{len(decided):,} of {len(calibrations):,} decided{_reasons(decided, question)}",
        f"{len(still):,} open{_reasons(still, question)}",
    ]
    return (
        f"Adaptive, {RULES[question.design.rule]}: {'; '.join(parts)}; {_spent(calibrations, question)}. "
        "Success rates are posterior means with 95 % intervals: k/n is biased where n depends on what was seen."
    )


def _reasons(some: Sequence[Calibration], question: Question) -> str:
    """` (confident 11, certified 1)`; what a budget has decided is only as sure as its verdict."""
    by_verdict = question.design.rule is Rule.NEVER
    told = Counter(str(c.strength) if by_verdict and figures.is_sure(c) else REASONS[c.opinion.closed] for c in some)
    return f" ({figures.tally(told)})" if told else ""


def _spent(calibrations: Sequence[Calibration], question: Question) -> str:
    design, saved = question.design, rollouts_saved(calibrations, question)
    taken = figures.many(sum(c.n + c.lost for c in calibrations), "rollout")
    budget = "" if design.budget is None else f" of a budget of {design.budget:,}"
    worth = f", {saved:,} saved against {design.limit} for each decided task" if saved else ""
    return f"{taken}{budget}{worth}"
