"""Read a tool call's arguments as a model or a program wrote them, and fit them to the tool's schema.

A call is checked first and carried out afterwards. Checking is pure: an error there is the call's own mistake, and its
message is the reply (`CallError`). Carrying it out is our side, so an error there passes through. `as_call_errors` is
the one guard for this. It decides by where an error arises, not by its class.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from taskcal.core.text.excerpt import excerpt
from taskcal.core.text.foreign_text import clip, parse_json
from taskcal.core.text.json_schema import TYPES, misfit, outer_types
from taskcal.errors import TaskcalError
from taskcal.machine.host import search_within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LONGEST_ARGUMENTS = 1024 * 1024
"""Bytes of one call's arguments."""
LONGEST_QUOTE = 200
PATTERN_SECONDS = 2.0


class CallError(ValueError):
    """A call that cannot be carried out because of its own mistake; the message is the reply to it."""


@contextlib.contextmanager
def as_call_errors() -> Iterator[None]:
    """Turn an error that is raised while a call is checked into a CallError.

    Errors of this machine (OSError for a full disk, MemoryError) and the known errors of taskcal pass through: the call
    did not cause them.
    """
    try:
        yield
    except (CallError, TaskcalError, OSError, MemoryError):
        raise
    except Exception as error:
        raise CallError(f"the arguments cannot be used: {excerpt(str(error), LONGEST_QUOTE)}") from error


def read_object(text: str) -> dict[str, Any]:
    """The object that a call's arguments are. Raises CallError.

    Some models write the object as a JSON text, that is, encoded twice; they are understood.
    """
    if len(text) > LONGEST_ARGUMENTS:
        raise CallError(f"the arguments are longer than {LONGEST_ARGUMENTS // 1024} KiB")
    try:
        value = parse_json(text)
        if isinstance(value, str):
            value = parse_json(value)
    except ValueError as error:
        raise CallError(f"the arguments are not JSON ({error}): {clip(text, LONGEST_QUOTE)}") from error
    if not isinstance(value, dict):
        raise CallError("the arguments must be a JSON object")
    return value


def history_of(text: str) -> str:
    """A call's arguments as they go back to the model's server: one JSON object that every server can read.

    They stay as the model wrote them if they are one already, since a server may have cached them; `{}` stands for
    arguments that are none.
    """
    try:
        value = read_object(text)
        written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return "{}"
    return text if json.loads(text) == value else written


def fit_arguments(parameters: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A call's arguments as its schema means them. Raises CallError for arguments that do not fit.

    Two slips of models are forgiven at the outer level: a number, true, false, a list or an object that is written as
    text (`"30"`) is read, and a null for an argument that may be left out is left out.
    """
    schemas = properties_of(parameters)
    required = parameters.get("required") or ()
    meant: dict[str, Any] = {}
    for name, value in arguments.items():
        kinds = outer_types(schemas.get(name))
        if value is None and kinds and "null" not in kinds and name not in required:
            continue
        meant[name] = _as_meant(kinds, value) if isinstance(value, str) and kinds else value
    wrong = wrong_arguments(parameters, meant)
    if wrong:
        raise CallError(wrong)
    return meant


def properties_of(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of each argument by its name; empty if the tool's schema names none."""
    properties = parameters.get("properties")
    return properties if isinstance(properties, dict) else {}


def read_value(kinds: Sequence[str], text: str) -> Any:
    """A text as a value of one of these types: itself if text is one of them, else JSON. Raises ValueError."""
    return text if "string" in kinds else parse_json(text)


def _as_meant(kinds: Sequence[str], text: str) -> Any:
    """The value that a text stands for by the types of its schema, or the text itself if it is of none of them."""
    try:
        value = read_value(kinds, text)
    except ValueError:
        return text
    if value is text:
        return text
    return value if any(kind in TYPES and TYPES[kind](value) for kind in kinds) else text


def wrong_arguments(parameters: Mapping[str, Any], arguments: object) -> str | None:
    """Why arguments do not fit a schema, or None."""
    return misfit(dict(parameters), arguments, _matches)


def _matches(pattern: str, text: str) -> bool:
    return search_within(pattern, text[:LONGEST_ARGUMENTS], PATTERN_SECONDS) is True
