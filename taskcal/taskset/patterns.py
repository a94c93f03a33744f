"""Regular expressions of tasksets: refused before they are compiled where that would take long.

Matching happens in a process that can be stopped (`taskcal.host.search_within`), but a pattern is compiled once while
its taskset is loaded. What costs there is each character below U+10000 that a range in a class spans, up to 0.2 µs:
2,000 classes of all characters took 9 s, in fewer than 10,000 characters.
"""

from __future__ import annotations

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


def check_pattern(text: str) -> str:
    """Give `text` back where it is a regular expression; raises ValueError."""
    if len(text) > LONGEST_PATTERN:
        raise ValueError(f"a regular expression of more than {LONGEST_PATTERN:,} characters")
    if characters_spanned(text) > WIDEST:
        raise ValueError(f"a regular expression whose ranges span more than {WIDEST:,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


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
