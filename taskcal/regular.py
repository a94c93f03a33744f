"""Reading files that a stranger may have left: regular ones alone, and never more at once than memory bears.

A pipe is waited for by whoever opens it, a device never ends, and a line without an end is all of a file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST_FILE = 1024**3
"""Bytes of a file that is read whole."""
LONGEST_LINE = 64 * 1024**2
"""Bytes of a line with its end; a rollout's is some KiB, and a MiB with the longest answer."""
BLOCK = 1024**2


def check_regular(descriptor: int) -> None:
    """Raise OSError for a pipe, a device or a folder."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, "not a regular file")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A regular file, to read, opened without waiting for anybody. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        check_regular(descriptor)
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def content(path: Path) -> bytes:
    """A whole file. Raises OSError, also where it is larger than 1 GiB."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_FILE:
            raise OSError(errno.EFBIG, f"larger than {LARGEST_FILE // 1024**3} GiB")
        return file.read(size)


def lines(file: IO[bytes]) -> Iterator[bytes]:
    """Each line with its end, which the last may lack. Raises ValueError at one that is longer than 64 MiB."""
    number = 1
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise ValueError(f"line {number} is longer than {LONGEST_LINE // 1024**2} MiB")
        yield line
        number += 1


def whole_lines(descriptor: int) -> int:
    """How many bytes of a file stand before the end of its last whole line, seen from the file's end."""
    end = os.fstat(descriptor).st_size
    while end:
        begin = max(0, end - BLOCK)
        found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0
