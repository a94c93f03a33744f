"""The line that says why a program failed survives, however far it stands from the end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.text.excerpt import ELLIPSIS, excerpt, excerpts

PIP = """Collecting nosuch
  Downloading x
ERROR: Could not find a version that satisfies the requirement nosuch (from versions: none)
ERROR: No matching distribution found for nosuch

[notice] A new release of pip is available: 23.0 -> 24.0
[notice] To update, run: pip install --upgrade pip
The command '/bin/sh -c pip install nosuch' returned a non-zero code: 1
"""


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        (PIP, ["requirement nosuch", "No matching distribution", "non-zero code"]),
        ("E: Unable to locate package x\n" + "line\n" * 500, ["E: Unable to locate package x", "line"]),
        ("gcc: fatal error: no input files\ncompilation terminated.", ["no input files", "terminated"]),
        ("Traceback\n  File x\nValueError: bad\n" + "bye\n" * 9, ["ValueError: bad", "bye"]),
        ("npm ERR! 404 Not Found\nnpm notice hi", ["npm ERR! 404"]),
        ("sh: 1: frob: not found\nlater", ["frob: not found", "later"]),
        ("only\nwords", ["words"]),
        ("waiting\n" * 300, ["waiting (300 times)"]),
        ("ok\n\x1b[91msh: 1: pip: not found\n\x1b[0mRemoving intermediate container 1", ["ok | sh: 1: pip: not found"]),
        ("\n \n", []),
    ],
)
def test_the_reason_is_in_the_excerpt(output: str, wanted: list[str]) -> None:
    """The first error and the end, in their order, without advertisements."""
    found = excerpt(output)
    places = [found.index(words) for words in wanted]
    assert places == sorted(places)
    assert "[notice]" not in found


@given(text=st.text(), length=st.integers(0, 60))
def test_an_excerpt_is_one_short_line(text: str, length: int) -> None:
    """What fits stays whole, but for its white space; else the end is there, behind a line of the text."""
    lines = [line for line in (" ".join(line.split()) for line in text.splitlines()) if line]
    whole, found = " | ".join(lines), excerpt(text, length)
    assert len(found) <= length
    assert len(found.splitlines()) <= 1
    if len(whole) <= length:
        assert found == whole
    elif any(line == after for line, after in pairwise(lines)):
        assert found
    elif ELLIPSIS in found and ELLIPSIS not in whole:
        reason, end = found.split(ELLIPSIS, maxsplit=1)
        assert reason in whole
        assert whole.endswith(end)


@given(reason=st.text(), rest=st.text(), length=st.integers(30, 100))
def test_two_excerpts_share_their_room(reason: str, rest: str, length: int) -> None:
    """Together they are a line of that length, with what stands between them."""
    assert len(" | ".join(part for part in excerpts(reason, rest, length) if part)) <= length
