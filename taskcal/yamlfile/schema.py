"""Editors complete and check YAML files that they have a JSON Schema for: the models give it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.yamlfile.fields import Model

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DEFINITIONS = "#/$defs/"
JsonSchema = dict[str, Any]


def schema_of(*models: type[Model]) -> JsonSchema:
    """Return the JSON Schema of a file that is one of `models`."""
    return file_schema({"anyOf": [reference(model.__name__) for model in models]}, definitions(*models))


def file_schema(top: JsonSchema, defs: JsonSchema) -> JsonSchema:
    """Return the JSON Schema of a file whose top is `top`, with those of `defs` that it refers to."""
    used: JsonSchema = {}
    names = [*_references(top)]
    while names:
        name = names.pop()
        if name not in used:
            used[name] = defs[name]
            names += _references(defs[name])
    return {"$schema": DIALECT, **top, **({"$defs": {name: defs[name] for name in sorted(used)}} if used else {})}


def definitions(*models: type[Model]) -> JsonSchema:
    """Return the schemas of `models` and of all that they hold, by name."""
    _, whole = models_json_schema([(model, "validation") for model in models])
    defs: JsonSchema = whole["$defs"]
    return defs


def reference(name: str) -> JsonSchema:
    """Return the schema that stands for the definition called `name`."""
    return {"$ref": f"{DEFINITIONS}{name}"}


def map_of(name: str) -> JsonSchema:
    """Return the schema of a map whose values are all as the definition called `name`."""
    return {"type": "object", "additionalProperties": reference(name)}


def replace_property(owner: JsonSchema, key: str, schema: JsonSchema) -> None:
    """Give a key of `owner` another schema; its description stays."""
    owner["properties"][key] = {**schema, "description": owner["properties"][key]["description"]}


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(target := schema.get("$ref"), str):
            yield target.removeprefix(DEFINITIONS)
        for part in schema.values():
            yield from _references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _references(part)
