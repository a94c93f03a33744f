"""Text of strangers, made harmless."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from taskcal.report.wording.sanitize import markdown_safe, plain, reason

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("\x9b31mred", "red"),
        ("\x1b]0;my title\x07text", "text"),
        ("\x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]never ends", "never ends"),
        ("\x1bPdevice\x1b\\after", "after"),
        ("\x1bcreset", "reset"),
        ("one\ntwo\r\nthree\tfour\u2028five", "one two three four five"),
        ("over\rwritten\b\b\x00\x7f", "over written"),
        ("abc\u202etxt.exe\u2066", "abctxt.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("torn \ud800 half", "torn \N{REPLACEMENT CHARACTER} half"),
        ("[red]markup[/red] is text", "[red]markup[/red] is text"),
        ("Bestellung für 日本 ✓", "Bestellung für 日本 ✓"),
    ],
)
def test_what_moves_a_terminal_is_gone_and_the_words_stay(text: str, shown: str) -> None:
    """Escape sequences, controls, bidi overrides and line ends cannot reach a terminal; ordinary text does."""
    assert plain(text) == shown


@given(st.text(st.characters()), st.integers(1, 40))
def test_plain_is_one_short_visible_line(text: str, limit: int) -> None:
    """Whatever comes in, what goes out is one line within the limit, without a control or format character."""
    line = plain(text, limit)
    assert len(line) <= limit
    assert not {unicodedata.category(character) for character in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_a_long_text_is_cut_with_a_sign() -> None:
    """A reader sees that something is missing."""
    assert plain("abcdef", 4) == "abc…"


@pytest.mark.parametrize(
    "text",
    [
        "a | b",
        "</td></tr><script>alert(1)</script>",
        "[click](http://x.example)",
        "![image](http://x.example/i.png)",
        "<http://x.example>",
        "**bold** _em_ `code` ~~gone~~",
        "back\\slash \\| pipe",
        "&lt;b&gt; &amp;",
        "# title",
        "- item",
        "1. first",
        "---",
        "> quote",
    ],
)
@pytest.mark.parametrize("frame", ["{}", "- {}", "| head |\n| --- |\n| {} |"])
def test_markdown_shows_the_text_itself(text: str, frame: str) -> None:
    """Rendered as a paragraph, a list's item or a table's cell, the text reads as it was written and adds nothing."""
    tokens = PARSER.parse(frame.format(markdown_safe(text)))
    kinds = [token.type for token in tokens]
    assert kinds == [token.type for token in PARSER.parse(frame.format("word"))]
    last = [token for token in tokens if token.type == "inline"][-1]
    assert {child.type for child in last.children or ()} <= {"text", "text_special"}
    assert "".join(child.content for child in last.children or ()) == text


def test_addresses_and_mentions_stay_dead_text() -> None:
    """GitHub makes a link of a bare address and calls a person by an @: neither is left in what is written."""
    text = markdown_safe("ask @octocat at https://x.example or www.x.example")
    assert "://" not in text
    assert "www." not in text
    assert "@octocat" not in text


@pytest.mark.parametrize("said", ["", " ", "\n", "\x1b[0m", ": "])
def test_a_reason_does_not_wait_for_words_that_never_came(said: str) -> None:
    """What broke may have printed nothing; what it printed stays, colons within it too."""
    assert reason(f"the command cannot run (exit 126): {said}") == "the command cannot run (exit 126)"
    assert reason("exit 1: a: b") == "exit 1: a: b"
