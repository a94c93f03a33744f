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

    from taskcal.sandbox.stream import Line

CHUNK = 65536


def join(line: Line) -> None:
    """Pass bytes between standard input, the line and standard output until the line ends. Standard input is a tty."""
    keyboard, screen = sys.stdin.fileno(), sys.stdout.fileno()
    with _raw(keyboard), _resized(line), selectors.DefaultSelector() as selector:
        os.write(screen, line.early)
        selector.register(keyboard, selectors.EVENT_READ)
        selector.register(line.sock, selectors.EVENT_READ)
        line.sock.setblocking(True)
        while True:
            for key, _ in selector.select():
                if key.fd == keyboard:
                    line.sock.sendall(os.read(keyboard, CHUNK))
                elif data := line.sock.recv(CHUNK):
                    os.write(screen, data)
                else:
                    return


@contextlib.contextmanager
def _raw(terminal: int) -> Iterator[None]:
    before = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _resized(line: Line) -> Iterator[None]:
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
