"""What a command prints at the end: every task under what to do with it, and the answer last."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from taskcal.core.rollout import Stop
from taskcal.core.settings import Metric
from taskcal.report.overview import ROWS, Overview, share_rows
from tests.report.sample_run import QUESTION, calibration, counted, graded, lost, record, result_of, run_record, shop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.run import RunRecord

HEADING = re.compile(r"^[A-Z ]+ \(([\d,]+)\)\s*$", re.MULTILINE)
JARGON = re.compile(r"posterior|prior|robust|certified|likely|leaning|claim|Wilson", re.IGNORECASE)


def overview(rows: Sequence[Calibration] | None = None, run: RunRecord | None = None, **kwargs: object) -> Overview:
    rows = shop() if rows is None else rows
    return Overview(result_of(run or run_record(), rows), "runs/r", **kwargs)  # type: ignore[arg-type]


def rendered(shown: Overview, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(shown)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140])
def test_it_fits_the_terminal(width: int) -> None:
    """No line is wider than the terminal, and no name is folded at 80 columns or more."""
    text = rendered(overview(), width)
    assert max(map(len, text.splitlines())) <= width
    assert all(re.search(rf"^ *{re.escape(str(row.group.id))}\b", text, re.MULTILINE) for row in shop())


def test_every_task_is_counted_once() -> None:
    """The sizes of the headings add up to the tasks, on a terminal and in a log."""
    for text in (rendered(overview(), 80), "\n".join(overview().lines())):
        assert sum(int(size.replace(",", "")) for size in HEADING.findall(text)) == len(shop())


def test_the_answer_comes_last() -> None:
    """The last lines say how many tasks to train on, where the report is, and what to run next."""
    lines = overview().lines()
    assert lines[-2].startswith(
        "10 variants of 9 tasks: 2 to train on, 6 undecided, 1 too easy, 1 unmeasured. Report: runs/r/report.md"
    )
    assert lines[-1] == "Next: taskcal run --resume runs/r"


def test_no_jargon_by_default() -> None:
    """Words of statistics stay behind --verbose and in the report's Methods."""
    assert JARGON.findall("\n".join(overview().lines()) + rendered(overview(), 80)) == []


def test_the_doubt_mark_is_explained_where_it_is_used() -> None:
    """`?` has its sentence if a row carries it, and no sentence if none does."""
    open_, decided = "\n".join(overview().lines()), "\n".join(overview([counted(4, 4)]).lines())
    assert '"?": less than 95% sure.' in open_
    assert "?" not in decided


def test_columns_that_found_no_room_are_named() -> None:
    """What a narrow terminal leaves out is said; a wide one has every column."""
    assert "Not shown, for lack of width: reward, signal, lowest check." in rendered(overview(), 80)
    assert "Not shown" not in rendered(overview(), 180)


def test_reasons_of_the_unmeasured_are_shown_once() -> None:
    """A hundred tasks that one missing image stopped are one line."""
    rows = [calibration(record(f"t{number}"), [lost(reason="no image")] * 2) for number in range(100)]
    text = "\n".join(overview(rows).lines())
    assert text.count("no image") == 1
    assert "t0 and 99 more: sandbox: no image" in text


def test_caveats_stand_below_the_rows() -> None:
    """A reader learns what makes a number less than it looks: limits, losses, and checks that nothing met."""
    slow = calibration(record("slow"), [graded(0, 0, stop=Stop.TIMEOUT)] * 64)
    text = "\n".join(overview([slow, *shop()]).lines())
    assert "slow: limits, not difficulty: 64 of 64 failures ran out of time or memory" in text
    assert "slow: no check was ever met" in text


def test_the_next_command_finds_the_run() -> None:
    """It names the folder, which may lie anywhere, quoted for a shell; another band has no report of its own."""
    elsewhere = Overview(result_of(run_record(), shop()), "/data/my runs/r", is_stored=False).lines()
    assert elsewhere[-1] == "Next: taskcal run --resume '/data/my runs/r'"
    assert "Report" not in elsewhere[-2]


def test_the_band_is_about_what_the_run_asked() -> None:
    """With `--metric reward` the average is that of the reward, as the band is."""
    run = run_record(settings=replace(QUESTION, metric=Metric.REWARD))
    text = "\n".join(overview([counted(4, 4)], run).lines())
    assert "Average reward 0.50 (band 0.05-0.75)." in text
    assert "success rate" not in text


def test_an_empty_run_says_so() -> None:
    """Nothing was graded: the sentence says it, and no number is invented."""
    text = "\n".join(overview([]).lines())
    assert "Nothing was measured" in text
    assert "%" not in text.partition("\n\n")[2]


def test_the_oracle_is_read_in_its_own_way() -> None:
    """All solved is the good news, and rates against the band are no news at all."""
    run = replace(run_record(), agent="oracle", agent_source="oracle")
    text = "\n".join(overview([counted(8, 0, task="a"), counted(7, 1, task="b")], run).lines())
    assert "FIX (1)\nb " in text
    assert "SOLVED (1)\na " in text
    assert "Average" not in text
    assert "too-easy" not in text


def test_hostile_names_change_no_terminal() -> None:
    """Names and reasons come from strangers."""
    evil = calibration(record("a\x1b[2Jb", "[red]x"), [graded(1, 1)] * 8)
    broken = calibration(record("c"), [lost(reason="\x1b]0;title\x07 boom")] * 2)
    text = "\n".join(overview([evil, broken]).lines())
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]x" in rendered(overview([evil, broken]), 80)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=7))
def test_rows_are_shared_fairly(sizes: list[int]) -> None:
    """All rows are used if there are as many, no block gets more than it has, and none starves beside a larger one."""
    shares = share_rows(sizes, ROWS)
    assert sum(shares) == min(ROWS, sum(sizes))
    assert all(0 < share <= size for share, size in zip(shares, sizes, strict=True))
    cut = [share for share, size in zip(shares, sizes, strict=True) if share < size]
    assert max(shares, default=0) - min(cut, default=max(shares)) <= 1
