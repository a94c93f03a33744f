"""What a run reports while it happens, and what keeps a signal from cutting a write in two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from taskcal.core.adaptive.design import Design
    from taskcal.core.adaptive.planner import PlannerState
    from taskcal.core.rollout import GroupId, Rollout, RolloutId


class Listener(Protocol):
    """Hears of every step of a run; all methods but the first two may be called from any thread.

    It is entered before the first step and left after the last one. `warn` may be called after that.
    """

    def __enter__(self) -> object:
        """Begin to listen."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The run has ended, with an error or without."""
        ...

    def log(self, message: str) -> None:
        """A step that takes time begins, or something is worth knowing; one line."""
        ...

    def warn(self, message: str) -> None:
        """Something that a person must learn whatever else is shown; one line."""
        ...

    def begin(self, groups: Sequence[GroupId], group_size: int, retries: int = 0) -> None:
        """Rollouts begin: `group_size` of each group, a lost one tried again up to `retries` times.

        Called once, before `started` and `finished`.
        """
        ...

    def begin_adaptive(self, groups: Sequence[GroupId], design: Design, retries: int = 0) -> None:
        """Rollouts of an adaptive run begin. Called once, instead of `begin`."""
        ...

    def look(self, planner_state: PlannerState) -> None:
        """The planner of an adaptive run has looked again."""
        ...

    def started(self, rollout: RolloutId) -> None:
        """A rollout, or a retry of it, has left the queue."""
        ...

    def finished(self, rollout: Rollout) -> None:
        """A rollout has ended. One that was never started comes from an earlier part of the run."""
        ...


class SignalGuard(Protocol):
    """Whoever handles the signals of this process, as a run sees it: the first one raises KeyboardInterrupt."""

    def held(self) -> AbstractContextManager[None]:
        """While it is entered no signal interrupts; one that came meanwhile is raised at its end."""
        ...
