"""What an agent's own function prints while it runs in this process: off standard output, and without its secrets."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO


class Redacted(io.TextIOBase):
    """A stream before a stream."""

    def __init__(self, stream: TextIO, redact: Callable[[str], str]) -> None:
        """`redact` takes secrets out of what is written at once, which is how `print` writes a value."""
        self._stream, self._redact = stream, redact

    def write(self, text: str) -> int:
        """Pass it on."""
        self._stream.write(self._redact(text))
        return len(text)

    def flush(self) -> None:
        """Show it."""
        self._stream.flush()


def printed_aside(redact: Callable[[str], str]) -> contextlib.redirect_stdout[Redacted]:
    """While it lasts, what is printed goes to standard error: `--json` owns the other one."""
    return contextlib.redirect_stdout(Redacted(sys.stderr, redact))
