"""Secrets stay out of what is stored: each is replaced in a stream, also where a chunk's border cuts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.sandbox import Sink


class Redactor:
    """A sink before a sink: what looks like a secret leaves it as `[NAME]`."""

    def __init__(self, secrets: Mapping[str, str], sink: Sink) -> None:
        """`secrets` maps names to values; longer values are replaced first, since one may contain another."""
        by_length = sorted(secrets.items(), key=lambda item: len(item[1]), reverse=True)
        self._pairs = [(value.encode(), f"[{name}]".encode()) for name, value in by_length]
        self._hold = max((len(value) - 1 for value, _ in self._pairs), default=0)
        self._held = b""
        self._sink = sink

    def write(self, chunk: bytes) -> None:
        """Pass on what cannot be the beginning of a secret."""
        self._held = self.clean(self._held + chunk)
        ready = len(self._held) - self._hold
        if ready > 0:
            self._sink(self._held[:ready])
            self._held = self._held[ready:]

    def close(self) -> None:
        """Pass on the rest."""
        if self._held:
            self._sink(self._held)
            self._held = b""

    def clean(self, data: bytes) -> bytes:
        """Whole data with every secret replaced."""
        for value, name in self._pairs:
            data = data.replace(value, name)
        return data
