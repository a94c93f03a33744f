"""Python's garbage collector rests while many rows become objects."""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def pause_collector() -> Iterator[None]:
    """Free no cycles inside.

    Rows, calibrations and documents have none, and the collector would walk all of them again each time that a quarter
    more are there: a fifth of the time of a report on 100,000 rollouts.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
