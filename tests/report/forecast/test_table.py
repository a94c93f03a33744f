"""A simulation in a terminal: every design is a row, every sentence is computed, and nothing undefined is a number."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from taskcal.report.forecast.table import ForecastTable, forecast_lines
from taskcal.report.forecast.words import advise_on_sizes, format_number, format_share, setting, times
from taskcal.report.wording.formatting import DASH
from tests.report.forecast.simulation_case import empty, hostile, simulation


def printed(width: int) -> str:
    screen = io.StringIO()
    Console(file=screen, width=width, color_system=None, force_terminal=True).print(ForecastTable(simulation()))
    return screen.getvalue()


def row(name: str, cost: float | None = None) -> list[str]:
    text = next(line for line in forecast_lines(simulation(cost=cost)) if line.startswith(name))
    return [cell for cell in text.removeprefix(name).split("  ") if cell.strip()]


def test_every_design_is_a_row() -> None:
    """Rollouts, time and shares of the default design and of fixed groups, in the order they were asked for."""
    assert [cell.strip() for cell in row("posterior up to 64")] == [
        *("17.9", "3,587", "7h 28m", "94 %", "3.1 %", "4.5 %", "1.4 %", "3.8", "88 %")
    ]
    assert [cell.strip() for cell in row("fixed 64")][:4] == ["64", "12,800", "26h 40m", "87 %"]
    names = [line.split("  ")[0] for line in forecast_lines(simulation())]
    assert [name for name in names if name.startswith(("fixed", "posterior", "value", "certify"))][:5] == [
        *("fixed 8", "fixed 64", "posterior up to 64", "value up to 64", "certify up to 128")
    ]


def test_money_is_shown_where_there_is_any() -> None:
    """A column of costs only with a price."""
    assert "cost" not in "\n".join(forecast_lines(simulation()))
    assert "$256.00" in row("fixed 64", 0.02)


def test_every_column_that_needs_it_is_explained() -> None:
    """The terms under the table are its columns."""
    text = "\n".join(forecast_lines(simulation()))
    assert "good lost      tasks in the band called too-hard" in text
    assert "signal         mixed groups, if only what is called in-band is trained on" in text


def test_the_taskset_is_described() -> None:
    """Its classes, what teaches of it and of its in-band part, and what a rollout takes."""
    assert setting(simulation()) == [
        "True rates: 34 % too-hard, 40 % in-band, 26 % too-easy (the band is 5 to 75 %).",
        "Of groups of 8, 42 % are mixed; of the in-band tasks' groups 87 %.",
        "200 tasks, 1m 00s a rollout, 8 at a time; a verdict is sure from 95 % on, under the default prior.",
    ]


def test_the_advice_is_computed() -> None:
    """Which fixed group reaches the error rate, how many times fewer rollouts do too, and what each design equals."""
    first, posterior, value, certify = advise_on_sizes(simulation())
    assert first == (
        "At most 5 % wrong, sure or leaning, takes fixed groups of 31, or 17.9 rollouts a task with posterior up to 64"
        ": 1.7 times fewer."
    )
    assert posterior == (
        "posterior up to 64 takes 17.9 rollouts a task; fixed groups take 42, 2.3 times as many, to be wrong as seldom "
        "(4.5 %), and 254, 14 times as many, to decide as many (94 %)."
    )
    assert value.startswith("value up to 64 takes 21.5 rollouts a task; fixed groups take 50, 2.3 times as many,")
    assert "and 204, 6.2 times as many, for the same guarantee (wrong by far in at most 5 %, whatever" in certify


def test_an_adverse_taskset_is_warned_of() -> None:
    """No adaptive design gets there, the prior does not fit, and what to try is said."""
    first, *_, note, remedy = advise_on_sizes(simulation("near-edge"))
    assert first.endswith("takes fixed groups of 137; no adaptive design here gets there.")
    assert "with posterior up to 64, 21 % of the sure verdicts are wrong, more than 5 %" in note
    assert "--prior learned" in remedy


def test_what_is_undefined_is_a_dash() -> None:
    """Of no decided task none is wrong, and nothing is trained on: dashes, no zeros; and no design to compare."""
    (found,) = [line for line in forecast_lines(empty()) if line.startswith("fixed 1 ")]
    assert " ".join(found.split()) == f"fixed 1 1 1 1.0s 0 % {DASH} 0 % 0 % 0 {DASH}"
    assert advise_on_sizes(empty()) == ["At most 5 % wrong, sure or leaning, takes fixed groups of 1."]


@pytest.mark.parametrize(
    ("width", "gone"), [(140, set()), (80, {"rollouts", "far"}), (50, {"rollouts", "far", "good", "signal"})]
)
def test_the_terminal_shows_what_fits(width: int, gone: set[str]) -> None:
    """However narrow, no design's name is cut and every sentence is there; columns that say least go first."""
    text = printed(width)
    words = " ".join(text.split())
    head = text.partition("fixed 8")[0].partition("prior.")[2]
    assert all(" ".join(line.split()) in words for line in advise_on_sizes(simulation()))
    assert all(f" {one.plan.name}  " in text for one in simulation().forecasts)
    assert {"design", "task", "wrong", "decided"} <= set(head.split())
    assert {word for word in ("rollouts", "far", "good", "signal") if word not in head.split()} == gone
    assert max(map(len, text.splitlines())) <= width


def test_names_do_nothing_to_a_terminal() -> None:
    """What a file or a run is called is a stranger's text."""
    assert all(line.isprintable() for line in forecast_lines(hostile()) if line)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "\N{EN DASH}"),
        (0.0, "0 %"),
        (0.0001, "<0.1 %"),
        (0.0449, "4.5 %"),
        (0.05, "5 %"),
        (0.0999, "10 %"),
        (0.939, "94 %"),
        (0.9999, ">99 %"),
        (1.0, "100 %"),
    ],
)
def test_small_shares_have_a_decimal(value: float | None, written: str) -> None:
    """Errors are small, and a share is never rounded to none or all."""
    assert format_share(value) == written


def test_numbers_and_ratios() -> None:
    """A decimal where it says something."""
    assert [format_number(value) for value in (8.0, 17.94, 0.04)] == ["8", "17.9", "0"]
    assert [times(value) for value in (0.049, 2.34, 9.94, 14.2)] == ["0.049", "2.3", "9.9", "14"]
