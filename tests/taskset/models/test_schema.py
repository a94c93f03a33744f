"""JSON Schema: it is whole, and it knows every key that the loader knows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.agents.agent_file import agent_schema
from taskcal.agents.agent_models import CommandModel, SimulatedModel
from taskcal.cli.options.configuration_file import configuration_schema
from taskcal.taskset.models.environment import EnvironmentModel, ServiceModel
from taskcal.taskset.models.grader import CheckModel, GraderModel
from taskcal.taskset.models.schema import taskset_schema
from taskcal.taskset.models.taskset import TaskModel, TasksetModel, WrongModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.yamlfile.fields import Model

SCHEMA: dict[str, Any] = taskset_schema()


def references(value: object) -> Iterator[str]:
    """Give all that a schema refers to."""
    if isinstance(value, dict):
        yield from (item for key, item in value.items() if key == "$ref")
        for item in value.values():
            yield from references(item)
    if isinstance(value, list):
        for item in value:
            yield from references(item)


def properties(value: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give all properties of a schema; those below allOf are conditions on others."""
    if isinstance(value, dict):
        yield from value.get("properties", {}).items()
        for key, item in value.items():
            if key != "allOf":
                yield from properties(item)
    if isinstance(value, list):
        for item in value:
            yield from properties(item)


@pytest.mark.parametrize("schema", [SCHEMA, agent_schema(), configuration_schema()])
def test_every_property_is_described_in_a_sentence(schema: dict[str, Any]) -> None:
    """An editor shows what a key means, and what it is if it is left out."""
    described = [(key, value.get("description", "")) for key, value in properties(schema)]
    assert len(described) > 7
    assert [(key, text) for key, text in described if len(text.split()) < 3] == []
    assert [(key, text) for key, text in described if not text[0].isupper() or not text.endswith(".")] == []
    defaults = [(key, value) for key, value in properties(schema) if value.get("default") is not None]
    assert [key for key, value in defaults if "Default" not in value["description"]] == []


@pytest.mark.parametrize("schema", [SCHEMA, agent_schema()])
def test_every_reference_leads_somewhere_and_it_is_json(schema: dict[str, Any]) -> None:
    """An editor can resolve the whole of it."""
    found = {name.removeprefix("#/$defs/") for name in references(schema)}
    assert found
    assert found == schema["$defs"].keys()
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("TaskPart", TaskModel),
        ("CheckModel", CheckModel),
        ("WrongModel", WrongModel),
        ("ServiceModel", ServiceModel),
        ("EnvironmentModelPart", EnvironmentModel),
        ("GraderModelPart", GraderModel),
    ],
)
def test_the_schema_has_the_keys_of_the_models(name: str, model: type[Model]) -> None:
    """Keys are spelt as in YAML (`in`), parts may extend others, and unknown keys are marked."""
    definition = SCHEMA["$defs"][name]
    assert set(model.known_keys()) <= definition["properties"].keys()
    assert definition["additionalProperties"] is False
    assert ("extends" in definition["properties"]) == name.endswith("ModelPart")


def test_the_top_and_the_defaults_have_their_keys() -> None:
    """`defaults` takes every task key but id and variants."""
    assert set(SCHEMA["properties"]) == set(TasksetModel.known_keys())
    assert set(SCHEMA["$defs"]["DefaultsModel"]["properties"]) == set(TaskModel.known_keys()) - {"id", "variants"}


def test_quantities_are_text_or_numbers() -> None:
    """`15m` and 900 are both right in an editor."""
    agent = SCHEMA["$defs"]["TimeoutsModel"]["properties"]["agent"]
    assert {kind["type"] for kind in agent["anyOf"]} == {"string", "number"}


def test_agent_files_are_of_one_of_the_kinds() -> None:
    """Each kind has its own keys."""
    definitions = agent_schema()["$defs"]
    assert isinstance(definitions, dict)
    assert set(definitions["SimulatedModel"]["properties"]) == set(SimulatedModel.known_keys())
    assert set(definitions["CommandModel"]["properties"]) == set(CommandModel.known_keys())
