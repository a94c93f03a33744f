"""Lines of a check that look as if they decided something and do not: a script's status is that of its last line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from taskcal.core.script import shebang_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.core.task import Task

TEST = re.compile(r"(test|\[{1,2})\s.*")
JOINED = re.compile(r"&&|\|\||[;|\\]$")
COMPOUND = re.compile(r"(^|[\s;|&(])(if|while|until|for|case|function|set -\w*e\w*|set -o errexit|trap)\b|\(\)|<<|\{")
"""What makes a line more than a plain command, or stops a script at a failing one; scripts with it are passed over."""


def unused_tests(source: str) -> tuple[str, ...]:
    """The lines of a shell script, apart from the last, that are a test whose result nothing uses."""
    shebang = shebang_of(source)
    if (shebang is not None and not shebang.is_shell) or COMPOUND.search(source):
        return ()
    lines = [line.strip() for line in source.splitlines() if line.strip() and not line.strip().startswith("#")]
    return tuple(line for line in lines[:-1] if TEST.fullmatch(line) and not JOINED.search(line))


def about_scripts(task: Task) -> Iterator[str]:
    """Give a warning for each check with such a line."""
    for check in task.grader.checks:
        found = unused_tests(getattr(check.probe, "script", ""))
        if found:
            yield (
                f'the check "{check.name}" ignores the result of `{found[0][:60]}`, as its status is that of its last '
                "line; join the lines with &&, or begin with set -e"
            )
