"""Which programs a script may call, from its text, and whether a shell printed that one is missing."""

from __future__ import annotations

import pytest

from taskcal.core.shell.shell_words import find_programs, may_hide, reports_missing


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
        ("./run.sh && /opt/foo", set()),
        ("/usr/bin/foo x || /usr/local/bin/bar", {"foo", "bar"}),
        ('sh -c "jq . f"', {"sh", "jq"}),
        ("bash -lc 'cd x && jq . f'", {"bash", "jq"}),
        ('su nobody -s /bin/sh -c "jq . f"', {"su", "jq"}),
        ('eval "jq . f"', {"jq"}),
        ("cat f | xargs -n 1 jq .", {"cat", "xargs", "jq"}),
        ("find . -name f -exec jq . {} +", {"find", "jq"}),
        ("nice -n 5 jq . f", {"nice", "jq"}),
        ("timeout -k 5 10s jq . f", {"timeout", "jq"}),
        ("sudo -u nobody jq . f", {"sudo", "jq"}),
        ("env -u HOME A=1 jq . f", {"env", "jq"}),
        ("setsid jq . f", {"setsid", "jq"}),
        ("python3 -m pytest -q", {"python3", "python3 -m pytest"}),
        ("cd /x && python -B -m pytest.x", {"python", "python3 -m pytest"}),
        ("/opt/venv/bin/python -m pytest", set()),
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
        "exit 127: /run/taskcal-1/2.sh: 1: /usr/local/bin/jq: not found",
        "/run/x.sh: line 3: /usr/bin/jq: No such file or directory",
        "timeout: failed to run command 'jq': No such file or directory",
        "setsid: failed to execute jq: No such file or directory",
        "xargs: jq: No such file or directory",
        "nice: 'jq': No such file or directory",
        "find: 'jq': No such file or directory",
        "env: can't execute 'jq': No such file or directory",
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


@pytest.mark.parametrize(
    ("output", "reported"),
    [
        ("/usr/bin/python3: No module named pytest", True),
        ("ModuleNotFoundError: No module named 'pytest'", True),
        ("No module named pytest_x", False),
        ("pytest: not found", False),
    ],
)
def test_a_missing_module_is_recognised(output: str, reported: bool) -> None:
    """The words of Python for a module that a script runs."""
    assert reports_missing(output, "python3 -m pytest") is reported


@pytest.mark.parametrize(
    ("script", "hidden"),
    [
        ("command -v jq && jq . f", True),
        ("if which jq >/dev/null; then jq . f; fi", True),
        ("jq . f 2>/dev/null | grep x", True),
        ("jq . f >/dev/null 2>&1", True),
        ("jq . f &>/dev/null", True),
        ("jq . f", False),
        ("jq . f\ncat f 2>/dev/null", False),
        ("jq . f | cat 2>/dev/null", False),
        ("command -v jqx", False),
    ],
)
def test_a_script_may_hide_that_a_program_is_missing(script: str, hidden: bool) -> None:
    """A look for the program, or silence for it, leaves no report to read."""
    assert may_hide(script, "jq") is hidden
