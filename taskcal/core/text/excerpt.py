"""The few lines of a program's output that say why it failed.

The last line is often a consequence ("returned a non-zero code: 1") or an advertisement ("a new release of pip is
available"), and the reason stands far above it. So an excerpt that cannot hold everything has the first line that looks
like an error, or the first line at all, and the end.
"""

from __future__ import annotations

import re
from itertools import groupby

LENGTH = 500
ELLIPSIS = " | … | "
SHORTEST = 20
"""Characters below which an excerpt has no room for two lines."""

ERROR = re.compile(
    r"""
      ^(error|fatal|e|err|failure|panic|abort(ed)?|critical)\b\s*[:!\]]
    | ^[\w./-]+:\s*(fatal\s)?error:
    | \b\w*(Error|Exception)\b:
    | (command\ not\ found|:\ not\ found|no\ such\ file\ or\ directory|permission\ denied|cannot\ access)
    | \bnpm\ err!
    """,
    re.VERBOSE | re.IGNORECASE,
)
COLOR = re.compile(r"\x1b\[[0-9;]*m")
NOISE = re.compile(r"\[notice\]|npm\ notice\b|--->\ |Removing\ intermediate\ container", re.VERBOSE | re.IGNORECASE)
"""The beginnings of lines that never say why: advertisements and a builder's own progress."""


def excerpt(text: str, length: int = LENGTH) -> str:
    """A text on one line of at most `length` characters: all of it if it fits, else its reason and its end."""
    lines = [" ".join(line.split()) for line in COLOR.sub("", text).splitlines()]
    lines = [line for line in lines if line and not NOISE.match(line)]
    if len(whole := " | ".join(lines)) <= length:
        return whole
    lines = _once(lines)
    if len(whole := " | ".join(lines)) <= length:
        return whole
    if length < SHORTEST or len(lines) == 1:
        return f"…{whole[len(whole) - length + 1 :]}" if length > 0 else ""
    error = next((line for line in lines if ERROR.search(line)), "")
    first = (error or lines[0])[: (length - len(ELLIPSIS)) // 2]
    end = whole[len(first) + len(ELLIPSIS) - length :].lstrip(" |")
    return f"… {whole[2 - length :]}" if error and error in end else first + ELLIPSIS + end


def _once(lines: list[str]) -> list[str]:
    """Lines of which one that is repeated at once, as a poll prints it, stands there once with its count."""
    runs = [(line, len(list(same))) for line, same in groupby(lines)]
    return [line if count == 1 else f"{line} ({count} times)" for line, count in runs]


def excerpts(reason: str, rest: str, length: int) -> tuple[str, str]:
    """Two texts on one line each, of at most `length` characters together; a third is kept for the second of them."""
    room = length - min(len(rest.strip()), length // 3) - len(ELLIPSIS)
    first = excerpt(reason, room if rest.strip() else length)
    return first, excerpt(rest, length - len(first) - len(ELLIPSIS) if first else length)
