"""A command on a terminal of its own, as a person starts it."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.conftest import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

OWN_TERMINAL = """import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])"""


@contextlib.contextmanager
def on_a_terminal(command: Sequence[str], folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a command as a terminal's own, and give it with the other end of the line."""
    line, inner = pty.openpty()
    owning = [sys.executable, "-c", OWN_TERMINAL, *command]
    process = subprocess.Popen(
        owning, cwd=folder, env=environment(), stdin=inner, stdout=inner, stderr=inner, start_new_session=True
    )
    os.close(inner)
    try:
        yield process, line
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(OSError):
            os.close(line)
