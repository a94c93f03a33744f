"""The few lines of a program's output that say why it failed.

The last line is often a consequence ("returned a non-zero code: 1") or an advertisement ("a new release of pip is
available"), and the reason stands far above it. So an excerpt has the first line that looks like an error, the last
such line, and the last line.
"""

from __future__ import annotations

import re

LENGTH = 500
ERROR = re.compile(
    r"""
      ^\s*(error|fatal|e|err|failure|panic|abort(ed)?|critical)\b\s*[:!\]]
    | ^\s*[\w./-]+:\s*(fatal\s)?error:
    | \b\w*(Error|Exception)\b:
    | (command\ not\ found|:\ not\ found|no\ such\ file\ or\ directory|permission\ denied|cannot\ access)
    | \bnpm\ err!
    """,
    re.VERBOSE | re.IGNORECASE,
)
NOISE = re.compile(r"^\s*(\[notice\]|(npm\ )?notice\b|warning:|--->|Removing intermediate container)", re.IGNORECASE)


def excerpt(output: str, length: int = LENGTH) -> str:
    """The lines that matter, joined by ` | ` in their order; at most `length` characters."""
    lines = [" ".join(line.split()) for line in output.splitlines()]
    lines = [line for line in lines if line and not NOISE.match(line)]
    errors = [place for place, line in enumerate(lines) if ERROR.search(line)]
    wanted = sorted({*errors[:1], *errors[-1:], *range(len(lines))[-1:]})
    share = max(1, length // max(1, len(wanted)) - 3)
    return " | ".join(_shortened(lines[place], share) for place in wanted)[:length]


def _shortened(line: str, length: int) -> str:
    return line if len(line) <= length else f"{line[: length - 1]}…"
