"""`calibration.json`: the run's result for programs; its keys are a promise, so changes within @1 only add.

Undefined numbers are null. NaN and infinity, which JSON has not, cannot leave here.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from taskcal.core.summary import summarise
from taskcal.core.verdict import Verdict
from taskcal.report import explain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.core.calibrate import Calibration
    from taskcal.core.run import RunRecord
    from taskcal.core.stats import Interval
    from taskcal.core.verdict import Posterior

SCHEMA = "taskcal/calibration@1"


def calibration_document(run: RunRecord, calibrations: Sequence[Calibration]) -> dict[str, object]:
    """The document as JSON-ready values: `schema`, `run`, `taskset` and `tasks` in the given order."""
    document = {
        "schema": SCHEMA,
        "run": _run(run),
        "taskset": _taskset(run, calibrations),
        "tasks": [_task(calibration) for calibration in calibrations],
    }
    return {key: _finite(value) for key, value in document.items()}


def render_json(document: Mapping[str, object]) -> str:
    """The document as text that ends in a newline; ASCII only, so that no terminal is moved by what stands in it."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _run(run: RunRecord) -> dict[str, object]:
    return {
        "id": run.id,
        "taskset": run.taskset,
        "taskset_files": list(run.taskset_files),
        "taskset_digest": run.taskset_digest,
        "agent": run.agent,
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
        "notes": list(run.notes),
    }


def _taskset(run: RunRecord, calibrations: Sequence[Calibration]) -> dict[str, object]:
    summary = summarise(calibrations, run.question)
    return {
        "tasks": summary.tasks,
        **{_key(verdict): summary.verdicts.get(verdict, 0) for verdict in Verdict},
        "leaning": summary.leaning,
        "graded": summary.graded,
        "lost": summary.lost,
        "mean_success_rate": summary.success_rate.mean if summary.success_rate else None,
        "mean_signal": summary.mean_signal,
        "flat_share": summary.flat_share,
    }


def _task(calibration: Calibration) -> dict[str, object]:
    group = calibration.group
    name = {
        "id": str(group.id),
        "task": group.id.task,
        "variant": group.id.variant,
        "params": dict(group.params),
        "tags": list(group.tags),
        "file": group.file,
        "line": group.line,
    }
    return {**name, **_counts(calibration), **_measures(calibration), **_judgement(calibration)}


def _counts(calibration: Calibration) -> dict[str, object]:
    return {
        "n": calibration.n,
        "passed": calibration.passed,
        "lost": calibration.lost,
        "retried": calibration.retried,
        "lost_by": dict(calibration.lost_by),
        "timed_out": calibration.timed_out,
        "crashed": calibration.crashed,
        "stops": {stop.value: count for stop, count in calibration.stops.items()},
    }


def _measures(calibration: Calibration) -> dict[str, object]:
    return {
        "success_rate": calibration.success_rate,
        "interval": _interval(calibration.interval),
        "interval_method": "wilson",
        "mean_reward": calibration.mean_reward,
        "contrast": calibration.contrast,
        "contrast_unbiased": calibration.contrast_unbiased,
        "signal": calibration.signal,
        "signal_unbiased": calibration.signal_unbiased,
        "checks": [
            {"name": check.name, "weight": check.weight, "mean_score": check.mean_score} for check in calibration.checks
        ],
        "rewards": list(calibration.rewards),
        "seconds": calibration.seconds,
        "cost_usd": calibration.cost_usd,
    }


def _judgement(calibration: Calibration) -> dict[str, object]:
    return {
        "verdict": calibration.verdict.value,
        "strength": None if calibration.strength is None else calibration.strength.value,
        "posterior": _posterior(calibration.posterior),
        "reason": calibration.reason,
        "why": explain.why(calibration),
        "advice": explain.advice(calibration),
    }


def _key(verdict: Verdict) -> str:
    return verdict.value.replace("-", "_")


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
