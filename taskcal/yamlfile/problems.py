"""All mistakes at once, each once: problems are gathered here, and only then raised."""

from __future__ import annotations

import difflib
from itertools import islice
from typing import TYPE_CHECKING

from taskcal.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskcal.yamlfile.nodes import KeyPlace

MAX_KEPT = 1_000
MAX_SHOWN = 100
MAX_COMPARED = 200


class Problems:
    """The problems found so far in one or several files; the same one is kept once, and memory stays bounded."""

    def __init__(self) -> None:
        self._kept: dict[Problem, None] = {}
        self._dropped = 0

    def add(self, problem: Problem) -> None:
        """Keep `problem`, unless it is known or there are a thousand already."""
        if not self.full:
            self._kept[problem] = None
        elif problem not in self._kept:
            self._dropped += 1

    @property
    def full(self) -> bool:
        """Whether further problems are only counted, so that none needs to be worded."""
        return len(self._kept) >= MAX_KEPT

    def drop(self, number: int) -> None:
        """Count problems that will not be shown."""
        self._dropped += number

    def at(self, file: str, place: KeyPlace, message: str) -> None:
        """Keep a problem at a place of a file."""
        self.add(Problem(file, place.line, place.key, message))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Keep several."""
        for problem in problems:
            self.add(problem)

    def count(self) -> int:
        """Return how many there are; a caller compares two counts to see whether a step added any."""
        return len(self._kept) + self._dropped

    def in_file_order(self) -> tuple[Problem, ...]:
        """Return the first hundred in file order; the last entry counts the others."""
        kept = sorted(self._kept, key=_order)
        hidden = len(kept[MAX_SHOWN:]) + self._dropped
        rest = (Problem(kept[0].file, None, "", f"and {hidden} more"),) if hidden else ()
        return (*kept[:MAX_SHOWN], *rest)

    def raise_any(self) -> None:
        """Raise InputError with what was found, if anything was."""
        if self._kept:
            raise InputError(self.in_file_order())


def _order(problem: Problem) -> tuple[str, int, str]:
    return problem.file, problem.line or 0, problem.key


def suggest(word: str, known: Iterable[str]) -> str:
    """Give `, did you mean X?` for the known word that is nearest to `word`, or nothing if no word is near."""
    near = difflib.get_close_matches(word[:60], [*islice(known, MAX_COMPARED)], n=1, cutoff=0.6)
    return f", did you mean {near[0]}?" if near else ""
