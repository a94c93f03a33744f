"""Which keys of a check go together. A combination is honoured by the grader or refused here, at the key's own line.

The rules read plain keys and values, before and after the params are filled in, so that they hold for every variant.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from taskcal.yamlfile.nodes import Map
from taskcal.yamlfile.scalars import Written, quoting_advice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KINDS = ("run", "file", "answer")
FILE_CONDITIONS = ("exists", "absent", "equals", "contains", "matches")
ANSWER_CONDITIONS = ("equals", "contains", "matches", "number")
OWNERS = {
    **dict.fromkeys(("score", "timeout", "alone", "in", "user"), "run"),
    **dict.fromkeys((*FILE_CONDITIONS, "pointer"), "file"),
}


class Mistake(NamedTuple):
    """What is wrong with a check, and the steps to the key that it is about."""

    steps: tuple[str, ...]
    message: str


def check_mistakes(check: Mapping[str, object]) -> Iterator[Mistake]:
    """Give all mistakes in the combination of a check's keys; single values are the models' business."""
    keys = _given_keys(check)
    yield from _about_kind(check, keys)
    if "file" in keys:
        yield from _about_conditions(("file",), [key for key in FILE_CONDITIONS if key in keys])
        yield from _about_file(check, keys)
    if isinstance(check.get("answer"), dict):
        yield from _about_answer(check)


def _given_keys(check: Mapping[str, object]) -> set[str]:
    """The keys that say something: null means that a key is not given, but may be what a file must equal."""
    return {key for key, value in check.items() if value is not None or key == "equals"}


def _about_kind(check: Mapping[str, object], keys: set[str]) -> Iterator[Mistake]:
    kinds = [kind for kind in KINDS if kind in keys]
    if len(kinds) > 1:
        several = " and ".join(kinds)
        yield Mistake((kinds[1],), f"has {several}; a check judges by one of run, file, answer: split it")
    if check.get("weight") == 0 and check.get("required") is not True:
        yield Mistake(
            ("weight",),
            "weighs nothing and is not required, so it changes no reward; give it a weight, or required: true",
        )
    for key, owner in OWNERS.items():
        if key in keys and owner not in keys:
            yield Mistake((key,), f"{key} goes with {owner} only; {_remedy(key, owner, keys)}")


def _remedy(key: str, owner: str, keys: set[str]) -> str:
    if "answer" in keys and key in ANSWER_CONDITIONS:
        return f"write answer: {{{key}: …}}"
    return f"leave out {key}, or add {owner}"


def _about_conditions(place: tuple[str, ...], conditions_here: list[str]) -> Iterator[Mistake]:
    conditions = FILE_CONDITIONS if place == ("file",) else ANSWER_CONDITIONS
    if len(conditions_here) == 1:
        return
    subject = "file needs" if place == ("file",) else "needs"
    remedy = f"keep one of {', '.join(conditions_here)}" if conditions_here else "add one"
    yield Mistake(place, f"{subject} exactly one of {', '.join(conditions)}; {remedy}")


def _about_file(check: Mapping[str, object], keys: set[str]) -> Iterator[Mistake]:
    if "pointer" in keys:
        if check["pointer"] == "" and check.get("absent") is True:
            yield Mistake(("pointer",), 'pointer: "" is the whole document, which is never absent; name a key, as /key')
        if "equals" in keys and not _is_finite(check["equals"]):
            yield Mistake(("equals",), "must be a finite number; JSON has no other")
    elif "equals" in keys:
        yield from (Mistake(("equals",), message) for message in _about_text(check))


def _about_text(check: Mapping[str, object]) -> Iterator[str]:
    """A whole file is text, so what it must equal has to be one text."""
    wanted = check.as_written("equals") if isinstance(check, Map) else check["equals"]
    if wanted is None:
        yield 'null is a value of JSON; add pointer, or write "" for an empty file and "null" for that word'
    elif isinstance(wanted, dict | list):
        yield 'a map or a list is compared with JSON; add pointer ("" is the whole document), or quote the text'
    elif not _is_finite(wanted):
        yield "must be a finite number, or text in quotes"
    elif isinstance(wanted, Written):
        yield quoting_advice(wanted)


def _is_finite(value: object) -> bool:
    if isinstance(value, Written):
        return _is_finite(value.value)
    if isinstance(value, dict | list):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def _about_answer(check: Mapping[str, object]) -> Iterator[Mistake]:
    answer = check["answer"]
    keys = {key for key, value in answer.items() if value is not None} if isinstance(answer, dict) else set()
    yield from _about_conditions(("answer",), [key for key in ANSWER_CONDITIONS if key in keys])
    if "tolerance" in keys and "number" not in keys:
        yield Mistake(("answer", "tolerance"), "tolerance goes with number only; leave out tolerance, or add number")
