"""Which of an image's variables grading may keep: none that makes a program load what the agent wrote.

A shell finds programs through PATH, an interpreter its modules through PYTHONPATH, the loader its libraries through
LD_PRELOAD, git its settings through HOME. An image may point any of them at the folder that the agent works in. The
names below are those whose value programs search; a variable such as DATA_DIR is only read by who knows it.

    a list (`/a:/b`)      loses the entries that lead to the agent
    anything else         goes as a whole: options such as `-I/app/lib`, one file, one folder
    a relative entry      goes always, as does an empty one of a list: it leads to wherever a check stands
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OWN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ROOTS_HOME = "/root"
NO_HOME = "/nonexistent"
"""Where no file is. Without HOME a program would take the home that /etc/passwd names."""

SEARCHED = re.compile(
    r"PATH$|PATHS$|LIBS?$|HOME$|DIRS$|BASE$|ENV$|OPTS?$|OPTIONS$|FLAGS$|RC$|PREFIX$|SHELL$|PAGER$|EDITOR$|WRAPPER$"
    r"|PRELOAD|AUDIT|INIT|STARTUP|CONF|PLUGIN|MODULE|HOOK|COMMAND|ENGINE|INCLUDE|PROFILE|ENVIRON|LOADER|AGENT|MAKEFILE"
    r"|^(LD_|DYLD_|PYTHON|PERL|RUBY|NODE_|NPM_|GIT_|JAVA|JDK|BASH|GO(?!OGLE)|GEM_|BUNDLE|LUA|R_|PHP|PYTEST|PIP_|LESS"
    r"|CARGO|RUST|JULIA|ERL|DOTNET|CORECLR|OPENSSL|SSL_|XDG_|TERMINFO|MAGIC$|ZDOTDIR$|LOCPATH$|GCC_|COMPILER_|ADDOPTS)",
    re.IGNORECASE,
)
"""Names whose value programs search for code or settings."""

LISTS = re.compile(r"PATHS?$|LIBS?$|DIRS$", re.IGNORECASE)
OPTIONS = re.compile(r"OPTS?$|OPTIONS$", re.IGNORECASE)
PLACES = re.compile(r"HOME$|BASE$|STARTUP$|RC$|^BASH_ENV$", re.IGNORECASE)
"""Names in whose value a bare word is a path: each of a list, each argument of options, or all of it."""

HERE = {"PERL_USE_UNSAFE_INC"}
"""Names whose value is no path and that make a program search the folder where it is called."""

TOKENS = re.compile(r"""[^\s,;=@"'():|]+""")
ATTACHED = re.compile(r"-[IrMLp]?(?=[./~$])|-[IrM](?=\w+$)|-{1,2}\w*?(?=/)")
RELATIVE = "it is relative"


@dataclass(frozen=True, slots=True)
class DroppedEntry:
    """An entry that checks do not get ('' is an empty one), and why."""

    variable: str
    entry: str
    reason: str

    def __str__(self) -> str:
        """One line for a remark."""
        return f"checks get {self.variable} without {self.entry or 'its empty entry'}: {self.reason}"


@dataclass(frozen=True, slots=True)
class CheckVariables:
    """An image's variables as checks get them, what went, and the PATH of taskcal's own scripts there."""

    kept: Mapping[str, str]
    gone: tuple[DroppedEntry, ...]
    own_path: str


def sift_variables(variables: Mapping[str, str], why: Callable[[str], str] | None) -> CheckVariables:
    """Keep what a grading may have; `why` gives the reason that an absolute path must not be searched, or ''.

    Without `why` everything stays. PATH and HOME are always among what is kept. Taskcal's own PATH begins with
    the usual folders.
    """
    kept: dict[str, str] = {}
    gone: list[DroppedEntry] = []
    for name, value in ({"PATH": OWN_PATH, "HOME": ROOTS_HOME} | dict(variables)).items():
        rest, lost = _sifted(name, value, why)
        gone += lost
        if rest is not None:
            kept[name] = rest
    usual, _ = _sifted("PATH", OWN_PATH, why)
    own = ":".join(dict.fromkeys(part for path in (usual, kept.get("PATH")) if path for part in path.split(":")))
    return CheckVariables(
        {**kept, "PATH": kept.get("PATH") or own, "HOME": kept.get("HOME", NO_HOME)}, tuple(gone), own
    )


def _sifted(name: str, value: str, why: Callable[[str], str] | None) -> tuple[str | None, list[DroppedEntry]]:
    """What is left of a value, None for nothing, and what went."""
    if why is None or not SEARCHED.search(name):
        return value, []
    if name in HERE and value not in ("", "0"):
        return None, [DroppedEntry(name, value, "it makes programs search the folder where they are called")]
    if value and _is_list(name, value):
        entries = value.split(":")
        reasons = [_reason(name, entry, why) if entry else RELATIVE for entry in entries]
        left = [entry for entry, reason in zip(entries, reasons, strict=True) if not reason]
        lost = [DroppedEntry(name, entry, reason) for entry, reason in zip(entries, reasons, strict=True) if reason]
        return (":".join(left) or None, lost) if lost else (value, [])
    reason = _reason(name, value, why)
    return (None, [DroppedEntry(name, value, reason)]) if reason else (value, [])


def _is_list(name: str, value: str) -> bool:
    return bool(LISTS.search(name)) or all(entry.startswith("/") for entry in value.split(":"))


def _reason(name: str, text: str, why: Callable[[str], str]) -> str:
    """Why one entry, or a whole value that is no list, must go; '' if it may stay."""
    return next((reason for path in _paths(name, text) if (reason := why(path) if path else RELATIVE)), "")


def _paths(name: str, text: str) -> Iterator[str]:
    """The absolute paths in a text; '' for one that is relative, or that only the program itself can make out."""
    for token in TOKENS.findall(text):
        flag = ATTACHED.match(token)
        word = token[flag.end() :] if flag else token
        if word.startswith("/"):
            yield "/" + word.lstrip("/")
        elif flag or word.startswith(("./", "../", "~", "$")) or word in (".", "..") or _is_place(name, word):
            yield ""


def _is_place(name: str, word: str) -> bool:
    """Whether a bare word is a path under this name. A number is none, nor is an option."""
    if word.startswith("-") or word.isdigit():
        return False
    bare = LISTS.search(name) or OPTIONS.search(name) or PLACES.search(name)
    return bool(bare) or ("/" in word and name.upper().startswith("LD_"))
