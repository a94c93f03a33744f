"""Scores that a grader's scripts print: numbers in [0, 1] give or take rounding, true and false, and nothing else."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from taskcal.core.text.foreign_text import clip

if TYPE_CHECKING:
    from collections.abc import Collection

ROUNDING = 1e-9
"""Twenty times 0.05 is a little more than 1 in binary, and a perfect rollout must not vanish over that."""
LONGEST_SHOWN = 60
MOST_NAMED = 5
LONGEST_SCORE = 400
"""Characters; no number in [0, 1] that a program prints is longer."""
WORDS = {"true": 1.0, "True": 1.0, "false": 0.0, "False": 0.0}
"""As JSON and Python print them."""


class NoScore(ValueError):
    """What a script printed is not a score; the message quotes it and says why."""


def score_on_last_line(output: str) -> float:
    """The score in [0, 1] on the last line that a script printed. Raises NoScore."""
    line = _last_line(output)
    if line in WORDS:
        return WORDS[line]
    try:
        value = float(line) if len(line) <= LONGEST_SCORE else math.nan
    except ValueError:
        value = math.nan
    score = _score(value)
    if score is None:
        raise NoScore(f"must end with a number in [0, 1], not: {_shown(line) or 'nothing'}{_side(value)}")
    return score


def scores_on_last_line(output: str, names: Collection[str]) -> dict[str, float]:
    """The scores of these checks, in a JSON object on the last line that the grader's one script printed.

    Other keys are ignored. Raises NoScore, which names the first check without a score.
    """
    try:
        printed = json.loads(_last_line(output))
    except (ValueError, RecursionError):
        printed = None
    if not isinstance(printed, dict):
        raise NoScore("printed no scores")
    return {name: _scripted(printed, name) for name in names}


def _last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1].strip() if lines else ""


def _scripted(printed: dict[str, object], name: str) -> float:
    if name not in printed:
        others = ", ".join(_shown(repr(key)) for key in [*printed][:MOST_NAMED]) or "no check"
        raise NoScore(f"gave no score for {name!r}, only for {others}")
    value = printed[name]
    score = _score(value) if isinstance(value, bool | int | float) else None
    if score is None:
        raise NoScore(f"must give {name!r} a number in [0, 1], true or false, not: {_described(value)}{_side(value)}")
    return score


def _score(value: float) -> float | None:
    """A score without its rounding, or None for a number outside [0, 1]."""
    for end in (0, 1):  # whole, since JSON may hold whole numbers that no float does
        if round(abs(value - end), 15) <= ROUNDING:  # 1.000000001 - 1 is a little more than 1e-9
            return float(end)
    return float(value) if 0 < value < 1 else None


def _side(value: object) -> str:
    if not isinstance(value, int | float) or not (value < 0 or value > 1):
        return ""
    return " (below 0)" if value < 0 else " (above 1)"


def _described(value: object) -> str:
    words: dict[type, str] = {dict: "an object", list: "a list", type(None): "null"}
    return words.get(type(value)) or (f'the text "{_shown(value)}"' if isinstance(value, str) else _shown(repr(value)))


def _shown(text: str) -> str:
    """A text of a stranger, cut to a length that fits into a sentence."""
    return clip(text, LONGEST_SHOWN)
