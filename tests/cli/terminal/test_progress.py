"""What a person sees while a run works."""

from __future__ import annotations

import io
import sys
import threading

import pytest
from rich.console import Console

from taskcal.cli.terminal.progress import LiveProgress, PlainProgress, Progress, Quiet, make_progress
from taskcal.core.adaptive.design import Design
from taskcal.core.adaptive.planner import plan_next
from taskcal.core.adaptive.task_state import Launch, TaskHistory
from taskcal.core.rollout import Graded, GroupId, Lost, Outcome, Rollout, RolloutId, Stop, Timing
from taskcal.errors import Boundary
from taskcal.machine import host

PLAIN = Design(learn=False)
PASSED = Graded(Stop.FINISHED, 1.0, passed=True, checks=())
FAILED = Graded(Stop.TIMEOUT, 0.25, passed=False, checks=())
LOST = Lost(Boundary.SANDBOX, "the container\x1b[2J\ndied")


class Ticks:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        """Give the time that was set."""
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


def play(progress: Progress, group: GroupId, index: int, outcome: Outcome, attempt: int = 0) -> None:
    rollout = RolloutId(group, index, attempt)
    progress.started(rollout)
    progress.finished(Rollout(rollout, outcome, timing=Timing(total=12.0)))


def live(out: io.StringIO, clock: Ticks | None = None, **environ: str) -> LiveProgress:
    console = Console(file=out, force_terminal=True, width=80, height=20, color_system="standard", _environ=environ)
    return LiveProgress(console, clock or Ticks())


def test_plain_lines() -> None:
    """In a log each rollout is a line with what came of it; a lost one says where and why, and has no reward."""
    out, clock = io.StringIO(), Ticks()
    with PlainProgress(out, clock) as progress:
        progress.log("building images/shop")
        progress.begin([GroupId("ship", "easy"), GroupId("refund", "")], 2, retries=1)
        clock.now = 60.0
        play(progress, GroupId("ship", "easy"), 0, PASSED)
        play(progress, GroupId("refund", ""), 0, LOST)
        play(progress, GroupId("refund", ""), 0, FAILED, attempt=1)
        play(progress, GroupId("ship", "easy"), 1, PASSED)
    assert out.getvalue().splitlines() == [
        "building images/shop",
        "running 2 variants of 2 tasks, 2 rollouts each",
        "[1/4] ship/easy#0 passed, reward 1.00, finished, 12s; 1m 00s elapsed",
        "[1/4] refund#0 lost at sandbox, 12s: the container died; 1m 00s elapsed",
        "[2/4] refund#0 (retry 1) failed, reward 0.25, timeout, 12s; 1m 00s elapsed",
        "[3/4] ship/easy#1 passed, reward 1.00, finished, 12s; 1m 00s elapsed, about 20s left",
    ]


def test_a_long_run_is_told_in_twentieths() -> None:
    """Above 200 rollouts a log gets a line for each five percent, not one for each rollout."""
    out, clock = io.StringIO(), Ticks()
    group = GroupId("ship", "")
    progress = PlainProgress(out, clock)
    progress.begin([group], 1000)
    clock.now = 10.0
    for index in range(1000):
        play(progress, group, index, PASSED if index % 2 else LOST)
    lines = out.getvalue().splitlines()[1:]
    assert len(lines) == 20
    assert lines[9] == "500/1000 done, 250 passed, 250 lost; 10s elapsed, about 10s left"
    assert lines[-1] == "1000/1000 done, 500 passed, 500 lost; 10s elapsed"


def test_what_an_earlier_part_measured_is_counted_but_not_told_again() -> None:
    """A resumed run begins where it stood, without a line for what was there."""
    out = io.StringIO()
    group = GroupId("ship", "")
    progress = PlainProgress(out, Ticks())
    progress.begin([group], 3)
    progress.finished(Rollout(RolloutId(group, 0, 0), PASSED))
    play(progress, group, 1, PASSED)
    assert [line.split()[0] for line in out.getvalue().splitlines()] == ["running", "[2/3]"]


def look(progress: Progress, group: GroupId, *launches: Launch) -> None:
    progress.look(plan_next([TaskHistory(group, launches)], 0, PLAIN))


def test_an_adaptive_run_in_a_log() -> None:
    """A line for each rollout, without a total that nobody knows, and now and then where the run stands."""
    out, clock = io.StringIO(), Ticks()
    group = GroupId("ship", "")
    progress = PlainProgress(out, clock)
    progress.begin_adaptive([group], PLAIN)
    look(progress, group)
    clock.now = 30.0
    play(progress, group, 0, LOST)
    play(progress, group, 0, PASSED, attempt=1)
    look(progress, group, Launch.PASSED)
    for index in range(1, 63):
        play(progress, group, index, PASSED)
    look(progress, group, *[Launch.PASSED] * 63)
    play(progress, group, 63, PASSED)
    lines = out.getvalue().splitlines()
    assert lines[:3] == [
        "running 1 task adaptively, at most 64 rollouts each",
        "[1] ship#0 lost at sandbox, 12s: the container died",
        "[2] ship#0 (retry 1) passed, reward 1.00, finished, 12s",
    ]
    assert lines[64].startswith("[64] ship#62 passed")
    assert lines[65].startswith("0 of 1 closed, 1 open; 63 rollouts, about ")
    assert len(lines) == 66


