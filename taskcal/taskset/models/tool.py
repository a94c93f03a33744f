"""How the tools of a task are written in YAML, and what a JSON Schema must be to describe their parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema

from taskcal.core.text.json_schema import ANNOTATIONS, RULES, TYPES
from taskcal.yamlfile.fields import SHELL_NAME, TAKEN, TAKEN_PREFIXES, Model, ScriptText, folder_of
from taskcal.yamlfile.patterns import check_pattern
from taskcal.yamlfile.problems import suggest

LONGEST_SCHEMA = 64 * 1024
TOOL_NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,63}"
NO_KEYWORD = "is no keyword that is checked here"
RESERVED = frozenset({"sh", "bash", "taskcal"})
"""Names that agents call for something else."""


def _tool_name(name: str) -> str:
    if not re.fullmatch(TOOL_NAME, name):
        raise ValueError(f'must be letters, digits, "_" and "-", 64 at most, not "{name[:60]}"')
    if name in RESERVED:
        raise ValueError(f"{name} is what agents call their shell; choose another name")
    return name


def check_parameters(schema: dict[str, object]) -> dict[str, object]:
    """Give a schema back if it can describe a tool's arguments; raises ValueError with what is wrong with it."""
    if len(json.dumps(schema, allow_nan=False)) > LONGEST_SCHEMA:
        raise ValueError(f"longer than {LONGEST_SCHEMA // 1024} KiB as JSON")
    if schema.get("type", "object") != "object":
        raise ValueError("must describe an object (type: object)")
    properties = schema.get("properties")
    for name in properties if isinstance(properties, dict) else ():
        _check_argument_name(str(name))
    wrong = next(_mistakes(schema, "", schema), None)
    if wrong is not None:
        raise ValueError(wrong)
    return schema


def is_tool_name(name: str) -> bool:
    """Whether a tool may be called so."""
    return re.fullmatch(TOOL_NAME, name) is not None and name not in RESERVED


def mistake_in(schema: Mapping[str, Any]) -> str | None:
    """What is malformed in a schema that nobody here wrote, or None; keywords that are not known are passed over."""
    if len(json.dumps(schema)) > LONGEST_SCHEMA:
        return f"longer than {LONGEST_SCHEMA // 1024} KiB as JSON"
    try:
        return next((wrong for wrong in _mistakes(schema, "", schema) if NO_KEYWORD not in wrong), None)
    except RecursionError:
        return "nested too deeply"


def _check_argument_name(name: str) -> None:
    """An argument reaches the script as a variable of its name."""
    if not SHELL_NAME.fullmatch(name):
        raise ValueError(f'the argument "{name[:60]}" must be a name that a shell accepts (letters, digits, _)')
    if TAKEN.fullmatch(name) or name.startswith(TAKEN_PREFIXES):
        raise ValueError(f"the argument {name} means something to the shell; choose another name")


def _mistakes(schema: object, path: str, root: Mapping[str, Any]) -> Iterator[str]:
    """Everything that keeps a schema from meaning something, with its place."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield f"{path or 'it'} must be a map"
        return
    for keyword, value in schema.items():
        place = f"{path}.{keyword}" if path else str(keyword)
        if keyword not in RULES and keyword not in ANNOTATIONS:
            yield f"{place} {NO_KEYWORD}{suggest(str(keyword), RULES)}"
        elif keyword in FORMS:
            yield from FORMS[keyword](value, place, root)


def _a_type(value: object, place: str, _: Mapping[str, Any]) -> Iterator[str]:
    kinds = value if isinstance(value, list) else [value]
    for kind in kinds:
        if not isinstance(kind, str) or kind not in TYPES:
            yield f"{place} must be one of {', '.join(TYPES)}{suggest(str(kind), TYPES)}"


def _a_schema(value: object, place: str, root: Mapping[str, Any]) -> Iterator[str]:
    yield from _mistakes(value, place, root)


def _schemas(value: object, place: str, root: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(value, list) or not value:
        yield f"{place} must be a list that is not empty"
        return
    for index, part in enumerate(value):
        yield from _mistakes(part, f"{place}[{index}]", root)


def _named_schemas(value: object, place: str, root: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{place} must be a map"
        return
    for name, part in value.items():
        yield from _mistakes(part, f"{place}.{name}", root)


def _names(value: object, place: str, _: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        yield f"{place} must be a list of names"


def _a_list(value: object, place: str, _: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(value, list) or not value:
        yield f"{place} must be a list that is not empty"


def _a_number(value: object, place: str, _: Mapping[str, Any]) -> Iterator[str]:
    if not TYPES["number"](value):
        yield f"{place} must be a number"


def _a_step(value: object, place: str, _: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        yield f"{place} must be a number above 0"


def _a_count(value: object, place: str, _: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        yield f"{place} must be a whole number from 0"


def _truth(value: object, place: str, _: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{place} must be true or false"


def _a_regex(value: object, place: str, _: Mapping[str, Any]) -> Iterator[str]:
    try:
        check_pattern(str(value))
    except ValueError as error:
        yield f"{place}: {error}"


def _a_reference(value: object, place: str, root: Mapping[str, Any]) -> Iterator[str]:
    target: Any = root
    steps = str(value).removeprefix("#").split("/")[1:]
    for step in steps:
        target = target.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(target, dict) else None
    if not str(value).startswith("#") or target is None:
        yield f'{place} must name a part of this schema, such as "#/$defs/NAME"'


Form = Callable[[object, str, Mapping[str, Any]], Iterator[str]]
FORMS: Mapping[str, Form] = {
    "type": _a_type,
    **dict.fromkeys(("items", "additionalProperties", "not"), _a_schema),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), _schemas),
    **dict.fromkeys(("properties", "$defs", "definitions"), _named_schemas),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _a_number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _a_count),
    "multipleOf": _a_step,
    "uniqueItems": _truth,
    "required": _names,
    "enum": _a_list,
    "pattern": _a_regex,
    "$ref": _a_reference,
}

NAME_SCHEMA = {"type": "string", "pattern": f"^{TOOL_NAME}$"}
ToolName = Annotated[str, AfterValidator(_tool_name), WithJsonSchema(NAME_SCHEMA)]


def _parameters(schema: dict[str, object], info: ValidationInfo) -> dict[str, object]:
    for pattern in _patterns_in(schema):
        folder_of(info).allowance.compile(pattern)
    return check_parameters(schema)


def _patterns_in(schema: object) -> Iterator[str]:
    """All that may be a regular expression of a schema, or only looks like one."""
    items = schema.items() if isinstance(schema, dict) else enumerate(schema if isinstance(schema, list) else ())
    for key, value in items:
        if key == "pattern" and isinstance(value, str):
            yield value
        yield from _patterns_in(value)


Parameters = Annotated[dict[str, object], AfterValidator(_parameters)]


class ToolModel(Model):
    """A named command that the agent is offered."""

    name: ToolName
    """Name of the tool: letters, digits, "_" and "-", at most 64."""
    run: Annotated[ScriptText, Field(min_length=1)]
    """Script that runs in the sandbox when the agent calls the tool; arguments are variables."""
    description: str = ""
    """Explanation of the tool for the agent. Default: none."""
    parameters: Parameters = Field(default_factory=dict)
    """JSON Schema of the arguments, an object, at most 64 KiB. Default: no arguments."""


class McpModel(Model):
    """An MCP server inside the sandbox, started by `run` and spoken to over its standard input and output."""

    name: ToolName
    """Name of the server: letters, digits, "_" and "-", at most 64."""
    run: Annotated[ScriptText, Field(min_length=1)]
    """Command that starts the server and speaks MCP over standard input and output."""
