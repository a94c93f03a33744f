"""Why a task is flagged and what to try next, in sentences: the part of a report that numbers alone do not tell."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

from taskcal.core.calibrate import Doubt
from taskcal.core.rollout import Stop
from taskcal.core.verdict import Strength, Verdict
from taskcal.errors import Boundary
from taskcal.report import figures
from taskcal.report.clean import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.calibrate import Calibration, CheckMean
    from taskcal.core.run import RunRecord
    from taskcal.core.summary import Summary

NAME_LENGTH = 60
NAMED = 3
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
        Boundary.IMAGE: f"build or pull the image that the reason names (`taskcal doctor` knows how), then {RESUME}",
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


def why(calibration: Calibration) -> str:
    """Why a person should look at a group, in one sentence without its full stop; '' where it is in the band."""
    if calibration.verdict is Verdict.IN_BAND:
        return ""
    if calibration.verdict in {Verdict.UNMEASURED, Verdict.BROKEN}:
        return plain(calibration.reason) or "no reason is recorded"
    return "; ".join(part for part in (_rate(calibration), _unmet(calibration), _shaken(calibration)) if part)


def advice(calibration: Calibration) -> str:
    """What to try next for a group, without a full stop; '' where it is in the band."""
    match calibration.verdict:
        case Verdict.TOO_HARD:
            parts = [*_from_stops(calibration), _from_rewards(calibration), _from_checks(calibration)]
        case Verdict.TOO_EASY:
            parts = ["a harder variant: fewer hints in the prompt, more steps, or checks that ask for more"]
        case Verdict.BROKEN:
            parts = ["mend the task or its grader, then measure it again"]
        case Verdict.UNMEASURED:
            parts = [_from_losses(calibration)]
        case Verdict.IN_BAND:
            return ""
    return "; ".join(part for part in (_from_strength(calibration), *parts) if part)


def headline(summary: Summary, run: RunRecord) -> str:
    """The taskset in a sentence: its average success rate against the band, and how many groups would teach nothing."""
    if summary.success_rate is None:
        return "Nothing was measured: no rollout was graded."
    rate = summary.success_rate.mean
    places = {Verdict.TOO_HARD: "below", Verdict.TOO_EASY: "above"}
    place = places.get(run.band.verdict(rate), "within")
    told = f"The average success rate is {figures.percent(rate)}, {place} the band of {figures.band(run.band)}"
    if summary.flat_share is None:
        return f"{told}."
    flat = round(100 * summary.flat_share)
    return f"{told}; of 100 groups of {run.group_size}, about {flat} would teach nothing."


def counts(calibrations: Sequence[Calibration], summary: Summary) -> str:
    """How many of each verdict, and how many of them are not sure."""
    what = figures.many(len({c.group.id.task for c in calibrations}), "task")
    if any(c.group.id.variant for c in calibrations):
        what = f"{figures.many(summary.tasks, 'variant')} of {what}"
    told = [f"{n} {verdict}" for verdict in Verdict if (n := summary.verdicts.get(verdict, 0))]
    leaning = figures.many(summary.leaning, "verdict") + (" only leans." if summary.leaning == 1 else " only lean.")
    return f"{what}: {', '.join(told) or 'none measured'}." + (f" {leaning}" if summary.leaning else "")


def losses(calibrations: Sequence[Calibration]) -> str:
    """How many rollouts were lost and at which boundary; '' where none was."""
    by: Counter[str] = Counter()
    for calibration in calibrations:
        by.update(calibration.lost_by)
    lost = sum(c.lost for c in calibrations)
    everything = figures.many(lost + sum(c.n for c in calibrations), "rollout")
    return f"Lost, and counted in no rate or reward: {lost:,} of {everything} ({figures.tally(by)})." if lost else ""


def _rate(calibration: Calibration) -> str:
    n, passed, interval = calibration.n, calibration.passed, calibration.interval
    if interval is None:
        return "nothing was graded"
    low, high = figures.percent(interval.low), figures.percent(interval.high)
    if passed == 0:
        return f"passed 0 of {n}; a true rate up to {high} would still look like this"
    if passed == n:
        named = f"all {n} passed" if n > 1 else "the only one passed"
        return f"{named}: such a group is flat; a true rate down to {low} would still look like this"
    place = "below" if calibration.verdict is Verdict.TOO_HARD else "above"
    return f"passed {passed} of {n}, {place} the band; the true rate may lie between {low} and {high}"


def _unmet(calibration: Calibration) -> str:
    never = [check for check in calibration.checks if check.mean_score == 0]
    if calibration.verdict is not Verdict.TOO_HARD or not never:
        return ""
    if len(never) > 1 and not _met(calibration):
        return "no check was ever met"
    names = ", ".join(_quoted(check) for check in never[:NAMED])
    more = f" and {len(never) - NAMED} more" if len(never) > NAMED else ""
    return f"check {names} was never met" if len(never) == 1 else f"checks {names}{more} were never met"


def _shaken(calibration: Calibration) -> str:
    """What lost rollouts could do to the verdict."""
    if Doubt.LOST not in calibration.doubts:
        return ""
    return f"the {figures.many(calibration.lost, 'lost rollout')} could change the verdict"


def _from_stops(calibration: Calibration) -> list[str]:
    """What ended at least half of the graded rollouts before the agent was done."""
    shares = {stop: count for stop, count in calibration.stops.items() if 2 * count >= calibration.n and count}
    return [
        text.format(share=f"{shares[stop]} of {calibration.n}") for stop, text in STOP_ADVICE.items() if stop in shares
    ]


def _from_rewards(calibration: Calibration) -> str:
    low, high = min(calibration.rewards, default=0.0), max(calibration.rewards, default=0.0)
    if calibration.passed or low == high:
        return ""
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
    if not calibration.lost_by:
        return f"{RESUME} if it was cut short, else change what the reason names"
    boundary = max(calibration.lost_by, key=lambda name: calibration.lost_by[name])
    return LOST_ADVICE[Boundary(boundary)]


def _from_strength(calibration: Calibration) -> str:
    if calibration.strength is not Strength.LEANING:
        return ""
    if _shaken(calibration):
        return f"{RESUME} for the lost rollouts before acting on this"
    return "measure it with a larger --group-size before acting on this"


def _met(calibration: Calibration) -> bool:
    """Whether any check that earns reward ever scored."""
    return any(check.mean_score for check in calibration.checks if check.weight > 0)


def _quoted(check: CheckMean) -> str:
    return f"'{plain(check.name, NAME_LENGTH)}'"
