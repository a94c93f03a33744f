"""Arguments against a stranger's JSON Schema: the same answers as the reference library's, and never without end."""

from __future__ import annotations

import re
from typing import Any

import pytest

from taskcal.core.text.json_schema import ANNOTATIONS, RULES, misfit

ORDER = {
    "type": "object",
    "properties": {
        "order": {"type": "integer", "minimum": 1},
        "code": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]$"},
        "speed": {"enum": ["slow", "fast", 1, None]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "minItems": 1, "uniqueItems": True},
    },
    "required": ["order"],
    "additionalProperties": False,
    "$defs": {"line": {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}},
}


def found(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({"order": 1}, None),
        ({"order": 1.0, "code": "ZX-9", "speed": None, "lines": [{"sku": "a"}]}, None),
        ([], "it must be an object"),
        ({}, "order is missing"),
        ({"order": "1"}, "order must be a whole number"),
        ({"order": True}, "order must be a whole number"),
        ({"order": 1.5}, "order must be a whole number"),
        ({"order": 0}, "order must be at least 1"),
        ({"order": 1, "code": "zx"}, "code must match ^[A-Z]{2}-[0-9]$"),
        ({"order": 1, "speed": True}, 'speed must be one of "slow", "fast", 1, null'),
        ({"order": 1, "colour": 2}, "colour is not known; it takes order, code, speed, lines"),
        ({"order": 1, "lines": []}, "lines must be a list of at least 1"),
        ({"order": 1, "lines": [{"sku": "a"}, {"sku": 2}]}, "lines[1].sku must be text"),
        ({"order": 1, "lines": [{}]}, "lines[0].sku is missing"),
        ({"order": 1, "lines": [{"sku": "a"}, {"sku": "a"}]}, "lines must be without repetitions"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(value: object, wrong: str | None) -> None:
    """For a model that is to call again, and for a person."""
    assert misfit(ORDER, value, found) == wrong


SCHEMAS: list[Any] = [
    True,
    False,
    {},
    {"type": ["string", "null"]},
    {"type": "integer"},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 10},
    {"maximum": 3},
    {"multipleOf": 3},
    {"multipleOf": 0.5},
    {"minLength": 2, "maxLength": 3},
    {"const": 1},
    {"const": {"a": [1, 2.0]}},
    {"enum": [0, "a", [1]]},
    {"minItems": 1, "maxItems": 2},
    {"uniqueItems": True},
    {"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
    {"items": {"type": "integer"}},
    {"minProperties": 1, "maxProperties": 1},
    {"additionalProperties": {"type": "integer"}},
    {"properties": {"a": {"type": "integer"}}, "additionalProperties": False},
    {"properties": {"a": False}},
    {"anyOf": [{"type": "string"}, {"minimum": 2}]},
    {"oneOf": [{"type": "number"}, {"minimum": 2}]},
    {"allOf": [{"type": "number"}, {"minimum": 2}]},
    {"not": {"type": "object"}},
    {"type": "object", "properties": {"a": {"$ref": "#"}}},
    {"$defs": {"a/b~c": {"type": "integer"}}, "$ref": "#/$defs/a~1b~0c"},
]
VALUES: list[Any] = [None, True, 0, 1, 1.0, 1.5, 2, 3, 6, -4, "", "a", "abc", "abcd", [], [1], [1, 1.0], [1, "a"]]
VALUES += [[True, 1], ["a", "a"], [1, "a", 2], {}, {"a": 1}, {"a": "b"}, {"a": [1, 2]}, {"b": 1}, {"a": {"a": {}}}]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_the_answers_are_the_reference_librarys(schema: Any) -> None:
    """Each keyword agrees with the jsonschema package on every kind of value."""
    from jsonschema import Draft202012Validator

    reference = Draft202012Validator(schema)
    answers = [(value, misfit(schema, value, found) is None) for value in VALUES]
    assert answers == [(value, reference.is_valid(value)) for value in VALUES]


def test_every_rule_is_held_against_the_reference() -> None:
    """No keyword is without a schema in the tests."""
    assert set(RULES) <= set(re.findall(r"[$\w]+", str([SCHEMAS, ORDER])))
    assert not set(RULES) & ANNOTATIONS


def nested(depth: int) -> dict[str, Any]:
    """A schema that doubles with every level."""
    levels = {f"l{i}": {"allOf": [{"$ref": f"#/$defs/l{i + 1}"}] * 2} for i in range(depth)}
    return {"$defs": {**levels, f"l{depth}": {}}, "$ref": "#/$defs/l0"}


def test_a_bomb_is_refused() -> None:
    """References that double forty times, and one that refers to itself, end."""
    assert misfit(nested(40), {}, found) == "its schema is too large to be checked"
    assert misfit({"$ref": "#"}, {}, found) == "its schema is too large to be checked"
    assert misfit(nested(10), {}, found) is None


def test_searches_are_counted() -> None:
    """A pattern costs more than a step: each one may be a process."""
    searched: list[str] = []

    def search(_: str, text: str) -> bool:
        searched.append(text)
        return True

    assert misfit({"items": {"pattern": "a"}}, ["a"] * 10_000, search) == "its schema is too large to be checked"
    assert len(searched) <= 100


@pytest.mark.parametrize("reference", ["https://example.org/schema", "#/$defs/absent", 5, "other.json#/a"])
def test_a_reference_never_leaves_its_schema(reference: object) -> None:
    """What it would bring from elsewhere fits nothing."""
    assert misfit({"$ref": reference}, {}, found) == "it is not allowed"


@pytest.mark.parametrize(
    "schema", [{"enum": 5}, {"required": 5}, {"properties": []}, {"minimum": "a"}, {"pattern": 5}, {"anyOf": {"a": 5}}]
)
def test_a_malformed_schema_is_no_crash(schema: dict[str, Any]) -> None:
    """It came from a program in a sandbox: whatever it is, there is an answer."""
    for value in VALUES:
        answer = misfit(schema, value, found)
        assert answer is None or isinstance(answer, str)


def test_the_type_of_a_type_is_no_crash() -> None:
    """A type that JSON does not have fits nothing."""
    assert misfit({"type": "strng"}, "a", found) == "it must be of a type that JSON has"
