"""The forecasts as a table for a terminal, and the same as plain lines where the output is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from taskcal.report.simulate_words import about, advice, columns, legend, setting, title

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from taskcal.core.choice import Simulation


def lines(simulation: Simulation) -> list[str]:
    """Without colour or wrapping, for logs and pipes."""
    shown = columns(simulation)
    rows = [[column.cell(one, simulation) for column in shown] for one in simulation.forecasts]
    cells = [[column.title for column in shown], *rows]
    widths = [max(len(row[place]) for row in cells) for place in range(len(shown))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return [
        f"{title(simulation)}: {about(simulation)}",
        *setting(simulation),
        "",
        *table,
        "",
        *_legend(simulation),
        "",
        *advice(simulation),
    ]


def _legend(simulation: Simulation) -> list[str]:
    known = legend(simulation)
    width = max(len(name) for name, _ in known)
    return [f"{name.ljust(width)}  {means}" for name, means in known]


@dataclass(frozen=True, slots=True)
class ForecastTable:
    """A rich renderable of the same."""

    simulation: Simulation

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """All of it, from the title on."""
        yield Text.assemble((title(self.simulation), "bold"), f": {about(self.simulation)}")
        yield from map(Text, setting(self.simulation))
        yield _table(self.simulation)
        yield from (Text(line, style="dim") for line in _legend(self.simulation))
        yield Text()
        first, *rest = advice(self.simulation)
        yield Text(first, style="bold")
        yield from map(Text, rest)


def _table(simulation: Simulation) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="dim")
    shown = columns(simulation)
    for column in shown:
        table.add_column(column.title, justify="left" if column.title == "design" else "right", overflow="fold")
    for one in simulation.forecasts:
        style = "" if one.plan.rule is None else "bold"
        table.add_row(*(Text(column.cell(one, simulation)) for column in shown), style=style)
    return table
