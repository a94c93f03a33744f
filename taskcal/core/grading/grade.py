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

from taskcal.core.grading.answer_number import NoNumber, final_text, is_near, read_number
from taskcal.core.rollout import CheckResult, Graded, Stop
from taskcal.core.task import as_text
from taskcal.core.text.foreign_text import clip

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskcal.core.task import AnswerProbe, FileProbe

TOLERANCE = 1e-9
NOTE_LENGTH = 300
_INDEX = re.compile("0|[1-9][0-9]{0,17}")


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


def zero_score(note: str) -> Score:
    """A score of 0 with its reason, cut to a length that a table bears."""
    return Score(0.0, shorten_note(note))


def shorten_note(note: str) -> str:
    """A note, cut to a length that a table bears."""
    return clip(note, NOTE_LENGTH)


def full_if(condition: bool, note: str) -> Score:
    """Full score where a condition holds, else 0 with the note."""
    return FULL if condition else zero_score(note)


def combine(checks: Iterable[CheckResult], stop: Stop, passing: float) -> Graded:
    """The outcome of a graded rollout from all its checks; at least one of them has a weight above 0."""
    results = tuple(checks)
    guarded = all(check.score >= 1 - TOLERANCE for check in results if check.required)
    total = math.fsum(check.weight for check in results)
    reward = math.fsum(check.weight * check.score for check in results) / total if guarded else 0.0
    reward = min(1.0, max(0.0, reward))
    return Graded(stop, reward, reward >= passing - TOLERANCE, results)


def text_to_match(probe: FileProbe, state: FileState) -> str | None:
    """The text that a file probe's regular expression is tried on; None if there is none to try it on."""
    if probe.matches is None or state.content is None:
        return None
    text = state.content.decode(errors="replace")
    if probe.pointer is None:
        return text
    try:
        return _json_text(_at(text, probe.pointer))
    except (LookupError, ValueError, RecursionError):
        return None


def judge_file(probe: FileProbe, state: FileState, matches: bool | None = None) -> Score:
    """Judge a file. `matches` is the result of the regular expression; None means that it ran out of time."""
    if probe.pointer is not None:
        return _judge_pointer(probe, probe.pointer, state, matches)
    if probe.absent:
        return full_if(not state.exists, f"{probe.path} exists")
    if probe.exists:
        return full_if(state.exists, f"{probe.path} does not exist")
    if state.content is None:
        return _unreadable(probe, state)
    if probe.matches is not None:
        return _judge_match(matches, probe.path, probe.matches)
    return _judge_text(probe, state.content.decode(errors="replace"), state.truncated)


def judge_answer(probe: AnswerProbe, answer: str | None, matches: bool | None = None) -> Score:
    """Judge the agent's final message without its thoughts; surrounding white space does not count."""
    if answer is None:
        return zero_score("the agent gave no answer")
    text = final_text(answer)
    if probe.equals is not None:
        return full_if(text == probe.equals.strip(), f"the answer is {_short(text)}, not {_short(probe.equals)}")
    if probe.contains is not None:
        return full_if(probe.contains in text, f"the answer {_short(text)} does not contain {probe.contains!r}")
    if probe.matches is not None:
        return _judge_match(matches, "the answer", probe.matches)
    return _judge_number(text, 0 if probe.number is None else probe.number, probe.tolerance)


def _judge_number(text: str, wanted: float, tolerance: float) -> Score:
    try:
        found = read_number(text)
    except NoNumber as error:
        return zero_score(f"the answer {_short(text)} {error}")
    return full_if(is_near(found, wanted, tolerance), f"the answer is {found}, not {wanted}")


def _unreadable(probe: FileProbe, state: FileState) -> Score:
    return zero_score(f"{probe.path} {'is not a regular file' if state.exists else 'does not exist'}")


def _judge_text(probe: FileProbe, text: str, truncated: bool) -> Score:
    if probe.contains is not None:
        return full_if(probe.contains in text, f"{probe.path} does not contain {probe.contains!r}")
    wanted = _plain_text(probe.equals)
    same = not truncated and text.removesuffix("\n") == wanted.removesuffix("\n")
    return full_if(same, f"{probe.path} holds {_short(text)}, not {_short(wanted)}")


def _judge_match(matches: bool | None, what: str, pattern: str) -> Score:
    if matches is None:
        return zero_score(f"matching {pattern!r} took too long")
    return full_if(matches, f"{what} does not match {pattern!r}")


def _judge_pointer(probe: FileProbe, pointer: str, state: FileState, matches: bool | None) -> Score:
    """Judge the value at a pointer. A file that is missing or not JSON meets no condition, `absent` included."""
    if state.content is None:
        return _unreadable(probe, state)
    if state.truncated:
        return zero_score(f"{probe.path} is larger than 1 MiB, too large to be read as JSON")
    try:
        return _judge_found(probe, pointer, _at(state.content.decode(errors="replace"), pointer), matches)
    except LookupError:
        return FULL if probe.absent else zero_score(f"{probe.path} has nothing at {pointer}")
    except (ValueError, RecursionError):  # also where it can be read but is too deep to be written into a note
        return zero_score(f"{probe.path} is not JSON")


def _judge_found(probe: FileProbe, pointer: str, found: object, matches: bool | None) -> Score:
    place = pointer or probe.path
    if probe.absent:
        return zero_score(f"{probe.path} has {_short(_json_text(found))} at {pointer}")
    if probe.matches is not None:
        score = _judge_match(matches, place, probe.matches)
        return score if score.value == 1.0 else zero_score(f"{score.note}: it is {_short(_json_text(found))}")
    if probe.contains is not None:
        return full_if(
            probe.contains in _json_text(found),
            f"{place} is {_short(_json_text(found))} and does not contain {probe.contains!r}",
        )
    if not probe.has_equals:
        return FULL
    return full_if(_same(found, probe.equals), f"{place} is {_shown(found)}, not {_shown(probe.equals)}")


def _at(text: str, pointer: str) -> object:
    """The value at a pointer of a JSON text. Raises LookupError, ValueError or RecursionError."""
    return resolve_pointer(json.loads(text), pointer)


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


def _json_text(value: object) -> str:
    """A value of a JSON document as text: a text as it is, anything else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain_text(value: object) -> str:
    """A wanted value as the text of a whole file, written as scripts receive a param."""
    return as_text(value) if isinstance(value, str | bool | int | float) else _json_text(value)


def _shown(value: object) -> str:
    """A JSON value for a note, in which the text "3" and the number 3 differ and half a surrogate pair is `?`."""
    text = json.dumps(value, ensure_ascii=False).encode(errors="replace").decode()
    return text if len(text) <= 60 else text[:57] + "..."


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
