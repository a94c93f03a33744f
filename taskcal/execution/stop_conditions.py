"""Reasons to start no more rollouts: what the operator is ready to spend, and signs that it would be wasted."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from taskcal.core.rollout import Graded, Lost
from taskcal.errors import Boundary

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskcal.core.plan import PlannedRollout
    from taskcal.core.rollout import Rollout

FEWEST_TASKS = 10
"""With fewer tasks two failures of each say too little of the grader."""

WINDOW, MOST_LOST = 30, 0.9
LEAST_FREE = 2 * 1024**3
FULL_SECONDS = 60.0

SILENT = 5
"""So many graded rollouts without a cost are no accident: this agent tells none."""

CENTS = 0.1
"""Dollars from which on a cent says enough, as in every report."""


class _NoReason:
    """A stop condition that never stops anything; the others override what they need."""

    def begun(self, planned: PlannedRollout) -> None:
        """One has started."""

    def note(self, rollout: Rollout) -> None:
        """One has ended."""

    def holds(self, now: float) -> bool:  # noqa: ARG002 - the protocol's
        """Nothing to wait for."""
        return False

    def reason(self, now: float) -> str | None:  # noqa: ARG002 - the protocol's
        """No reason to stop."""
        return None


class AllZero(_NoReason):
    """Two failures for each of at least ten tasks and not one reward above 0: that is no difficulty."""

    def __init__(self, tasks: int) -> None:
        """`tasks` is the number of groups."""
        self._needed = 2 * tasks if tasks >= FEWEST_TASKS else None
        self._failures = 0

    def note(self, rollout: Rollout) -> None:
        """Any reward above 0 ends the suspicion for good."""
        if isinstance(rollout.outcome, Graded):
            self._failures += 1
            if rollout.outcome.reward > 0:
                self._needed = None

    def reason(self, now: float) -> str | None:  # noqa: ARG002 - the protocol's
        """What to suspect."""
        if self._needed is None or self._failures < self._needed:
            return None
        return (
            f"all of the first {self._failures} rollouts had a reward of 0: suspect the grader or the agent "
            "(`--agent oracle` must pass); --resume goes on all the same"
        )


class NearlyAllLost(_NoReason):
    """Almost every attempt of late was lost: whatever broke is not mended by losing more.

    It looks at the last attempts, retries among them, and at more of them than run at once: an engine that is only
    started again costs all of these.
    """

    def __init__(self, at_once: int = 1) -> None:
        """`at_once` is the run's concurrency."""
        window = max(WINDOW, 2 * at_once)
        self._needed = math.ceil(MOST_LOST * window)
        self._lately: deque[Rollout] = deque(maxlen=window)

    def note(self, rollout: Rollout) -> None:
        """Remember the last ones."""
        self._lately.append(rollout)

    def reason(self, now: float) -> str | None:  # noqa: ARG002 - the protocol's
        """How many, and the last of their reasons."""
        lost = [row.outcome for row in self._lately if isinstance(row.outcome, Lost)]
        if len(lost) < self._needed:
            return None
        return (
            f"{len(lost)} of the last {len(self._lately)} attempts were lost, "
            f"the last at {lost[-1].boundary}: {lost[-1].reason.rstrip(': ')}"
        )


class EngineAway(_NoReason):
    """An engine that did not come back while the run waited for it: what is left would be lost, one wait after another.

    The loop asks for reasons only when it does not wait, which is when the engine answers or the wait was too long.
    """

    def __init__(self, is_back: Callable[[], bool]) -> None:
        """`is_back` says whether the engine answers."""
        self._is_back = is_back
        self._missed = False

    def note(self, rollout: Rollout) -> None:
        """Remember that it was missed."""
        self._missed = self._missed or (
            isinstance(rollout.outcome, Lost) and rollout.outcome.boundary is Boundary.ENGINE
        )

    def reason(self, now: float) -> str | None:  # noqa: ARG002 - the protocol's
        """That it is away, and what to do."""
        missed, self._missed = self._missed, False
        if not missed or self._is_back():
            return None
        return "the container engine did not come back; start it (`taskcal doctor` says more), then go on with --resume"


class MostRollouts(_NoReason):
    """So many attempts and no more, retries among them."""

    def __init__(self, most: int) -> None:
        """`most` in this call."""
        self._most = self._left = most

    def begun(self, planned: PlannedRollout) -> None:  # noqa: ARG002 - the protocol's
        """One more."""
        self._left -= 1

    def reason(self, now: float) -> str | None:  # noqa: ARG002 - the protocol's
        """Which limit."""
        return f"--max-rollouts {self._most} was reached" if self._left <= 0 else None


class MostCost(_NoReason):
    """So many US dollars, as far as the agent reports what it costs; what is in flight may add to it.

    Where the first few graded rollouts tell no cost, no later one will, and the limit would never bite.
    """

    def __init__(self, most: float, spent: float = 0.0) -> None:
        """`spent` is what the run has cost before."""
        self._most, self._spent = most, spent
        self._silent: int | None = 0
        """Graded rollouts that told no cost; None from the first one on that did."""

    def note(self, rollout: Rollout) -> None:
        """Add its cost, also that of a lost one, which may have been lost before it could tell any."""
        if rollout.usage.cost_usd is not None:
            self._spent += rollout.usage.cost_usd
            self._silent = None
        elif self._silent is not None:
            self._silent += isinstance(rollout.outcome, Graded)

    def reason(self, now: float) -> str | None:  # noqa: ARG002 - the protocol's
        """Which limit, and what was spent or that nobody knows."""
        if self._spent >= self._most:
            spent = f"{self._spent:.{2 if self._spent >= CENTS else 4}f}"
            return f"--max-cost {self._most:g} was reached: ${spent} was spent, what was in flight may have added to it"
        if self._silent is None or self._silent < SILENT:
            return None
        return (
            f"--max-cost {self._most:g} cannot be kept: none of the first {self._silent} graded rollouts told its "
            "cost; put a price into the agent file and have its tokens reported (docs/agents.md), or use --max-rollouts"
        )


class LowDisk(_NoReason):
    """Containers write to the engine's own disk, which has no quota: nothing starts where it is nearly full.

    What is running may free some of it; where it stays full, the run ends before it breaks everything on the machine.
    """

    def __init__(self, free: Callable[[], int | None]) -> None:
        """`free` says how many bytes there are, or None where that cannot be seen."""
        self._free = free
        self._looked = self._since = -math.inf
        self._low = False

    def holds(self, now: float) -> bool:
        """Look once a second."""
        if now - self._looked >= 1.0:
            self._looked = now
            found = self._free()
            low = found is not None and found < LEAST_FREE
            self._since = now if low and not self._low else self._since
            self._low = low
        return self._low

    def reason(self, now: float) -> str | None:
        """How little, and for how long."""
        if not self.holds(now) or now - self._since < FULL_SECONDS:
            return None
        return f"the engine's disk has had less than {LEAST_FREE // 1024**3} GiB free for {FULL_SECONDS:g}s; free some"


class TimeLimit(_NoReason):
    """Nothing starts after so many seconds."""

    def __init__(self, seconds: float, now: float) -> None:
        """`now` is the moment at which the run begins."""
        self._seconds, self._end = seconds, now + seconds

    def reason(self, now: float) -> str | None:
        """Which limit."""
        return f"--time-limit {self._seconds:g}s was reached" if now >= self._end else None
