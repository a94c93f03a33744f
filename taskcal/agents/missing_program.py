"""Whether an agent's command ended because a program that it names is not in the image.

The status 126 or 127 alone does not say so: a shell also exits with it when the last thing that the agent wrote has a
typo, hours into its work. It is believed only if both hold:

    the image     a sandbox that nobody has touched lacks a program that the agent file's `run` names, or cannot start
                  it (its interpreter is missing); the probe runs there as the agent's user
    the output    is that message alone, which names the program as not found: whatever else was printed is work; or
                  there is no output at all, as with `2>/dev/null`
    the command   has nothing before that program that is in the image and could work at a task, or bring the program

So an agent cannot choose to be lost: it has not begun.

A pipe (`tool | tee log`), `||` or a later command hides the status. With any other one, a shell must have named the
program as not found, and the image must lack all programs of `run` that could work at a task, so that none of them has.
"""

from __future__ import annotations

import itertools
import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from taskcal.core.shell.script import shebang_of
from taskcal.sandbox import ScriptEnding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskcal.sandbox import Sandbox, Script, ScriptResult

STATUSES = frozenset({126, 127})
LOOK_SECONDS = 30.0
MOST_PROGRAMS = 20
DEEPEST = 3

ENDS_OF_COMMANDS = frozenset(";&|()\n")
KEYWORDS = frozenset({"if", "then", "else", "elif", "fi", "do", "done", "while", "until", "!", "{", "}", "time"})
WRAPPERS = frozenset({"exec", "env", "nohup", "nice", "timeout", "setsid", "stdbuf", "sudo", "command", "xargs"})
SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "su", "runuser"})
SHELLS_OWN = frozenset({"set", "cd", "export", ":", "[", "test", "echo", "printf", "umask", "trap", "eval", "true"})
"""Commands of the shell that bring no program."""
AROUND = frozenset(
    {
        *(
            "tee",
            "cat",
            "head",
            "tail",
            "sed",
            "grep",
            "awk",
            "tr",
            "cut",
            "sort",
            "jq",
            "date",
            "ls",
            "mkdir",
            "sleep",
        ),
        *("exit", "return", "false", "wait", "read", "shift", "kill", "rm"),
    }
)
"""What surrounds an agent's program in `run`, and works at no task."""
ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
PLAIN_ASSIGNMENT = re.compile(r"(?:^|[\s;&|(])(?P<name>[A-Za-z_][A-Za-z0-9_]*)=['\"]?(?P<value>[A-Za-z0-9_./+-]+)")
INLINE = re.compile(r"\s-[a-z]*c\s")
"""The option of a shell whose commands stand in `run` itself."""
DURATION = re.compile(r"[0-9.]+[smhd]?")
HEREDOC = re.compile(r"(?<!<)<<(-?)\s*(['\"\\]?)([A-Za-z_][A-Za-z0-9_]*)")
PATH = re.compile(r"""(?<![A-Za-z0-9_])PATH=(?:"[^"`(]*"|'[^']*'|[^\s;&|"'`(]*)(?=[\s;&|]|$)""")
SOURCES = re.compile(r"(?:^|[;&|(\s])(?:\.|source)\s", re.MULTILINE)
PLAIN_WORD = re.compile(r"[A-Za-z0-9_./${}~+-]+")

WHY = r"(?:command not found|not found|No such file or directory|Permission denied|cannot execute.*|Exec format error)"
NOT_FOUND = re.compile(rf"(?:^|[:\s])\W?(?P<name>[^\s:'\"`\u2018\u2019]+)\W?: {WHY}\s*$", re.MULTILINE)
"""`sh: 1: x: not found` (dash), `x: command not found` (bash), `env: 'x': No such file or directory`, …"""

LOOK = """TASKCAL_LOOK() {
  TASKCAL_PLACE=$(command -v -- "$1") || { echo "missing $1"; return; }
  case $TASKCAL_PLACE in */*) ;; *) return ;; esac
  [ -x "$TASKCAL_PLACE" ] && [ -f "$TASKCAL_PLACE" ] || { echo "missing $1"; return; }
  TASKCAL_SAID=$("$TASKCAL_PLACE" --version </dev/null 2>&1)
  case $? in 126|127) echo "missing $1"; echo "$TASKCAL_SAID" ;; esac
}
@path
@calls
exit 0
"""


