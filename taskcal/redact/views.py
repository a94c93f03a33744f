r"""A text with its wrapping taken off, step by step, and the way back from each step to the text itself.

Programs do not print a secret as it is: they escape it (`\"`, `\u00e9`, `\x73`, `%2F`), once or several times, and they
break it into lines, or taskcal joins these with ` | `. So a secret is looked for in views of a text: first without its
white space, then with its escapes read as well, until nothing changes. Every step is linear in the text.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEPTH = 4
"""Times that escapes are read: JSON in JSON in a URL is three."""
SPACE = b" \t\n\r\x0b\x0c|"
HEX_SPACE = b":,-"
LOWER = bytes.maketrans(b"ABCDEF", b"abcdef")
GAPS = re.compile(rb"[ \t\n\r\x0b\x0c|]+")
HEX_GAPS = re.compile(rb"[:,-]+")
HEX_PREFIXES = re.compile(rb"[:,-]+|0[xX]")
ESCAPE = re.compile(
    rb"""
      \\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}
    | \\u[0-9a-fA-F]{4}
    | \\U[0-9a-fA-F]{8}
    | \\x[0-9a-fA-F]{2}
    | \\[0-3][0-7]{2}
    | \\.
    | %[0-9a-fA-F]{2}
    """,
    re.VERBOSE | re.DOTALL,
)
"""Each alternative begins with one character, by which `re` skips most of a text."""
BEGUN = re.compile(
    rb"""
    (?: \\u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?
      | \\(?:u[0-9a-fA-F]{0,3}|U[0-9a-fA-F]{0,7}|x[0-9a-fA-F]?|[0-3][0-7]?)?
      | %[0-9a-fA-F]?
    )\Z""",
    re.VERBOSE,
)
"""An escape at the very end, which what comes next may complete."""
LONGEST_ESCAPE = 12
CONTROL = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"a": b"\a"}


@dataclass(frozen=True)
class View:
    """A text, and the way from its places back to the text that all steps began with: here, they are the same."""

    text: bytes

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of this view, not an empty one, begins and ends in the text itself."""
        return start, end

    def place(self, at: int) -> int:
        """Where the text itself stands when this view has come to a place; its end for the end."""
        return at


@dataclass(frozen=True)
class Unwrapped(View):
    """What one step has made of the text `below`; `steps` gives the parts of it that were replaced."""

    below: View
    steps: Callable[[bytes], Iterator[Step]]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """As of any view."""
        starts, pieces = self._pieces
        first, last = bisect_right(starts, start) - 1, bisect_right(starts, end - 1) - 1
        begin, replaced = pieces[first]
        begin += 0 if replaced else start - starts[first]
        there, replaced = pieces[last]
        return self.below.span(begin, replaced or there + end - starts[last])

    def place(self, at: int) -> int:
        """As of any view."""
        return self.span(at, at + 1)[0] if at < len(self.text) else self.below.place(len(self.below.text))

    @cached_property
    def _pieces(self) -> tuple[list[int], list[tuple[int, int | None]]]:
        """Where each piece begins here; and below, with its end there if it was replaced.

        It costs more than the step itself, so it is made only if something was found.
        """
        starts: list[int] = [0]
        pieces: list[tuple[int, int | None]] = [(0, None)]
        at = before = 0
        for start, end, width in self.steps(self.below.text):
            at += start - before
            starts += (at, at + width)
            pieces += ((start, end), (end, None))
            at, before = at + width, end
        return starts, pieces


Step = tuple[int, int, int]
"""Where a replaced part begins and ends, and the length of what stands there now."""


def views(text: bytes) -> list[View]:
    """The text without white space, then with its escapes read once, twice, and so on as long as that changes it.

    An escape that the end cuts is left out then: it would be read as something else.
    """
    found = [_without_gaps(View(text))]
    while len(found) <= DEPTH and (b"\\" in found[-1].text or b"%" in found[-1].text):
        whole = found[-1].text[: begun_escape(found[-1].text)]
        read, count = ESCAPE.subn(lambda escape: _meaning(escape[0]), whole)
        if not count and whole == found[-1].text:
            break
        found.append(_without_gaps(Unwrapped(read, found[-1], _escapes)))
    return found


def hex_views(view: View) -> Iterator[View]:
    """Views for hex digits: in lower case, without commas and colons, and one without each `0x` as well."""
    yield Unwrapped(view.text.translate(LOWER, HEX_SPACE), view, _hex_gaps)
    if b"0x" in view.text or b"0X" in view.text:
        yield Unwrapped(HEX_PREFIXES.sub(b"", view.text).translate(LOWER), view, _hex_prefixes)


def begun_escape(text: bytes) -> int:
    """Where an escape begins that the end of a text cuts; the length of the text if none does."""
    found = BEGUN.search(text, max(0, len(text) - LONGEST_ESCAPE))
    if found is None:
        return len(text)
    before = text[: found.start() + 1]
    is_escaped = found[0].startswith(b"\\") and (len(before) - len(before.rstrip(b"\\"))) % 2 == 0
    return len(text) if is_escaped else found.start()


def _without_gaps(view: View) -> View:
    return Unwrapped(view.text.translate(None, SPACE), view, _gaps)


def _gaps(text: bytes) -> Iterator[Step]:
    return ((*found.span(), 0) for found in GAPS.finditer(text))


def _hex_gaps(text: bytes) -> Iterator[Step]:
    return ((*found.span(), 0) for found in HEX_GAPS.finditer(text))


def _hex_prefixes(text: bytes) -> Iterator[Step]:
    return ((*found.span(), 0) for found in HEX_PREFIXES.finditer(text))


def _escapes(text: bytes) -> Iterator[Step]:
    return ((*found.span(), len(_meaning(found[0]))) for found in ESCAPE.finditer(text))


@lru_cache(maxsize=4096)
def _meaning(escape: bytes) -> bytes:
    """What an escape stands for, in UTF-8; for a byte, itself."""
    kind, digits = escape[1:2], escape[2:]
    if escape.startswith(b"%") or (kind == b"x" and digits):
        return bytes((int(escape[-2:], 16),))
    if kind in b"uU" and len(digits) > 4 and b"\\" in digits:
        high, low = int(digits[:4], 16), int(digits[-4:], 16)
        return chr(0x10000 + (high - 0xD800 << 10) + low - 0xDC00).encode()
    if kind in b"uU" and digits:
        number = int(digits, 16)
        return chr(number).encode(errors="replace") if number <= sys.maxunicode else b"?"
    return bytes((int(escape[1:], 8),)) if digits else CONTROL.get(kind, kind)
