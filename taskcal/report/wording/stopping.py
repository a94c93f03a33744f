"""How an adaptive run came to its end: which tasks it decided, why it left the others, and what that saved."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from taskcal.core.adaptive.design import Rule
from taskcal.core.adaptive.task_state import Closed
from taskcal.core.forecast.fixed_sizes import size_as_good
from taskcal.report.wording import formatting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.calibration.run_result import RunResult
    from taskcal.core.settings import CalibrationSettings
    from taskcal.core.stats.prior import Prior
    from taskcal.core.verdict import Band

DECIDED = frozenset({Closed.CONFIDENT, Closed.CERTIFIED, Closed.NOT_WORTH_MORE})

LARGEST = 256
"""The largest fixed group that an adaptive run is compared with."""

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


def is_decided(calibration: Calibration, settings: CalibrationSettings) -> bool:
    """Whether the rule had enough of a task; one that never has enough leaves it to the verdict."""
    if settings.design.rule is Rule.NEVER:
        return formatting.is_sure(calibration)
    return calibration.judgement.basis.closed in DECIDED


@dataclass(frozen=True, slots=True)
class Saving:
    """What a fixed design would have taken that is wrong as seldom, by the posteriors of an adaptive run.

    `group_size` is that of each of its groups, None if not even the largest one looked at is as good: then `saved` is
    against that, and the true number is higher.
    """

    group_size: int | None
    saved: int


def saving(result: RunResult) -> Saving | None:
    """How many fewer rollouts an adaptive run took; None for a fixed design, and where nothing was measured."""
    calibrations, settings = result.calibrations, result.settings
    wrong = [(c, chance) for c in calibrations if (chance := c.judgement.chance_wrong) is not None]
    if not settings.adaptive or not wrong:
        return None
    priors = tuple(c.judgement.basis.prior for c, _ in wrong)
    size = _size_as_good(priors, settings.band, math.fsum(chance for _, chance in wrong) / len(wrong))
    return Saving(
        size, max(0, (size or LARGEST) * len(wrong) - sum(c.counts.graded + c.counts.lost for c in calibrations))
    )


@lru_cache(maxsize=4)
def _size_as_good(priors: tuple[Prior, ...], band: Band, wrong: float) -> int | None:
    """Looked up by the several formats of one report."""
    return size_as_good(priors, band, wrong, LARGEST)


def describe_stopping(result: RunResult) -> str:
    """Decided and open with the reasons, rollouts taken and saved, and how to read the rates; '' for fixed groups."""
    calibrations, settings = result.calibrations, result.settings
    if not settings.adaptive:
        return ""
    decided = [c for c in calibrations if is_decided(c, settings)]
    still = [c for c in calibrations if not is_decided(c, settings)]
    parts = [
        f"{len(decided):,} of {len(calibrations):,} decided{_reasons(decided, settings)}",
        f"{len(still):,} open{_reasons(still, settings)}",
    ]
    return (
        f"Adaptive, {RULES[settings.design.rule]}: {'; '.join(parts)}; {_spent(result)}. "
        "Success rates are posterior means with 95 % intervals: k/n is biased where n depends on what was seen."
    )


def _reasons(some: Sequence[Calibration], settings: CalibrationSettings) -> str:
    """` (confident 11, certified 1)`; what a budget has decided is only as sure as its verdict."""
    by_verdict = settings.design.rule is Rule.NEVER
    reasons = Counter(
        str(c.judgement.strength) if by_verdict and formatting.is_sure(c) else REASONS[c.judgement.basis.closed]
        for c in some
    )
    return f" ({formatting.list_counts(reasons)})" if reasons else ""


def _spent(result: RunResult) -> str:
    design = result.settings.design
    taken = formatting.many(sum(c.counts.graded + c.counts.lost for c in result.calibrations), "rollout")
    budget = "" if design.budget is None else f" of a budget of {design.budget:,}"
    return f"{taken}{budget}{_worth(saving(result))}"


def _worth(saved: Saving | None) -> str:
    if saved is None or not saved.saved:
        return ""
    if saved.group_size is None:
        return f", over {saved.saved:,} saved: fixed groups of {LARGEST} would be wrong more often"
    return f", {saved.saved:,} saved against fixed groups of {saved.group_size}, which would be wrong as seldom"
