"""A person's terminal joined to one in a container: raw bytes both ways, and the window's size kept equal."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import sys
import termios
import tty
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.sandbox.engine.stream import AttachedExec

CHUNK = 65536


def join(line: AttachedExec) -> None:
    """Pass bytes between standard input, the line and standard output until one of them ends. Standard input is a tty.

    A screen that cannot be written ends it too: a person who sees nothing cannot go on.
    """
    keyboard, screen = sys.stdin.fileno(), sys.stdout.fileno()
    with _raw(keyboard), _resized(line), selectors.DefaultSelector() as selector:
        selector.register(keyboard, selectors.EVENT_READ)
        selector.register(line.sock, selectors.EVENT_READ)
        line.sock.setblocking(True)
        goes_on = _shown(screen, line.early)
        while goes_on:
            for key, _ in selector.select():
                if key.fd == keyboard:
                    typed = _typed(keyboard)
                    line.sock.sendall(typed)
                    goes_on = goes_on and bool(typed)
                else:
                    data = line.sock.recv(CHUNK)
                    goes_on = goes_on and bool(data) and _shown(screen, data)


def _typed(keyboard: int) -> bytes:
    """What was typed; b'' from a terminal that is gone."""
    try:
        return os.read(keyboard, CHUNK)
    except OSError:
        return b""


def _shown(screen: int, data: bytes) -> bool:
    """Write all of it; whether that was possible."""
    try:
        while data:
            data = data[os.write(screen, data) :]
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _raw(terminal: int) -> Iterator[None]:
    before = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _resized(line: AttachedExec) -> Iterator[None]:
    """Tell the line this window's size, now and whenever it changes."""

    def tell(*_: object) -> None:
        size = shutil.get_terminal_size()
        line.resize(size.lines, size.columns)

    before = signal.signal(signal.SIGWINCH, tell)
    try:
        tell()
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
