"""The sentences about a whole run, under its table: what was measured, what it is worth, what it claims."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from taskcal.core.calibration.doubt import Doubt
from taskcal.core.settings import Metric
from taskcal.core.stats.prior import FEWEST_TASKS, PriorSource
from taskcal.core.verdict import Strength, Verdict
from taskcal.report.wording import formatting, stopping
from taskcal.report.wording.claims import certified_terms, is_robust, likely_terms, sure_claims
from taskcal.report.wording.sanitize import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.calibration.run_result import RunResult
    from taskcal.core.calibration.summary import Summary
    from taskcal.core.run import RunRecord
    from taskcal.core.settings import CalibrationSettings
    from taskcal.core.stats.clustered_mean import PooledMean, PromptYield

SENTENCE = 600
PLACES = (Verdict.TOO_HARD, Verdict.IN_BAND, Verdict.TOO_EASY)
WORDS = ("below", "within", "above")


def about_all(result: RunResult) -> list[str]:
    """All but how it ended, the headline second; what has nothing to say is left out."""
    sentences = (
        counts(result),
        headline(result),
        denominators(result),
        selection(result),
        stopping.describe_stopping(result),
        prior(result),
        claimed(result),
        terms(result),
        resting(result),
    )
    return [sentence for sentence in sentences if sentence]


def counts(result: RunResult) -> str:
    """How many of each verdict and of each strength, and how many there should be by the posteriors."""
    summary = result.summary
    what = formatting.extent(c.group.id for c in result.calibrations)
    verdicts = [f"{n:,} {verdict}" for verdict in Verdict if (n := summary.verdicts.get(verdict, 0))]
    return f"{what}: {', '.join(verdicts) or 'none measured'}.{_strengths(summary)}{_expected(summary)}"


def headline(result: RunResult) -> str:
    """The taskset in a sentence: its average against the band, and how many groups would teach nothing."""
    summary, settings = result.summary, result.settings
    these, reward = summary.of_these, summary.reward_of_these
    if these is None:
        return "Nothing was measured: no rollout was graded."
    told_rate = (
        f"The average success rate of {_these(result)} is {formatting.with_interval(these.mean, these.interval)}"
    )
    if settings.metric is Metric.REWARD and reward:
        told_rate += f", the average reward {_with_bounds(reward)}, {_place(settings, reward)}"
    else:
        told_rate += f", {_place(settings, these)}{_like_these(summary.success_rate)}"
    if summary.flat_share is None:
        return f"{told_rate}."
    flat = round(100 * summary.flat_share)
    return f"{told_rate}; of 100 groups of {settings.group_size}, about {flat} would teach nothing."


def denominators(result: RunResult) -> str:
    """What became of the rollouts: attempted, graded, timed out, lost by boundary, retried."""
    summary = result.summary
    if not summary.attempted:
        return ""
    timed_out = f" ({summary.timed_out:,} timed out)" if summary.timed_out else ""
    parts = [
        f"{formatting.many(summary.attempted, 'rollout')} attempted{_cost(summary)}",
        f"{summary.graded:,} graded{timed_out}",
    ]
    if summary.retried:
        parts.append(formatting.many(summary.retried, "attempt") + " retried")
    if not summary.lost:
        return f"{', '.join([*parts, 'none lost'])}."
    shaken = sum(Doubt.LOST in c.judgement.doubts for c in result.calibrations)
    leaning = f"; {formatting.many(shaken, 'verdict')} {'leans' if shaken == 1 else 'lean'} for them" if shaken else ""
    lost = f"{summary.lost:,} lost and counted in no rate or reward ({formatting.list_counts(summary.lost_by)})"
    return f"{', '.join([*parts, lost])}{leaning}."


def selection(result: RunResult) -> str:
    """What keeping the in-band tasks brings, by posterior means: k/n of the chosen, by which they were, flatters."""
    summary, size = result.summary, result.settings.group_size
    kept, all_prompts, selected = _in_band(result), summary.all_prompts, summary.selected
    if not kept or len(kept) == summary.tasks or not all_prompts or not selected:
        return ""
    noun = formatting.many(len(kept), f"in-band {_noun(result)}") if len(kept) > 1 else f"one in-band {_noun(result)}"
    flat = f"about {_flat(selected)} would teach nothing instead of {_flat(all_prompts)}"
    told_yield = f"Keeping the {noun}: of 100 groups of {size}, {flat}{_useful(selected, all_prompts)}"
    return f"{told_yield}.{_outside(kept, summary)}"


def prior(result: RunResult) -> str:
    """What the posteriors started from."""
    sources = Counter(c.judgement.basis.source for c in result.calibrations if c.counts.graded)
    named = [
        name + (f" for {times:,}" if len(sources) > 1 else "")
        for source, times in sources.most_common()
        if (name := prior_name(source, sum(sources.values()), result))
    ]
    return f"Prior: {'; '.join(named)}." if named else ""


def prior_name(source: PriorSource, measured: int, result: RunResult) -> str:
    """`learned from these 40 tasks`; '' where no prior was used."""
    match source:
        case PriorSource.LEARNED:
            return f"learned from these {measured:,} {_noun(result)}s"
        case PriorSource.WARM:
            return f"warm, from run {plain(result.record.prior_run)}" if result.record.prior_run else "warm"
        case PriorSource.DEFAULT:
            few = f", as fewer than {FEWEST_TASKS} were measured" if measured < FEWEST_TASKS else ""
            return f"the default one{few}"
        case PriorSource.NONE:
            return ""


def claimed(result: RunResult) -> str:
    """What the sure verdicts claim of the true success rate p."""
    claims = sure_claims(result)
    if not claims:
        return ""
    subject = "mean reward" if result.settings.metric is Metric.REWARD else "true success rate p"
    return f"Claims about the {subject} of a {_noun(result)}: {'; '.join(claims)}."


def terms(result: RunResult) -> str:
    """Under which conditions these claims hold, and how many of them to expect wrong."""
    return " ".join(f"{term}." for term in (_certified(result), _likely(result)) if term)


def _certified(result: RunResult) -> str:
    if not result.summary.strengths.get(Strength.CERTIFIED):
        return ""
    return f"What is certified holds whatever the prior: {certified_terms(result.measured)}"


def _likely(result: RunResult) -> str:
    """Certified verdicts are not in the expected number of wrong ones: their error is bounded, not estimated."""
    likely, doubt = [c for c in result.calibrations if c.judgement.strength is Strength.LIKELY], result.summary.doubt
    if not likely or doubt is None:
        return ""
    named = "; ".join(
        likely_terms(source, result.settings, result.measured)
        for source in dict.fromkeys(c.judgement.basis.source for c in likely)
    )
    wrong = doubt * len(likely)
    number = f"{wrong:.1f}" if wrong >= 0.05 else "fewer than 0.1"
    return f"What is likely is {named}. Of {formatting.many(len(likely), 'likely verdict')} expect {number} to be wrong"


def resting(result: RunResult) -> str:
    """How many sure verdicts another prior would not give; '' for none."""
    sure = [c for c in result.calibrations if formatting.is_sure(c)]
    unsure = [c for c in sure if is_robust(c) is False]
    if not unsure:
        return ""
    who = f"{len(unsure):,} of {len(sure):,} sure verdicts" if len(sure) > 1 else "The only sure verdict"
    verb = "rests" if len(unsure) == 1 else "rest"
    return f"{who} {verb} on the prior: the default, Jeffreys' and the uniform one are not all as sure."


def run_ending(run: RunRecord) -> str:
    """Why the run is not all that was asked for; '' where it is."""
    if run.stopped:
        return f"The run stopped early: {plain(run.stopped, SENTENCE).removesuffix('.')}."
    return "The run was interrupted: these are the rollouts until then." if run.interrupted else ""


def expected_outside(calibrations: Sequence[Calibration]) -> float | None:
    """How many of the in-band verdicts the posteriors expect to be wrong; None where there is none to ask."""
    chances = [
        1 - c.judgement.posterior.in_band
        for c in calibrations
        if c.judgement.posterior and c.judgement.verdict is Verdict.IN_BAND
    ]
    return sum(chances) if chances else None


def _noun(result: RunResult) -> str:
    """What a row is."""
    return "variant" if any(c.group.id.variant for c in result.calibrations) else "task"


def _cost(summary: Summary) -> str:
    """` for $1.01`, or what is known of it; '' where nothing is."""
    if summary.cost_usd is None:
        return ""
    known = formatting.money(summary.cost_usd)
    unknown = summary.cost_unknown
    return f" for at least {known} ({unknown:,} of unknown cost)" if unknown else f" for {known}"


def _strengths(summary: Summary) -> str:
    sure = [f"{n:,} {s}" for s in (Strength.CERTIFIED, Strength.LIKELY) if (n := summary.strengths.get(s, 0))]
    verb = "leans" if summary.leaning == 1 else "lean"
    leaning = f"{formatting.many(summary.leaning, 'verdict')} only {verb}" if summary.leaning else ""
    told = "; ".join(part for part in (", ".join(sure), leaning) if part)
    return f" {told}." if told else ""


def _expected(summary: Summary) -> str:
    expected = summary.expected
    if expected is None or not summary.leaning:
        return ""
    shares = f"{expected.in_band:,.1f} in-band, {expected.too_hard:,.1f} too-hard, {expected.too_easy:,.1f} too-easy"
    return f" Expected by the posteriors: {shares}."


def _place(settings: CalibrationSettings, found: PooledMean) -> str:
    """`within the band of 5 to 75 %` if all of the interval is, else every place where the average may lie."""
    low, high = (found.interval.low, found.interval.high) if found.interval else (found.mean, found.mean)
    first, last = (PLACES.index(settings.band.verdict(end)) for end in (low, high))
    named = WORDS[first : last + 1]
    where = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"
    return f"{where} the band of {formatting.band_of(settings)}"


def _these(result: RunResult) -> str:
    tasks = result.measured
    return f"these {tasks:,} {_noun(result)}s" if tasks > 1 else f"this {_noun(result)}"


def _like_these(found: PooledMean | None) -> str:
    """What is known of other tasks of the same kind; '' of a single task."""
    if found is None or found.interval is None:
        return ""
    return f" ({formatting.bounds(found.interval)} for tasks like these)"


def _with_bounds(reward: PooledMean) -> str:
    if reward.interval is None:
        return f"{reward.mean:.2f}"
    return f"{reward.mean:.2f} [{reward.interval.low:.2f}{formatting.DASH}{reward.interval.high:.2f}]"


def _in_band(result: RunResult) -> list[Calibration]:
    return [c for c in result.calibrations if c.judgement.verdict is Verdict.IN_BAND]


def _flat(found: PromptYield) -> int:
    return round(100 * (1 - found.ratio))


def _useful(selected: PromptYield, all_prompts: PromptYield) -> str:
    after, before = selected.rollouts_per_useful_group, all_prompts.rollouts_per_useful_group
    if after is None or before is None:
        return ""
    return f"; {after:.1f} rollouts per useful group instead of {before:.1f}"


def _outside(kept: Sequence[Calibration], summary: Summary) -> str:
    outside = expected_outside(kept)
    if outside is None or summary.selected_rate is None:
        return ""
    rate = formatting.percent(summary.selected_rate)
    lying = f"about {outside:.1f} of them lie" if outside >= 0.05 else "none of them lies"
    return f" By the posteriors {lying} outside the band, and their mean success rate is {rate}."
