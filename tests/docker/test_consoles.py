"""Runs and shells on consoles that cannot take their output: every rollout is kept, and the exit code is right."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.conftest import environment, mostly_long
from tests.docker.samples import run_id

if TYPE_CHECKING:
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

SNOWMAN = "\N{SNOWMAN}"
TASKSET = f"""\
taskset: console
version: 1
tasks:
  - id: a
    prompt: Write {SNOWMAN} into /tmp/a.
    params: {{word: "{SNOWMAN}"}}
    environment: {{image: "debian:bookworm-slim"}}
    grader: {{checks: [{{name: "is {SNOWMAN}", file: /tmp/a, equals: "{SNOWMAN}"}}]}}
    solutions: [{{name: right, run: 'printf %s "$word" > /tmp/a; echo "{SNOWMAN}  out"'}}]
"""
CONSOLES = {
    "full": (">/dev/full", {}, 2),
    "closed": (">&-", {}, 2),
    "all closed": ("<&- >&- 2>&-", {}, 2),
    "no errors": ("2>&-", {}, 0),
    "full errors": ("2>/dev/full", {}, 0),
    "left": ("2>&1 | true", {}, 0),
    "ascii": ("", {"PYTHONIOENCODING": "ascii"}, 0),
    "C locale": ("", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, 0),
}
"""Redirections, variables, and the exit code of a command that would have ended with 0."""


def call(
    taskcal: CommandLine, kind: str, *words: str, stdin: str | None = None
) -> tuple[subprocess.CompletedProcess[bytes], int]:
    """Run a command on such a console; gives how it ended and the expected exit code."""
    redirections, variables, code = CONSOLES[kind]
    line = f"set -o pipefail; {shlex.join(taskcal.command(*words))} {redirections}"
    done = subprocess.run(
        ["/bin/bash", "-c", line],
        cwd=taskcal.folder,
        env={**environment(), **variables},
        input=None if stdin is None else stdin.encode(),
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert b"Traceback" not in done.stdout + done.stderr
    return done, code


@pytest.mark.parametrize("kind", mostly_long(CONSOLES, "full", "left", "C locale"))
def test_a_run_keeps_every_rollout(taskcal: CommandLine, write: Write, kind: str) -> None:
    """And its report, whatever was printed of it; none is lost."""
    write("tasks.yaml", TASKSET)
    done, code = call(taskcal, kind, "run", "tasks.yaml", "-a", "oracle", "-G", "2", "-c", "2")
    assert done.returncode == code, done.stderr
    run = taskcal.folder / "runs" / run_id(taskcal.folder)
    rows = (run / "rollouts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [row.count('"outcome": "graded"') for row in rows] == [1, 1]
    assert SNOWMAN in (run / "report.md").read_text(encoding="utf-8")
    if kind in {"full", "closed"}:
        assert done.stderr.decode().splitlines()[-1].endswith(f"; the results are in runs/{run.name}")
    if kind in {"ascii", "C locale"}:
        assert b"is \\u2603" in done.stdout
        assert (done.stdout + done.stderr).isascii()


@pytest.mark.parametrize("kind", mostly_long(["full", "closed"], "closed"))
def test_the_exit_code_of_the_results_stays(taskcal: CommandLine, write: Write, kind: str) -> None:
    """What --fail-on finds is more than a lost table."""
    write("tasks.yaml", TASKSET)
    words = ("run", "tasks.yaml", "-a", "noop", "-G", "1", "-q", "--fail-on", "flagged")
    assert call(taskcal, kind, *words)[0].returncode == 1


@pytest.mark.parametrize("kind", mostly_long(CONSOLES, "ascii"))
def test_a_shell_grades(taskcal: CommandLine, write: Write, kind: str) -> None:
    """By a script on standard input, if that is open."""
    write("tasks.yaml", TASKSET)
    script = f"printf %s {SNOWMAN} >/tmp/a; echo '{SNOWMAN}  out'\n"
    done, code = call(taskcal, kind, "shell", "tasks.yaml", "a", "--solution", "right")
    assert done.returncode == code, done.stderr
    done, code = call(taskcal, kind, "shell", "tasks.yaml", "a", stdin=script)
    assert done.returncode == code, done.stderr
    if kind in {"ascii", "C locale"}:
        assert b"\\u2603  out\n" in done.stderr
    if kind in {"no errors", "full errors", "ascii", "C locale"}:
        assert done.stdout.endswith(b"reward 1, passed\n")
