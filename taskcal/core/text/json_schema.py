"""JSON Schema, as much of it as tools' parameters use, checked within a bound: the schemas are strangers'.

A library would follow references out of the document, run regular expressions without a limit and take exponential
time where references nest. Here a reference stays in its schema, a regular expression is searched by the caller's
bounded means, and every value costs a step of `STEPS`. Keywords by https://json-schema.org/draft/2020-12/schema.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Search = Callable[[str, str], bool]
    """Whether a regular expression is found in a text."""
    Rule = Callable[["_Checker", Any, Any, str], "str | None"]

STEPS = 100_000
"""Pairs of a schema and a value that are looked at before a schema counts as too large."""
STEPS_OF_A_SEARCH = 1000

ANNOTATIONS = frozenset(
    {"$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "example"}
    | {"format", "deprecated", "readOnly", "writeOnly"}
)
"""Keywords that restrict nothing."""


def is_whole(value: object) -> bool:
    """Whether a JSON value is a whole number; 1.0 is one, true is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or value.is_integer()


TYPES: Mapping[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": is_whole,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
}
NAMES = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
NAMES |= {"object": "an object", "array": "a list", "null": "null"}


class TooLarge(Exception):
    """A schema takes more steps than it may."""


def misfit(schema: object, value: object, search: Search) -> str | None:
    """What is wrong with a value by a schema, with the place in it, or None. Unknown keywords restrict nothing."""
    try:
        return _Checker(schema, search).misfit(schema, value, "")
    except (TooLarge, RecursionError):
        return "its schema is too large to be checked"
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        return f"its schema is malformed: {error}"


def outer_types(schema: object) -> tuple[str, ...]:
    """The types that a schema allows at its outer level, or in one of its forms."""
    if not isinstance(schema, dict):
        return ()
    kinds = schema.get("type")
    own = tuple(kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(kind, str))
    return own or tuple(kind for form in forms(schema) for kind in outer_types(form))


def forms(schema: Mapping[str, Any]) -> list[Any]:
    """The alternatives of a schema; none if it has none."""
    forms = schema.get("anyOf", schema.get("oneOf"))
    return forms if isinstance(forms, list) else []


def _normal(value: object) -> str:
    """A text that is equal for values that JSON Schema holds equal: 1 and 1.0 are, true and 1 are not."""
    return json.dumps(_whole_floats(value), sort_keys=True)


def _whole_floats(value: object) -> object:
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole_floats(item) for item in value]
    return {key: _whole_floats(item) for key, item in value.items()} if isinstance(value, dict) else value


