"""How to go on with a run that ended before it was done: the reason, and the command to type."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from taskcal.report.wording.sanitize import plain
from taskcal.report.wording.sentences import SENTENCE

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from taskcal.core.calibration.run_result import RunResult

ONCE = ("--resume", "--prior")
"""Options with a value that a run has on record, or that are given anew to go on with it."""


def way_on(result: RunResult) -> str:
    """Why a run that is over has not all that it could have, and the command that goes on; '' where it has."""
    run, lost = result.record, result.summary.lost
    if run.interrupted:
        why = "interrupted; go on with"
    elif run.stopped:
        why = f"stopped early: {plain(run.stopped, SENTENCE)}; go on with"
    elif lost:
        why = f"{lost:,} rollout{'s' * (lost != 1)} stayed lost; try again with"
    else:
        return ""
    return f"{why}: {command_to_resume(run.id)}"


def command_to_resume(run: str) -> str:
    """What a person types to go on with this run, with the options of the call that was interrupted."""
    return f"taskcal {shlex.join([*_without(ONCE, sys.argv[1:]), '--resume', run])}"


def _without(options: Collection[str], words: Sequence[str]) -> list[str]:
    """A command line without these options and their values."""
    follows = [False, *(word in options for word in words)]
    return [
        word
        for word, is_value in zip(words, follows, strict=False)
        if not is_value and word.partition("=")[0] not in options
    ]
