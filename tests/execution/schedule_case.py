"""An engine that does as it was told and a clock that nobody waits for: what schedules are played with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskcal.core.rollout import Graded, Lost, Rollout, RolloutId, Stop
from taskcal.core.task import Check, Environment, FileProbe, Grader, Group, ImageSource, Task, Variant
from taskcal.errors import Boundary
from taskcal.execution import schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from taskcal.core.plan import PlannedRollout
    from taskcal.core.rollout import Outcome

BOX = Environment("box", ImageSource(image="debian:bookworm-slim"))
GRADER = Grader((Check("a", FileProbe("/a", exists=True)),))
PASSED = Graded(Stop.FINISHED, 1.0, True, ())
FAILED = Graded(Stop.FINISHED, 0.0, False, ())
BUSY = Lost(Boundary.ENGINE, "busy")
PATIENCE = 20_000
"""Results that are asked for before a loop counts as one that never ends."""


def task(name: str, *variants: str, max_parallel: int | None = None) -> Task:
    """A task; without variants it has the one without a name."""
    every = tuple(Variant(one, {}, "Do it.") for one in variants or ("",))
    return Task(name, every, BOX, GRADER, max_parallel=max_parallel)


def groups(*tasks: Task) -> list[Group]:
    """Every variant of each."""
    return [Group(one, variant) for one in tasks for variant in one.variants]


@dataclass
class Clock:
    """Time that passes only where somebody waits."""

    now: float = 100.0

    def monotonic(self) -> float:
        """The time."""
        return self.now

    def tell(self, patch: pytest.MonkeyPatch) -> None:
        """Become the loop's clock, so that waiting for a retry takes no time."""
        patch.setattr(schedule, "time", self)


def oldest(_: int) -> int:
    """Rollouts end in the order in which they began."""
    return 0


def passes(_: RolloutId) -> Outcome:
    """Every rollout does."""
    return PASSED


@dataclass
class Scripted:
    """An engine that ends rollouts as it was told: by default in the order in which they began, and all pass.

    `losses` says how often a key is lost before it ends as `ends` says; `picks` which of so many running ones is next.
    """

    clock: Clock
    size: int = 2
    losses: Counter[str] = field(default_factory=Counter)
    ends: Callable[[RolloutId], Outcome] = passes
    picks: Callable[[int], int] = oldest
    lost: Lost = BUSY
    begun: list[tuple[float, RolloutId]] = field(default_factory=list)
    running: list[PlannedRollout] = field(default_factory=list)
    most: Counter[str] = field(default_factory=Counter)
    asked: int = 0

    @property
    def free(self) -> bool:
        """Whether another one can start."""
        return len(self.running) < self.size

    def submit(self, planned: PlannedRollout) -> None:
        """Start one."""
        assert self.free
        self.begun.append((self.clock.now, planned.id))
        self.running.append(planned)
        self.most |= Counter(one.id.group.task for one in self.running)

    def next(self, timeout: float) -> Rollout | None:
        """The one whose turn it is, or nothing after a wait."""
        self.asked += 1
        assert self.asked < PATIENCE, "the loop never ends"
        if not self.running:
            self.clock.now += timeout
            return None
        name = self.running.pop(self.picks(len(self.running))).id
        self.losses[name.key] -= 1
        return Rollout(name, self.lost if self.losses[name.key] >= 0 else self.ends(name))
