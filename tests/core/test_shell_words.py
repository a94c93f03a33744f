"""Which programs a script may call, from its text, and whether a shell printed that one is missing."""

from __future__ import annotations

import pytest

from taskcal.core.shell_words import find_programs, reports_missing


@pytest.mark.parametrize(
    ("script", "programs"),
    [
        ("jq -e .x f", {"jq"}),
        ('test "$(jq -r .x f)" = 3', {"jq"}),
        ("x=`jq .x f`; [ $x = 3 ]", {"jq"}),
        ("cat f | sort|uniq -c && diff a b || exit 1", {"cat", "sort", "uniq", "diff"}),
        ("if grep -q x f; then curl -s u; else wget u; fi", {"grep", "curl", "wget"}),
        ("while read -r l; do bc; done <f", {"bc"}),
        ("A=1 B='x y' LC_ALL=C sort f", {"sort"}),
        ("! cmp -s a b", {"cmp"}),
        ("exec python3 -c 'import x; y()'", {"python3"}),
        ("timeout 5s node x.js", {"timeout", "node"}),
        ("env python3 x", {"env", "python3"}),
        ("(cd /x && make)", {"make"}),
        ("{ node --version; } >/dev/null", {"node"}),
        ("g++ -o a a.c && python3.11 -V", {"g++", "python3.11"}),
        ("check() { jq .; }; check", {"jq"}),
        ("./run.sh && /usr/bin/foo", set()),
        ("echo 'jq; node' # nope; really", set()),
        ("cat <<EOF\njq\nnode x\nEOF\nsort f", {"cat", "sort"}),
        ("true", set()),
        ("", set()),
        ("case x in y) exit 1 ;; esac", set()),
    ],
)
def test_the_programs_of_a_script(script: str, programs: set[str]) -> None:
    """Command words count, arguments, quoted text, paths, builtins and functions do not."""
    assert find_programs(script) == programs


@pytest.mark.parametrize(
    "output",
    [
        "sh: 1: jq: not found",
        "/run/taskcal-1/0.sh: 3: jq: not found",
        "sh: line 1: jq: command not found",
        "bash: jq: command not found",
        "exit 127: sh: jq: not found",
        "env: 'jq': No such file or directory",
        "env: \N{LEFT SINGLE QUOTATION MARK}jq\N{RIGHT SINGLE QUOTATION MARK}: No such file or directory",
        "(standard_in) 1 | jq: not found",
    ],
)
def test_a_missing_program_is_recognised(output: str) -> None:
    """The words of dash, bash, busybox and env; another program's absence does not count."""
    assert reports_missing(output, "jq")
    assert not reports_missing(output, "q")
    assert not reports_missing(output, "j.")


@pytest.mark.parametrize("output", ["jq: error: x not found", "file jq not found", "jq: f: No such file", ""])
def test_other_failures_are_not_a_missing_program(output: str) -> None:
    """The program ran and found something else missing."""
    assert not reports_missing(output, "jq")
