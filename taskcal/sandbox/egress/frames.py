"""The frames between the halves of an allowed way out: 9 bytes of header (kind, connection, length), then a payload.

    R  ready: all addresses are listened at                            from inside
    O  a new connection; payload: the number of its way, 4 bytes       from inside
    D  data                                                            both ways
    A  so many bytes of data were passed on (4 bytes), send as many    both ways
    E  the end of the data of one direction                            both ways
    X  the connection broke, or was refused                            both ways

A connection begins with a credit of `WINDOW` bytes for each direction. Data costs it, `A` gives it back, so that one
connection that nobody reads from keeps no other one waiting, and neither side has more to remember than the windows.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = struct.Struct(">cII")
NUMBER = struct.Struct(">I")
WINDOW = 256 * 1024
CHUNK = 16 * 1024
MOST_CONNECTIONS = 64


class FrameKind(Enum):
    """What a frame is."""

    READY = b"R"
    OPEN = b"O"
    DATA = b"D"
    ACKNOWLEDGED = b"A"
    END = b"E"
    BROKEN = b"X"


@dataclass(frozen=True, slots=True)
class EgressFrame:
    """One frame of one connection."""

    kind: FrameKind
    connection: int
    payload: bytes = b""

    @property
    def number(self) -> int:
        """A payload that is a number. Raises struct.error for one that is none."""
        return int(NUMBER.unpack(self.payload)[0])

    def packed(self) -> bytes:
        """As it is sent."""
        return HEADER.pack(self.kind.value, self.connection, len(self.payload)) + self.payload


def acknowledgement(connection: int, count: int) -> EgressFrame:
    """So many bytes were passed on."""
    return EgressFrame(FrameKind.ACKNOWLEDGED, connection, NUMBER.pack(count))


class Unframer:
    """Takes frames out of a stream, however it was cut in transport."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[EgressFrame]:
        """Each frame that is whole now. Raises ValueError for a kind that there is not."""
        self._data += data
        while len(self._data) >= HEADER.size:
            kind, connection, size = HEADER.unpack_from(self._data)
            end = HEADER.size + size
            if len(self._data) < end:
                return
            payload = bytes(self._data[HEADER.size : end])
            del self._data[:end]
            yield EgressFrame(FrameKind(kind), connection, payload)
