"""What a verdict claims of a task's success rate p, and how often such a claim may be wrong: one wording everywhere.

A certified verdict holds whatever the prior and whenever one looks, but only up to a zone around the edges of the band,
for each task by itself, and for rollouts that are independent of one unchanged agent. A likely one names the class at
the exact edge with its posterior probability, which is right on average over tasks that are distributed as the prior
says, and not for a given p. A leaning one tells its probability and claims nothing beyond it.
"""

from __future__ import annotations

import math
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

from taskcal.core.calibration.doubt import Doubt
from taskcal.core.settings import Metric
from taskcal.core.stats.certificate import Zone
from taskcal.core.stats.prior import PriorSource
from taskcal.core.verdict import Strength, Verdict
from taskcal.report.wording import formatting

if TYPE_CHECKING:
    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.calibration.run_result import RunResult
    from taskcal.core.settings import CalibrationSettings
    from taskcal.core.verdict import Band

SUBJECT = MappingProxyType({Metric.SUCCESS: "p", Metric.REWARD: "mean reward"})

CONDITIONS = MappingProxyType(
    {
        Doubt.LOST: "rollouts were lost whatever their outcome would have been",
        Doubt.OWN_WORD: "the failures that the agent reported were its provider's",
        Doubt.MISSING: "the rollouts that have not finished end as often in success as the others",
        Doubt.IDENTICAL: "the rollouts were independent",
    }
)
"""Under which the probability of a doubted verdict would hold."""


def claim(calibration: Calibration, settings: CalibrationSettings, tasks: int) -> str:
    """`p < 0.10, wrong at most 5 % of the time, …`, of one of so many tasks; '' where there is no class to claim."""
    verdict, strength, posterior = (
        calibration.judgement.verdict,
        calibration.judgement.strength,
        calibration.judgement.posterior,
    )
    if strength is None or verdict not in {Verdict.TOO_HARD, Verdict.IN_BAND, Verdict.TOO_EASY}:
        return ""
    subject = SUBJECT[settings.metric]
    if strength is Strength.CERTIFIED:
        return f"{certified_claim(verdict, settings)}, {_wrong(settings)}; {certified_terms(tasks)}"
    exactly = _exactly(verdict, settings.band, subject)
    if strength is Strength.LIKELY and posterior is not None:
        probability = f"posterior probability {formatting.chance(posterior.of(verdict))}"
        return f"{exactly}, {probability}; {likely_terms(calibration.judgement.basis.source, settings, tasks)}"
    if posterior is None:
        return "nothing yet: only certified verdicts about the mean reward claim anything"
    conditions = " and ".join(CONDITIONS[doubt] for doubt in calibration.judgement.doubts)
    told = f"{exactly} with probability {formatting.chance(posterior.of(verdict))}"
    return f"{told}, if {conditions}" if conditions else told


def certified_claim(verdict: Verdict, settings: CalibrationSettings) -> str:
    """`p < 0.10`: what a certificate excludes is being wrong by more than the zone."""
    zone, subject = Zone.around(settings.band), SUBJECT[settings.metric]
    if verdict is Verdict.TOO_HARD:
        return f"{subject} < {exact_rate(zone.a1)}"
    if verdict is Verdict.TOO_EASY:
        return f"{subject} > {exact_rate(zone.b0)}"
    return _between(zone.a0, zone.b1, subject, "<")


def certified_terms(tasks: int) -> str:
    """What a certificate does not cover."""
    adjusted = f", not adjusted for {tasks:,} tasks" if tasks > 1 else ""
    return f"per task{adjusted}, if rollouts are independent and the agent does not change"


def likely_terms(source: PriorSource, settings: CalibrationSettings, tasks: int) -> str:
    """When a posterior probability is what it says."""
    right = 100 * (1 - settings.error_rate)
    estimated = f", estimated from {formatting.many(tasks, 'task')}" if source is PriorSource.LEARNED else ""
    return f"right {right:g} times in 100 only if tasks are distributed as the {source.value} prior says{estimated}"


def sure_claims(result: RunResult) -> list[str]:
    """Each different claim of the certified and likely verdicts, with whose it is; most frequent first."""
    found = Counter((c.judgement.verdict, c.judgement.strength) for c in result.calibrations if formatting.is_sure(c))
    return [
        f"{verdict}, {strength} ({times:,}): {_in_short(verdict, strength, result.settings)}"
        for (verdict, strength), times in found.most_common()
    ]


def _in_short(verdict: Verdict, strength: Strength | None, settings: CalibrationSettings) -> str:
    if strength is Strength.CERTIFIED:
        return f"{certified_claim(verdict, settings)}, {_wrong(settings)}"
    least = f"posterior probability at least {100 * (1 - settings.error_rate):g} %"
    return f"{_exactly(verdict, settings.band, SUBJECT[settings.metric])}, {least}"


def is_robust(calibration: Calibration) -> bool | None:
    """Whether other priors would decide the same; a certificate asks no prior. None if nothing is decided."""
    return True if calibration.judgement.strength is Strength.CERTIFIED else calibration.judgement.robust


def _wrong(settings: CalibrationSettings) -> str:
    return f"wrong at most {100 * settings.error_rate:g} % of the time"


def _exactly(verdict: Verdict, band: Band, subject: str) -> str:
    if verdict is Verdict.TOO_HARD:
        return f"{subject} < {exact_rate(band.low)}"
    if verdict is Verdict.TOO_EASY:
        return f"{subject} > {exact_rate(band.high)}"
    return _between(band.low, band.high, subject, "<=")


def _between(low: float, high: float, subject: str, sign: str) -> str:
    """Without an end that excludes nothing."""
    before = f"{exact_rate(low)} {sign} " if low > 0 else ""
    after = f" {sign} {exact_rate(high)}" if high < 1 else ""
    if before and not after:
        return f"{subject} {sign.replace('<', '>')} {exact_rate(low)}"
    return f"{before}{subject}{after}" if before or after else f"any {subject}"


def exact_rate(rate: float) -> str:
    """`0.10`; further digits where there are some, as a claim must not round itself stronger."""
    short = f"{rate:.2f}"
    return short if math.isclose(float(short), rate, abs_tol=1e-9) else f"{rate:.6g}"
