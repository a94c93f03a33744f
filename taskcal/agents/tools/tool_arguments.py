"""A tool call's arguments: read as a model or a program wrote them, and fitted to the tool's schema.

A call is understood first and carried out afterwards. Understanding it is pure: whatever fails there is the call's own
doing and is answered (`CallError`). Carrying it out is our side, and what is raised there passes. `understanding` is
the one guard for this; it tells the two apart by where an error arises, not by its kind.
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
    """A call that cannot be carried out, by its own doing; the message is the answer to it."""


@contextlib.contextmanager
def understanding() -> Iterator[None]:
    """Turn whatever fails while a call is understood into a CallError.

    Errors of this machine pass (OSError for a full disk, MemoryError), and so does every known error of taskcal:
    they are not the call's doing.
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
        found = parse_json(text)
        if isinstance(found, str):
            found = parse_json(found)
    except ValueError as error:
        raise CallError(f"the arguments are not JSON ({error}): {clip(text, LONGEST_QUOTE)}") from error
    if not isinstance(found, dict):
        raise CallError("the arguments must be a JSON object")
    return found


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


def fit(parameters: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A call's arguments as its schema means them. Raises CallError for arguments that do not fit.

    Two slips of models are forgiven at the outer level: a number, true, false, a list or an object that is written as
    text (`"30"`) is read, and a null for an argument that may be left out is left out.
    """
    properties = parameters.get("properties")
    schemas = properties if isinstance(properties, dict) else {}
    required = parameters.get("required") or ()
    meant: dict[str, Any] = {}
    for name, value in given.items():
        kinds = outer_types(schemas.get(name))
        if value is None and kinds and "null" not in kinds and name not in required:
            continue
        meant[name] = _as_meant(kinds, value) if isinstance(value, str) and kinds else value
    wrong = wrong_arguments(parameters, meant)
    if wrong:
        raise CallError(wrong)
    return meant


def _as_meant(kinds: Sequence[str], text: str) -> Any:
    """What a text was meant to be: itself if one of the types is text, else what it reads as if that is of one."""
    if "string" in kinds:
        return text
    try:
        value = parse_json(text)
    except ValueError:
        return text
    return value if any(kind in TYPES and TYPES[kind](value) for kind in kinds) else text


def wrong_arguments(parameters: Mapping[str, Any], arguments: object) -> str | None:
    """Why arguments do not fit a schema, or None."""
    return misfit(dict(parameters), arguments, _is_found)


def _is_found(pattern: str, text: str) -> bool:
    return search_within(pattern, text[:LONGEST_ARGUMENTS], PATTERN_SECONDS) is True
