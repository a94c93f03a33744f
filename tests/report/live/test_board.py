"""The live table's rows."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from taskcal.core.rollout import GroupId, Outcome, Rollout, RolloutId, Usage
from taskcal.report.live.board import Board, RolloutMark, mark_of, time_left
from tests.report.sample_run import graded, lost

SHIP, REFUND = GroupId("ship", "easy"), GroupId("refund", "")


def drawn(board: Board, width: int = 100, height: int = 30, elapsed: float = 60.0) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None, _environ={})
    console.print(board.draw(width, height, elapsed))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def play(board: Board, group: GroupId, index: int, outcome: Outcome, attempt: int = 0) -> None:
    rollout = RolloutId(group, index, attempt)
    board.started(rollout)
    board.finished(Rollout(rollout, outcome))


@pytest.mark.parametrize(
    ("outcome", "mark"),
    [
        (graded(1, 1), RolloutMark.PASSED),
        (graded(1, 0), RolloutMark.PARTIAL),
        (graded(0, 0), RolloutMark.FAILED),
        (lost(), RolloutMark.LOST),
    ],
)
def test_every_outcome_has_a_mark_of_its_own(outcome: Outcome, mark: RolloutMark) -> None:
    """A lost rollout never looks like a failed one; signs differ without colour and are one cell wide."""
    assert mark_of(outcome) is mark
    assert len({each.sign for each in RolloutMark}) == len(RolloutMark)
    assert {cell_len(each.sign) for each in RolloutMark} == {1}


@pytest.mark.parametrize(
    ("done", "total", "elapsed", "left"),
    [
        (0, 8, 5.0, None),
        (2, 8, 5.0, None),
        (4, 8, 10.0, 10.0),
        (3, 96, 30.0, 930.0),
        (8, 8, 9.0, 0.0),
        (1, 2, 4.0, None),
    ],
)
def test_time_left_is_the_rest_at_the_speed_so_far(done: int, total: int, elapsed: float, left: float | None) -> None:
    """No guess before a few are done, the rest in proportion then, nothing at the end."""
    assert time_left(done, total, elapsed) == left


def test_the_rows() -> None:
    """A mark for each rollout, the rate of the graded ones so far, and where the run stands."""
    board = Board([SHIP, REFUND], 4)
    play(board, SHIP, 0, graded(1, 1))
    play(board, SHIP, 1, graded(1, 0))
    play(board, SHIP, 2, lost())
    play(board, REFUND, 0, graded(0, 0))
    board.started(RolloutId(REFUND, 1, 0))
    assert drawn(board) == [
        "ship/easy  ●◐×·  1/2 passed",  # noqa: RUF001 - the mark of a lost rollout
        "refund     ○◌··  0/1 passed",
        "4/8 done, 1 passed, 1 lost; 1m 00s elapsed, about 1m 00s left",
        "● passed  ◐ partial  ○ failed  × lost  ◌ running  · pending",  # noqa: RUF001 - likewise
    ]


def test_a_retry_takes_the_place_of_what_was_lost() -> None:
    """While a lost rollout is tried again it is running, and when it is graded nothing lost is left."""
    board = Board([SHIP], 2, retries=2)
    play(board, SHIP, 0, lost())
    assert board.totals().marks[RolloutMark.LOST] == 1
    board.started(RolloutId(SHIP, 0, 1))
    assert (board.totals().done, board.totals().marks[RolloutMark.LOST]) == (0, 0)
    board.finished(Rollout(RolloutId(SHIP, 0, 1), graded(1, 1)))
    totals = board.totals()
    assert (totals.done, totals.measured, totals.marks[RolloutMark.PASSED], totals.marks[RolloutMark.LOST]) == (
        1,
        1,
        1,
        0,
    )


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40), st.integers(0, 3))
def test_what_is_done_stays_done(ends: list[tuple[int, bool]], retries: int) -> None:
    """The counter only grows, and one that is still to be tried again is not in it."""
    board, attempts, over, before = Board([SHIP], 4, retries), [0] * 4, set[int](), 0
    for index, passes in ends:
        if index in over:
            continue
        play(board, SHIP, index, graded(1, 1) if passes else lost(), attempts[index])
        attempts[index] += 1
        if passes or attempts[index] > retries:
            over.add(index)
        assert before <= board.totals().done == len(over)
        before = board.totals().done


def test_what_an_earlier_part_lost_is_to_be_done() -> None:
    """A resumed run tries it again, so that it counts only when that has ended, whatever the number of the attempt."""
    board = Board([SHIP], 2, retries=1)
    board.finished(Rollout(RolloutId(SHIP, 0, 2), lost()))
    assert board.totals().done == 0
    play(board, SHIP, 0, lost(), attempt=3)
    assert board.totals().done == 0
    play(board, SHIP, 0, lost(), attempt=4)
    assert board.totals().done == 1


def test_rollouts_of_an_earlier_part_do_not_count_as_speed() -> None:
    """A resumed run shows what was there already, but guesses the time left from what it has done itself."""
    board = Board([SHIP], 12)
    for index in range(6):
        assert not board.finished(Rollout(RolloutId(SHIP, index, 0), graded(1, 1)))
    play(board, SHIP, 0, graded(0, 0), attempt=1)
    for index in range(6, 8):
        play(board, SHIP, index, graded(0, 0))
    totals = board.totals()
    assert (totals.done, totals.measured) == (8, 3)
    assert totals.times(30.0) == "30s elapsed, about 40s left"


def test_more_groups_than_lines_show_the_latest_active() -> None:
    """A small terminal shows the groups where something happened last, in their order, and how many it hides."""
    groups = [GroupId(f"task-{number}", "") for number in range(50)]
    board = Board(groups, 2)
    assert [line.split()[0] for line in drawn(board, height=7)[:3]] == ["task-0", "task-1", "task-2"]
    for number in (40, 3, 17):
        board.started(RolloutId(groups[number], 0, 0))
    lines = drawn(board, height=7)
    assert [line.split()[0] for line in lines[:3]] == ["task-3", "task-17", "task-40"]
    assert lines[3] == "… and 47 more groups, less lately active"
    assert len(lines) < 7


def test_large_groups_are_counted() -> None:
    """Where the marks do not fit beside the name there is a number for each."""
    board = Board([SHIP], 200)
    for index in range(30):
        play(board, SHIP, index, graded(1, 1) if index % 3 else lost())
    board.started(RolloutId(SHIP, 30, 0))
    assert drawn(board, width=60)[0].split() == ["ship/easy", "20●", "10×", "1◌", "20/20", "passed"]  # noqa: RUF001


@pytest.mark.parametrize("width", [30, 60, 200])
def test_names_cannot_move_the_table(width: int) -> None:
    """A hostile name is one line of text within the terminal's width, without control sequences."""
    board = Board([GroupId("\x1b[2J[bold]x[/bold]\n" + "y" * 300, "\u202e")], 8)
    lines = drawn(board, width)
    assert len(lines) == 3
    assert max(map(cell_len, lines)) <= width
    assert lines[0].startswith("[bold]x[/b")


def test_money_is_told_while_it_is_spent() -> None:
    """What the rollouts have cost so far, retries among them; nothing where no agent says what it costs."""
    board = Board([SHIP], 4)
    for attempt in (0, 1):
        rollout = RolloutId(SHIP, 0, attempt)
        board.started(rollout)
        board.finished(Rollout(rollout, graded(1, 1), usage=Usage(cost_usd=0.21)))
    assert str(board.totals()) == "1/4 done, 1 passed, $0.42"
    free = Board([SHIP], 4)
    play(free, SHIP, 0, graded(1, 1))
    assert str(free.totals()) == "1/4 done, 1 passed"
