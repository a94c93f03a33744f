"""Why a setup failed, in one line: the line of it that did, and what that printed.

`sh` has no way to ask a failed script for its line. With `-v` it repeats each line on standard error as it reads it, so
the last line that it repeated ends the command that failed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from taskcal.core.shell.script import script_text, shebang_of
from taskcal.sandbox import ScriptEnding

if TYPE_CHECKING:
    from taskcal.sandbox import ScriptResult

UNBAKED = "cannot be baked"
"""The last words about a setup that went well and wrote to a place that an image does not keep."""

LONGEST_LINE = 120
CUT = 60_000
"""Characters from which on the beginning of what a setup printed may be missing; 64 KiB are kept."""
SUBSTITUTES = re.compile(r"\$\(|`")
MOST_SKIPPED = 20
"""Lines that a shell may leave out behind one that begins a command substitution."""
SHORTEST = 3
ELSEWHERE = re.compile(r"\s*exec\b.*>")
"""Sends all that follows elsewhere, what the shell repeats too."""


def setup_failure(setup: str, result: ScriptResult) -> str:
    """The reason: line and text of what failed, how it ended, what it printed, and how to allow it."""
    shebang = shebang_of(setup)
    lines = script_text(setup).splitlines() if shebang is None or shebang.is_shell else []
    number, rest = last_repeated(lines, result.stderr.decode(errors="replace"))
    printed = replace(result, stderr=rest.encode()).tail
    if not lines or result.stdout.decode(errors="replace").rstrip().endswith(UNBAKED):
        return f"setup failed ({result.how}): {printed}".rstrip(": ")
    place = f" at its line {number} ({_shortened(lines[number - 1])})" if number else ""
    how = "which did not end within timeouts.setup" if result.ending is ScriptEnding.TIMED_OUT else result.how
    reason = f"setup failed{place}, {how}: {printed}".rstrip(": ")
    hint = "; it stops at the first line that fails, add `|| true` to one that may"
    return reason + hint if result.ending is ScriptEnding.EXITED else reason


def last_repeated(lines: list[str], errors: str) -> tuple[int | None, str]:
    """The number (from 1) of the last line of a script that `sh -v` repeated, and its errors without these lines.

    None if that cannot be known: nothing was repeated, or the script sent its standard error elsewhere.
    """
    at, rest = 0, []
    # Of long errors only the end is here, and may begin anywhere in the script.
    reach = len(lines) if len(errors) > CUT else 1
    for text in errors.splitlines():
        found = _next(lines[at : at + reach], text)
        if found is None:
            rest.append(text)
            continue
        before = text[: len(text) - len(lines[at + found])]
        rest += [before] if before.strip() else []
        at += found + 1
        reach = MOST_SKIPPED if SUBSTITUTES.search(lines[at - 1]) else 1
    moved = any(ELSEWHERE.match(line) for line in lines)
    return (at if at and not moved else None), "\n".join(rest)


def _next(ahead: list[str], text: str) -> int | None:
    """The index of the line that a text repeats.

    A command may print without a line's end, so the shell's line may stand behind other text.
    """
    if not text.strip():
        return 0 if ahead and not ahead[0].strip() else None
    exact = (i for i, line in enumerate(ahead) if line == text)
    behind = (i for i, line in enumerate(ahead) if len(line.strip()) >= SHORTEST and text.endswith(line))
    return next(exact, next(behind, None))


def _shortened(line: str) -> str:
    text = line.strip()
    return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…"
