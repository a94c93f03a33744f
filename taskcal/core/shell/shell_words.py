"""Which programs a shell script may call, read from its text: enough to see that one is missing, not a shell's parser.

Quotes, expansions and here-documents make the exact answer a shell's business. The names found here are only asked
after: whoever finds one missing runs the script before believing it.
"""

from __future__ import annotations

import re

OPTIONS = r"(?:\s+-{1,2}[\w=./%{}-]+(?:\s+\d+[smhd]?)?)*"
WRAPPERS = (
    rf"\b(?:exec|command|nohup|time|nice|ionice|setsid|stdbuf|xargs){OPTIONS}\s|\benv(?:\s+-u\s+\w+|\s+-\w)*\s"
    rf"|\btimeout{OPTIONS}\s+\S+\s|\b(?:sudo|doas|runuser)(?:\s+-u\s+\S+|\s+--?\w*)*\s|\b(?:gosu|su-exec)\s+\S+\s"
    r"|\s-exec(?:dir)?\s"
)
"""Programs that run the command behind their options."""

OPENERS = rf"(?:^|[\n;&|(`{{!]|\b(?:if|then|elif|else|while|until|do)\s|{WRAPPERS})"
ASSIGNMENTS = r"(?:[A-Za-z_]\w*=(?:\"[^\"\n]*\"|[^\s\";|&]*)\s+)*"
SYSTEM_FOLDER = r"(?:/(?:usr/(?:local/)?)?s?bin/)?"
NAME = rf"{SYSTEM_FOLDER}(?P<name>[A-Za-z0-9_][\w.+-]*)(?=[\s;|&)`\"]|$)"
CALL = re.compile(rf"{OPENERS}(?=\s*{ASSIGNMENTS}{NAME})")
INNER = re.compile(
    r"""(?:\b(?:ba|da|k|z|a)?sh\b|\bsu\b|\brunuser\b)[^\n;|&'"]*?\s-\w*c\s+(?:"((?:[^"\\]|\\.)*)"|'([^']*)')"""
    r"""|\beval\s+(?:"((?:[^"\\]|\\.)*)"|'([^']*)')"""
)
"""The text that a shell, `su` or `eval` gets as one quoted word."""

MODULE = re.compile(r"(?<![\w/.-])python(?:3[\d.]*)?\s+(?:-[A-Za-z]+\s+)*?-m\s*([A-Za-z_]\w*)")
RUN_MODULE = "python3 -m "
"""How a Python module that a script runs is named among programs."""

FUNCTION = re.compile(r"\b([A-Za-z_]\w*)\s*\(\s*\)")
SINGLE_QUOTED = re.compile(r"'[^']*'")
COMMENT = re.compile(r"(?m)(^|\s)#.*$")
HEREDOC = re.compile(r"<<-?\s*[\"']?(\w+)[\"']?(.*?)^\s*\1\s*$", re.DOTALL | re.MULTILINE)
SHELL = frozenset(
    {
        *("alias", "bg", "break", "builtin", "case", "cd", "command", "continue", "declare", "dirs", "disown", "do"),
        *(
            "done",
            "echo",
            "elif",
            "else",
            "enable",
            "esac",
            "eval",
            "exec",
            "exit",
            "export",
            "false",
            "fc",
            "fg",
            "fi",
        ),
        *("for", "function", "getopts", "hash", "help", "if", "in", "jobs", "kill", "let", "local", "mapfile", "popd"),
        *("printf", "pushd", "pwd", "read", "readarray", "readonly", "return", "select", "set", "shift", "shopt"),
        *("source", "suspend", "test", "then", "time", "times", "trap", "true", "type", "typeset", "ulimit", "umask"),
        *("unalias", "unset", "until", "wait", "while"),
    }
)
"""Keywords and builtins of sh and bash."""

FAILED_TO_RUN = "(?:env|timeout|nice|ionice|setsid|nohup|stdbuf|xargs|find)"

LONGEST = 64 * 1024
"""Characters of a script that are read; a longer one is data with a script around it."""


def find_programs(script: str) -> frozenset[str]:
    """The names that a script may call, without a system folder; no other paths, builtins or functions of its own.

    A Python module that it runs is `python3 -m NAME`.
    """
    inner = [next(filter(None, groups), "").replace("\\", "") for groups in INNER.findall(script[:LONGEST])]
    modules = {f"{RUN_MODULE}{name}" for name in MODULE.findall(script[:LONGEST])}
    return _named(script).union(modules, *map(find_programs, inner))


def _named(script: str) -> frozenset[str]:
    text = COMMENT.sub(r"\1", SINGLE_QUOTED.sub("''", HEREDOC.sub("", script[:LONGEST])))
    names = {match["name"] for match in CALL.finditer(text)}
    functions = set(FUNCTION.findall(text))
    return frozenset(name for name in names - functions - SHELL if not name.isdigit())


def may_hide(script: str, program: str) -> bool:
    """Whether a script may keep to itself that a program is missing: it looks for it first, or silences it."""
    name = re.escape(program)
    return bool(re.search(rf"\b(?:command -v|which|type|hash)\s+{name}\b|(?<![\w.-]){name}\b[^\n;|]*(?:2>|&>)", script))


def reports_missing(output: str, program: str) -> bool:
    """Whether a shell, Python, or a program that runs another one, printed that it did not find a program."""
    if program.startswith(RUN_MODULE):
        module = re.escape(program.removeprefix(RUN_MODULE))
        return bool(re.search(rf"No module named '?{module}(?:'|$|\s)", output, re.MULTILINE))
    folder = r"(?:/[^\s:'\"]*/)"
    quoted = rf"['\"`\u2018]?{folder}?{re.escape(program)}['\"\u2019]?"
    runs = r"(?:can't execute |failed to (?:run command|execute) )?"
    return bool(
        re.search(rf"(?:^|[\s:(]){quoted}: (?:command )?not found", output)
        or re.search(rf"\b{FAILED_TO_RUN}: {runs}{quoted}: No such file", output)
        or re.search(rf"sh(?::(?: line)? \d+)?: {folder}{re.escape(program)}: No such file", output)
    )
