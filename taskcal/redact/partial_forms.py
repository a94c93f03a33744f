r"""What a cut has left of a secret: its beginning before a place where text was left out, or its end behind one.

A cut of taskcal's own leaves a mark (`…`, `...`), or it is the beginning or the end of a text. Whatever is cut, and by
whom, a part of `SHORTEST_HALF` characters or more beside such a place is found.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHORTEST_HALF = 6
FAR = 4096
"""Bytes from either end of a form in which a part of it may begin or end."""
NEAR = 8
"""Bytes that may stand between a cut and the part: a quote, or what is left of an escape."""
MARK = re.compile(rb"\xe2\x80\xa6|\.\.\.|\xef\xbf\xbd")
"""Left by a cut; U+FFFD stands for a character that was cut itself."""


class PartialForms:
    """Finds parts of some forms."""

    def __init__(self, forms: Iterable[bytes]) -> None:
        """Remember where in which form each short piece stands, so that a look at any place takes the same time."""
        self._pieces: dict[bytes, list[tuple[bytes, int]]] = {}
        for form in forms:
            last = len(form) - SHORTEST_HALF
            for at in range(last + 1):
                if at < FAR or at > last - FAR:
                    self._pieces.setdefault(form[at : at + SHORTEST_HALF], []).append((form, at))

    def find(self, text: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Each part beside a cut, with the form that it is of; the text's own beginning and end may be cuts as well."""
        places = [(0, 0), *(found.span() for found in MARK.finditer(text)), (len(text), len(text))]
        for (_, start), (end, _) in pairwise(places):
            if end - start >= SHORTEST_HALF:
                yield from self.before_a_cut(text, start, end)
                yield from self._behind_a_cut(text, start, end)

    def before_a_cut(self, text: bytes, start: int, end: int) -> Iterator[tuple[int, int, bytes]]:
        """Each beginning of a form that ends where text was cut, and each middle between there and another cut."""
        for last in range(end, max(end - NEAR, start + SHORTEST_HALF - 1), -1):
            for form, at in self._pieces.get(text[last - SHORTEST_HALF : last], ()):
                stop = at + SHORTEST_HALF
                for first in range(start, min(start + NEAR, last - SHORTEST_HALF + 1)):
                    length = min(stop, last - first)
                    if text[last - length : last] == form[stop - length : stop]:
                        yield last - length, last, form
                        break

    def _behind_a_cut(self, text: bytes, start: int, end: int) -> Iterator[tuple[int, int, bytes]]:
        for first in range(start, min(start + NEAR, end - SHORTEST_HALF + 1)):
            for form, at in self._pieces.get(text[first : first + SHORTEST_HALF], ()):
                length = min(len(form) - at, end - first)
                if text[first : first + length] == form[at : at + length]:
                    yield first, first + length, form
