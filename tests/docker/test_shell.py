"""`taskcal shell` in a real container: a script piped in, a solution, and a person at a terminal."""

from __future__ import annotations

import os
import select
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.terminal import on_a_terminal

if TYPE_CHECKING:
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

CASE = Path(__file__).parents[3] / "shared" / "cases" / "shell-output"
TASKSET = r"""taskset: t
version: 1
defaults: {timeouts: {agent: 2s}}
tasks:
  - id: t
    prompt: Make the file /tmp/a.
    environment: {image: "debian:bookworm-slim", memory: 64m}
    grader: {checks: [{name: a, run: test -f /tmp/a}]}
    solutions:
      - {name: right, run: 'printf "a\tb\303"; echo late >&2; printf "\274\n"; touch /tmp/a'}
      - {name: fails, run: 'touch /tmp/a; exit 9'}
"""


@pytest.mark.skipif(not CASE.is_dir(), reason="the inputs of the review are not beside this folder")
def test_output_of_a_script_is_shown_as_it_was_printed(taskcal: CommandLine) -> None:
    """Spaces, tabs, lines and a letter whose two bytes came apart; the exit status is printed, and shell's own is 0."""
    ended = taskcal("shell", str(CASE / "t.yaml"), "t", stdin=(CASE / "script.sh").read_text())
    assert ended.code == 0
    assert ended.err.endswith("a    b\n   lead\nx\ty\nabcd\N{LATIN SMALL LETTER U WITH DIAERESIS}r\n")
    assert ended.out.splitlines()[0] == "the script ended with exit status 7"
    assert ended.out.splitlines()[-1] == "reward 0, not passed"


def test_every_ending_is_named(taskcal: CommandLine, write: Write) -> None:
    """A signal, a time limit, too much memory; a solution by its name, with its output too."""
    write("t.yaml", TASKSET)
    assert first_line(taskcal, stdin="kill -9 $$\n") == "the script ended with exit status 137"
    assert first_line(taskcal, stdin="sleep 60\n") == "the script was stopped after 2.0s (timeouts.agent)"
    eater = "x=a; while :; do x=$x$x; done\n"
    assert first_line(taskcal, stdin=eater) == "the script was killed: the sandbox ran out of memory"
    assert first_line(taskcal, "--solution", "fails") == "`fails` ended with exit status 9"
    played = taskcal("shell", "t.yaml", "t", "--solution", "right")
    assert played.err.replace("late\n", "") == "a\tb\N{LATIN SMALL LETTER U WITH DIAERESIS}\n"
    assert played.out.splitlines()[0] == "`right` ended with exit status 0"


def first_line(taskcal: CommandLine, *options: str, stdin: str = "") -> str:
    ended = taskcal("shell", "t.yaml", "t", *options, stdin=stdin)
    assert ended.code == 0
    return ended.out.splitlines()[0]


def test_a_script_that_no_shell_can_read_is_refused(taskcal: CommandLine, write: Write) -> None:
    """Before anything is started."""
    write("t.yaml", TASKSET)
    ended = taskcal("shell", "t.yaml", "t", stdin="a\0b")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "the script on standard input holds a NUL byte, which no shell can read; write it as '\\0'\n"


def test_a_person_at_a_terminal(taskcal: CommandLine, write: Write) -> None:
    """The prompt, a shell, its exit status, the grade."""
    write("t.yaml", TASKSET)
    with on_a_terminal(taskcal.command("shell", "t.yaml", "t"), taskcal.folder) as (process, line):
        printed = read_until(line, b"# ")
        os.write(line, b"touch /tmp/a; exit 5\n")
        printed += read_until(line, b"reward 1, passed")
        assert process.wait(timeout=60) == 0
    assert b"Make the file /tmp/a." in printed
    assert b"the shell ended with exit status 5" in printed


def read_until(line: int, words: bytes) -> bytes:
    """What a terminal shows until it has shown these words."""
    printed = b""
    while words not in printed:
        ready, _, _ = select.select([line], [], [], 120)
        assert ready, printed
        printed += os.read(line, 65536)
    return printed
