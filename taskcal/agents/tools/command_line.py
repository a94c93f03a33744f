"""A tool's arguments as a program's: how `ship --order 5` becomes the JSON object that the tool is called with.

    ship --order 5 --code ZX-9 --express        --name value, --name=value; a boolean needs no value
    ship --tag a --tag b                        a list takes one value at a time, or JSON: --tag '["a", "b"]'
    ship '{"order": 5, "code": "ZX-9"}'         all of them as one JSON object
    ship - <arguments.json                      the same on standard input
    ship --help                                 what it does and takes

A value is read as its type in the JSON Schema says; `-` in a name stands for `_`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from taskcal.agents.tools.tool_arguments import CallError, properties_of, read_object, read_value
from taskcal.core.text.foreign_text import clip
from taskcal.core.text.json_schema import forms, outer_types

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHORT = {"integer": "N", "number": "N", "boolean": "", "array": "JSON", "object": "JSON"}


def arguments_of(parameters: Mapping[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """The arguments in a call's words. Raises CallError with a sentence for the caller if they are not arguments."""
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        return read_object(words[0])
    arguments: dict[str, Any] = {}
    rest = list(words)
    while rest:
        name, text = _flag(parameters, rest)
        value = _value(properties_of(parameters).get(name), name, text)
        if isinstance(arguments.get(name), list) and isinstance(value, list):
            arguments[name] += value
        else:
            arguments[name] = value
    return arguments


def _flag(parameters: Mapping[str, Any], rest: list[str]) -> tuple[str, str]:
    """Take one argument off the words: its name, and its value's text ('' for a boolean that stands alone)."""
    word = rest.pop(0)
    if not word.startswith("--") or word == "--":
        raise CallError(f"{clip(word, 80)!r} is not understood; write --name value, or one JSON object")
    name, equals, text = word[2:].partition("=")
    name = name.replace("-", "_") if name not in properties_of(parameters) else name
    if equals:
        return name, text
    if "boolean" in _kinds(parameters, name) and (not rest or rest[0] not in {"true", "false"}):
        return name, "true"
    if not rest:
        raise CallError(f"--{name} needs a value")
    return name, rest.pop(0)


def _value(schema: object, name: str, text: str) -> Any:
    """A text as the first of the types that it can be; a text of no known type is JSON if it can be, else itself."""
    kinds = outer_types(schema)
    if "array" in kinds and "string" not in kinds and not text.lstrip().startswith("["):
        return [_value(_items(schema), name, text)]
    try:
        return read_value(kinds, text)
    except ValueError as error:
        if not kinds:
            return text
        raise CallError(f"--{name} must be {' or '.join(kinds)}, not {clip(text, 80)!r}") from error


def _kinds(parameters: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return outer_types(properties_of(parameters).get(name))


def _items(schema: object) -> object:
    """The schema of a list's items, from a schema or one of its forms; None if it has none."""
    if not isinstance(schema, dict):
        return None
    return next(
        (form["items"] for form in (schema, *forms(schema)) if isinstance(form, dict) and "items" in form), None
    )


def manual(name: str, description: str, parameters: Mapping[str, Any]) -> str:
    """The text of `--help`."""
    required = parameters.get("required")
    needed = required if isinstance(required, list) else ()
    lines = [
        description.strip() or f"{name}: a tool of this task",
        "",
        f"usage: {name} [--name value …], or {name} JSON",
    ]
    for argument, schema in properties_of(parameters).items():
        facts = schema if isinstance(schema, dict) else {}
        kinds = _kinds(parameters, argument)
        value = SHORT.get(kinds[0], "TEXT") if kinds else "VALUE"
        about = str(facts.get("description", ""))
        choices = "one of " + ", ".join(map(json.dumps, facts["enum"])) if isinstance(facts.get("enum"), list) else ""
        optional = "" if argument in needed else "optional"
        notes = "; ".join(part for part in (about, choices, optional) if part)
        lines.append(f"  --{argument} {value}".rstrip() + (f"  {notes}" if notes else ""))
    return "\n".join(lines) + "\n"
