"""Text from outside: whatever it holds, everything later can store, send and show it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.text.foreign_text import MOST_DEPTH, MOST_VALUES, cut, parse_json, sound, sound_value

ANY_TEXT = st.text(st.characters())
"""Halves of surrogate pairs among the rest."""
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
)


@given(text=ANY_TEXT)
def test_a_sound_text_is_utf_8(text: str) -> None:
    """What was sound stays as it was."""
    found = sound(text)
    assert found.encode().decode() == found
    assert len(found) == len(text)
    assert sound(found) == found
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert found == text


@given(value=ANY_JSON)
def test_json_from_outside_can_be_written_as_utf_8(value: object) -> None:
    """Keys and texts at any depth; what is sound is read as it is."""
    found = parse_json(json.dumps(value))
    assert json.loads(json.dumps(found, ensure_ascii=False).encode()) == found
    assert found == sound_value(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "nests deeper than 100 levels"),
        ("[" * (MOST_DEPTH + 1) + "]" * (MOST_DEPTH + 1), "nests deeper than 100 levels"),
        ('{"a": ' * (MOST_DEPTH + 1) + "1" + "}" * (MOST_DEPTH + 1), "nests deeper than 100 levels"),
        ("[1" + "0" * 5000 + "]", "a number of 5001 digits"),
        ("{'a': 1}", "Expecting property name"),
        ("", "Expecting value"),
    ],
)
def test_json_that_cannot_be_used_is_a_value_error(text: str, reason: str) -> None:
    """With one line for a reason, and never an error of another kind."""
    with pytest.raises(ValueError, match=reason) as error:
        parse_json(text)
    assert "\n" not in str(error.value)


def test_a_document_holds_a_number_of_values() -> None:
    """What stands in strings is none; nothing is parsed to find out, as three bytes may take a hundred in memory."""
    for text in ("[" + "{}," * MOST_VALUES + "1]", '{"a":"\\"[,","b":[' + "[]," * MOST_VALUES + '1],"c":"'):
        with pytest.raises(ValueError, match="holds more than 500,000 values"):
            parse_json(text)
    words = json.dumps(['a, "b", [c], \\' * 100_000] * 2)
    assert parse_json(words.encode()) == json.loads(words)


def test_depth_and_digits_have_room_for_what_is_meant() -> None:
    """A hundred levels and 400 digits are read."""
    assert parse_json("[" * MOST_DEPTH + "]" * MOST_DEPTH)
    assert parse_json("1" + "0" * 400) == 10**400
    assert parse_json(b'"\\ud83d\\ude00 \\ud83d"') == "\N{GRINNING FACE} ?"


@given(text=st.text(), bound=st.integers(2, 60))
def test_cutting_keeps_head_and_tail(text: str, bound: int) -> None:
    """What fits is left alone; else both ends are there and the number in the middle is right."""
    found = cut(text, bound)
    if len(text) <= bound:
        assert found == text
        return
    half = bound // 2
    assert found.startswith(text[:half] + "\n[… ")
    assert found.endswith(" characters left out …]\n" + text[-half:])
    assert f"[… {len(text) - 2 * half} characters" in found
