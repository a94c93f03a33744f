"""Lines of a script whose failure a shell passes over, against what their author will have meant.

Only scripts that are plain lists of commands are looked at: in a loop, a function or a here-document a line's failure
may be meant, or be no failure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from taskcal.core.shell.script import shebang_of
from taskcal.core.task import RunProbe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.core.task import Task

SHOWN = 60
COMPOUND = re.compile(r"(^|[\s;|&(])(if|while|until|for|case|function|trap)\b|\(\)|<<|\{")
STRICT = re.compile(r"(^|[\s;&|(])set -(\w*e|o errexit)")
CONTINUED = re.compile(r"(\\|&&|\|\||\|)$")
TEST = re.compile(r"(test|\[{1,2})\s.*")
CONDITION = re.compile(r"(!|test|\[{1,2}|command|which|type|hash|grep|getent|id|cmp|diff|pgrep|dpkg|rpm)\s")
"""Commands that ask something, so that their failure is an answer."""
JOINED = re.compile(r"&&|\|\||[;|]")
FETCH = re.compile(r"(curl|wget)\s[^|]*\|[^|]")


def about_scripts(task: Task) -> Iterator[str]:
    """Give a warning for each setup and each check with such a line."""
    environment = task.environment
    setups = {"setup": environment.setup}
    setups |= {f"setup of the service {service.name}": service.setup for service in environment.services}
    for place, source in setups.items():
        yield from (f"{place}: {message}" for message in about_setup(source))
    for check in task.grader.checks:
        if isinstance(check.probe, RunProbe):
            yield from (f'the check "{check.name}": {message}' for message in about_check(check.probe.script))


def about_setup(source: str) -> Iterator[str]:
    """What `set -e` does not see: all but the last command of a list or a pipe, unless the list ends the script."""
    commands = _commands(source)
    for number, command in enumerate(commands):
        first, joined, _ = command.partition("&&")
        if joined and number < len(commands) - 1 and "||" not in command and not CONDITION.match(first):
            shown = first.strip()[:SHOWN]
            yield f"goes on if `{shown}` fails, since it stands before &&; write a line for each command"
        if FETCH.match(command) and "pipefail" not in source:
            shown = command.partition("|")[0].strip()[:SHOWN]
            yield f"goes on if `{shown}` fails, since it stands before a pipe; fetch to a file first"


def about_check(source: str) -> Iterator[str]:
    """Tests before the last line, whose results nothing uses."""
    if STRICT.search(source):
        return
    for command in _commands(source)[:-1]:
        if TEST.fullmatch(command) and not JOINED.search(command):
            yield (
                f"the result of `{command[:SHOWN]}` is not used, since the last line alone decides; "
                "join the lines with &&, or begin with set -e"
            )


def _commands(source: str) -> list[str]:
    """The commands of a plain shell script, continued lines joined; none of a script that is more than a list."""
    shebang = shebang_of(source)
    if (shebang is not None and not shebang.is_shell) or COMPOUND.search(source):
        return []
    commands, open_line = [], ""
    for line in (text.strip() for text in source.splitlines()):
        if not line or line.startswith("#"):
            continue
        open_line = f"{open_line} {line}".strip()
        if not CONTINUED.search(line):
            commands.append(open_line)
            open_line = ""
        open_line = open_line.removesuffix("\\").strip()
    return [*commands, *([open_line] if open_line else [])]
