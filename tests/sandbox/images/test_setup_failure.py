"""Which line of a setup failed, from what a shell repeats of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskcal.machine import host
from taskcal.sandbox import ScriptEnding, ScriptResult
from taskcal.sandbox.images.setup_failure import last_repeated, setup_failure
from taskcal.sandbox.interpreters import missing_programs

if TYPE_CHECKING:
    from pathlib import Path

SCRIPTS = {
    "true\ncp /nonexistent /x\ntrue": 2,
    "\n\n# a comment\nfalse": 4,
    "cat <<EOF >/dev/null\nfalse\nEOF\nfalse; true\ntrue": 4,
    "f() {\n  printf abc >&2\n  false\n}\nf\ntrue": 5,
    'x=$(echo a\necho b)\nif true; then\n  :\nfi\ntest "$x" = c\ntrue': 6,
    "for i in 1 2; do\n  test $i = 1\ndone\ntrue": 3,
    "echo fi >&2\nif true; then true\nfi\nfalse\ntrue": 4,
    "a=1 \\\n  b=2\nfalse || true\nfalse | true\n! true\nexit 3": 6,
    "printf '\\n\\n\\n' >&2\n\ntrue\n\nfalse": 5,
}  # fmt: skip


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("source", SCRIPTS)
def test_the_failing_line_is_found(source: str, shell: str, tmp_path: Path) -> None:
    """Among comments, blank lines, here-documents, functions, loops, and commands that print what a line says."""
    file = tmp_path / "setup"
    file.write_text(source)
    done = host.run_program(["sh", "-c", f"exec {shell} -ev {file} 2>&1 >/dev/null"], seconds=30)
    assert done.status != 0
    assert last_repeated(source.splitlines(), done.output)[0] == SCRIPTS[source]


def test_a_failure_is_one_sentence() -> None:
    """Line, text, status, last words and the way out; what the shell repeated is not among them."""
    result = ScriptResult(ScriptEnding.EXITED, 1, b"", b"true\ncp a b\ncp: cannot stat 'a'\n")
    assert setup_failure("true\ncp a b\ntrue", result) == (
        "setup failed at its line 2 (cp a b), exit 1: cp: cannot stat 'a'; "
        "it stops at the first line that fails, add `|| true` to one that may"
    )


@pytest.mark.parametrize(
    ("setup", "stdout", "stderr"),
    [
        ("#!/usr/bin/perl\ndie", b"", b"died\n"),
        ("echo x >/dev/shm/y", b"setup wrote /dev/shm/y, which lies under /dev/shm and cannot be baked\n", b""),
        ("exec 2>/log\nfalse", b"", b"exec 2>/log\n"),
        ("false", b"", b""),
    ],
)
def test_no_line_is_named_that_is_not_known(setup: str, stdout: bytes, stderr: bytes) -> None:
    """Another language, a setup that went well and wrote to a lost place, output that went elsewhere or nowhere."""
    assert "at its line" not in setup_failure(setup, ScriptResult(ScriptEnding.EXITED, 1, stdout, stderr))


def test_a_timeout_needs_no_advice() -> None:
    """Nothing failed, so nothing is to be allowed."""
    said = setup_failure("sleep 99", ScriptResult(ScriptEnding.TIMED_OUT, None, b"", b"sleep 99\n"))
    assert said == "setup failed at its line 1 (sleep 99), which did not end within timeouts.setup"


def test_missing_programs_are_printed() -> None:
    """By name on PATH, or by path; those that are there are not."""
    script = missing_programs(["sh", "/bin/sh", "no-such-program", "/no/such", "it's"])
    assert host.run_program(["sh", "-c", script], seconds=30).output == "no-such-program\n/no/such\nit's\n"
