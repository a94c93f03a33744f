"""Temporary folders that no kill leaves behind for long: whoever makes the next one removes those of dead processes.

A folder is held by a lock that the kernel gives up with its process, so that a folder without one is nobody's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

RANDOM = re.compile(r"[a-z0-9_]{8}")
"""What `tempfile` puts behind a prefix."""


@contextlib.contextmanager
def draft_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new empty folder in `parent`, removed at the end. Raises OSError."""
    for left in parent.glob(f"{prefix}*"):
        if RANDOM.fullmatch(left.name.removeprefix(prefix)):
            _remove_unheld(left)
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    held = _open_folder(path)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(held)


def _remove_unheld(path: Path) -> None:
    """Remove a folder of this user's that no process holds."""
    with contextlib.suppress(OSError):
        held = _open_folder(path)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(held).st_uid == os.geteuid():
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(held)


def _open_folder(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
