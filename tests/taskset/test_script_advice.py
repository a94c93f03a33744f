"""A test in the middle of a check decides nothing; `validate` warns where that is certain."""

from __future__ import annotations

import pytest

from taskcal.taskset.script_advice import unused_tests


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("test -f /a\ntest -d /b", ("test -f /a",)),
        ("[ -f /a ]\n# and\n[[ -d /b ]]\ntrue\n", ("[ -f /a ]", "[[ -d /b ]]")),
        ("#!/bin/bash\ntest -f /a\ntrue", ("test -f /a",)),
        ("test -f /a", ()),
        ("test -f /a &&\ntest -d /b", ()),
        ("test -f /a || exit 1\ntrue", ()),
        ("test -f /a \\\n  -a -f /b\ntrue", ()),
        ("set -e\ntest -f /a\ntrue", ()),
        ("set -eu\ntest -f /a\ntrue", ()),
        ("if test -f /a\nthen\n  true\nfi", ()),
        ("while\n  test -f /a\ndo :; done", ()),
        ("ok() {\n  test -f /a\n}\nok", ()),
        ("cat <<E\ntest -f /a\nE\ntrue", ()),
        ("#!/usr/bin/python3\ntest = 1\ntest\n", ()),
        ("x=$(test a)\ntrue", ()),
    ],
)
def test_only_what_certainly_decides_nothing_is_found(source: str, found: tuple[str, ...]) -> None:
    """A plain test on a line of its own, before the last one, in a script without anything that could use it."""
    assert unused_tests(source) == found
