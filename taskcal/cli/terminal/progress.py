"""What a person sees while a run works: a live table on a terminal, plain lines elsewhere; standard error only.

Every method may be called from any thread. Events only change a board; the live table is drawn at its own pace, so that
a fast run is not slowed by being watched.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Self, TextIO

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from taskcal.core.rollout import Graded
from taskcal.report.live.board import Board
from taskcal.report.live.outlook_board import AdaptiveBoard
from taskcal.report.wording import formatting
from taskcal.report.wording.sanitize import plain, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from rich.console import RenderableType

    from taskcal.core.adaptive.design import Design
    from taskcal.core.adaptive.planner import PlannerState
    from taskcal.core.rollout import GroupId, Rollout, RolloutId

FRAMES_PER_SECOND = 4
LINE_EACH = 64
STEPS = 20
MESSAGE = 500


class Progress:
    """Shows nothing but warnings: what `--quiet` asks for, and what the others build on. Obeys `Listener`."""

    def __enter__(self) -> Self:
        """Begin to show."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""

    def log(self, message: str) -> None:
        """Say what is being prepared, such as an image that is built; one line."""

    def warn(self, message: str) -> None:
        """One line on standard error, also with `--quiet`."""
        typer.echo(message, err=True)

    def begin(self, groups: Sequence[GroupId], group_size: int, retries: int = 0) -> None:
        """Rollouts begin: `group_size` of each group, a lost one tried again up to `retries` times.

        Called once, before `started` and `finished`.
        """

    def begin_adaptive(self, groups: Sequence[GroupId], design: Design, retries: int = 0) -> None:
        """Rollouts of an adaptive run begin. Called once, instead of `begin`."""

    def look(self, planner_state: PlannerState) -> None:
        """The planner of an adaptive run has looked again."""

    def started(self, rollout: RolloutId) -> None:
        """A rollout, or a retry of it, has left the queue."""

    def finished(self, rollout: Rollout) -> None:
        """A rollout has ended. One that was never started comes from an earlier part of the run."""


class Quiet(Progress):
    """Shows nothing."""


class LiveProgress(Progress):
    """A table at the foot of a terminal, one row for each group; it vanishes at the end, where the final one comes."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that only grow."""
        self._lock = threading.Lock()
        self._clock = clock
        self._begun = clock()
        self._console = console
        self._board: Board | AdaptiveBoard | None = None
        self._live = Live(
            console=console,
            refresh_per_second=FRAMES_PER_SECOND,
            transient=True,
            redirect_stdout=False,  # what a program reads from standard output must not turn up here
            get_renderable=self._draw,
        )

    def __enter__(self) -> Self:
        """Begin to show."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the table away and give the cursor back."""
        self._live.stop()

    def log(self, message: str) -> None:
        """Print above the table."""
        self._console.print(Text(plain(message, MESSAGE), style="dim"))

    def begin(self, groups: Sequence[GroupId], group_size: int, retries: int = 0) -> None:
        """Show every group's row, all pending."""
        with self._lock:
            self._board, self._begun = Board(groups, group_size, retries), self._clock()

    def begin_adaptive(self, groups: Sequence[GroupId], design: Design, retries: int = 0) -> None:
        """Show every group's bar."""
        with self._lock:
            self._board, self._begun = AdaptiveBoard(groups, design, retries), self._clock()

    def look(self, planner_state: PlannerState) -> None:
        """Move the bars."""
        with self._lock:
            if isinstance(self._board, AdaptiveBoard):
                self._board.look(planner_state)

    def started(self, rollout: RolloutId) -> None:
        """Mark it as running."""
        with self._lock:
            if self._board is not None:
                self._board.started(rollout)

    def finished(self, rollout: Rollout) -> None:
        """Mark what came of it."""
        with self._lock:
            if self._board is not None:
                self._board.finished(rollout)

    def _draw(self) -> RenderableType:
        size = self._console.size
        with self._lock:
            if self._board is None:
                return Text(f"preparing, {formatting.format_duration(self._clock() - self._begun)}", style="dim")
            return self._board.draw(size.width, size.height, self._clock() - self._begun)


