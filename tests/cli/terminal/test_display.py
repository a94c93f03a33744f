"""What `taskcal shell` shows of a script: all that it printed, and nothing that acts on a terminal."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.cli.terminal.display import Display
from taskcal.report.wording.sanitize import visible

SHOWN = {
    "a    b\n": "a    b\n",
    "   lead\n": "   lead\n",
    "x\ty\n": "x\ty\n",
    "one\n\n\ntwo\n": "one\n\n\ntwo\n",
    "no end": "no end\n",
    "": "",
    "\n": "\n",
    "dos\r\n": "dos\n",
    "50 %\r100 %\n": "50 %\\r100 %\n",
    "last\r": "last\\r\n",
    "\r\r\n": "\\r\n",
    "\x1b[31mred\x1b[0m\n": "\\x1b[31mred\\x1b[0m\n",
    "\x1b]0;title\x07": "\\x1b]0;title\\x07\n",
    "\x9b2J": "\\x9b2J\n",
    "bell\a back\b nul\0 del\x7f": "bell\\x07 back\\x08 nul\\x00 del\\x7f\n",
    "\u202egnol \u2066 \u200b": "\\u202egnol \\u2066 \\u200b\n",
    "\u2028 \u2029 \x85": "\\u2028 \\u2029 \\x85\n",
    "d\u00fcr \u3042 \U0001f600\u200d\U0001f525 \u00a0|": "d\u00fcr \u3042 \U0001f600\u200d\U0001f525 \u00a0|\n",
    "back\\slash \\x1b": "back\\slash \\x1b\n",
}


def shown(*chunks: bytes) -> str:
    stream = io.StringIO()
    display = Display(stream)
    for chunk in chunks:
        display.output(chunk)
    display.end()
    return stream.getvalue()


@pytest.mark.parametrize("text", SHOWN)
def test_what_a_script_prints_is_shown_as_it_is(text: str) -> None:
    """Whole, byte by byte and in halves."""
    data = text.encode()
    assert shown(data) == SHOWN[text]
    assert shown(*(data[at : at + 1] for at in range(len(data)))) == SHOWN[text]
    assert shown(data[: len(data) // 2], data[len(data) // 2 :]) == SHOWN[text]


@given(st.lists(st.binary(max_size=8)))
def test_where_it_is_cut_changes_nothing(chunks: list[bytes]) -> None:
    """Any bytes, also those that are not UTF-8."""
    assert shown(*chunks) == shown(b"".join(chunks))


@given(st.text(st.characters(codec=None)))
def test_nothing_acts_on_a_terminal(text: str) -> None:
    """No control character but line ends and tabs, no bidirectional override, no half of a surrogate pair."""
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", visible(text)
    )


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp"])))
def test_text_of_people_stays(text: str) -> None:
    """Every letter, mark, sign and space."""
    assert visible(text) == text


def test_two_streams_keep_their_characters_apart() -> None:
    """Half a character of one stream waits while the other one is shown, at once and without a line end."""
    stream = io.StringIO()
    display = Display(stream)
    display.output(b"d\xc3")
    assert stream.getvalue() == "d"
    display.errors(b"warning\n")
    display.output(b"\xbcr")
    assert stream.getvalue() == "dwarning\n\u00fcr"
    display.end()
    assert stream.getvalue().endswith("\u00fcr\n")
