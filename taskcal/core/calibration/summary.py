"""A taskset's calibrations in numbers: the verdicts, what they are worth together, and what selecting brings."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core.stats import rates
from taskcal.core.stats.clustered_mean import (
    PooledMean,
    PromptYield,
    Sample,
    mean_after_stopping,
    mean_of_these,
    pooled_mean,
    prompt_yield,
)
from taskcal.core.stats.posterior import posterior_variance
from taskcal.core.verdict import Posterior, Strength, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.settings import CalibrationSettings


@dataclass(frozen=True, slots=True)
class Summary:
    """The taskset's numbers; means are over the measured groups, each counted once.

    `attempted` = `graded` + `lost`; retries are not in it. `success_rate` is for tasks like these, clustered by task,
    of k/n in a fixed design and of posterior means after adaptive stopping, where k/n is biased; `of_these` is the same
    mean with the error of these tasks alone, `reward_of_these` the mean reward likewise. `flat_share` is the share of
    groups expected to teach nothing. `expected` sums the posteriors: how many tasks of each class there should be.
    `doubt` is the mean chance that a likely verdict is wrong; certified ones have another error, which no prior says.
    `all_prompts` and `selected` are what training wastes before and after keeping the in-band tasks, `selected_rate`
    the mean of their posterior means: their k/n, by which they were chosen, flatters.
    `cost_unknown` rollouts did not tell their cost, so that `cost_usd` is the least that was spent.
    """

    tasks: int
    verdicts: Mapping[Verdict, int]
    strengths: Mapping[Strength, int]
    attempted: int
    graded: int
    lost: int
    timed_out: int
    retried: int
    lost_by: Mapping[str, int]
    success_rate: PooledMean | None
    of_these: PooledMean | None
    reward_of_these: PooledMean | None
    mean_signal: float | None
    flat_share: float | None
    expected: Posterior | None
    doubt: float | None
    all_prompts: PromptYield | None
    selected: PromptYield | None
    selected_rate: float | None
    cost_usd: float | None
    cost_unknown: int

    @property
    def leaning(self) -> int:
        """Verdicts that are not sure."""
        return self.strengths.get(Strength.LEANING, 0)


def summarise(calibrations: Sequence[Calibration], settings: CalibrationSettings) -> Summary:
    """The numbers of a taskset."""
    signals = [c.learning.signal for c in calibrations if c.learning.signal is not None]
    mean_signal = rates.mean(signals)
    chosen = [c for c in calibrations if c.judgement.verdict is Verdict.IN_BAND]
    lost_by: Counter[str] = Counter()
    for calibration in calibrations:
        lost_by.update(calibration.counts.lost_by)
    graded, lost = sum(c.counts.graded for c in calibrations), sum(c.counts.lost for c in calibrations)
    costs = [c.cost.usd for c in calibrations if c.cost.usd is not None]
    return Summary(
        tasks=len(calibrations),
        verdicts=Counter(c.judgement.verdict for c in calibrations),
        strengths=Counter(c.judgement.strength for c in calibrations if c.judgement.strength),
        attempted=graded + lost,
        graded=graded,
        lost=lost,
        timed_out=sum(c.counts.timed_out for c in calibrations),
        retried=sum(c.counts.retried for c in calibrations),
        lost_by=lost_by,
        success_rate=_success_rate(calibrations, settings),
        of_these=_of_these(calibrations, settings),
        reward_of_these=_reward_of_these(calibrations),
        mean_signal=mean_signal,
        flat_share=None if mean_signal is None else 1.0 - mean_signal,
        expected=_expected([c.judgement.posterior for c in calibrations if c.judgement.posterior]),
        doubt=rates.mean(
            [wrong for c in calibrations if _is_likely(c) and (wrong := c.judgement.chance_wrong) is not None]
        ),
        all_prompts=prompt_yield(signals, settings.group_size),
        selected=prompt_yield(
            [c.learning.signal for c in chosen if c.learning.signal is not None], settings.group_size
        ),
        selected_rate=rates.mean([c.rates.posterior_mean for c in chosen if c.rates.posterior_mean is not None]),
        cost_usd=math.fsum(costs) if costs else None,
        cost_unknown=sum(c.cost.unknown for c in calibrations),
    )


def _is_likely(calibration: Calibration) -> bool:
    return calibration.judgement.strength is Strength.LIKELY


def _success_rate(calibrations: Sequence[Calibration], settings: CalibrationSettings) -> PooledMean | None:
    if not settings.adaptive:
        known = [(c.rates.success_rate, c.group.id.task) for c in calibrations if c.rates.success_rate is not None]
        return pooled_mean([rate for rate, _ in known], [task for _, task in known])
    judged = [c for c in calibrations if c.rates.posterior_mean is not None]
    return pooled_mean(
        [c.rates.posterior_mean or 0.0 for c in judged],
        [c.group.id.task for c in judged],
        _posterior_variances(judged),
        _bias(judged),
    )


def _of_these(calibrations: Sequence[Calibration], settings: CalibrationSettings) -> PooledMean | None:
    if settings.adaptive:
        judged = [c for c in calibrations if c.rates.posterior_mean is not None]
        means = [c.rates.posterior_mean or 0.0 for c in judged]
        return mean_after_stopping(means, _posterior_variances(judged), _bias(judged))
    known = [(c.rates.success_rate, c.counts.graded) for c in calibrations if c.rates.success_rate is not None]
    return mean_of_these([Sample(rate, _of_share(rate, n), n) for rate, n in known])


def _reward_of_these(calibrations: Sequence[Calibration]) -> PooledMean | None:
    known = [(c.rates.mean_reward, c.learning.rewards) for c in calibrations if c.rates.mean_reward is not None]
    return mean_of_these([Sample(mean, rates.contrast_unbiased(rewards), len(rewards)) for mean, rewards in known])


def _of_share(rate: float, n: int) -> float | None:
    """The unbiased variance of one rollout that passes or fails."""
    return rate * (1 - rate) * n / (n - 1) if n > 1 else None


def _posterior_variances(judged: Sequence[Calibration]) -> list[float]:
    """Each worked out once for all tasks with the same counts and prior."""
    different = {(id(c.judgement.basis.prior), c.judgement.basis.counts): c.judgement.basis for c in judged}
    known = {key: posterior_variance(one.prior, one.counts) or 0.0 for key, one in different.items()}
    return [known[id(c.judgement.basis.prior), c.judgement.basis.counts] for c in judged]


def _bias(judged: Sequence[Calibration]) -> float:
    """How far the posterior means lie on average from k/n of the first rollouts, which no stopping has chosen."""
    pairs = [(c.rates.posterior_mean or 0.0, c.counts.opening) for c in judged if c.counts.opening.graded]
    return rates.mean([posterior - first.passed / first.graded for posterior, first in pairs]) or 0.0


def _expected(posteriors: Sequence[Posterior]) -> Posterior | None:
    if not posteriors:
        return None
    return Posterior(
        math.fsum(one.too_hard for one in posteriors),
        math.fsum(one.in_band for one in posteriors),
        math.fsum(one.too_easy for one in posteriors),
    )
