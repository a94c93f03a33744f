"""Why a task is flagged and what to try next, in sentences: the part of a report that numbers alone do not tell."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from taskcal.core.adaptive.task_state import Closed
from taskcal.core.calibration.doubt import Doubt
from taskcal.core.rollout import Stop
from taskcal.core.settings import Metric
from taskcal.core.verdict import Strength, Verdict
from taskcal.errors import Boundary
from taskcal.report.wording import formatting
from taskcal.report.wording.caveats import (
    LIMITS,
    NAME_LENGTH,
    NAMED,
    NOTE_LENGTH,
    PLACES,
    needs_words,
    place,
    remarks,
    unable_checks,
)
from taskcal.report.wording.sanitize import plain, reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.calibration.check_means import CheckMean
    from taskcal.core.settings import CalibrationSettings

RESUME = "resume the run (`taskcal run --resume RUN`)"
"""Runs again what was lost or not yet run; not after a change of the taskset or the agent, which is a new run."""

STOP_ADVICE = MappingProxyType(
    {
        Stop.TIMEOUT: "{share} ran out of time: raise timeouts.agent",
        Stop.CRASHED: "the agent crashed in {share}: read its agent.log before judging the task",
        Stop.OUT_OF_MEMORY: "{share} ran out of memory: raise the environment's memory",
        Stop.MAX_TURNS: "{share} ran out of turns: raise the agent's max_turns",
        Stop.CONTEXT_FULL: "{share} filled the model's context: shorten the prompt or what its tools print",
        Stop.REFUSED: "the model refused in {share}: reword the prompt",
    }
)

LOST_ADVICE = MappingProxyType(
    {
        Boundary.ENGINE: f"see what `taskcal doctor` says of the container engine, then {RESUME}",
        Boundary.IMAGE: f"mend the Dockerfile, or build or pull the image that the reason names, then {RESUME}",
        Boundary.SETUP: "see to what the reason names: a script of the environment, or what this run allows",
        Boundary.SERVICE: "mend the service that the reason names: its command, its ready script or its memory",
        Boundary.SANDBOX: "raise the environment's memory, or lower --concurrency where the machine was short of it",
        Boundary.AGENT_INSTALL: "mend the agent's install script, or bring its program into the image",
        Boundary.PROVIDER: f"check the model's endpoint, key and rate limit, or lower --concurrency, then {RESUME}",
        Boundary.GRADER: "mend the grader: its grader.log in the run's folder shows what it printed",
        Boundary.CANCELLED: f"{RESUME}: it was stopped before this task was measured",
        Boundary.UNKNOWN: f"{RESUME}; if it is lost again, the reason is worth a bug report",
    }
)


DOUBT_ADVICE = MappingProxyType(
    {
        Doubt.LOST: f"{RESUME} for the lost rollouts before acting on this",
        Doubt.OWN_WORD: "read agent.log of the lost attempts: was it the provider, or the agent that had failed?",
        Doubt.MISSING: f"{RESUME} for the rollouts that have not finished before acting on this",
        Doubt.IDENTICAL: "give the agent a temperature above 0 and switch off what caches its answers",
    }
)

MORE: Mapping[Closed | None, str] = MappingProxyType(
    {
        Closed.CAP: "measure it with a larger --max-group-size before acting on this",
        Closed.BUDGET: "measure it with a larger --budget before acting on this",
        Closed.LOSSES: f"see why its rollouts were lost, then {RESUME}",
        Closed.NOT_WORTH_MORE: "measure it without --stop value before acting on this: it stopped where it leans",
    }
)
"""What would make a leaning verdict of an adaptive run sure."""


def why(calibration: Calibration, settings: CalibrationSettings) -> str:
    """Why a person should look at a group, without a full stop; '' in the band, if nothing is to be said."""
    if calibration.judgement.verdict in {Verdict.UNMEASURED, Verdict.BROKEN}:
        return reason(calibration.judgement.reason) or "no reason is recorded"
    if calibration.judgement.verdict is Verdict.IN_BAND:
        return "; ".join(remarks(calibration, settings)) if needs_words(calibration, settings) else ""
    parts = (_rate(calibration, settings), unmet_checks(calibration), *remarks(calibration, settings))
    return "; ".join(part for part in parts if part)


def advise(calibration: Calibration, settings: CalibrationSettings) -> str:
    """What to try next for a group, without a full stop; '' where it is in the band and nothing is to be said."""
    match calibration.judgement.verdict:
        case Verdict.TOO_HARD:
            parts = [*_from_stops(calibration), _from_rewards(calibration), _from_checks(calibration)]
        case Verdict.TOO_EASY:
            parts = ["a harder variant: fewer hints in the prompt, more steps, or checks that ask for more"]
        case Verdict.BROKEN:
            parts = ["mend the task or its grader, then measure it again"]
        case Verdict.UNMEASURED:
            parts = [_from_losses(calibration)]
        case Verdict.IN_BAND:
            if not needs_words(calibration, settings):
                return ""
            parts = _from_stops(calibration)
    first = [*_from_unable_checks(calibration), *_from_strength(calibration, settings)]
    return "; ".join(part for part in (*first, *parts) if part)


def _from_unable_checks(calibration: Calibration) -> list[str]:
    names = [_quoted(check) for check in unable_checks(calibration)[:NAMED]]
    checks = f"check{'s' * (len(names) > 1)} {', '.join(names)}"
    return [f"bring what {checks} needs into the image, unless the agent has to"] if names else []


def _rate(calibration: Calibration, settings: CalibrationSettings) -> str:
    interval = calibration.rates.interval
    if interval is None:
        return "nothing was graded"
    if settings.metric is Metric.REWARD:
        reward = formatting.decimal(calibration.rates.mean_reward)
        return f"a mean reward of {reward} over {calibration.counts.graded}, {PLACES[place(calibration, settings)]}"
    low, high = formatting.percent(interval.low), formatting.percent(interval.high)
    if settings.adaptive:
        between = f"with a probability of 95 % the true rate lies between {low} and {high}"
    elif calibration.counts.passed == 0:
        between = f"a true rate up to {high} would still look like this"
    elif calibration.counts.passed == calibration.counts.graded:
        between = f"a true rate down to {low} would still look like this"
    else:
        between = f"the true rate may lie between {low} and {high}"
    return f"{_counted(calibration, settings)}; {between}"


def _counted(calibration: Calibration, settings: CalibrationSettings) -> str:
    n, passed, counts = calibration.counts.graded, calibration.counts.passed, calibration.judgement.basis.counts
    late = f" ({counts.passed} of {counts.graded} when it was decided)" if counts.graded < n else ""
    if passed == n:
        named = f"all {n} passed" if n > 1 else "the only one passed"
        return f"{named}{late}" if calibration.learning.contrast else f"{named}{late}: such a group is flat"
    where = f", {PLACES[place(calibration, settings)]}" if passed else ""
    return f"passed {passed} of {n}{late}{where}"


def unmet_checks(calibration: Calibration) -> str:
    """The checks that no rollout of a too-hard task met, in words; '' for another task, or if each was met once."""
    never = [check for check in calibration.checks if check.mean_score == 0]
    if calibration.judgement.verdict is not Verdict.TOO_HARD or not never:
        return ""
    if len(never) == 1 and never[0].note and not never[0].cannot_run:
        return f"check {_quoted(never[0])} was never met ({plain(never[0].note, NOTE_LENGTH)})"
    if len(never) > 1 and not _met(calibration):
        return "no check was ever met"
    names = ", ".join(_quoted(check) for check in never[:NAMED])
    more = f" and {len(never) - NAMED} more" if len(never) > NAMED else ""
    return f"check {names} was never met" if len(never) == 1 else f"checks {names}{more} were never met"


def _from_stops(calibration: Calibration) -> list[str]:
    """What ended at least half of the graded rollouts, or most failures, before the agent was done."""
    return [
        text.format(share=f"{count} of {calibration.counts.graded}")
        for stop, text in STOP_ADVICE.items()
        if (count := calibration.counts.stops.get(stop, 0))
        and (2 * count >= calibration.counts.graded or (calibration.counts.limited and stop in LIMITS))
    ]


def _from_rewards(calibration: Calibration) -> str:
    if not calibration.partial_signal:
        return ""
    low, high = min(calibration.learning.rewards), max(calibration.learning.rewards)
    return f"rewards vary from {low:.2f} to {high:.2f} although none passed, so training on the reward has a signal"


def _from_checks(calibration: Calibration) -> str:
    scored = [(check.mean_score, check) for check in calibration.checks if check.mean_score is not None]
    if not scored or not _met(calibration):
        return "see that it can be solved at all (`--agent oracle` must pass), then give hints or an easier variant"
    score, worst = min(scored, key=lambda pair: pair[0])
    if score == max(scored, key=lambda pair: pair[0])[0]:
        return "give hints or an easier variant"
    return f"begin with check {_quoted(worst)} (mean score {score:.2f}): the prompt may not say enough for it"


def _from_losses(calibration: Calibration) -> str:
    if not calibration.counts.lost_by:
        return f"{RESUME} if it was cut short, else change what the reason names"
    boundary = max(calibration.counts.lost_by, key=lambda name: calibration.counts.lost_by[name])
    return LOST_ADVICE[Boundary(boundary)]


def _from_strength(calibration: Calibration, settings: CalibrationSettings) -> list[str]:
    """What would make a leaning verdict sure: first what casts doubt on it, else more rollouts."""
    if calibration.judgement.strength is not Strength.LEANING:
        return []
    if calibration.judgement.doubts:
        return [DOUBT_ADVICE[doubt] for doubt in calibration.judgement.doubts]
    if settings.adaptive:
        return [MORE.get(calibration.judgement.basis.closed, f"{RESUME} before acting on this")]
    return ["measure it with a larger --group-size before acting on this"]


def _met(calibration: Calibration) -> bool:
    """Whether any check that earns reward ever scored."""
    return any(check.mean_score for check in calibration.checks if check.weight > 0)


def _quoted(check: CheckMean) -> str:
    return f"'{plain(check.name, NAME_LENGTH)}'"