@dataclass
class _Checker:
    """One check of one value: the whole schema for its references, and the steps that are left."""

    root: object
    search: Search
    steps_left: int = STEPS

    def misfit(self, schema: object, value: object, path: str) -> str | None:
        """The first thing that is wrong at or below a place."""
        self.spend(1)
        if not isinstance(schema, dict):
            return f"{path or 'it'} is not allowed" if schema is False else None
        found = (RULES[keyword](self, schema, value, path) for keyword in schema if keyword in RULES)
        return next((wrong for wrong in found if wrong), None)

    def spend(self, steps: int) -> None:
        """Count steps. Raises TooLarge."""
        self.steps_left -= steps
        if self.steps_left < 0:
            raise TooLarge

    def fits(self, schema: object, value: object, path: str) -> bool:
        """Whether nothing is wrong."""
        return self.misfit(schema, value, path) is None

    def resolve(self, reference: object) -> object:
        """The schema that a reference within the document names; False, which nothing fits, for any other."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return False
        found = self.root
        for step in reference[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or key not in found:
                return False
            found = found[key]
        return found


def _says(path: str, demand: str) -> str:
    return f"{path or 'it'} must be {demand}"


def _type(_: _Checker, schema: Any, value: Any, path: str) -> str | None:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    known = [kind for kind in kinds if isinstance(kind, str) and kind in TYPES]
    if any(TYPES[kind](value) for kind in known):
        return None
    return _says(path, " or ".join(NAMES[kind] for kind in known) or "of a type that JSON has")


def _enum(checker: _Checker, schema: Any, value: Any, path: str) -> str | None:
    checker.spend(len(schema["enum"]))
    if _normal(value) in map(_normal, schema["enum"]):
        return None
    return _says(path, "one of " + ", ".join(map(json.dumps, schema["enum"][:20])))


def _const(_: _Checker, schema: Any, value: Any, path: str) -> str | None:
    return None if _normal(value) == _normal(schema["const"]) else _says(path, json.dumps(schema["const"]))


def _required(_: _Checker, schema: Any, value: Any, path: str) -> str | None:
    missing = [name for name in schema["required"] if name not in value] if isinstance(value, dict) else []
    return f"{_inside(path, missing[0])} is missing" if missing else None


def _properties(checker: _Checker, schema: Any, value: Any, path: str) -> str | None:
    given = value if isinstance(value, dict) else {}
    here = ((name, part) for name, part in schema["properties"].items() if name in given)
    found = (checker.misfit(part, given[name], _inside(path, name)) for name, part in here)
    return next((wrong for wrong in found if wrong), None)


def _additional(checker: _Checker, schema: Any, value: Any, path: str) -> str | None:
    known = schema.get("properties", {})
    others = [name for name in value if name not in known] if isinstance(value, dict) else []
    if others and schema["additionalProperties"] is False:
        takes = ", ".join(known) or "nothing"
        return f"{_inside(path, others[0])} is not known; it takes {takes}"
    found = (checker.misfit(schema["additionalProperties"], value[name], _inside(path, name)) for name in others)
    return next((wrong for wrong in found if wrong), None)


def _items(checker: _Checker, schema: Any, value: Any, path: str) -> str | None:
    given = value[len(schema.get("prefixItems", ())) :] if isinstance(value, list) else []
    found = (checker.misfit(schema["items"], item, f"{path}[{index}]") for index, item in enumerate(given))
    return next((wrong for wrong in found if wrong), None)


def _prefix_items(checker: _Checker, schema: Any, value: Any, path: str) -> str | None:
    pairs = zip(schema["prefixItems"], value if isinstance(value, list) else [], strict=False)
    found = (checker.misfit(part, item, f"{path}[{index}]") for index, (part, item) in enumerate(pairs))
    return next((wrong for wrong in found if wrong), None)


def _unique(_: _Checker, schema: Any, value: Any, path: str) -> str | None:
    doubled = schema["uniqueItems"] and isinstance(value, list) and len(set(map(_normal, value))) < len(value)
    return _says(path, "without repetitions") if doubled else None


def _any_of(checker: _Checker, schema: Any, value: Any, path: str) -> str | None:
    wrongs = [checker.misfit(part, value, path) for part in schema["anyOf"]]
    return None if None in wrongs or not wrongs else " or ".join(str(wrong) for wrong in wrongs[:4])


def _one_of(checker: _Checker, schema: Any, value: Any, path: str) -> str | None:
    fitting = sum(checker.fits(part, value, path) for part in schema["oneOf"])
    return None if fitting == 1 else _says(path, f"one of {len(schema['oneOf'])} forms, and fits {fitting}")


def _all_of(checker: _Checker, schema: Any, value: Any, path: str) -> str | None:
    return next((wrong for part in schema["allOf"] if (wrong := checker.misfit(part, value, path))), None)


def _not(checker: _Checker, schema: Any, value: Any, path: str) -> str | None:
    return f"{path or 'it'} is of a form that is not allowed" if checker.fits(schema["not"], value, path) else None


def _ref(checker: _Checker, schema: Any, value: Any, path: str) -> str | None:
    return checker.misfit(checker.resolve(schema["$ref"]), value, path)


def _pattern(checker: _Checker, schema: Any, value: Any, path: str) -> str | None:
    if not isinstance(value, str):
        return None
    checker.spend(STEPS_OF_A_SEARCH)
    return None if checker.search(schema["pattern"], value) else f"{path or 'it'} must match {schema['pattern']}"


def _bound(keyword: str, kind: str, demand: str, holds: Callable[[Any, Any], bool]) -> Rule:
    """The rule of a keyword that bounds a number, or the length of a text, list or object."""
    applies = TYPES[kind]

    def rule(_: _Checker, schema: Any, value: Any, path: str) -> str | None:
        if not applies(value) or holds(value if kind == "number" else len(value), schema[keyword]):
            return None
        return _says(path, f"{demand} {schema[keyword]}")

    return rule


def _is_multiple(value: float, step: float) -> bool:
    return step > 0 and (value % step == 0 if is_whole(value) and is_whole(step) else (value / step).is_integer())


RULES: Mapping[str, Rule] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "prefixItems": _prefix_items,
    "uniqueItems": _unique,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "allOf": _all_of,
    "not": _not,
    "$ref": _ref,
    "pattern": _pattern,
    "minimum": _bound("minimum", "number", "at least", lambda value, bound: value >= bound),
    "maximum": _bound("maximum", "number", "at most", lambda value, bound: value <= bound),
    "exclusiveMinimum": _bound("exclusiveMinimum", "number", "above", lambda value, bound: value > bound),
    "exclusiveMaximum": _bound("exclusiveMaximum", "number", "below", lambda value, bound: value < bound),
    "multipleOf": _bound("multipleOf", "number", "a multiple of", _is_multiple),
    "minLength": _bound("minLength", "string", "text of a length of at least", lambda value, bound: value >= bound),
    "maxLength": _bound("maxLength", "string", "text of a length of at most", lambda value, bound: value <= bound),
    "minItems": _bound("minItems", "array", "a list of at least", lambda value, bound: value >= bound),
    "maxItems": _bound("maxItems", "array", "a list of at most", lambda value, bound: value <= bound),
    "minProperties": _bound("minProperties", "object", "an object of at least", lambda value, bound: value >= bound),
    "maxProperties": _bound("maxProperties", "object", "an object of at most", lambda value, bound: value <= bound),
}


def _inside(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
