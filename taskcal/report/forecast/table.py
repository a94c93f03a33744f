"""The forecasts as a table for a terminal, and the same as plain lines where the output is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from taskcal.report.forecast.words import about, advise_on_sizes, columns, forecast_legend, forecast_title, setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult

    from taskcal.core.forecast.compare_designs import Simulation
    from taskcal.report.forecast.words import ForecastColumn


GAP = 2
"""Between columns."""


def forecast_lines(simulation: Simulation) -> list[str]:
    """Without colour or wrapping, for logs and pipes."""
    shown = columns(simulation)
    cells = [[column.title for column in shown], *_cells(simulation, shown)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(shown))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    head = f"{forecast_title(simulation)}: {about(simulation)}"
    return [head, *setting(simulation), "", *table, "", *_legend(shown), "", *advise_on_sizes(simulation)]


@dataclass(frozen=True, slots=True)
class ForecastTable:
    """A rich renderable of the same, without the columns for which there is no room."""

    simulation: Simulation

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """All of it, from the title on."""
        shown = _fitting(self.simulation, options.max_width)
        yield Text.assemble((forecast_title(self.simulation), "bold"), f": {about(self.simulation)}")
        yield from map(Text, setting(self.simulation))
        yield _table(self.simulation, shown)
        yield from (Text(line, style="dim") for line in _legend(shown))
        yield Text()
        first, *rest = advise_on_sizes(self.simulation)
        yield Text(first, style="bold")
        yield from map(Text, rest)


def _cells(simulation: Simulation, shown: Sequence[ForecastColumn]) -> list[list[str]]:
    return [[column.cell(one, simulation) for column in shown] for one in simulation.forecasts]


def _legend(shown: Sequence[ForecastColumn]) -> list[str]:
    known = forecast_legend(shown)
    width = max(len(name) for name, _ in known)
    return [f"{name.ljust(width)}  {means}" for name, means in known]


def _fitting(simulation: Simulation, width: int) -> list[ForecastColumn]:
    """The columns that fit, each word of a title on a line of its own; the first two stay in any case."""
    shown = columns(simulation)
    while sum(_least(column, simulation) + GAP for column in shown) > width and len(shown) > 2:
        shown.remove(max(shown, key=lambda column: column.rank))
    return shown


def _least(column: ForecastColumn, simulation: Simulation) -> int:
    return max(map(len, (*column.title.split(), *(column.cell(one, simulation) for one in simulation.forecasts))))


def _table(simulation: Simulation, shown: Sequence[ForecastColumn]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="dim")
    for column in shown:
        justify: JustifyMethod = "left" if column.title == "design" else "right"
        table.add_column(column.title.replace(" ", "\n"), justify=justify, no_wrap=True, vertical="bottom")
    for one, row in zip(simulation.forecasts, _cells(simulation, shown), strict=True):
        table.add_row(*map(Text, row), style="" if one.plan.rule is None else "bold")
    return table