def missing_program(run: str, result: ScriptResult, sandbox: Sandbox, script: Script) -> str | None:
    """The program of `run` whose absence from the image ended it, or None. Raises LostError.

    `script` is what was run: the probe has its user, its folder and its variables, among which should be no secret.
    """
    if result.ending is not ScriptEnding.EXITED or result.exit_code is None:
        return None
    names = (_missing(text, result, sandbox, script) for text in commands(run))
    return next((name for name in names if name is not None), None)


def commands(run: str) -> tuple[str, ...]:
    """The shell commands that `run` consists of: that of its first line, and the script itself if a shell reads it."""
    shebang = shebang_of(run)
    if shebang is None:
        return (run,)
    starts = shlex.join(shebang.command)
    return (starts, run) if shebang.is_shell else (starts,)


def _missing(run: str, result: ScriptResult, sandbox: Sandbox, script: Script) -> str | None:
    offered = script.env.get("TASKCAL_TOOLS", "").split()
    named = tuple(name for name in resolve_programs(run, script.env) if name not in offered)
    is_named = result.exit_code in STATUSES or not not_found(_output(result)).isdisjoint(named)
    if not named or not is_named:
        return None
    with sandbox.twin() as untouched:
        seen = untouched.run(replace(script, source=look(run, named), timeout=LOOK_SECONDS))
    return find_blamed_program(run, result, (seen.stdout + seen.stderr).decode(errors="replace"))


def resolve_programs(run: str, env: Mapping[str, str]) -> tuple[str, ...]:
    """The programs of a command; in place of one such as `$TOOL` its value, if `run` or the environment has it."""
    values = {**env, **{match["name"]: match["value"] for match in PLAIN_ASSIGNMENT.finditer(run)}}
    names = (values.get(name.strip("${}"), name) if name.startswith("$") else name for name in programs_in(run))
    return tuple(dict.fromkeys(names))


def _output(result: ScriptResult) -> str:
    return (result.stdout + result.stderr).decode(errors="replace")


def find_blamed_program(run: str, result: ScriptResult, seen: str) -> str | None:
    """`missing_program`, given what the probe of the image printed."""
    missing = [line.removeprefix("missing ") for line in seen.splitlines() if re.match(r"missing \S", line)]
    named = programs_in(run)
    own = [name for name in missing if _begins_with(named, name) or ("/" not in name and _is_first(run, name, missing))]
    output = _output(result)
    if not _is_complaint(output, seen):
        return None
    if result.exit_code not in STATUSES and not (output.strip() and _nothing_works(run, named, missing)):
        return None
    if output.strip():
        blamed = not_found(output)
        return next((name for name in own if blamed & {name, *not_found(seen)}), None)
    return next((name for name in own if not _may_be_made(run, name)), None)


def _is_complaint(output: str, seen: str) -> bool:
    """Whether an output consists only of "not found" messages, of a shell or of the probe."""
    lines = (line.strip() for line in output.splitlines())
    known = {line.strip() for line in seen.splitlines()}
    return all(not line or line in known or NOT_FOUND.search(line) for line in lines)


def _is_first(run: str, name: str, missing: list[str]) -> bool:
    """Whether nothing that the image has could work before a program is called."""
    named = programs_in(run)
    return name not in named or _nothing_works(run, named[: named.index(name)], missing)


def _nothing_works(run: str, named: tuple[str, ...], missing: list[str]) -> bool:
    """Whether the image lacks all of these programs of `run` that could work at a task."""
    shells = SHELLS if INLINE.search(run) else frozenset()
    around = AROUND | SHELLS_OWN | WRAPPERS | shells
    short = {name: name.rpartition("/")[2] if name.startswith("/") else name for name in named}
    return all(short[name] in around or name in missing for name in named)


