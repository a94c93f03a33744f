"""Ctrl-C, SIGTERM and a terminal that is closed: the first of them ends a run in good order, the second at once."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from taskcal.core.gate import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While it is entered, the first signal raises KeyboardInterrupt, and the second leaves the process.

    A signal that whoever started this process has switched off stays so: `nohup` outlives the terminal.
    """

    def __init__(self) -> None:
        """Nothing is changed yet."""
        self._before: dict[signal.Signals, Any] = {}
        self._holding = False
        self._came = False

    def __enter__(self) -> Self:
        """Take the signals over. Only in the main thread."""
        wanted = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._first) for number in wanted}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """What happens in here is not cut in two: a signal that comes meanwhile is raised behind it."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._came:
            self._came = False
            raise KeyboardInterrupt

    def _first(self, came: int, _: object) -> None:
        for number in self._before:
            signal.signal(number, leave_at_once)
        if came == signal.SIGHUP:
            _let_go_of_the_terminal()
        if not self._holding:
            raise KeyboardInterrupt
        self._came = True


def _let_go_of_the_terminal() -> None:
    """Nobody can be told any more, and trying to must not keep the report from being written."""
    with contextlib.suppress(OSError), Path(os.devnull).open("wb") as nowhere:
        for stream in (1, 2):
            if stat.S_ISCHR(os.fstat(stream).st_mode):
                os.dup2(nowhere.fileno(), stream)


def leave_at_once(*_: object) -> None:
    """The second one does not wait for containers to go; every result is on disk already."""
    with contextlib.suppress(OSError):  # the terminal may be gone
        os.write(2, b"\nstopped at once; the next taskcal command, or `taskcal clean`, removes what is left\n")
    os._exit(Exit.INTERRUPTED)
