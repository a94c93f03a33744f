"""The shell texts around a task's own scripts: valid for any text, silent, and out of the way of params."""

from __future__ import annotations

import re

import pytest

from taskcal import host
from taskcal.sandbox.scripts import make_way, start_again, started, until


@pytest.mark.parametrize(
    ("start", "ready"), [("serve &", "curl x"), ("serve", ""), ("", "true"), ("a 'b'\n# c", "d # e")]
)
def test_what_start_started_is_started_again(start: str, ready: str) -> None:
    """Valid for a shell also where the task's text ends with a comment, and silent: nothing of it is a record."""
    text = start_again(start, ready, {"LANG": "it's"})
    assert host.run(["sh", "-n"], seconds=30, stdin=text).output == ""
    assert all(part in text for part in (start, ready))
    assert "command export LANG=" in text
    assert len(re.findall(r">/dev/null 2>&1 </dev/null", text)) == 2
    assert start_again("", " \n", {}) == ""


@pytest.mark.parametrize("text", ["", "# only a comment", "true # and why", "a 'b'"])
def test_any_text_fits_its_frame(text: str) -> None:
    """A start or ready that is empty, or ends with a comment, leaves a script that a shell can read."""
    for script in (started(text), until(text), start_again(text, text, {"LANG": "C"})):
        assert host.run(["sh", "-n"], seconds=30, stdin=script).output == ""


def test_way_is_made_for_odd_names() -> None:
    """Quotes and spaces in a destination stay in it."""
    script = make_way(("/grader/it's here/a b", "/x"), {"/grader": "", "/grader/it's here": "/else where"})
    assert host.run(["sh", "-n"], seconds=30, stdin=script).output == ""
    assert "rm -rf -- /x\n" in script
