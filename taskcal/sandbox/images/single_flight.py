"""A cache for threads that need the same value: the first one makes it, the others wait for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Value = TypeVar("Value")


class SingleFlight(Generic[Value]):
    """A cache of results by key. A failure is kept like a result, so that a broken image fails once."""

    def __init__(self) -> None:
        """The cache is empty."""
        self._lock = threading.Lock()
        self._slots: dict[Hashable, _Slot[Value]] = {}

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value for a key, made by the first who asks while the others wait. Raises what `make` raised."""
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
        return slot.get(make)


class _Slot(Generic[Value]):
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: list[Value] = []
        self._failure: Exception | None = None

    def get(self, make: Callable[[], Value]) -> Value:
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if not self._values:
                try:
                    self._values.append(make())
                except Exception as failure:
                    self._failure = failure
                    raise
            return self._values[0]