def test_an_adaptive_run_on_a_terminal() -> None:
    """Its bars move with what the planner thinks, and it vanishes like the other one."""
    out, clock = io.StringIO(), Ticks()
    group = GroupId("ship", "")
    with live(out, clock) as progress:
        progress.begin_adaptive([group], PLAIN)
        play(progress, group, 0, PASSED)
        look(progress, group, *[Launch.PASSED] * 7)
        progress.started(RolloutId(group, 7, 0))
    text = out.getvalue()
    assert "7/7 +1" in text
    assert "\x1b[33mtoo-easy" in text
    assert "1 of 1 closed, 0 open" in text
    assert "(the bar is the chance of each)" in text
    assert text.endswith("\x1b[1A\x1b[2K")


@pytest.mark.parametrize("kind", ["live", "plain", "quiet"])
def test_looks_of_the_planner_are_safe_at_any_time(kind: str) -> None:
    """Before the rollouts begin, and in a run of fixed groups, there is nobody who would show them."""
    out = io.StringIO()
    kinds: dict[str, Progress] = {"live": live(out), "plain": PlainProgress(out, Ticks()), "quiet": Quiet()}
    group = GroupId("ship", "")
    with kinds[kind] as progress:
        look(progress, group, Launch.PASSED)
        progress.begin([group], 1)
        look(progress, group, Launch.PASSED)
        play(progress, group, 0, PASSED)
    assert "closed" not in out.getvalue()


def test_the_live_table_shows_and_vanishes() -> None:
    """The terminal gets the rows with their marks while it runs, messages above them, and its cursor back."""
    out, clock = io.StringIO(), Ticks()
    group = GroupId("ship", "easy")
    with live(out, clock) as progress:
        progress.log("baking [bold]ship\x1b[2J")
        progress.begin([group], 4)
        clock.now = 72.0
        play(progress, group, 0, PASSED)
        play(progress, group, 1, LOST)
        progress.started(RolloutId(group, 2, 0))
        progress.log("one more word")
    text = out.getvalue()
    assert "baking [bold]ship" in text
    assert "\x1b[2J" not in text
    assert "\x1b[32m●\x1b[0m\x1b[1;35m×\x1b[0m\x1b[36m◌\x1b[0m\x1b[2m·\x1b[0m" in text  # noqa: RUF001 - lost
    assert "2/4 done, 1 passed, 1 lost; 1m 12s elapsed" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert text.endswith("\x1b[1A\x1b[2K")


def test_no_color() -> None:
    """NO_COLOR takes the colours and leaves the signs."""
    out = io.StringIO()
    with live(out, NO_COLOR="1") as progress:
        progress.begin([GroupId("ship", "")], 2)
        play(progress, GroupId("ship", ""), 0, PASSED)
    assert "●" in out.getvalue()
    assert "\x1b[32m" not in out.getvalue()


def test_events_write_nothing_themselves() -> None:
    """Marking is not drawing: a thousand rollouts cost a run no output, only the frames that a person sees do."""
    out = io.StringIO()
    progress = live(out)
    progress.begin([GroupId("ship", "")], 1000)
    for index in range(1000):
        play(progress, GroupId("ship", ""), index, PASSED)
    assert out.getvalue() == ""
    with progress:
        pass
    assert "1000/1000 done, 1000 passed" in out.getvalue()


@pytest.mark.parametrize("kind", ["live", "plain"])
def test_many_threads(kind: str) -> None:
    """Rollouts that start and end at once in many threads are all counted, and no line is torn."""
    out = io.StringIO()
    groups = [GroupId(f"task-{number}", "") for number in range(8)]
    with live(out) if kind == "live" else PlainProgress(out, Ticks()) as progress:
        progress.begin(groups, 8)
        workers = [threading.Thread(target=_play_all, args=(progress, group)) for group in groups]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    if kind == "live":
        assert "64/64 done, 64 passed" in out.getvalue()
        return
    lines = out.getvalue().splitlines()
    assert sum(line.startswith("[") and " passed, reward 1.00" in line for line in lines) == 64
    assert sum(line.startswith("building task-") for line in lines) == 8
    assert len(lines) == 1 + 64 + 8


def _play_all(progress: Progress, group: GroupId) -> None:
    progress.log(f"building {group}")
    for index in range(8):
        play(progress, group, index, PASSED)


def test_quiet_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """`--quiet` is silent on both streams, from the first image to the last rollout."""
    with make_progress(sys.stderr, quiet=True) as progress:
        progress.log("building")
        progress.begin([GroupId("ship", "")], 1)
        play(progress, GroupId("ship", ""), 0, PASSED)
    assert isinstance(progress, Quiet)
    assert capfd.readouterr() == ("", "")


def test_the_stream_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """A live table only where a terminal can show one: no escape sequence reaches a file, a pipe or a dumb terminal."""
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(make_progress(Terminal(), quiet=False), LiveProgress)
    assert isinstance(make_progress(io.StringIO(), quiet=False), PlainProgress)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(make_progress(io.StringIO(), quiet=False), PlainProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_progress(Terminal(), quiet=False), PlainProgress)


def test_standard_output_stays_free(capsys: pytest.CaptureFixture[str]) -> None:
    """What a command prints on standard output while the table lives arrives there, not in the table."""
    out = io.StringIO()
    with live(out):
        print('{"schema": 1}')  # noqa: T201 - the subject of this test
    assert capsys.readouterr().out == '{"schema": 1}\n'
    assert "schema" not in out.getvalue()


def test_help_does_not_load_it() -> None:
    """The progress view is loaded by commands that run, not by `--help`."""
    code = "import sys, taskcal.cli.main; print('taskcal.cli.terminal.progress' in sys.modules)"
    done = host.run_program([sys.executable, "-c", code], seconds=60)
    assert (done.status, done.output) == (0, "False\n")
