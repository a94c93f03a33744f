"""Scripts whose first line names an interpreter, as text that `sh` runs: everything else here speaks to `sh` only."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from taskcal.core.shell.script import script_text, shebang_of
from taskcal.sandbox import TASKCAL_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable

CANNOT_RUN = 126


def as_shell(source: str) -> str:
    """A script as `sh` runs it: unchanged, or written to a file and given to its interpreter.

    The text ends the shell that runs it with the script's status, so it belongs at the end of a script or into a
    subshell. Raises ValueError for a first line that names no interpreter.
    """
    shebang = shebang_of(source)
    if shebang is None:
        return source
    return f"""TASKCAL_SCRIPT=$(mktemp 2>/dev/null || mktemp {TASKCAL_FOLDER}/script.XXXXXX) || exit {CANNOT_RUN}
printf %s {shlex.quote(script_text(source))} >"$TASKCAL_SCRIPT" || {{ rm -f "$TASKCAL_SCRIPT"; exit {CANNOT_RUN}; }}
{shlex.join(shebang.command)} "$TASKCAL_SCRIPT"
TASKCAL_STATUS=$?; rm -f "$TASKCAL_SCRIPT"; exit $TASKCAL_STATUS"""


def stopping(source: str) -> str:
    """The words that run a setup's file: a shell stops at the first line that fails, and repeats what it reads.

    A setup in another language stops in its own way.
    """
    shebang = shebang_of(source)
    if shebang is None:
        return "sh -ev"
    return shlex.join((*shebang.command, "-ev") if shebang.is_shell else shebang.command)


def missing_programs(programs: Iterable[str]) -> str:
    """A script that prints those of these programs (names on PATH, or paths) that are not there, one on a line."""
    names = shlex.join(dict.fromkeys(programs))
    return f"""for TASKCAL_PROGRAM in {names}; do
  case $TASKCAL_PROGRAM in /*) [ -x "$TASKCAL_PROGRAM" ] ;; *) command -v "$TASKCAL_PROGRAM" >/dev/null 2>&1 ;; esac ||
    echo "$TASKCAL_PROGRAM"
done
"""
