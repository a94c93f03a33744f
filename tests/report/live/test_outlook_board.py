"""The live table of an adaptive run: bars that add up, states in words, and nothing beyond the terminal's edges."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.adaptive.planner import PlannerState, plan_next
from taskcal.core.adaptive.task_state import Launch, TaskHistory
from taskcal.core.rollout import GroupId, Rollout, RolloutId
from taskcal.report.live.outlook_board import BAR, AdaptiveBoard, bar
from tests.report.sample_run import graded, lost

PLAIN = Design(learn=False)
P, F, WAIT, LOST = Launch.PASSED, Launch.FAILED, Launch.PENDING, Launch.LOST
SHARES = st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda parts: sum(parts) > 0)
SHOWN = {
    "too-easy": [P] * 7,
    "too-hard": [F] * 19,
    "in-band": [P] * 2 + [F] * 6,
    "open": [P, P, F, WAIT],
    "losses": [LOST] * 3,
    "edge": [P, P, P, F] * 16,
    "new": [],
}


def board(tasks: dict[str, list[Launch]], design: Design = PLAIN) -> AdaptiveBoard:
    """A board of tasks with these launches, and one that cannot be run."""
    made = AdaptiveBoard([*(GroupId(name, "") for name in tasks), GroupId("no-image", "")], design)
    made.look(planner_state(tasks, design))
    return made


def planner_state(tasks: dict[str, list[Launch]], design: Design = PLAIN) -> PlannerState:
    return plan_next([TaskHistory(GroupId(name, ""), tuple(launches)) for name, launches in tasks.items()], 0, design)


def drawn(made: AdaptiveBoard, width: int = 100, height: int = 30, elapsed: float = 60.0) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, _environ={}).print(made.draw(width, height, elapsed))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def row_of(lines: list[str], name: str) -> list[str]:
    return next(line.split() for line in lines if line.startswith(f"{name} "))


def finish(made: AdaptiveBoard, name: str, index: int, attempt: int = 0, *, was_lost: bool = False) -> None:
    rollout = RolloutId(GroupId(name, ""), index, attempt)
    made.started(rollout)
    made.finished(Rollout(rollout, lost() if was_lost else graded(1, 1)))


@given(shares=SHARES, width=st.integers(1, 60))
def test_a_bar_is_as_wide_as_it_should_be(shares: list[float], width: int) -> None:
    """Whatever is rounded how: each class has its share to a cell, and together they fill it."""
    hard, band, easy = (share / sum(shares) for share in shares)
    text = bar((hard, band, easy), width).plain
    assert len(text) == cell_len(text) == width
    assert text == "░" * text.count("░") + "█" * text.count("█") + "▒" * text.count("▒")
    assert abs(text.count("░") - hard * width) <= 1
    assert abs(text.count("▒") - easy * width) <= 1
    assert abs(text.count("█") - band * width) <= 1.5


def test_every_state_has_its_word() -> None:
    """What is sure by its verdict, what ended otherwise by why, what is open by nothing, what cannot run as such."""
    made = board(SHOWN)
    made.started(RolloutId(GroupId("open", ""), 3, 0))
    lines = drawn(made)
    assert {name: row_of(lines, name)[2:] for name in (*SHOWN, "no-image")} == {
        "too-easy": ["7/7", "too-easy"],
        "too-hard": ["0/19", "too-hard"],
        "in-band": ["2/8", "in-band"],
        "open": ["2/3", "+1"],
        "losses": ["0/0", "losses"],
        "edge": ["48/64", "cap"],
        "new": ["0/0"],
        "no-image": ["unmeasured"],
    }
    assert row_of(lines, "too-hard")[1].startswith("░" * (BAR - 1))
    assert row_of(lines, "no-image")[1] == "·" * BAR


def test_before_the_first_look_nothing_is_said() -> None:
    """No bar of chances, no word, no time left."""
    made = AdaptiveBoard([GroupId("a", "")], PLAIN)
    assert drawn(made)[:3] == [f"a  {'·' * BAR}", "0 of 1 closed, 1 open; 0 rollouts", "1m 00s elapsed"]


def test_the_legend_names_every_part() -> None:
    """Signs differ without colour, and each is explained below the table."""
    assert drawn(board(SHOWN))[-1] == "░ too-hard  █ in-band  ▒ too-easy  (the bar is the chance of each)"


def test_the_summary_counts_the_run() -> None:
    """What has had enough of what can be run, what ended of all that began, and what is expected yet."""
    made = board(SHOWN)
    for index in range(7):
        finish(made, "too-easy", index)
    finish(made, "open", 0, was_lost=True)
    finish(made, "open", 0, attempt=1)
    made.started(RolloutId(GroupId("open", ""), 1, 0))
    left = planner_state(SHOWN).expected_left
    assert left > 5
    assert made.expected_left == left
    assert made.summary() == f"5 of 7 closed, 2 open; 8 rollouts, about {left:.0f} left"
    assert made.measured == 9
    assert made.times(90.0) == f"1m 30s elapsed, about {_minutes(90 / 9 * left)} left"


def _minutes(seconds: float) -> str:
    return f"{round(seconds) // 60}m {round(seconds) % 60:02d}s"


def test_what_was_not_needed_is_of_the_decided() -> None:
    """Against giving each of them all that it may take; who ended at a cap or for losses has saved nothing."""
    assert board(SHOWN).saved() == f"{3 * 64 - 7 - 19 - 8} rollouts fewer than 64 each"
    assert board({"edge": SHOWN["edge"], "losses": SHOWN["losses"], "new": []}).saved() == ""


def test_nothing_left_has_no_time_left() -> None:
    """When all is decided only the past has a duration."""
    made = board({"a": [P] * 7})
    finish(made, "a", 0)
    assert made.times(61.0) == "1m 01s elapsed"


def test_an_earlier_part_is_shown_and_is_no_speed() -> None:
    """What a resumed run found counts as a rollout, but not as one that took this call any time."""
    made = board({"a": [P, P, F]})
    for index in range(3):
        assert not made.finished(Rollout(RolloutId(GroupId("a", ""), index, 0), graded(1, 1)))
    assert made.summary().startswith("0 of 1 closed, 1 open; 3 rollouts, about ")
    assert made.times(60.0) == "1m 00s elapsed"
    made.started(RolloutId(GroupId("a", ""), 3, 0))
    assert made.finished(Rollout(RolloutId(GroupId("a", ""), 3, 0), graded(1, 1)))


@pytest.mark.parametrize(("budget", "left"), [(30, 27), (5, 2), (4, 0)])
def test_a_budget_bounds_what_is_left(budget: int, left: int) -> None:
    """However many more the tasks could take; with what is in flight, unless that is the last of it."""
    design = replace(PLAIN, rule=Rule.NEVER, budget=budget)
    made = board({"open": [P, P, F, WAIT], "new": []}, design)
    assert made.expected_left == left
    assert made.summary() == f"0 of 2 likely; 0 rollouts, about {left} left"


def test_a_budget_tells_who_is_sure_so_far() -> None:
    """It closes none before it is spent, so the verdicts are those that would hold now."""
    made = board({"a": [P] * 7, "b": [P]}, replace(PLAIN, rule=Rule.NEVER, budget=50))
    assert made.summary().startswith("1 of 2 likely; ")
    assert row_of(drawn(made), "a")[2:] == ["7/7", "too-easy"]
    assert row_of(drawn(made), "b")[2:] == ["1/1"]


def test_certifying_shows_certificates_only() -> None:
    """What is only likely is open, and has no word yet."""
    design = replace(PLAIN, rule=Rule.CERTIFY)
    made = board({"likely": [P] * 7, "certified": [P] * 11}, design)
    assert made.summary().startswith("1 of 2 certified or closed, 1 open; ")
    assert row_of(drawn(made), "likely")[2:] == ["7/7"]
    assert row_of(drawn(made), "certified")[2:] == ["11/11", "too-easy"]
    assert made.saved() == "117 rollouts fewer than 128 each"


@pytest.mark.parametrize("height", [6, 10, 24])
def test_it_is_never_higher_than_the_terminal(height: int) -> None:
    """Of many tasks the latest active are shown, in their order, with how many are not."""
    names = [f"t{number:02d}" for number in range(50)]
    made = board({name: [P, F] for name in names})
    for name in ("t40", "t03", "t17", "t29", "t08"):
        made.started(RolloutId(GroupId(name, ""), 2, 0))
    lines = drawn(made, height=height)
    rows = [line.split()[0] for line in lines if line.startswith("t")]
    assert len(lines) < height
    assert rows == sorted(rows)
    assert rows[-1] == "t40" if len(rows) == 5 else "t08" in rows
    assert f"… and {51 - len(rows)} more groups, less lately active" in lines


@pytest.mark.parametrize("width", [20, 40, 60, 80, 140, 300])
@pytest.mark.parametrize("name", ["\x1b[2J[bold]x[/bold]\n" + "y" * 300, "short", "長い" * 40])
def test_it_is_never_wider_than_the_terminal(width: int, name: str) -> None:
    """A name of any length or script is cut, without control sequences; from 60 columns on the words stay."""
    made = AdaptiveBoard([GroupId(name, ""), GroupId("b", "")], PLAIN)
    made.look(plan_next([TaskHistory(GroupId(name, ""), tuple([P] * 7)), TaskHistory(GroupId("b", ""))], 0, PLAIN))
    lines = drawn(made, width=width)
    assert max(map(cell_len, lines)) <= width
    assert len(lines) == 5
    assert "\x1b" not in "".join(lines)
    if width >= 60:
        assert lines[0].endswith("too-easy")


@pytest.mark.parametrize("width", [80, 140])
def test_a_large_run_fits_two_lines(width: int) -> None:
    """Of 2,000 tasks and tens of thousands of rollouts every number is there at 80 columns."""
    tasks = {f"t{number}": [P] * 7 for number in range(1500)} | {f"u{number}": [P] for number in range(500)}
    made = board(tasks)
    for index in range(2000):
        finish(made, "u7", index)
    summary, times = drawn(made, width=width, elapsed=36_000.0)[-3:-1]
    assert summary == made.summary()
    assert times == f"{made.times(36_000.0)}; {made.saved()}"
