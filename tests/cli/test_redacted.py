"""What an agent's function prints."""

from __future__ import annotations

import contextlib
import io

from taskcal.cli.redacted import Redacted


def test_what_is_printed_has_no_secret() -> None:
    """Values come at once, whatever stands beside them; all else passes as it is."""
    stream = io.StringIO()
    with contextlib.redirect_stdout(Redacted(stream, lambda text: text.replace("hunter2", "[KEY]"))):
        print("key", "hunter2", {"a": "hunter2"}, flush=True)  # noqa: T201 - that is what is tested
    assert stream.getvalue() == "key [KEY] {'a': '[KEY]'}\n"
