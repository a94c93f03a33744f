"""`calibration.json`: the run's result for programs; its keys are a promise, so changes within @1 only add.

Undefined numbers are null. NaN and infinity, which JSON has not, cannot leave here.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING

import msgspec

from taskcal.core.settings import Metric
from taskcal.core.verdict import Strength, Verdict
from taskcal.report.wording import explain
from taskcal.report.wording.claims import claim, is_robust
from taskcal.report.wording.sentences import expected_outside
from taskcal.report.wording.stopping import saving

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.calibration.check_means import CheckMean
    from taskcal.core.calibration.run_result import RunResult
    from taskcal.core.calibration.summary import Summary
    from taskcal.core.run import GroupImages, RunRecord
    from taskcal.core.settings import CalibrationSettings
    from taskcal.core.stats.clustered_mean import PromptYield
    from taskcal.core.stats.rates import Interval
    from taskcal.core.verdict import Posterior

SCHEMA = "taskcal/calibration@1"


def calibration_document(result: RunResult) -> dict[str, object]:
    """The document as JSON-ready values: `schema`, `run`, `taskset` and `tasks` in the given order."""
    tasks = result.measured
    document = {
        "schema": SCHEMA,
        "run": _run(result.record),
        "taskset": _taskset(result),
        "tasks": [_task(calibration, result.settings, tasks) for calibration in result.calibrations],
    }
    return {key: _finite(value) for key, value in document.items()}


def render_json(document: Mapping[str, object]) -> str:
    """The document as text that ends in a newline; ASCII only, so that no terminal is moved by what stands in it."""
    try:
        text = msgspec.json.format(json.dumps(document, allow_nan=False), indent=2)  # `json` takes thrice as long
    except msgspec.DecodeError:  # a lone surrogate, in a prompt or a name
        text = json.dumps(document, indent=2, allow_nan=False)
    return text + "\n"


def _run(run: RunRecord) -> dict[str, object]:
    return {
        "id": run.id,
        "taskset": run.taskset,
        "taskset_files": list(run.taskset_files),
        "taskset_digest": run.taskset_digest,
        "agent": run.agent,
        "agent_version": run.agent_version,
        "agent_digest": run.agent_digest,
        "group_size": run.group_size,
        "band": [run.band.low, run.band.high],
        "seed": run.seed,
        "concurrency": run.concurrency,
        "retries": run.retries,
        "started_at": run.started_at,
        "seconds": run.seconds,
        "interrupted": run.interrupted,
        "version": run.version,
        "engine": run.engine,
        "host": run.host,
        "images": dict(run.images),
        "groups": {name: _images(images) for name, images in dict(run.groups).items()},
        "notes": list(run.notes),
        **_asked(run.settings),
        "prior_run": run.prior_run,
        "stopped": run.stopped,
    }


def _images(images: GroupImages) -> dict[str, object]:
    return {"identity": images.identity, "ids": {container: list(ids) for container, ids in images.ids.items()}}


def _asked(settings: CalibrationSettings) -> dict[str, object]:
    design = settings.design
    return {
        "adaptive": settings.adaptive,
        "rule": design.rule.value,
        "error_rate": settings.error_rate,
        "max_group_size": design.limit if settings.adaptive else None,
        "budget": design.budget,
        "metric": settings.metric.value,
        "flat_tolerance": settings.flat_tolerance,
    }


def _taskset(result: RunResult) -> dict[str, object]:
    summary, saved = result.summary, saving(result)
    return {
        "tasks": summary.tasks,
        **{_key(verdict): summary.verdicts.get(verdict, 0) for verdict in Verdict},
        **{_key(strength): summary.strengths.get(strength, 0) for strength in Strength},
        **_rollouts(summary),
        **_worth(summary),
        "expected": _posterior(summary.expected),
        "doubt": summary.doubt,
        "selected_outside": expected_outside(result.calibrations),
        "rollouts_saved": saved.saved if saved else None,
        "equal_group_size": saved.group_size if saved else None,
    }


def _rollouts(summary: Summary) -> dict[str, object]:
    return {
        "attempted": summary.attempted,
        "graded": summary.graded,
        "timed_out": summary.timed_out,
        "lost": summary.lost,
        "lost_by": dict(summary.lost_by),
        "retried": summary.retried,
        "cost_usd": summary.cost_usd,
        "cost_unknown": summary.cost_unknown,
    }


def _worth(summary: Summary) -> dict[str, object]:
    rate, these = summary.success_rate, summary.of_these
    return {
        "mean_success_rate": rate.mean if rate else None,
        "success_rate_error": rate.standard_error if rate else None,
        "success_rate_interval": _interval(rate.interval) if rate else None,
        "these_tasks_error": these.standard_error if these else None,
        "these_tasks_interval": _interval(these.interval) if these else None,
        "mean_signal": summary.mean_signal,
        "flat_share": summary.flat_share,
        "prompt_yield": {"before": _yield(summary.all_prompts), "after": _yield(summary.selected)},
        "selected_rate": summary.selected_rate,
    }


def _yield(found: PromptYield | None) -> dict[str, float | None] | None:
    if found is None:
        return None
    return {
        "ratio": found.ratio,
        "oversampling": found.oversampling,
        "rollouts_per_useful_group": found.rollouts_per_useful_group,
    }


def _task(calibration: Calibration, settings: CalibrationSettings, tasks: int) -> dict[str, object]:
    group = calibration.group
    name = {
        "id": str(group.id),
        "task": group.id.task,
        "variant": group.id.variant,
        "params": dict(group.params),
        "tags": list(group.tags),
        "file": group.file,
        "line": group.line,
        "override": None if group.override is None else asdict(group.override),
    }
    judgement = _judgement(calibration, settings, tasks)
    return {**name, **_counts(calibration), **_measures(calibration, settings), **judgement}


def _counts(calibration: Calibration) -> dict[str, object]:
    return {
        "n": calibration.counts.graded,
        "passed": calibration.counts.passed,
        "lost": calibration.counts.lost,
        "missing": calibration.counts.missing,
        "retried": calibration.counts.retried,
        "lost_by": dict(calibration.counts.lost_by),
        "timed_out": calibration.counts.timed_out,
        "crashed": calibration.counts.crashed,
        "stops": {stop.value: count for stop, count in calibration.counts.stops.items()},
        "identical_transcripts": calibration.counts.identical,
        "own_word": calibration.counts.own_word,
        "service_ended": calibration.counts.services.rollouts,
    }


def _measures(calibration: Calibration, settings: CalibrationSettings) -> dict[str, object]:
    return {
        "success_rate": calibration.rates.success_rate,
        "interval": _interval(calibration.rates.interval),
        "interval_method": "posterior" if settings.adaptive else "wilson",
        "posterior_mean": calibration.rates.posterior_mean,
        "mean_reward": calibration.rates.mean_reward,
        "contrast": calibration.learning.contrast,
        "contrast_unbiased": calibration.learning.contrast_unbiased,
        "signal": calibration.learning.signal,
        "signal_unbiased": calibration.learning.signal_unbiased,
        "partial_signal": calibration.partial_signal,
        "recommended_group_size": calibration.learning.recommended_group_size,
        "checks": [_check(check) for check in calibration.checks],
        "rewards": list(calibration.learning.rewards),
        "seconds": calibration.cost.seconds,
        "cost_usd": calibration.cost.usd,
        "cost_unknown": calibration.cost.unknown,
    }


def _check(check: CheckMean) -> dict[str, object]:
    row: dict[str, object] = {"name": check.name, "weight": check.weight, "mean_score": check.mean_score}
    return row | ({"note": check.note} if check.note else {})


def _judgement(calibration: Calibration, settings: CalibrationSettings, tasks: int) -> dict[str, object]:
    opinion = calibration.judgement.basis
    return {
        "verdict": calibration.judgement.verdict.value,
        "strength": _value(calibration.judgement.strength),
        "claim": claim(calibration, settings, tasks),
        "posterior": _posterior(calibration.judgement.posterior),
        "prior": opinion.source.value,
        "robust": is_robust(calibration),
        "certificate": _value(calibration.judgement.certificate),
        "decided_at": _decided_at(calibration, settings),
        "closed": _value(opinion.closed),
        "doubts": [doubt.value for doubt in calibration.judgement.doubts],
        "limits": calibration.counts.limited,
        "reason": calibration.judgement.reason,
        "why": explain.why(calibration, settings),
        "advice": explain.advise(calibration, settings),
    }


def _decided_at(calibration: Calibration, settings: CalibrationSettings) -> list[int] | None:
    """The counts that the verdict rests on; of mean rewards these are all."""
    if settings.metric is Metric.REWARD:
        return [calibration.counts.passed, calibration.counts.graded] if calibration.counts.graded else None
    counts = calibration.judgement.basis.counts
    return [counts.passed, counts.graded] if counts.graded else None


def _value(word: StrEnum | None) -> str | None:
    return None if word is None else word.value


def _key(word: StrEnum) -> str:
    return word.value.replace("-", "_")


def _interval(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _posterior(posterior: Posterior | None) -> dict[str, float] | None:
    if posterior is None:
        return None
    return {"too_hard": posterior.too_hard, "in_band": posterior.in_band, "too_easy": posterior.too_easy}


def _finite(value: object) -> object:
    """The same value with null for every number that JSON cannot write; a param may be YAML's `.nan`."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list) else value
