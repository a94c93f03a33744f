"""The rules of `check_rules` as JSON Schema, so that an editor marks what `taskcal validate` refuses.

Rules that need more than one check (a check without a kind needs the grader's `run`) or params are not among them.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from taskcal.taskset.models.check_rules import ANSWER_CONDITIONS, FILE_CONDITIONS, KINDS, OWNERS

if TYPE_CHECKING:
    from collections.abc import Iterable

JsonSchema = dict[str, Any]
PLAIN: JsonSchema = {"type": ["string", "number", "boolean"]}


def check_schema() -> JsonSchema:
    """Give the rules about the keys of a check."""
    return {
        "allOf": [
            *(
                {"not": {"allOf": [_has_value(kind), _has_value(other)]}}
                for kind, other in itertools.combinations(KINDS, 2)
            ),
            *(_goes_with([key for key in OWNERS if OWNERS[key] == owner], owner) for owner in ("run", "file")),
            {"if": _has_value("file"), "then": {"oneOf": [_has_value(key) for key in FILE_CONDITIONS]}},
            {
                "if": {"required": ["weight"], "properties": {"weight": {"const": 0}}},
                "then": {"required": ["required"], "properties": {"required": {"const": True}}},
            },
            {
                "if": {"allOf": [_has_value("file"), _has_value("equals"), {"not": _has_value("pointer")}]},
                "then": {"properties": {"equals": PLAIN}},
            },
            {
                "if": {"required": ["pointer"], "properties": {"pointer": {"const": ""}}},
                "then": {"not": _has_value("absent")},
            },
        ]
    }


def answer_schema() -> JsonSchema:
    """Give the rules about the keys of a check's answer."""
    conditions = [_present(key) for key in ANSWER_CONDITIONS]
    return {"allOf": [{"oneOf": conditions}, _goes_with(["tolerance"], "number")]}


def _has_value(key: str) -> JsonSchema:
    """A key of a check that is given; null means that it is not, but may be what a file must equal."""
    return {"required": [key]} if key == "equals" else _present(key)


def _present(key: str) -> JsonSchema:
    return {"required": [key], "properties": {key: {"not": {"type": "null"}}}}


def _goes_with(keys: Iterable[str], owner: str) -> JsonSchema:
    return {"if": {"anyOf": [_has_value(key) for key in keys]}, "then": _has_value(owner)}
