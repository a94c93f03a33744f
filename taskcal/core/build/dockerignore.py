r"""Which files of a folder a build receives: `.dockerignore`, read as the engine's own tools read it.

A pattern is matched against a path and every folder above it, and the last pattern that matches decides. `*` and `?`
stay within one name, `**` crosses folders, `[a-z]` is one of these characters, `\` takes the next one as it is, and
a pattern after `!` brings back what an earlier one left out.

The docker SDK's own matcher is not used, for three reasons. It ignores case, so `readme` would leave out `README`. It
looks at one of the folders above a path, and the engine's tools look at all. And it goes back and forth in a path, so a
stranger's pattern could take for ever; here a path is read once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_REMEMBERED = 4096
"""Steps of one pattern that are kept for the next path."""


class Wild(Enum):
    """What stands for more than one text."""

    CHARACTER = "?"
    PART_OF_A_NAME = "*"
    FOLDERS = "**/"
    ANYTHING = "**"


@dataclass(frozen=True, slots=True)
class OneOf:
    """A character between brackets, as pairs of first and last one."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool


Token = str | Wild | OneOf


class Pattern:
    """One pattern; `keeps` is whether it began with `!`, `steps` the characters of paths that it has looked at."""

    def __init__(self, text: str, *, keeps: bool) -> None:
        """Take a pattern without its `!`, with plain slashes."""
        self.keeps = keeps
        self.steps = 0
        self._tokens = tuple(_tokens(text))
        self._end = 1 << len(self._tokens)
        self._entered = _entered(self._tokens)
        self._steps: dict[tuple[int, str], int] = {}

    def matches(self, path: str) -> bool:
        """Whether the path, or a folder above it, is what the pattern describes."""
        places = self._entered[0]
        for number, character in enumerate(path, start=1):
            if character == "/" and places & self._end:
                self.steps += number
                return True
            places = self._step(places, character)
            if not places:
                self.steps += number
                return False
        self.steps += len(path)
        return bool(places & self._end)

    def _step(self, places: int, character: str) -> int:
        """The places in the pattern, one bit each, to which a character leads from these."""
        key = places, character
        if key not in self._steps:
            if len(self._steps) >= MOST_REMEMBERED:
                self._steps.clear()
            self._steps[key] = self._moved(places, character)
        return self._steps[key]

    def _moved(self, places: int, character: str) -> int:
        moved = 0
        for index, token in enumerate(self._tokens):
            if not places >> index & 1:
                continue
            if token is Wild.FOLDERS:  # it is left by a slash only, since it stands for whole folders
                moved |= (1 << index) | (self._entered[index + 1] if character == "/" else 0)
            elif token is Wild.ANYTHING or token is Wild.PART_OF_A_NAME:
                moved |= self._entered[index] if token is Wild.ANYTHING or character != "/" else 0
            elif _takes(token, character):
                moved |= self._entered[index + 1]
        return moved


def _entered(tokens: tuple[Token, ...]) -> tuple[int, ...]:
    """For each place the bits of itself and of all that follow it without a character."""
    entered = [1 << len(tokens)]
    for index in reversed(range(len(tokens))):
        skips = tokens[index] in {Wild.PART_OF_A_NAME, Wild.FOLDERS, Wild.ANYTHING}
        entered.insert(0, (1 << index) | (entered[0] if skips else 0))
    return tuple(entered)


def _takes(token: Token, character: str) -> bool:
    if isinstance(token, OneOf):
        return any(low <= character <= high for low, high in token.ranges) is not token.negated
    return character != "/" if token is Wild.CHARACTER else token == character


TOKEN = re.compile(
    r"\*\*/?$|\*\*/?|\*|\?|\\(?P<escaped>.)|\[(?P<negated>\^?)(?P<members>(?:\\.|[^\]\\])+)\]|.", re.DOTALL
)
MEMBER = re.compile(r"(?:\\(.)|(.))(?:-(?:\\(.)|([^-])))?", re.DOTALL)


def _tokens(text: str) -> Iterator[Token]:
    for match in TOKEN.finditer(text):
        word = match[0]
        if word.startswith("**"):
            yield Wild.ANYTHING if match.end() == len(text) else Wild.FOLDERS
        elif word in {"*", "?"}:
            yield Wild(word)
        elif match["escaped"]:
            yield match["escaped"]
        elif match["members"]:
            pairs = ((m[1] or m[2], m[3] or m[4] or m[1] or m[2]) for m in MEMBER.finditer(match["members"]))
            yield OneOf(tuple(pairs), bool(match["negated"]))
        else:
            yield word


class Ignored:
    """The patterns of one `.dockerignore`, in their order."""

    def __init__(self, text: str = "") -> None:
        """Read the file's text; '' leaves nothing out."""
        self._patterns = tuple(_patterns(text))

    @property
    def steps(self) -> int:
        """The characters of paths that all patterns have looked at so far: many patterns for many files take long."""
        return sum(pattern.steps for pattern in self._patterns)

    def leaves_out(self, path: str) -> bool:
        """Whether a build does not receive this path, given from the folder on and with slashes."""
        decided = next((one for one in reversed(self._patterns) if one.matches(path)), None)
        return decided is not None and not decided.keeps

    @property
    def brings_back(self) -> bool:
        """Whether something below a folder that is left out may be received all the same."""
        return any(pattern.keeps for pattern in self._patterns)


def _patterns(text: str) -> Iterator[Pattern]:
    for raw in text.removeprefix("\ufeff").split("\n"):
        line = raw.strip()
        if not line or raw.startswith("#"):
            continue
        plain = _plain(line.removeprefix("!").strip())
        if plain:
            yield Pattern(plain, keeps=line.startswith("!"))


def _plain(pattern: str) -> str:
    """A pattern without empty and `.` parts, and with each `..` resolved; one that leads out of the folder keeps it."""
    parts: list[str] = []
    for part in pattern.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part == ".." and pattern.startswith("/"):
            continue
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)