def _begins_with(named: tuple[str, ...], name: str) -> bool:
    """Whether nothing but the shell itself acts before a program; a file may be what the agent had to write."""
    before = named[: named.index(name)] if name in named else named
    return all(program in SHELLS_OWN or program in WRAPPERS for program in before)


def _may_be_made(run: str, name: str) -> bool:
    """Whether something in `run` before its first use, or a file that it sources, could bring a program."""
    first = re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w./-])", run)
    before = programs_in(run[: first.start()]) if first else programs_in(run)
    is_function = re.search(rf"(?<!\w){re.escape(name)}\s*\(\)", run)
    is_elsewhere = "/" in name and not name.startswith("/") and "cd" in programs_in(run)
    return bool(set(before) - SHELLS_OWN - WRAPPERS) or bool(is_function) or bool(SOURCES.search(run)) or is_elsewhere


def look(run: str, names: tuple[str, ...]) -> str:
    """The probe: for each program that is missing, or cannot start, a line `missing NAME` and its own last words."""
    calls = "\n".join(f"TASKCAL_LOOK {name if PLAIN_WORD.fullmatch(name) else shlex.quote(name)}" for name in names)
    return LOOK.replace("@path", "\n".join(PATH.findall(run))).replace("@calls", calls)


def not_found(output: str) -> frozenset[str]:
    """The programs and files that error messages of shells name as missing."""
    return frozenset(match["name"] for match in NOT_FOUND.finditer(output))


def programs_in(run: str, depth: int = DEEPEST) -> tuple[str, ...]:
    """The programs that a shell command names, in their order, each once; () for one that cannot be read."""
    try:
        names = (name for name in _programs(run, depth) if any(map(str.isalnum, name)) or name in SHELLS_OWN)
        return tuple(dict.fromkeys(names))[:MOST_PROGRAMS]
    except ValueError:
        return ()


def _programs(run: str, depth: int) -> Iterator[str]:
    for words in _commands(run):
        rest = list(words)
        while rest and (rest[0] in KEYWORDS or ASSIGNMENT.match(rest[0])):
            rest.pop(0)
        if not rest or rest[0] in {"for", "case", "function"}:
            continue
        yield rest[0]
        yield from _started_by(rest, depth)


def _started_by(words: list[str], depth: int) -> Iterator[str]:
    """The programs that a command starts: a wrapper's, or those of a text that a shell is given with `-c`."""
    name, rest = words[0].rsplit("/", maxsplit=1)[-1], words[1:]
    if name in WRAPPERS:
        while rest and (rest[0].startswith("-") or ASSIGNMENT.match(rest[0]) or DURATION.fullmatch(rest[0])):
            rest.pop(0)
        if rest:
            yield rest[0]
            yield from _started_by(rest, depth)
    elif name in SHELLS and depth:
        texts = (text for option, text in itertools.pairwise(rest) if re.fullmatch("-[a-z]*c", option))
        yield from programs_in(next(texts, ""), depth - 1)


def _commands(run: str) -> Iterator[list[str]]:
    """The words of each simple command, quotes removed. Raises ValueError for a quote without an end."""
    lexer = shlex.shlex(_without_heredocs(run), posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t\r", "", True
    words: list[str] = []
    is_file = False
    for token in lexer:
        if set(token) <= ENDS_OF_COMMANDS:
            yield words
            words = []
        elif set(token) <= set("<>&|"):
            is_file = True
            words = words[:-1] if words and words[-1].isdigit() else words
            continue
        elif not is_file:
            words.append(token)
        is_file = False
    yield words


def _without_heredocs(run: str) -> str:
    """A script without the texts that it feeds to its commands, and without comments."""
    kept: list[str] = []
    waiting: list[tuple[str, bool]] = []
    for line in run.replace("\\\n", " ").split("\n"):
        if waiting:
            end, is_indented = waiting[0]
            if (line.lstrip("\t") if is_indented else line) == end:
                waiting.pop(0)
            continue
        waiting += [(match[3], bool(match[1])) for match in HEREDOC.finditer(line)]
        kept.append(re.sub(r"(^|\s)#.*$", "", line) if "'" not in line and '"' not in line else line)
    return "\n".join(kept)
