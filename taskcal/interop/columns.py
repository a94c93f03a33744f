"""Which column of a table says what: as a person maps them, or by the few names that are taken for themselves."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.errors import UsageError
from taskcal.interop.cells import quote_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

REQUIRED = ("task", "reward")
KEYS = (
    *REQUIRED, "variant", "index", "agent", "lost", "reason", "passed", "stop", "seconds", "cost", "input_tokens",
    "output_tokens",
)  # fmt: skip
CHECK = "check."
OTHER_NAMES = {"task": ("task", "task_id"), "reward": ("reward", "score"), "cost": ("cost", "cost_usd")}
"""Beside its own name, what else a key's column may be called if nothing is mapped."""
UNGUESSED = "index"
"""A column of this name is too often the number of the line."""
EXAMPLE = "--map task=COLUMN,reward=COLUMN"
MOST_LISTED = 12
ABSENT = object()
"""What a row has at a column that it has not; null is a value."""


@dataclass(frozen=True, slots=True)
class Columns:
    """For each key the columns that it may stand in, of which a table has one; `needed` are keys that must be there.

    With `takes_checks` every column `check.NAME` that a table has is one too.
    """

    names: Mapping[str, tuple[str, ...]]
    needed: tuple[str, ...]
    takes_checks: bool = False

    @property
    def checks(self) -> tuple[str, ...]:
        """The names of the checks, in the order of the map."""
        return tuple(key.removeprefix(CHECK) for key in self.names if key.startswith(CHECK))


def guess_columns() -> Columns:
    """Each key in the column of its own name; some also in another (`OTHER_NAMES`); every check."""
    names = {key: OTHER_NAMES.get(key, (key,)) for key in KEYS if key != UNGUESSED}
    return Columns(names, REQUIRED, takes_checks=True)


def parse_column_map(texts: Iterable[str]) -> Columns:
    """The columns that `key=column,…` texts name, and no others. Raises UsageError."""
    names: dict[str, tuple[str, ...]] = {}
    for text in (part for whole in texts for part in whole.split(",")):
        key, equals, column = (part.strip() for part in text.partition("="))
        if not (key and equals and column):
            raise UsageError(f"--map {quote_value(text)}: must be key=column, such as {EXAMPLE}")
        if key in names:
            raise UsageError(f"--map {quote_value(text)}: {key} is mapped twice")
        _refuse_unknown(key, text)
        names[key] = (column,)
    for key in REQUIRED:
        if key not in names:
            raise UsageError(f"--map does not say where {key} is; name its column, as in {EXAMPLE}")
    return Columns(names, tuple(names))


def _refuse_unknown(key: str, text: str) -> None:
    if key in KEYS or key.removeprefix(CHECK) not in {"", key}:
        return
    near = difflib.get_close_matches(key, KEYS, 1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(KEYS)} and check.NAME"
    raise UsageError(f"--map {quote_value(text)}: unknown key; {hint}")


def value_at(values: Mapping[str, object], column: str) -> object:
    """What a row has in a column, `a.b` being a column or the b in a; ABSENT if it has none."""
    if column in values:
        return values[column]
    head, dot, rest = column.partition(".")
    inner = values.get(head) if dot else None
    return value_at(inner, rest) if isinstance(inner, dict) else ABSENT


def list_columns(values: Mapping[str, object]) -> str:
    """The columns that a row has, for a person who looks for the right one."""
    return name_some(list(column_paths(values))) or "none"


def name_some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(map(quote_value, names[:MOST_LISTED])) + more


def column_paths(values: Mapping[str, object], depth: int = 2) -> Iterable[str]:
    """The columns that a row has, those inside an object as `a.b`."""
    for name, value in values.items():
        if isinstance(value, dict) and value and depth:
            yield from (f"{name}.{path}" for path in column_paths(value, depth - 1))
        elif name:
            yield name