class PlainProgress(Progress):
    """Lines for logs: one for each rollout, or one for each twentieth of a run of more than 200."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that only grow."""
        self._lock = threading.Lock()
        self._stream = stream
        self._clock = clock
        self._begun = clock()
        self._board: Board | AdaptiveBoard = Board((), 0)
        self._steps = 0

    def log(self, message: str) -> None:
        """One line."""
        with self._lock:
            self._say(message)

    def begin(self, groups: Sequence[GroupId], group_size: int, retries: int = 0) -> None:
        """Say how much there is to do."""
        with self._lock:
            self._board, self._begun, self._steps = Board(groups, group_size, retries), self._clock(), 0
            self._say(f"running {formatting.extent(groups)}, {formatting.many(group_size, 'rollout')} each")

    def begin_adaptive(self, groups: Sequence[GroupId], design: Design, retries: int = 0) -> None:
        """Say how it will be decided that there is enough."""
        with self._lock:
            self._board, self._begun, self._steps = AdaptiveBoard(groups, design, retries), self._clock(), 0
            cap = formatting.many(design.limit, "rollout")
            self._say(f"running {formatting.extent(groups)} adaptively, at most {cap} each")

    def look(self, planner_state: PlannerState) -> None:
        """Remember it for the next line."""
        with self._lock:
            if isinstance(self._board, AdaptiveBoard):
                self._board.look(planner_state)

    def started(self, rollout: RolloutId) -> None:
        """Nothing yet to say of it."""
        with self._lock:
            self._board.started(rollout)

    def finished(self, rollout: Rollout) -> None:
        """Say what came of it, or where the run stands."""
        with self._lock:
            if not self._board.finished(rollout):
                return
            if isinstance(self._board, AdaptiveBoard):
                self._tell(self._board, rollout)
                return
            totals = self._board.totals()
            times = totals.times(self._clock() - self._begun)
            if totals.total <= LINE_EACH:
                self._say(f"[{totals.done}/{totals.total}] {describe_rollout(rollout)}; {times}")
            elif self._stepped(totals.done, totals.total):
                self._say(f"{totals}; {times}")

    def _tell(self, board: AdaptiveBoard, rollout: Rollout) -> None:
        """A line for each of the first rollouts, later one for so many: nobody knows how many there will be."""
        if board.measured <= LINE_EACH:
            self._say(f"[{board.measured}] {describe_rollout(rollout)}")
        if board.measured % LINE_EACH == 0:
            self._say(f"{board.summary()}; {board.times(self._clock() - self._begun)}")

    def _stepped(self, done: int, total: int) -> bool:
        step = done * STEPS // total
        ahead, self._steps = step > self._steps, max(step, self._steps)
        return ahead

    def _say(self, message: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # whoever read this has gone; the run goes on
            self._stream.write(f"{plain(message, MESSAGE)}\n")
            self._stream.flush()


def describe_rollout(rollout: Rollout) -> str:
    """`ship-order#3 passed, reward 1.00, 12s`, or where and why it was lost."""
    name = rollout.id.key if not rollout.id.attempt else f"{rollout.id.key} (retry {rollout.id.attempt})"
    outcome, took = rollout.outcome, formatting.format_duration(rollout.timing.total)
    if not isinstance(outcome, Graded):
        return f"{name} lost at {outcome.boundary}, {took}: {reason(outcome.reason)}"
    passed = "passed" if outcome.passed else "failed"
    return f"{name} {passed}, reward {outcome.reward:.2f}, {outcome.stop}, {took}"


def make_progress(stream: TextIO, *, quiet: bool, as_json: bool = False) -> Progress:  # noqa: ARG001 - see below
    """What fits the stream. `as_json` changes nothing: it owns standard output, which is never written to here."""
    if quiet:
        return Quiet()
    console = Console(file=stream)
    return LiveProgress(console) if stream.isatty() and not console.is_dumb_terminal else PlainProgress(stream)
