"""Which programs a shell script may call, read from its text: enough to see that one is missing, not a shell's parser.

Quotes, expansions and here-documents make the exact answer a shell's business. The names found here are only asked
after: whoever finds one missing runs the script before believing it.
"""

from __future__ import annotations

import re

OPENERS = (
    r"(?:^|[\n;&|(`{!]|\b(?:if|then|elif|else|while|until|do|exec|command|nohup|time)\s|\btimeout\s+\S+\s|\benv\s)"
)
ASSIGNMENTS = r"(?:[A-Za-z_]\w*=(?:\"[^\"\n]*\"|[^\s\";|&]*)\s+)*"
NAME = r"(?P<name>[A-Za-z0-9_][\w.+-]*)(?=[\s;|&)`\"]|$)"
CALL = re.compile(rf"{OPENERS}(?=\s*{ASSIGNMENTS}{NAME})")
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

LONGEST = 64 * 1024
"""Characters of a script that are read; a longer one is data with a script around it."""


def find_programs(script: str) -> frozenset[str]:
    """The bare names that a script may call; no paths, builtins, keywords or functions of its own."""
    text = COMMENT.sub(r"\1", SINGLE_QUOTED.sub("''", HEREDOC.sub("", script[:LONGEST])))
    names = {match["name"] for match in CALL.finditer(text)}
    functions = set(FUNCTION.findall(text))
    return frozenset(name for name in names - functions - SHELL if not name.isdigit())


def reports_missing(output: str, program: str) -> bool:
    """Whether a shell, or `env`, printed that it did not find a program."""
    quoted = rf"['\"`\u2018]?{re.escape(program)}['\"\u2019]?"
    return bool(
        re.search(rf"(?:^|[\s:(]){quoted}: (?:command )?not found", output)
        or re.search(rf"\benv: {quoted}: No such file", output)
    )
