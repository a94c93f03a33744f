"""Editors complete and check what they have a JSON Schema for: the models give it, with the names resolved here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from taskcal.taskset.models.environment import EnvironmentModel
from taskcal.taskset.models.grader import GraderModel
from taskcal.taskset.models.taskset import TaskModel, TasksetModel

if TYPE_CHECKING:
    from taskcal.yamlfile.fields import Model

DIALECT = "https://json-schema.org/draft/2020-12/schema"
JsonSchema = dict[str, Any]
SCALARS: JsonSchema = {"type": "array", "minItems": 1, "items": {"type": ["string", "number", "boolean", "null"]}}
PARAMS: JsonSchema = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}
ROWS: JsonSchema = {
    "type": "object",
    "properties": {"from": {"type": "string"}},
    "required": ["from"],
    "additionalProperties": False,
}
PRODUCT: JsonSchema = {"type": "object", "minProperties": 1, "additionalProperties": SCALARS}
VARIANTS: JsonSchema = {
    "description": "a map of lists (their product), a list of maps, or rows of a file",
    "anyOf": [ROWS, PRODUCT, {"type": "array", "minItems": 1, "items": PARAMS}, {"type": "null"}],
}


def taskset_schema() -> JsonSchema:
    """Give the JSON Schema of taskset files."""
    defs = _definitions(TasksetModel, TaskModel, EnvironmentModel, GraderModel)
    top = defs.pop("TasksetModel")
    for kind in ("EnvironmentModel", "GraderModel"):
        defs[f"{kind}Part"] = _part(defs[kind])
    task = defs["TaskModel"]
    task["properties"].update(environment=_named("EnvironmentModel"), grader=_named("GraderModel"), variants=VARIANTS)
    defs["DefaultsModel"] = _defaults(task)
    top["properties"].update(
        environments=_map_of("EnvironmentModelPart"),
        graders=_map_of("GraderModelPart"),
        defaults=_ref("DefaultsModel"),
        tasks={"type": "array", "minItems": 1, "items": _ref("TaskPart")},
    )
    defs["TaskPart"] = {key: value for key, value in task.items() if key != "required"} | {"required": ["id"]}
    del defs["TaskModel"]
    return {"$schema": DIALECT, **top, "$defs": defs}


def schema_of(*models: type[Model]) -> JsonSchema:
    """Give the JSON Schema of a file that is one of `models`."""
    defs = _definitions(*models)
    return {"$schema": DIALECT, "anyOf": [_ref(model.__name__) for model in models], "$defs": defs}


def _definitions(*models: type[Model]) -> JsonSchema:
    """Give the schemas of `models` and of all that they hold, by name."""
    _, whole = models_json_schema([(model, "validation") for model in models])
    defs: JsonSchema = whole["$defs"]
    return defs


def _ref(name: str) -> JsonSchema:
    return {"$ref": f"#/$defs/{name}"}


def _map_of(name: str) -> JsonSchema:
    return {"type": "object", "additionalProperties": _ref(name)}


def _named(name: str) -> JsonSchema:
    """Either the name of a shared one or a map, which may stand on another's shoulders."""
    return {"anyOf": [{"type": "string"}, _ref(f"{name}Part")]}


def _part(model: JsonSchema) -> JsonSchema:
    """Add `extends`; nothing is required then, since the other one may bring it."""
    properties = {"extends": {"type": "string", "description": "the name of one to add to"}, **model["properties"]}
    return {**{key: value for key, value in model.items() if key != "required"}, "properties": properties}


def _defaults(task: JsonSchema) -> JsonSchema:
    properties = {key: value for key, value in task["properties"].items() if key not in ("id", "variants")}
    return {"type": "object", "title": "defaults", "properties": properties, "additionalProperties": False}
