"""A restart of the container engine costs what was in flight, and no more."""

from __future__ import annotations

from dataclasses import dataclass, field

from taskcal.core.rollout import Lost
from taskcal.errors import Boundary
from taskcal.execution.schedule import RESTART_SECONDS, EngineWait

AWAY = Lost(Boundary.ENGINE, "gone")


@dataclass
class Daemon:
    """An engine that answers, or does not, and counts how often it was asked."""

    there: bool = False
    asked: list[bool] = field(default_factory=list)

    def __call__(self) -> bool:
        """Whether it answers."""
        self.asked.append(self.there)
        return self.there


def test_an_engine_that_answers_is_never_asked() -> None:
    """Only a loss at the engine makes anybody wait."""
    daemon = Daemon()
    patience = EngineWait(daemon)
    patience.note(Lost(Boundary.SANDBOX, "died"), 0.0)
    assert patience.is_over(0.0)
    assert daemon.asked == []


def test_nothing_starts_until_it_is_back() -> None:
    """However often one looks; and then everything goes on."""
    daemon = Daemon()
    patience = EngineWait(daemon)
    patience.note(AWAY, 10.0)
    assert [patience.is_over(10.0 + second) for second in range(5)] == [False] * 5
    daemon.there = True
    assert patience.is_over(20.0)
    assert patience.is_over(21.0)
    assert len(daemon.asked) == 6


def test_patience_has_an_end() -> None:
    """An engine that stays away loses the rest of the run, instead of hanging it."""
    patience = EngineWait(Daemon())
    patience.note(AWAY, 0.0)
    patience.note(AWAY, RESTART_SECONDS - 1)
    assert not patience.is_over(RESTART_SECONDS - 0.5)
    assert patience.is_over(RESTART_SECONDS)
