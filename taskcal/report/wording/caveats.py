"""What makes a verdict less, or another thing, than it looks: said beside its row, and in sentences below the table."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from taskcal.core.calibration.doubt import Doubt
from taskcal.core.rollout import Stop
from taskcal.core.settings import Metric
from taskcal.core.verdict import Strength, Verdict
from taskcal.report.wording import formatting
from taskcal.report.wording.sanitize import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.calibration.check_means import CheckMean
    from taskcal.core.settings import CalibrationSettings

NAME_LENGTH = 60
NOTE_LENGTH = 160
USER_LENGTH = 20
NAMED = 3
ROUNDING = 1e-12
CLASSES = frozenset({Verdict.TOO_HARD, Verdict.IN_BAND, Verdict.TOO_EASY})
PLACES = MappingProxyType(
    {Verdict.TOO_HARD: "below the band", Verdict.IN_BAND: "in the band", Verdict.TOO_EASY: "above the band"}
)
LIMITS = (Stop.TIMEOUT, Stop.OUT_OF_MEMORY)
SHORT = MappingProxyType({Doubt.LOST: "losses", Doubt.MISSING: "incomplete", Doubt.IDENTICAL: "identical"})
OWN_WORD = "agent's word"


def note(calibration: Calibration, settings: CalibrationSettings) -> str:
    """A few words for a column: `rather too-hard`, or `limits, losses`; '' for none."""
    limits = "limits" if calibration.counts.limited else ""
    override = calibration.group.override
    user = f"as {plain(override.agent, USER_LENGTH)}" if override else ""
    services = "service ended" if calibration.counts.services.rollouts else ""
    unable = "check cannot run" if unable_checks(calibration) else ""
    own_word = OWN_WORD if calibration.counts.own_word else ""
    near = "one reward" if is_one_level(calibration) else ""
    doubts = (SHORT[doubt] for doubt in calibration.judgement.doubts if doubt in SHORT)
    parts = (_short_mismatch(calibration, settings), user, unable, near, limits, services, own_word, *doubts)
    return ", ".join(part for part in parts if part)


def full_note(calibration: Calibration, settings: CalibrationSettings) -> str:
    """The same beside a verdict that does not tell its partial signal: `partial signal 0.87, limits`."""
    return ", ".join(part for part in (formatting.partial_signal(calibration), note(calibration, settings)) if part)


def remarks(calibration: Calibration, settings: CalibrationSettings) -> list[str]:
    """A sentence for each, without its full stop; none for a group without a class."""
    if calibration.judgement.verdict not in CLASSES:
        return []
    return list(_remarks(calibration, settings))


def needs_words(calibration: Calibration, settings: CalibrationSettings) -> bool:
    """Whether a task in the band needs more than its row; depending on the prior alone does not count."""
    if calibration.judgement.verdict is not Verdict.IN_BAND:
        return False
    torn = place(calibration, settings) is not _likeliest(calibration)
    hindered = bool(calibration.counts.services.rollouts or unable_checks(calibration) or calibration.counts.own_word)
    other = calibration.group.override is not None or is_one_level(calibration)
    return torn or hindered or other or calibration.counts.limited or bool(calibration.judgement.doubts)


def is_one_level(calibration: Calibration) -> bool:
    """Whether some passed and some failed with rewards that count as equal, so that a trainer may see no contrast."""
    return (
        0 < calibration.counts.passed < calibration.counts.graded and (calibration.learning.contrast or 0.0) < ROUNDING
    )


def unable_checks(calibration: Calibration) -> list[CheckMean]:
    """The checks that never scored because a program of theirs was missing."""
    return [check for check in calibration.checks if check.cannot_run]


def place(calibration: Calibration, settings: CalibrationSettings) -> Verdict:
    """The class of what was counted: of k/n where it was decided, or of the mean reward."""
    if settings.metric is Metric.REWARD:
        return settings.band.verdict(calibration.rates.mean_reward or 0.0)
    passed, graded = calibration.judgement.basis.counts
    return settings.band.verdict(passed / graded if graded else 0.0)


def _likeliest(calibration: Calibration) -> Verdict:
    """The most probable class; where there is no posterior, the verdict."""
    return (
        calibration.judgement.posterior.likeliest if calibration.judgement.posterior else calibration.judgement.verdict
    )


def _short_mismatch(calibration: Calibration, settings: CalibrationSettings) -> str:
    likeliest = _likeliest(calibration)
    if calibration.judgement.verdict not in CLASSES or place(calibration, settings) is likeliest:
        return ""
    return "against k/n" if likeliest is calibration.judgement.verdict else f"rather {likeliest}"


def list_caveats(calibration: Calibration, settings: CalibrationSettings) -> list[str]:
    """Sentences about the rollouts themselves, without a full stop: what a reader must know before acting on them."""
    return list(_caveats(calibration, settings)) if calibration.judgement.verdict in CLASSES else []


def _remarks(calibration: Calibration, settings: CalibrationSettings) -> Iterator[str]:
    if mismatch := _mismatch(calibration, settings):
        yield mismatch
    yield from _caveats(calibration, settings)
    if calibration.judgement.strength is Strength.LIKELY and calibration.judgement.robust is False:
        source = calibration.judgement.basis.source.value
        yield f"it rests on the prior ({source}): the default, Jeffreys' and the uniform one are not all as sure"


def _caveats(calibration: Calibration, settings: CalibrationSettings) -> Iterator[str]:
    if calibration.group.override is not None:
        yield f"the agent's file makes it act as {plain(calibration.group.override.words, NAME_LENGTH)}"
    for check in unable_checks(calibration)[:NAMED]:
        yield f"check '{plain(check.name, NAME_LENGTH)}' cannot run: {plain(check.note, NOTE_LENGTH)}"
    if is_one_level(calibration):
        yield _one_level(calibration, settings)
    yield from _doubts(calibration, settings)
    if calibration.counts.limited:
        yield _limits(calibration)
    if calibration.counts.services.rollouts:
        where = f"{calibration.counts.services.rollouts} of {formatting.many(calibration.counts.graded, 'rollout')}"
        yield f"a service failed while the agent worked, in {where}: {calibration.counts.services.example}"


def _doubts(calibration: Calibration, settings: CalibrationSettings) -> Iterator[str]:
    if Doubt.LOST in calibration.judgement.doubts:
        yield _losses(calibration, settings)
    if calibration.counts.own_word:
        yield _own_word(calibration)
    if Doubt.MISSING in calibration.judgement.doubts:
        planned = calibration.counts.graded + calibration.counts.lost + calibration.counts.missing
        yield f"{calibration.counts.missing} of {planned} rollouts have not finished, and slow ones may end differently"
    if Doubt.IDENTICAL in calibration.judgement.doubts:
        attempted = calibration.counts.graded + calibration.counts.lost
        yield f"{calibration.counts.identical} of {attempted} transcripts are identical: a cache or temperature 0?"


def _mismatch(calibration: Calibration, settings: CalibrationSettings) -> str:
    likeliest, here, judgement = _likeliest(calibration), place(calibration, settings), calibration.judgement
    if likeliest is here or judgement.posterior is None:
        return ""
    basis = judgement.basis
    counted = f"{basis.counts.passed} of {basis.counts.graded} lies {PLACES[here]}"
    chance = formatting.chance(judgement.posterior.highest)
    if likeliest is judgement.verdict:
        return f"{counted}, but the {basis.source.value} prior is sure that it is {likeliest} ({chance})"
    return f"{counted}, but {likeliest} is more probable ({chance})"


def _one_level(calibration: Calibration, settings: CalibrationSettings) -> str:
    counts, rewards = calibration.counts, calibration.learning.rewards
    return (
        f"{counts.passed} of {counts.graded} passed, but all rewards lie between {min(rewards):.3g} and "
        f"{max(rewards):.3g}, which count as equal (within {settings.flat_tolerance:g}): a trainer that drops groups "
        "without spread sees no signal here, one that keeps any spread trains on this small difference"
    )


def _losses(calibration: Calibration, settings: CalibrationSettings) -> str:
    """What the lost rollouts could have made of the verdict."""
    lost, everything = calibration.counts.lost, calibration.counts.graded + calibration.counts.lost
    earned = sum(calibration.learning.rewards) if settings.metric is Metric.REWARD else calibration.counts.passed
    extremes = {"failed": earned / everything, "passed": (earned + lost) / everything}
    classes = {how: settings.band.verdict(rate) for how, rate in extremes.items()}
    changed = [
        f"as {how} would make it {what}" for how, what in classes.items() if what is not calibration.judgement.verdict
    ]
    outcome = " and ".join(changed) or "as failed or as passed would leave it less sure"
    return f"counting the {formatting.many(lost, 'lost rollout')} {outcome}"


def _own_word(calibration: Calibration) -> str:
    """The attempts lost because the agent's command reported a failure, and what they would mean as failures."""
    attempts = formatting.many(calibration.counts.own_word, "attempt")
    lost = f"{attempts} lost on the agent's own word (exit 75 or lost_pattern)"
    return (
        f"{lost}; as failures they would shake the verdict" if Doubt.OWN_WORD in calibration.judgement.doubts else lost
    )


def _limits(calibration: Calibration) -> str:
    cut = sum(calibration.counts.stops.get(stop, 0) for stop in LIMITS)
    failures = calibration.counts.graded - calibration.counts.passed
    if not calibration.counts.passed:
        return f"limits, not difficulty: {cut} of {failures} failures ran out of time or memory"
    # Some that passed may have been cut short too, and a calibration does not know which.
    return (
        f"limits, not difficulty: {cut} of {calibration.counts.graded} rollouts ran out of time or memory, "
        f"over half of the {formatting.many(failures, 'failure')}"
    )
