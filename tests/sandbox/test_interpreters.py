"""An interpreter that a check's first line names is a program that the check needs."""

from __future__ import annotations

import pytest

from taskcal.runs.images.missing_programs import absent_programs

PRESENT = frozenset({"sh", "bash", "env", "perl", "cat"})


@pytest.mark.parametrize(
    ("script", "absent"),
    [
        ("#!/usr/bin/perl\nuse strict; jq(1);", set()),
        ("#!/usr/bin/python3\nimport json", {"/usr/bin/python3"}),
        ("#!/usr/bin/env -S python3 -u\nimport json", {"python3"}),
        ("#!/bin/bash\njq . /a\ncat /a", {"jq"}),
        ("#!/bin/zsh\njq . /a", {"/bin/zsh", "jq"}),
        ("jq . /a", {"jq"}),
    ],
)
def test_the_words_of_another_language_are_no_programs(script: str, absent: set[str]) -> None:
    """Only the interpreter is, and for a shell also what its script calls."""
    assert absent_programs(script, PRESENT) == absent
