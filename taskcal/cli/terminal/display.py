"""What a script prints, shown while it runs: every space, tab, line and character of it, and nothing that acts."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from taskcal.report.wording.sanitize import visible

if TYPE_CHECKING:
    from typing import TextIO


class Display:
    """Shows two streams of bytes on one stream of text, as they come; a character may be cut between two chunks."""

    def __init__(self, stream: TextIO) -> None:
        """Nothing is shown yet."""
        self._stream = stream
        self._output, self._errors = _Decoder(), _Decoder()
        self._last = "\n"

    def output(self, chunk: bytes) -> None:
        """Show a chunk of standard output."""
        self._show(self._output.decode(chunk))

    def errors(self, chunk: bytes) -> None:
        """Show a chunk of standard error."""
        self._show(self._errors.decode(chunk))

    def end(self) -> None:
        """Show what was held back, and end the last line if the script did not."""
        self._show(self._output.end() + self._errors.end())
        if self._last != "\n":
            self._show("\n")

    def _show(self, text: str) -> None:
        if text:
            self._last = text[-1]
            self._stream.write(text)
            self._stream.flush()


class _Decoder:
    """UTF-8 as harmless text; line ends of Windows and of terminals become those of here."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def decode(self, chunk: bytes) -> str:
        """All that a chunk completes; a carriage return waits for the character behind it."""
        text = self._held + self._utf8.decode(chunk)
        self._held = "\r" if text.endswith("\r") else ""
        return visible(text.removesuffix("\r").replace("\r\n", "\n"))

    def end(self) -> str:
        """What was held back; half a character is a replacement character."""
        return visible(self._held + self._utf8.decode(b"", final=True))
