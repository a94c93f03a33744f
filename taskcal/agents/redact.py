"""Secrets stay out of what is stored: each is replaced in a stream, also where a chunk's border cuts it."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.sandbox import Sink


SHORTEST_FORM = 8
"""Characters of base64 below which innocent text could hold them by chance."""
URL_SAFE = bytes.maketrans(b"+/", b"-_")


def held(names: tuple[str, ...], host: Mapping[str, str]) -> dict[str, str]:
    """Those of the named variables that the host has, with their values."""
    return {name: host[name] for name in names if host.get(name)}


def encoded(secret: str) -> set[bytes]:
    """What is sure to stand in any base64 text that the secret is a part of, as in a header for basic authentication.

    Where it begins within three bytes decides how it looks; the characters at both ends hold bits of its neighbours.
    """
    value = secret.encode()
    forms = (
        base64.b64encode(bytes(before) + value)[-(-before * 8 // 6) : (before + len(value)) * 8 // 6]
        for before in range(3)
    )
    plain = {form for form in forms if len(form) >= SHORTEST_FORM}
    return plain | {form.translate(URL_SAFE) for form in plain}


class Redactor:
    """A sink before a sink: what looks like a secret, as it is or in base64, leaves it as `[NAME]`."""

    def __init__(self, secrets: Mapping[str, str], sink: Sink) -> None:
        """`secrets` maps names to values, none of them empty; where one begins like another, the longer one wins."""
        self._names = {
            form: f"[{name}]".encode() for name, value in secrets.items() for form in (*encoded(value), value.encode())
        }
        values = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, values)) or b"(?!)")
        self._hold = len(values[0]) - 1 if values else 0
        self._held = b""
        self._sink = sink

    def write(self, chunk: bytes) -> None:
        """Pass on what cannot be the beginning of a secret; what is kept back is kept as it came."""
        self._held += chunk
        ready = len(self._held) - self._begun()
        for found in self._pattern.finditer(self._held):
            if found.start() < ready < found.end():
                ready = found.end()
        if ready > 0:
            self._sink(self.clean(self._held[:ready]))
            self._held = self._held[ready:]

    def _begun(self) -> int:
        """The length of the longest end of what is kept that a secret may begin with; no line waits for nothing."""
        ends = (self._held[-size:] for size in range(min(self._hold, len(self._held)), 0, -1))
        return next((len(end) for end in ends if any(value.startswith(end) for value in self._names)), 0)

    def close(self) -> None:
        """Pass on the rest."""
        if self._held:
            self._sink(self.clean(self._held))
            self._held = b""

    def clean(self, data: bytes) -> bytes:
        """Whole data with every secret replaced."""
        return self._pattern.sub(lambda found: self._names[found[0]], data)
