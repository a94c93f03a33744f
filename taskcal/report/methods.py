"""The Methods paragraph: how the numbers of a run came about, in sentences that can be pasted into a paper."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from taskcal.core.adaptive.design import Rule
from taskcal.core.provenance import Provenance
from taskcal.core.settings import Metric
from taskcal.core.stats.prior import PriorSource
from taskcal.core.stats.rates import DEFAULT_PRIOR
from taskcal.core.verdict import Verdict
from taskcal.report.wording import formatting
from taskcal.report.wording.claims import certified_claim, certified_terms
from taskcal.report.wording.sanitize import plain

if TYPE_CHECKING:
    from taskcal.core.calibration.run_result import RunResult
    from taskcal.core.settings import CalibrationSettings

NAME = 100
SIMULATED = (
    "in simulations at an error rate of 5 % no more likely verdicts were wrong, unless most tasks were close to an edge"
)
"""What docs/verdicts.md measures."""

LONGEST = 3_000
"""Characters of the paragraph, whatever the names in it are."""


def methods(result: RunResult) -> str:
    """One line of four or five sentences, without a control character."""
    parts = (
        _what(result),
        _design(result),
        _verdicts(result),
        _rates(result),
    )
    return plain(" ".join(parts), LONGEST)


def _what(result: RunResult) -> str:
    tasks = formatting.extent(c.group.id for c in result.calibrations)
    digest = f" (SHA-256 {result.record.taskset_digest[:12]})" if result.record.taskset_digest else ""
    taskset, agent = plain(result.record.taskset, NAME), plain(result.record.agent, NAME)
    version = f", version {plain(result.record.agent_version, NAME)}" if result.record.agent_version else ""
    tool = f"using taskcal {plain(result.record.version)} and seed {result.record.seed}"
    if result.record.provenance is Provenance.IMPORTED:
        tool = f"using taskcal {plain(result.record.version)} on rewards that were measured elsewhere"
    return f"We calibrated {tasks} of the taskset {taskset}{digest} for the agent {agent}{version}, {tool}."


def _design(result: RunResult) -> str:
    """How many rollouts of each, and what counts as passed."""
    passing = ", ".join(f"{value:g}" for value in sorted({c.group.passing for c in result.calibrations})) or "1"
    in_containers = result.record.engine and result.record.provenance is Provenance.MEASURED
    where = " in a fresh container each" if in_containers else ""
    return f"{_size(result)}{where}; one passed if its reward was at least {passing}."


def _size(result: RunResult) -> str:
    design, attempts = result.settings.design, [c.counts.graded + c.counts.lost for c in result.calibrations] or [0]
    until = {
        Rule.POSTERIOR: f"Each had rollouts until a class had a posterior probability of {_level(result.settings)}",
        Rule.VALUE: f"Each had rollouts until another was worth less than {design.price:g} wrong verdicts",
        Rule.CERTIFY: "Each had rollouts until its class was certified",
        Rule.NEVER: f"A budget of {design.budget or 0:,} rollouts was spent where they were worth most",
    }
    if design.rule is not Rule.FIXED:
        counted = f"judged in the order of launches, at most {design.limit} of each and {sum(attempts):,} in all"
        return f"{until[design.rule]}, {counted},"
    low, high = min(attempts), max(attempts)
    return f"Each had {low} rollouts" if low == high else f"Each had {low} to {high} rollouts"


def _verdicts(result: RunResult) -> str:
    """The band, and what certified and likely mean."""
    settings = result.settings
    rate = "mean reward" if settings.metric is Metric.REWARD else "success rate"
    band = (
        f"A task is too hard, in band or too easy as its {rate} lies below, within or above "
        f"{formatting.band_of(settings)}"
    )
    tasks = result.measured
    certified = f"{_certified(settings)} ({certified_terms(tasks)})"
    likely = f"likely where its posterior probability under {_prior(result)} is {_level(settings)}, "
    likely += "which is right on average over tasks that are distributed as this prior says, "
    return f"{band}; this verdict is {certified}, {'' if rate == 'mean reward' else likely}and else leaning."


def _certified(settings: CalibrationSettings) -> str:
    """The claims of the classes that exist: no task is too hard for a band that begins at 0."""
    band = settings.band
    classes = [Verdict.IN_BAND, *([Verdict.TOO_EASY] if band.high < 1 else [])]
    if band.low > 0:
        classes.insert(0, Verdict.TOO_HARD)
    *some, last = (certified_claim(verdict, settings) for verdict in classes)
    claims = f"{', '.join(some)} or {last}" if some else last
    test = "a test by betting, valid under any prior and at any stopping time"
    return f"certified where {test}, shows {claims} at an error of {100 * settings.error_rate:g} %"


def _prior(result: RunResult) -> str:
    sources = Counter(c.judgement.basis.source for c in result.calibrations if c.counts.graded)
    match sources.most_common(1)[0][0] if sources else PriorSource.DEFAULT:
        case PriorSource.LEARNED:
            tasks = formatting.many(result.measured, "task")
            method = "nonparametric maximum likelihood, penalised towards a default"
            return f"a prior learned from these {tasks} ({method}; {SIMULATED})"
        case PriorSource.WARM:
            earlier = f"run {plain(result.record.prior_run)}" if result.record.prior_run else "an earlier run"
            moved = "moved by as much as the rates of all its tasks have shifted since"
            return f"a prior from {earlier}, {moved} ({SIMULATED})"
        case _:
            parts = (f"{part.weight:.2f} Beta({part.a:g}, {part.b:g})" for part in DEFAULT_PRIOR)
            return f"the prior {' + '.join(parts)}"


def _rates(result: RunResult) -> str:
    """Intervals, what was lost, and what is said of a selection."""
    run = result.record
    if result.settings.adaptive:
        intervals = "Success rates are posterior means with equal-tailed 95 % intervals"
    else:
        intervals = "Success rates have Wilson's 95 % score intervals"
    attempted, lost = (
        sum(c.counts.graded + c.counts.lost for c in result.calibrations),
        sum(c.counts.lost for c in result.calibrations),
    )
    rollouts = formatting.many(attempted, "rollout")
    if run.provenance is Provenance.IMPORTED:
        losses = f"{lost:,} of {rollouts} had no verdict, are in no rate and can only weaken a verdict"
    elif lost:
        retries = f"after up to {run.retries} further attempts"
        losses = (
            f"{lost:,} of {rollouts}, lost to infrastructure {retries}, are in no rate and can only weaken a verdict"
        )
    else:
        losses = f"none of the {rollouts} was lost to infrastructure, with up to {run.retries} further attempts at each"
    these = "Wilson's interval at the effective number of rollouts"
    if result.settings.adaptive:
        these = "an interval from the posterior variances and the distance of these means from the first rollouts"
    return (
        f"{intervals}, their mean over tasks {these} for these tasks and a Student interval with errors clustered by "
        f"task for tasks like these; {losses}. "
        "Statements about selected tasks are posterior expectations."
    )


def _level(settings: CalibrationSettings) -> str:
    return f"at least {100 * (1 - settings.error_rate):g} %"
