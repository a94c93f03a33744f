"""Text from agents, graders and strangers' tasksets, made harmless for a terminal or for a Markdown page."""

from __future__ import annotations

import re
import unicodedata

ELLIPSIS = "…"
LONGEST_LINE = 2_000
"""Characters of a message that must be read whole: a line beyond it is no message any more."""

KEPT = frozenset("\n\t\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}")
"""Characters of layout and of written languages that are not printable as such."""

_SEQUENCES = re.compile(
    r"""
      (?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)   # OSC, DCS, SOS, PM, APC
    | (?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]                                              # CSI: colours, cursor, erase
    | \x1b[ -/]*[0-Z\\-~]                                                           # all other escapes
    """,
    re.VERBOSE,
)

_ESCAPED = re.compile(r"[\\`*_{}\[\]|~$]")
_LEADING = re.compile(r"^(?:[#+=-]|\d+(?=[.)](?:\s|$)))")


def plain(text: str, limit: int = 300) -> str:
    """One line of at most `limit` characters that only shows: no control or escape sequence, no bidi override.

    White space of any kind becomes one space. A sequence that never ends loses its start alone, so that it cannot hide
    the text behind it.
    """
    visible = text if text.isprintable() else "".join(map(_shown, _SEQUENCES.sub("", text)))
    line = " ".join(visible.split())
    return line if len(line) <= limit else line[: max(0, limit - 1)].rstrip() + ELLIPSIS


def reason(text: str) -> str:
    """Why something was lost, as `plain`; without the colon that waits for the last words of what said none."""
    return plain(text).rstrip(": ")


def verbatim(line: str, limit: int = LONGEST_LINE) -> str:
    """One line of a text that is to be read as it was written: as harmless as `plain`, but its spaces stay."""
    spaced = line.expandtabs(4)
    visible = spaced if spaced.isprintable() else "".join(map(_shown, _SEQUENCES.sub("", spaced)))
    return visible if len(visible) <= limit else visible[: max(0, limit - 1)] + ELLIPSIS


def visible(text: str) -> str:
    r"""Text with all its characters, spaces, tabs and lines; what could act on a terminal becomes an escape: `\x1b[2J`.

    Each character is judged by itself, so a text may be cut anywhere. A carriage return is escaped too.
    """
    return text if text.isprintable() else "".join(c if _only_shows(c) else _escape(c) for c in text)


def markdown_safe(text: str, limit: int = 300) -> str:
    """One line that GitHub shows as it is, also in a table's cell: no markup, HTML, link, image or mention."""
    line = plain(text, limit)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _ESCAPED.sub(r"\\\g<0>", line)
    line = _LEADING.sub(_escape_leading, line)
    line = line.replace("://", "&#58;//").replace("www.", "www&#46;")
    return re.sub(r"@(?=\w)", "@&#8203;", line)


def _only_shows(character: str) -> bool:
    return character in KEPT or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _escape_leading(match: re.Match[str]) -> str:
    """A number needs its point escaped, which follows it: an entity for its first digit serves as well."""
    return f"&#{ord(match[0][0])};{match[0][1:]}"


def _shown(character: str) -> str:
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if category == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    return "" if category in {"Cc", "Cf"} else character
