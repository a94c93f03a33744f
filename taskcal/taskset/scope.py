"""What the reading of one file shares: its name, its folder, the problems found, and what is left of the bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskcal.taskset.prompts.value_template import ValueTemplates
from taskcal.yamlfile.problems import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskcal.taskset.prompts.template import Prompts
    from taskcal.yamlfile.nodes import KeyPlace
    from taskcal.yamlfile.paths import Folder
    from taskcal.yamlfile.problems import Problems

MAX_VALUES = 2_000_000
MAX_CHARACTERS = 128 * 1024**2


class Budget:
    """How many values and characters of all variants together may still come, so that none can fill the memory."""

    def __init__(self, values: int = MAX_VALUES, characters: int = MAX_CHARACTERS) -> None:
        self._values = values
        self._characters = characters

    def take(self, values: int, characters: int = 0) -> bool:
        """Take from what is left; False, and nothing is taken, if it is not enough."""
        if values > self._values or characters > self._characters:
            return False
        self._values -= values
        self._characters -= characters
        return True


@dataclass(frozen=True, slots=True)
class Scope:
    """The file being read, by the name that the user gave."""

    file: str
    folder: Folder
    problems: Problems
    budget: Budget
    prompts: Prompts
    ids: dict[str, str]  # of all tasks so far, of earlier files too, with the place of each
    values: ValueTemplates = field(default_factory=ValueTemplates)

    def hint(self, word: str, known: Iterable[str]) -> str:
        """Give `, did you mean X?` if a name is near, unless no more problems are shown."""
        return "" if self.problems.full else suggest(word, known)

    def report(self, place: KeyPlace, message: str) -> None:
        """Keep a problem of this file."""
        self.problems.at(self.file, place, message)
