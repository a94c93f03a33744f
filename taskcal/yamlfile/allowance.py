"""What all files of a load may cost together, taken before anything is read or compiled.

A file that a taskset names 400 times costs git nothing and the engine's disk 400 times its size. A regular expression
that takes 30 ms to compile does no harm, and a thousand of them make a load last half a minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.yamlfile.patterns import compiling_cost

if TYPE_CHECKING:
    from collections.abc import Hashable

MOST_BYTES = 2 * 1024**3
MOST_ENTRIES = 200_000
MOST_COMPILING = 3_000_000
"""Of `compiling_cost`: about 3 s on a slow machine."""


class LoadAllowance:
    """What is left: bytes of all `files:` and build folders, files to look at, and time for regular expressions.

    The same files that come together in several places, and the same expression, are taken once: they are packed, or
    compiled, once.
    """

    def __init__(self, size: int = MOST_BYTES, entries: int = MOST_ENTRIES, compiling: int = MOST_COMPILING) -> None:
        """Begin with `size` in bytes."""
        self._most = size
        self._size, self._entries, self._compiling = size, entries, compiling
        self._brought: set[Hashable] = set()
        self._patterns: set[str] = set()

    def look(self) -> None:
        """Take the look at one file, folder or link. Raises ValueError if nothing is left."""
        if self._entries <= 0:
            raise ValueError(
                f"all files: and build folders hold more than {MOST_ENTRIES:,} files together; put them into an image"
            )
        self._entries -= 1

    def bring(self, what: Hashable, size: int) -> None:
        """Take the bytes of files that are packed together. Raises ValueError if they are more than what is left."""
        if what in self._brought:
            return
        if size > self._size:
            raise ValueError(
                f"with these, all files: and build folders are larger than {self._most / 1024**3:g} GiB together; put "
                "large files into an image, and name each file once"
            )
        self._brought.add(what)
        self._size -= size

    def compile(self, pattern: str) -> None:
        """Take the time that a regular expression takes to compile. Raises ValueError if that is more than is left."""
        cost = compiling_cost(pattern)
        if pattern in self._patterns:
            return
        if cost > self._compiling:
            raise ValueError("all regular expressions together take too long to compile; use fewer, or narrower ranges")
        self._patterns.add(pattern)
        self._compiling -= cost
