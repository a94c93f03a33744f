"""The JSON Schema of taskset files: the models give it, with `extends` and the names of shared parts added here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.taskset.models.environment import EnvironmentModel
from taskcal.taskset.models.grader import GraderModel
from taskcal.taskset.models.taskset import TaskModel, TasksetModel
from taskcal.yamlfile.fields import SCALAR_SCHEMA
from taskcal.yamlfile.schema import definitions, file_schema, map_of, reference, replace_property

if TYPE_CHECKING:
    from taskcal.yamlfile.schema import JsonSchema

VALUES: JsonSchema = {"type": "array", "minItems": 1, "items": SCALAR_SCHEMA}
PARAMS: JsonSchema = {"type": "object", "additionalProperties": SCALAR_SCHEMA}
ROWS: JsonSchema = {
    "type": "object",
    "properties": {
        "from": {"type": "string", "description": "JSONL or CSV file next to the taskset, one variant a row."}
    },
    "required": ["from"],
    "additionalProperties": False,
}
PRODUCT: JsonSchema = {"type": "object", "minProperties": 1, "additionalProperties": VALUES}
VARIANTS: JsonSchema = {
    "anyOf": [ROWS, PRODUCT, {"type": "array", "minItems": 1, "items": PARAMS}, {"type": "null"}],
}
EXTENDS: JsonSchema = {"type": "string", "description": "Name of a shared one whose keys this map adds to."}


def taskset_schema() -> JsonSchema:
    """Return the JSON Schema of taskset files."""
    defs = definitions(TasksetModel, TaskModel, EnvironmentModel, GraderModel)
    top = defs.pop("TasksetModel")
    for kind in ("EnvironmentModel", "GraderModel"):
        defs[f"{kind}Part"] = _part(defs[kind])
    task = defs["TaskModel"]
    replace_property(task, "environment", _name_or_part("EnvironmentModel"))
    replace_property(task, "grader", _name_or_part("GraderModel"))
    replace_property(task, "variants", VARIANTS)
    replace_property(top, "environments", map_of("EnvironmentModelPart"))
    replace_property(top, "graders", map_of("GraderModelPart"))
    replace_property(top, "defaults", reference("DefaultsModel"))
    replace_property(top, "tasks", {"type": "array", "minItems": 1, "items": reference("TaskPart")})
    defs["DefaultsModel"] = _defaults(task)
    defs["TaskPart"] = {key: value for key, value in task.items() if key != "required"} | {"required": ["id"]}
    return file_schema(top, defs)


def _name_or_part(name: str) -> JsonSchema:
    """Either the name of a shared one or a map, which may extend another."""
    return {"anyOf": [{"type": "string"}, reference(f"{name}Part")]}


def _part(model: JsonSchema) -> JsonSchema:
    """Add `extends`; nothing is required then, since the other one may bring it."""
    properties = {"extends": EXTENDS, **model["properties"]}
    return {**{key: value for key, value in model.items() if key != "required"}, "properties": properties}


def _defaults(task: JsonSchema) -> JsonSchema:
    properties = {key: value for key, value in task["properties"].items() if key not in ("id", "variants")}
    return {"type": "object", "title": "defaults", "properties": properties, "additionalProperties": False}
