"""What an agent's function prints."""

from __future__ import annotations

import contextlib
import io

from taskcal.redact import Redactor
from taskcal.runs.redacted_stdout import RedactedOutput


def test_what_is_printed_has_no_secret() -> None:
    """At once or in pieces, whatever stands beside them; all else passes as it is."""
    stream = io.StringIO()
    redacted = RedactedOutput(stream, Redactor({"KEY": "hunter2"}))
    with contextlib.redirect_stdout(redacted):
        print("key", "hunter2", {"a": "hunter2"}, flush=True)  # noqa: T201 - that is what is tested
        print("hun", "ter2", "hunt", sep="", end="")  # noqa: T201 - as above
    assert stream.getvalue() == "key [KEY] {'a': '[KEY]'}\n[KEY]"
    redacted.end()
    assert stream.getvalue() == "key [KEY] {'a': '[KEY]'}\n[KEY]hunt"
