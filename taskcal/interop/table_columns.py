"""Which columns a table turns out to have while its rows are read: its checks, and what no key takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.interop.cells import LONGEST_NAME, CellError, quote_value
from taskcal.interop.columns import CHECK, column_paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_CHECKS = 1_000
CHECKS = CHECK.removesuffix(".")


class TableColumns:
    """The columns of the rows so far, in the order in which they came."""

    def __init__(self) -> None:
        """No row was seen."""
        self._known: set[str] = set()
        self._paths: dict[str, None] = {}
        self._checks = 0

    def new_checks(self, values: Mapping[str, object]) -> list[str]:
        """Look at a row; gives its columns `check.NAME` that no row had before. Raises CellError for too many."""
        if values.keys() <= self._known and CHECKS not in values:
            return []
        fresh = {name: value for name, value in values.items() if name not in self._known or name == CHECKS}
        self._known |= fresh.keys()
        new = [path for path in column_paths(fresh) if path not in self._paths]
        self._paths |= dict.fromkeys(new)
        checks = [path for path in new if path.startswith(CHECK) and path != CHECK]
        self._checks += len(checks)
        if self._checks > MOST_CHECKS:
            raise CellError(f"more than {MOST_CHECKS:,} columns check.NAME; choose some with --map")
        if long := next((path for path in checks if len(path) > LONGEST_NAME), None):
            raise CellError(f"{quote_value(long)} is a name of more than {LONGEST_NAME} characters")
        return checks

    def unread(self, used: Iterable[str]) -> tuple[str, ...]:
        """The columns that are none of the used ones, and that hold none of them."""
        taken = tuple(used)
        return tuple(path for path in self._paths if not any(f"{column}.".startswith(f"{path}.") for column in taken))
