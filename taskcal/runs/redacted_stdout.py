"""What an agent's own function prints while it runs in this process: off standard output, and without its secrets."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from taskcal.redact import Redactor


class RedactedOutput(io.TextIOBase):
    """A stream before a stream."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        """Nothing is held back yet."""
        self._stream = stream
        self._redacted = redactor.stream(lambda data: stream.write(data.decode(errors="replace")))

    def write(self, text: str) -> int:
        """Pass on what cannot be the beginning of a secret."""
        self._redacted.write(text.encode(errors="replace"))
        return len(text)

    def flush(self) -> None:
        """Show what was passed on."""
        self._stream.flush()

    def end(self) -> None:
        """Pass on the rest."""
        self._redacted.end()


@contextlib.contextmanager
def divert_stdout(redactor: Redactor) -> Iterator[None]:
    """While it lasts, what is printed goes to standard error: `--json` owns the other one."""
    aside = RedactedOutput(sys.stderr, redactor)
    try:
        with contextlib.redirect_stdout(aside):
            yield
    finally:
        aside.end()
