"""From what the probes saw to a reward: the arithmetic of grading, without a container.

A check scores in [0, 1]. The reward is the weighted mean of the scores, sum(w s) / sum(w), and 0 when a required check
is not fully met. A rollout passed when its reward reaches the task's `passing`, compared with a tolerance of 1e-9
because 0.7 + 0.3 is not 1.0 in binary.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core.rollout import CheckResult, Graded, Stop

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskcal.core.task import AnswerProbe, FileProbe

TOLERANCE = 1e-9
NOTE_LENGTH = 300
_INDEX = re.compile("0|[1-9][0-9]{0,17}")
_NUMBER = re.compile(r"[$€£]?\s*([-+]?(?:[1-9]\d{0,2}(?:[,_]\d{3})+|\d*)(?:\.\d*)?(?:[eE][-+]?\d+)?)\.?")


@dataclass(frozen=True, slots=True)
class Score:
    """What one probe came to: a score in [0, 1] and, where it is not full, why."""

    value: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class FileState:
    """A path of the sandbox as the grader found it; `content` is None unless it is a regular file."""

    exists: bool
    content: bytes | None = None
    truncated: bool = False


FULL = Score(1.0)


def failed(note: str) -> Score:
    """A score of 0 with its reason, cut to a length that a table bears."""
    return Score(0.0, shortened(note))


def shortened(note: str) -> str:
    """A note, cut to a length that a table bears."""
    return note if len(note) <= NOTE_LENGTH else note[: NOTE_LENGTH - 1] + "…"


def met(condition: bool, note: str) -> Score:
    """Full score where a condition holds, else 0 with the note."""
    return FULL if condition else failed(note)


def combine(checks: Iterable[CheckResult], stop: Stop, passing: float) -> Graded:
    """The outcome of a graded rollout from all its checks; at least one of them has a weight above 0."""
    results = tuple(checks)
    guarded = all(check.score >= 1 - TOLERANCE for check in results if check.required)
    total = math.fsum(check.weight for check in results)
    reward = math.fsum(check.weight * check.score for check in results) / total if guarded else 0.0
    reward = min(1.0, max(0.0, reward))
    return Graded(stop, reward, reward >= passing - TOLERANCE, results)


def number_on_last_line(output: str) -> float | None:
    """The score that a script printed on its last line: a number in [0, 1], or None where that is no such number."""
    lines = output.strip().splitlines()
    try:
        value = float(lines[-1]) if lines else math.nan
    except ValueError:
        return None
    return value if 0.0 <= value <= 1.0 else None


def scores_on_last_line(output: str) -> dict[str, float] | None:
    """The scores by check name that a grader's one script printed as JSON on its last line, or None."""
    lines = output.strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    good = all(_is_number(value) and 0.0 <= value <= 1.0 for value in found.values())
    return {name: float(value) for name, value in found.items()} if good else None


def judge_file(probe: FileProbe, state: FileState, matches: bool | None = None) -> Score:
    """Judge a file. `matches` is what the regular expression came to; None means that it ran out of time."""
    if probe.absent:
        return met(not state.exists, f"{probe.path} exists")
    if not state.exists:
        return failed(f"{probe.path} does not exist")
    if probe.exists and probe.pointer is None:
        return FULL
    if state.content is None:
        return failed(f"{probe.path} is not a regular file")
    text = state.content.decode(errors="replace")
    if probe.matches is not None:
        return _judge_match(matches, probe.path, probe.matches)
    return _judge_pointer(probe, text) if probe.pointer is not None else _judge_text(probe, text, state.truncated)


def judge_answer(probe: AnswerProbe, answer: str | None, matches: bool | None = None) -> Score:
    """Judge the agent's final message; surrounding white space does not count."""
    if answer is None:
        return failed("the agent gave no answer")
    text = answer.strip()
    if probe.equals is not None:
        return met(text == probe.equals.strip(), f"the answer is {_short(text)}, not {_short(probe.equals)}")
    if probe.contains is not None:
        return met(probe.contains in text, f"the answer {_short(text)} does not contain {probe.contains!r}")
    if probe.matches is not None:
        return _judge_match(matches, "the answer", probe.matches)
    wanted = 0.0 if probe.number is None else probe.number
    found = _number_in(text)
    if found is None:
        return failed(f"the answer {_short(text)} is no number")
    return met(abs(found - wanted) <= probe.tolerance + TOLERANCE, f"the answer is {found:g}, not {wanted:g}")


def _judge_text(probe: FileProbe, text: str, truncated: bool) -> Score:
    if probe.contains is not None:
        return met(probe.contains in text, f"{probe.path} does not contain {probe.contains!r}")
    wanted = _as_text(probe.equals)
    same = not truncated and text.removesuffix("\n") == wanted.removesuffix("\n")
    return met(same, f"{probe.path} holds {_short(text)}, not {_short(wanted)}")


def _judge_match(matches: bool | None, what: str, pattern: str) -> Score:
    if matches is None:
        return failed(f"matching {pattern!r} took too long")
    return met(matches, f"{what} does not match {pattern!r}")


def _judge_pointer(probe: FileProbe, text: str) -> Score:
    pointer = probe.pointer or ""
    try:
        return _judge_found(probe, pointer, resolve_pointer(json.loads(text), pointer))
    except LookupError:
        return failed(f"{probe.path} has nothing at {pointer}")
    except (ValueError, RecursionError):  # also where it can be read but is too deep to be written into a note
        return failed(f"{probe.path} is not JSON")


def _judge_found(probe: FileProbe, pointer: str, found: object) -> Score:
    if probe.contains is not None:
        return met(probe.contains in _as_text(found), f"{pointer} is {_short(_as_text(found))}")
    if not probe.has_equals:
        return FULL
    return met(
        _same(found, probe.equals), f"{pointer} is {_short(_as_text(found))}, not {_short(_as_text(probe.equals))}"
    )


def resolve_pointer(document: object, pointer: str) -> object:
    """What a JSON pointer (RFC 6901) names in a document. Raises LookupError where there is nothing."""
    for part in pointer.split("/")[1:] if pointer else []:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document[name]
        elif isinstance(document, list) and _INDEX.fullmatch(name):
            document = document[int(name)]
        else:
            raise LookupError(name)
    return document


def _same(found: object, wanted: object) -> bool:
    """Equal as JSON: 3 is 3.0, but true is not 1."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(_same(found[key], wanted[key]) for key in found)
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return found == wanted


def _number_in(text: str) -> float | None:
    """The number that a text is, with thousands separators, a leading currency sign or a final dot.

    What could mean another number is none: a comma before anything but three digits, or a percent sign.
    """
    match = _NUMBER.fullmatch(text)
    try:
        value = float(match[1].replace(",", "").replace("_", "")) if match else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
