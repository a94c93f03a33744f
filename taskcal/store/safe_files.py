"""Files of a folder that a stranger may have filled: only regular ones are read, and what is written is a new file.

A pipe is waited for by whoever opens it, a device never ends, a line without an end is all of a file, and a link makes
a reader or a writer touch a file elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
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


def open_regular(path: Path, flags: int) -> int:
    """A descriptor of a regular file, opened without waiting and without following a link at the end of its path.

    The caller closes it. Raises OSError.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link; a pipe or a socket that nobody has open
            raise OSError(errno.EINVAL, "not a regular file", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def is_at(path: Path, descriptor: int) -> bool:
    """Whether an open file is still the one that its path names. Raises OSError."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))


@contextlib.contextmanager
def open_to_read(path: Path) -> Iterator[IO[bytes]]:
    """Open a regular file to read, without waiting for anybody. Raises OSError."""
    descriptor = open_regular(path, os.O_RDONLY)
    try:
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes) -> None:
    """Put a file in the place of whatever is there, in one step, and wait for the disk. Raises OSError.

    Its draft has a name that nobody could know, so that no link lies in wait there.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = open_regular(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def read_whole(path: Path) -> bytes:
    """Read a whole file. Raises OSError, also if it is larger than 1 GiB."""
    with open_to_read(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_FILE:
            raise OSError(errno.EFBIG, f"larger than {LARGEST_FILE // 1024**3} GiB")
        return file.read(size)


def read_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield each line with its end, which the last may lack. Raises ValueError if one is longer than 64 MiB."""
    number = 1
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise ValueError(f"line {number} is longer than {LONGEST_LINE // 1024**2} MiB")
        yield line
        number += 1


def end_of_whole_lines(descriptor: int) -> int:
    """Count the bytes up to the end of a file's last whole line, looking from the file's end."""
    end = os.fstat(descriptor).st_size
    while end:
        begin = max(0, end - BLOCK)
        newline = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0
