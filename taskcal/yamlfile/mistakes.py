"""Pydantic knows what is wrong, the parsed YAML knows where; here both become a `Problem` that a person can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, get_args

from pydantic import ValidationError

from taskcal.errors import Problem
from taskcal.yamlfile.fields import Model
from taskcal.yamlfile.hints import unknown_key
from taskcal.yamlfile.nodes import Map, locate
from taskcal.yamlfile.problems import MAX_KEPT, Problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic_core import ErrorDetails

    from taskcal.yamlfile.paths import Folder

M = TypeVar("M", bound=Model)
MUST_BE = {
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "list_type": "must be a list",
    "dict_type": "must be a map (key: value)",
    "model_type": "must be a map (key: value)",
    "model_attributes_type": "must be a map (key: value)",
    "finite_number": "must be a finite number",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be below {lt}",
}
SENTENCES = {
    "missing": "missing",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "too_long": "more than {max_length} entries",
    "value_error": "{error}",
}
PATTERNS = {
    "id": 'must begin with a letter or a digit and go on with letters, digits, ".", "_" or "-", 100 at most',
    "user": "must be a user, USER:GROUP, UID or UID:GID",
    "pointer": 'must be a JSON pointer ("" or "/key/0", with ~1 for a / and ~0 for a ~ in a key)',
}
INSTEAD = {
    "exists": "; write absent: true",
    "absent": "; write exists: true",
    "answer": "; write answer: {equals: …} or answer: {number: …}",
}
KEY_STEP = "[key]"  # pydantic's last step where the key itself is wrong, not its value
LONGEST_SHOWN = 40


def validate_model(
    model: type[M], raw: Map, file: str, folder: Folder, problems: Problems, data: object = None
) -> M | None:
    """Give `raw` as a `model`, or None after adding to `problems` everything that is wrong with it.

    `data` is validated in its place if some values were filled in; `raw` knows where they were written.
    """
    try:
        return model.model_validate(raw if data is None else data, context=folder)
    except ValidationError as error:
        if problems.full:
            problems.drop(error.error_count())
            return None
        details = error.errors(include_url=False, include_input=True)[: 2 * MAX_KEPT]
        problems.extend(_problem(model, raw, file, detail) for detail in details)
        return None


def _problem(model: type[Model], raw: Map, file: str, detail: ErrorDetails) -> Problem:
    place = locate(raw, [step for step in detail["loc"] if step != KEY_STEP])
    return Problem(file, place.line, place.key, message(model, detail))


def message(model: type[Model], detail: ErrorDetails) -> str:
    """Word a mistake that pydantic found for the author of the file."""
    kind, loc = detail["type"], detail["loc"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown_key(str(loc[-1]), _model_at(model, loc[:-1]))
    if kind == "string_pattern_mismatch":
        rule = PATTERNS.get(str(loc[-1]), PATTERNS["id"])
        return f"{rule}, not {describe_value(detail['input'])}"
    if kind in MUST_BE:
        wrong = detail["input"]
        return f"{_fill(MUST_BE[kind], context)}, not {describe_value(wrong)}{_advice(kind, loc, wrong)}"
    return _fill(SENTENCES[kind], context) if kind in SENTENCES else detail["msg"]


def _fill(sentence: str, context: Mapping[str, object]) -> str:
    return sentence.format_map({key: _plainly(value) for key, value in context.items()})


def _plainly(value: object) -> object:
    """Write what pydantic writes as Python (0.0, 1e-06, True, 'a' or 'b') as YAML has it."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else f"{value:.9f}".rstrip("0")
    return value.replace("'", "").replace("True", "true") if isinstance(value, str) else value


def _advice(kind: str, loc: tuple[str | int, ...], value: object) -> str:
    """What to write instead. A number or a boolean for a text is nearly always a word without its quotes."""
    if kind == "string_type" and isinstance(value, bool | int | float):
        return "; put it in quotes"
    if kind == "literal_error" and value is not False:
        return ""
    return INSTEAD.get(str(loc[-1]), "") if kind in ("literal_error", "model_type", "model_attributes_type") else ""


def describe_value(value: object) -> str:
    """Name a value, shortly, for the end of a sentence."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"[:LONGEST_SHOWN]
    if isinstance(value, str):
        shown = value if len(value) <= LONGEST_SHOWN else value[: LONGEST_SHOWN - 1] + "…"
        return f'"{shown}"'.replace("\n", "\\n")
    if isinstance(value, dict):
        return "a map"
    return "a list" if isinstance(value, list) else f"a {type(value).__name__}"


def _model_at(model: type[Model], loc: tuple[str | int, ...]) -> type[Model]:
    """Find the model of the map at `loc`, for the keys that it knows."""
    for step in loc:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if step in fields:
            model = next(_models_in(fields[str(step)].annotation), model)
    return model


def _models_in(annotation: object) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
