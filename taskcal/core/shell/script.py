"""The interpreter of a script: `sh`, or the one that its first line names (`#!/usr/bin/env python3`).

The rules are the kernel's: an absolute path, then everything behind it as one argument. What the kernel would refuse at
run time is refused while a taskset is read.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core.task import RunProbe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskcal.core.task import Service, Task

PLAIN = {("/bin/sh", ""), ("/usr/bin/sh", ""), ("/usr/bin/env", "sh"), ("/bin/env", "sh")}
"""First lines that ask for what runs a script without one."""

SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"})
"""Shells that take `-e` and `-v` as `sh` does."""

SPLITS = ("-S", "--split-string=", "--split-string")


@dataclass(frozen=True, slots=True)
class Shebang:
    """A script's first line: the path of its interpreter, and the one argument that it gets ('' for none)."""

    interpreter: str
    argument: str = ""

    @property
    def command(self) -> tuple[str, ...]:
        """The words to which the script's file is added."""
        return (self.interpreter, self.argument) if self.argument else (self.interpreter,)

    @property
    def programs(self) -> tuple[str, ...]:
        """What must be there: the interpreter's path, and the name that `env` looks for on PATH."""
        named = _named_by_env(self.argument) if _is_env(self.interpreter) else ""
        return (self.interpreter, named) if named else (self.interpreter,)

    @property
    def is_shell(self) -> bool:
        """Whether the interpreter is a shell."""
        return self.programs[-1].rpartition("/")[2] in SHELLS


def shebang_of(source: str) -> Shebang | None:
    """The first line of a script, blank lines before it aside; None if `sh` is to run it.

    Raises ValueError for a first line with which no system could run the script.
    """
    first = script_text(source).partition("\n")[0]
    if not first.startswith("#!"):
        return None
    if first.endswith("\r"):
        raise ValueError("the first line ends with a carriage return (CRLF); write the script with LF line ends")
    words = first.removeprefix("#!").strip(" \t").split(maxsplit=1)
    if not words or not words[0].startswith("/"):
        raise ValueError(
            f'"{first[:60]}" names no absolute path; write #!/usr/bin/env NAME, or the interpreter\'s path'
        )
    found = Shebang(words[0], words[1] if len(words) > 1 else "")
    if _is_env(found.interpreter):
        _check_env(found.argument)
    return None if (found.interpreter, found.argument) in PLAIN else found


def script_text(source: str) -> str:
    """A script's text; blank lines that would hide its `#!` from a system are left out."""
    stripped = source.lstrip()
    return stripped if stripped.startswith("#!") else source


def _is_env(interpreter: str) -> bool:
    return interpreter in ("/usr/bin/env", "/bin/env")


def _check_env(argument: str) -> None:
    if not _named_by_env(argument):
        raise ValueError("#!/usr/bin/env names no program; write #!/usr/bin/env NAME")
    if len(argument.split()) > 1 and not argument.startswith(SPLITS):
        raise ValueError(f"env takes one word from a first line; write #!/usr/bin/env -S {argument[:60]}")


def _named_by_env(argument: str) -> str:
    """The program that `env` would run, '' if its argument names none."""
    for split in SPLITS:
        if argument.startswith(split):
            argument = argument.removeprefix(split)
            break
    try:
        words = shlex.split(argument)
    except ValueError:
        return ""
    return next((word for word in words if not word.startswith("-") and "=" not in word), "")


def names_in_script(text: str, names: Iterable[str]) -> list[str]:
    """The names that a script's text holds as words: the params that it may read."""
    words = set(re.findall(r"\w+", text))
    return [name for name in names if name in words]


@dataclass(frozen=True, slots=True)
class NeededPrograms:
    """Programs that one script of a task needs, in the sandbox ('') or in a service."""

    place: str
    service: str
    programs: tuple[str, ...]


def interpreters(task: Task) -> tuple[NeededPrograms, ...]:
    """The interpreters that the scripts of a task name, `sh` aside, each with the key of its script.

    Solutions and wrong answers are not among them: an agent may install what it needs.
    """
    found = ((place, service, shebang_of(source)) for place, service, source in _scripts(task))
    return tuple(NeededPrograms(place, service, shebang.programs) for place, service, shebang in found if shebang)


def _scripts(task: Task) -> Iterator[tuple[str, str, str]]:
    environment = task.environment
    yield from ((key, "", getattr(environment, key)) for key in ("start", "ready", "finish"))
    for service in environment.services:
        yield from _scripts_of_service(service)
    yield "grader.run", "", task.grader.run
    for check in task.grader.checks:
        if isinstance(check.probe, RunProbe):
            yield f'the check "{check.name}"', check.probe.service, check.probe.script
    yield from ((f"the tool {tool.name}", "", tool.run) for tool in task.tools)
    yield from ((f"the MCP server {server.name}", "", server.run) for server in task.mcp)


def _scripts_of_service(service: Service) -> Iterator[tuple[str, str, str]]:
    yield f"ready of the service {service.name}", service.name, service.ready
    if isinstance(service.command, str):
        yield f"command of the service {service.name}", service.name, service.command
