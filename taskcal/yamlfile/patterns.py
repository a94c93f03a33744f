"""Regular expressions of tasksets: refused before they are compiled if that would take long.

Matching happens in a process that can be stopped (`machine.host.search_within`), but a pattern is compiled once while
its taskset is loaded. What costs there is each character below U+10000 that a range in a class spans, up to 0.2 µs:
2,000 classes of all characters took 9 s, in fewer than 10,000 characters.
"""

from __future__ import annotations

import functools
import re
import warnings

LONGEST_PATTERN = 1_000
WIDEST = 200_000
"""Characters that all ranges of a pattern may span: three times all of those below U+10000."""

RANGE = re.compile(
    r"(?:(?<!\\)\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))|([^\x00-\xff]))?"
    r"-(?:\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\?([^\x00-\xff])|\\N)"
)
"""What may be a range up to a character beyond Latin-1; a beginning that is not told apart counts as 0."""

PLAIN = re.compile(r"(?:[\x00-\x7f](?<!\\[uUxN0-7])(?<!\(\?[a-zA-Z(]))*")
"""A pattern without flags, and with classes of ASCII characters: others cost 130 µs, whatever they hold."""


@functools.cache
def check_pattern(text: str) -> str:
    """Give `text` back if it is a regular expression; raises ValueError.

    What was compiled once is remembered, since `re` forgets all but 512 and a load pays for each expression once.
    """
    compiling_cost(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


def compiling_cost(text: str) -> int:
    """About how many microseconds a pattern takes to compile on a slow machine, at most 60,000.

    Raises ValueError for one that is longer or wider than a pattern may be.
    """
    if len(text) > LONGEST_PATTERN:
        raise ValueError(f"a regular expression of more than {LONGEST_PATTERN:,} characters")
    spanned = characters_spanned(text)
    if spanned > WIDEST:
        raise ValueError(f"a regular expression whose ranges span more than {WIDEST:,} characters")
    a_class = 15 if PLAIN.fullmatch(text) else 150
    return 2 * len(text) + a_class * text.count("[") + spanned // 7


def characters_spanned(text: str) -> int:
    """How many characters all ranges of a pattern span at most, which is what compiling it costs."""
    return sum(_span(*match.groups()) for match in RANGE.finditer(text))


def _span(*ends: str | None) -> int:
    """How many characters below U+10000 a range has at most, of the six groups of RANGE."""
    low, high = _code(ends[:3], 0), _code(ends[3:], 0xFFFF)
    return max(0, min(high, 0xFFFF) + 1 - low)


def _code(end: tuple[str | None, ...], otherwise: int) -> int:
    """The code point of an end of a range: four digits, eight digits, or the character itself."""
    short, long, plain = end
    if plain:
        return ord(plain)
    return int(short or long or f"{otherwise:x}", 16)
