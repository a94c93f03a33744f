"""A clock that nobody waits for: sleeping only moves it on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading


@dataclass
class FakeClock:
    """Obeys `taskcal.agents.chat.limiter.Clock`; `slept` holds every wait in its order."""

    time: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        """Seconds since it was made."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.slept.append(seconds)
        self.time += seconds

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        """Move on, as nobody else is there who could give notice."""
        assert condition
        self.sleep(seconds)
