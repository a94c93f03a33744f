"""What a shell passes over against its author's meaning: `validate` warns if that is certain."""

from __future__ import annotations

import pytest

from taskcal.taskset.advice.scripts import about_check, about_setup


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("test -f /a\ntest -d /b", ["test -f /a"]),
        ("[ -f /a ]\n# and\n[[ -d /b ]]\ntrue\n", ["[ -f /a ]", "[[ -d /b ]]"]),
        ("#!/bin/bash\ntest -f /a\ntrue", ["test -f /a"]),
        ("test -f \\\n  /a\ntrue", ["test -f /a"]),
        ("test -f /a", []),
        ("test -f /a &&\ntest -d /b", []),
        ("test -f /a || exit 1\ntrue", []),
        ("set -e\ntest -f /a\ntrue", []),
        ("set -eu\ntest -f /a\ntrue", []),
        ("if test -f /a\nthen\n  true\nfi", []),
        ("while\n  test -f /a\ndo :; done", []),
        ("ok() {\n  test -f /a\n}\nok", []),
        ("cat <<E\ntest -f /a\nE\ntrue", []),
        ("#!/usr/bin/python3\ntest = 1\ntest\n", []),
        ("x=$(test a)\ntrue", []),
    ],
)
def test_only_a_test_that_certainly_decides_nothing_is_found(source: str, found: list[str]) -> None:
    """A plain test on a line of its own, before the last one, in a script without anything that could use it."""
    assert [message.split("`")[1] for message in about_check(source)] == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("apt-get update && apt-get install -y x\nuseradd agent", ["apt-get update"]),
        ("apt-get update &&\n  apt-get install -y x\nuseradd agent", ["apt-get update"]),
        ("cd /app && \\\n make\ntrue", ["cd /app"]),
        ("curl -fsS http://a/b | tar xz", ["curl -fsS http://a/b"]),
        ("wget -qO- http://a/b | sh\ntrue", ["wget -qO- http://a/b"]),
        ("apt-get update && apt-get install -y x", []),
        ("apt-get update\napt-get install -y x\nuseradd agent", []),
        ("test -f /x && rm /x\ntrue", []),
        ("command -v git && git init\ntrue", []),
        ("a && b || c\ntrue", []),
        ("for i in 1 2; do a && b; done\ntrue", []),
        ("echo x | passwd\ntrue", []),
        ("curl http://a/b || curl http://a/c\ntrue", []),
        ("#!/bin/bash\nset -o pipefail\ncurl http://a/b | tar xz", []),
        ("#!/usr/bin/python3\na && b\nc", []),
    ],
)
def test_a_setups_masked_failures_are_found(source: str, found: list[str]) -> None:
    """What stands before && or fetches before a pipe; conditions and handled failures are meant."""
    assert [message.split("`")[1] for message in about_setup(source)] == found
