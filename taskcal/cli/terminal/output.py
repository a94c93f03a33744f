"""The standard streams of a command: a console that cannot take its output ends no command and loses no result.

The composition root (`cli.main`) replaces the three streams once, so that no command has to think of them:

- A character that the console's encoding lacks is written in ASCII, never raised.
- No secret of the run's agent is written.
- A reader that has left (`taskcal show | head`) changes nothing: no message, and the exit code of the results.
- Any other failure (a full disk, a stream that was closed before the start) is one line on standard error at the end.
  A command that would have ended with 0 then ends with `UNWRITTEN`; every other exit code stays.
- Standard error that cannot be written is not reported: there is no place left for it.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import unicodedata
from typing import TYPE_CHECKING, TextIO

from taskcal.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNWRITTEN = 2
"""The exit code of a command that worked, and whose output could not be written; as for a run's folder."""

ASCII = {
    "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{HYPHEN}": "-", "\N{NON-BREAKING HYPHEN}": "-", "\N{MINUS SIGN}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "...", "\N{BULLET}": "*", "\N{MIDDLE DOT}": ".", "\N{MULTIPLICATION SIGN}": "x",
    "\N{RIGHTWARDS ARROW}": "->", "\N{LEFTWARDS ARROW}": "<-", "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{GREATER-THAN OR EQUAL TO}": ">=", "\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " ",
    "\N{LEFT SINGLE QUOTATION MARK}": "'", "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"', "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
}  # fmt: skip


class Output(io.TextIOBase):
    """A text stream over another one that raises no OSError and no UnicodeEncodeError.

    After its first `failure` it swallows all further text. `results` names the place where a reader finds the results
    instead. It has no `buffer`, so that no library writes bytes past it. `redactor` takes out an agent's secrets.
    """

    def __init__(self, stream: TextIO, failure: OSError | None = None) -> None:
        """`failure` is for a stream that was closed before the start."""
        self._stream = stream
        self.failure = failure
        self.missed = False
        self.results = ""
        self.redactor = Redactor()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream below."""
        return self._stream.encoding or "utf-8"

    def write(self, text: str) -> int:
        """Write text as far as the encoding can express it; gives the length of `text`."""
        if self.failure is None:
            fitting = fit_encoding(self.redactor.text(text), self.encoding)
            self._attempt(lambda: self._stream.write(fitting))
        self.missed = self.missed or (self.failure is not None and bool(text))
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        if self.failure is None:
            self.missed = not self._attempt(self._stream.flush)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The descriptor of the stream below. Raises OSError if it has none."""
        return self._stream.fileno()

    def _attempt(self, act: Callable[[], object]) -> bool:
        """Act on the stream below; whether that worked."""
        try:
            act()
        except (OSError, ValueError) as error:  # ValueError: a library has closed the stream
            self.failure = error if isinstance(error, OSError) else _closed()
            # The interpreter flushes the stream once more at its end: what is left in the buffer goes nowhere.
            with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), self._stream.fileno())
            return False
        return True


def fit_encoding(text: str, encoding: str) -> str:
    """The text with every character replaced that `encoding` lacks: by a look-alike in ASCII, else by an escape."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(c if _has(encoding, c) else ASCII.get(c) or _drawn(c) or escape_character(c) for c in text)
    return text


def escape_character(character: str) -> str:
    r"""A character as JSON escapes it: `\u00e9`, or two of these for one beyond U+FFFF."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def print_json(text: str) -> None:
    """Print a JSON document exactly: a character that the console lacks is escaped as JSON allows it everywhere."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write("".join(c if c.isascii() or _has(encoding, c) else escape_character(c) for c in text))
    sys.stdout.flush()


def name_results(place: str) -> None:
    """Remember where the results are that a command prints now."""
    if isinstance(sys.stdout, Output):
        sys.stdout.results = place


def redact_output(redactor: Redactor) -> None:
    """Let no secret reach the terminal from now on; but for short ones, which could be any number of a table."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Output):
            stream.redactor = redactor.of_long_ones


@contextlib.contextmanager
def guarded_streams() -> Iterator[Callable[[int], int]]:
    """Replace the standard streams by ones that raise nothing; gives the function that settles an exit code at the end.

    A descriptor that was closed before the start is opened on the null device: otherwise the first file or socket of
    the command would get its number, and the command's output with it.
    """
    closed = [number for number in (0, 1, 2) if _opened_on_null(number)]
    before = sys.stdin, sys.stdout, sys.stderr
    out, err = (Output(_text(before[number], number), _closed() if number in closed else None) for number in (1, 2))
    sys.stdin, sys.stdout, sys.stderr = before[0] or _text(None, 0), out, err
    try:
        yield lambda code: _settled(code, out, err)
    finally:
        out.flush()
        err.flush()
        sys.stdin, sys.stdout, sys.stderr = before


def _settled(code: int, out: Output, err: Output) -> int:
    """Report output that could not be written; gives the exit code that follows."""
    out.flush()
    if out.failure is None or not out.missed or out.failure.errno == errno.EPIPE:
        return code
    kept = f"; the results are in {out.results}" if out.results else ""
    err.write(f"standard output cannot be written: {out.failure.strerror or out.failure}{kept}\n")
    err.flush()
    return code or UNWRITTEN


def _opened_on_null(number: int) -> bool:
    """Open a descriptor that is closed; whether it was."""
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened == number:
            os.set_inheritable(number, True)
        else:
            os.dup2(opened, number)
            os.close(opened)
        return True
    return False


def _closed() -> OSError:
    return OSError(errno.EBADF, "it is closed")


def _text(stream: TextIO | None, number: int) -> TextIO:
    """The interpreter's stream, or one of that descriptor if the interpreter found it closed."""
    return stream or open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False)


def _has(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _drawn(character: str) -> str:
    """Lines, corners and bars of tables and progress in ASCII; '' for other characters."""
    if "\u2580" <= character <= "\u259f":
        return "#"
    if not "\u2500" <= character <= "\u257f":
        return ""
    words = unicodedata.name(character).split()
    if "HORIZONTAL" in words and "VERTICAL" not in words and len(words) <= 4:
        return "-"
    return "|" if "VERTICAL" in words and "HORIZONTAL" not in words and len(words) <= 4 else "+"
