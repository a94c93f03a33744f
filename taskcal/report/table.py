"""The final table for a terminal, and the same as plain lines where the output is none.

Names, reasons and notes come from strangers: they enter as cleaned `Text`, in which markup means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from taskcal.core.summary import summarise
from taskcal.core.verdict import Strength, Verdict
from taskcal.report import explain, figures, order
from taskcal.report.clean import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from taskcal.core.calibrate import Calibration
    from taskcal.core.run import RunRecord

ROWS = 50
DETAILS = 20
SENTENCE = 600
LEAST_NAME = 12
FIRST_RANKS = 2
GAP = 2
UNBOUNDED = 10**6

STYLES = MappingProxyType(
    {
        Verdict.BROKEN: "bold magenta",
        Verdict.TOO_HARD: "red",
        Verdict.TOO_EASY: "yellow",
        Verdict.UNMEASURED: "cyan",
        Verdict.IN_BAND: "green",
    }
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table. Where room is short, those of the highest rank go first."""

    title: str
    cell: Callable[[Calibration], str]
    rank: int
    right: bool = True


def final_table(run: RunRecord, calibrations: Sequence[Calibration]) -> FinalTable:
    """What a person sees at the end of a run; it fits itself to the width that it is printed at."""
    return FinalTable(run, tuple(calibrations))


def final_lines(run: RunRecord, calibrations: Sequence[Calibration]) -> list[str]:
    """The same as lines without colour or wrapping, for logs and pipes."""
    tasks, left = _first(order.by_task(calibrations), ROWS)
    shown = [row for rows in tasks for row in rows]
    columns = _columns(shown, [], UNBOUNDED)
    head = ["task", *(column.title for column in columns)]
    cells = [[plain(str(row.group.id)), *(column.cell(row) for column in columns)] for row in shown]
    widths = [max(len(line[place]) for line in [head, *cells]) for place in range(len(head))]
    lines = [title(run), "", *(_padded(line, widths) for line in [head, *cells]), *_more(left, "row"), ""]
    lines += [line for detail in _details(calibrations) for line in _detail_lines(detail)]
    return [*lines, *_unsaid(calibrations), *closing(run, calibrations)]


def title(run: RunRecord) -> str:
    """What was measured with which agent, in a line."""
    parts = (
        f"{run.taskset} with agent {run.agent}",
        f"groups of {run.group_size}",
        f"seed {run.seed}",
        f"run {run.id}",
    )
    return plain(", ".join(parts))


def closing(run: RunRecord, calibrations: Sequence[Calibration]) -> list[str]:
    """The sentences under the table: counts, headline, losses, notes."""
    summary = summarise(calibrations, run.question)
    lines = [explain.counts(calibrations, summary), explain.headline(summary, run), explain.losses(calibrations)]
    if run.interrupted:
        lines.append("The run was interrupted: these are the rollouts until then.")
    return [*(line for line in lines if line), *(f"Note: {plain(note, SENTENCE)}" for note in run.notes)]


@dataclass(frozen=True, slots=True)
class FinalTable:
    """A rich renderable: the table, the flagged tasks with why and what to try, and the sentences about the whole."""

    run: RunRecord
    calibrations: tuple[Calibration, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Choose the columns by the width at hand."""
        yield Text(title(self.run), style="bold")
        tasks, left = _first(order.by_task(self.calibrations), ROWS)
        yield _table(tasks, options.max_width)
        yield from (Text(line, style="dim") for line in _more(left, "row"))
        yield from _flagged(self.calibrations)
        headline = explain.headline(summarise(self.calibrations, self.run.question), self.run)
        for line in closing(self.run, self.calibrations):
            yield Text(line, style="bold" if line == headline else "")


def lowest(calibration: Calibration) -> str:
    """The check that scores least, with its mean score."""
    scored = [(check.mean_score, check.name) for check in calibration.checks if check.mean_score is not None]
    if not scored:
        return figures.DASH
    score, name = min(scored)
    return f"{score:.2f} {plain(name, explain.NAME_LENGTH)}"


COLUMNS = (
    Column("n", figures.sample, 2),
    Column("success rate", figures.rate, 1),
    Column("reward", lambda c: figures.decimal(c.mean_reward), 4),
    Column("contrast", lambda c: figures.decimal(c.contrast, 3), 5),
    Column("signal", lambda c: figures.percent(c.signal), 3),
    Column("verdict", figures.verdict, 0, right=False),
    Column("sure", figures.sure, 6),
    Column("time", lambda c: figures.duration(c.seconds), 7),
    Column("cost", lambda c: figures.money(c.cost_usd), 8),
    Column("lowest check", lowest, 9, right=False),
)


def _columns(rows: Sequence[Calibration], names: Sequence[str], width: int) -> list[Column]:
    """Those that say something (no cost where no agent reports one) and fit, by rank.

    The names keep a quarter of the width if they need it; before the first columns are dropped, names are folded.
    """
    paid = any(row.cost_usd is not None for row in rows)
    name = min(max(map(cell_len, names), default=0), max(LEAST_NAME, width // 4))
    room, kept = width - GAP - name, []
    for column in sorted((c for c in COLUMNS if paid or c.title != "cost"), key=lambda column: column.rank):
        room -= GAP + max(cell_len(text) for text in (column.title, *map(column.cell, rows)))
        if room + (name - LEAST_NAME if column.rank <= FIRST_RANKS else 0) < 0:
            break
        kept.append(column)
    return [column for column in COLUMNS if column in kept]


def _names(tasks: Sequence[Sequence[Calibration]]) -> Iterator[str]:
    """What stands in the first column, for each group: its variant alone where a line with the task is above it."""
    for rows in tasks:
        for row in rows:
            yield f"  {plain(row.group.id.variant)}" if len(rows) > 1 else plain(str(row.group.id))


def _table(tasks: Sequence[Sequence[Calibration]], width: int) -> Table:
    names = list(_names(tasks))
    columns = _columns([row for rows in tasks for row in rows], names, width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="dim")
    table.add_column("task", overflow="fold", min_width=LEAST_NAME)
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", no_wrap=True)
    left = iter(names)
    for rows in tasks:
        if len(rows) > 1:
            table.add_row(Text(plain(rows[0].group.id.task)))
        for row in rows:
            table.add_row(Text(next(left)), *(_cell(column, row) for column in columns))
    return table


def _cell(column: Column, row: Calibration) -> Text:
    text = Text(column.cell(row))
    if column.title == "verdict":
        text.stylize(STYLES[row.verdict])
        if row.strength is Strength.LEANING:
            text.stylize("dim", len(row.verdict.value))
    if column.title == "n" and row.lost:
        text.stylize("magenta", len(str(row.n)))
    return text


def _first(tasks: Sequence[tuple[Calibration, ...]], limit: int) -> tuple[list[tuple[Calibration, ...]], int]:
    """The tasks up to `limit` rows, and the number of rows that are left out."""
    kept: list[tuple[Calibration, ...]] = []
    room = limit
    for rows in tasks:
        if room <= 0:
            break
        kept.append(rows[:room])
        room -= len(rows)
    return kept, sum(map(len, tasks)) - sum(map(len, kept))


def _more(left: int, noun: str) -> list[str]:
    return [f"… and {figures.many(left, f'more {noun}')} in report.md"] if left else []


@dataclass(frozen=True, slots=True)
class Detail:
    """What is said of one flagged or unmeasured group, or of `left` more that are not shown."""

    row: Calibration

    @property
    def name(self) -> str:
        """The group's name."""
        return plain(str(self.row.group.id))

    @property
    def judged(self) -> str:
        """The verdict, its strength and its probability."""
        told = figures.verdict(self.row)
        return f"{told} ({figures.sure(self.row)})" if self.row.posterior else told

    def parts(self) -> Iterator[tuple[str, str]]:
        """Labels with what belongs to them."""
        yield "why", plain(explain.why(self.row), SENTENCE)
        yield "try", plain(explain.advice(self.row), SENTENCE)
        if self.row.n:
            checks = (f"{plain(c.name, explain.NAME_LENGTH)} {figures.decimal(c.mean_score)}" for c in self.row.checks)
            yield "checks", ", ".join(checks)
        if self.row.lost:
            yield "lost", f"{self.row.lost} ({figures.tally(self.row.lost_by)})"


def _details(calibrations: Sequence[Calibration]) -> list[Detail]:
    return [Detail(row) for row in order.troubled(calibrations)[:DETAILS]]


def _detail_lines(detail: Detail) -> list[str]:
    head = f"{detail.name}: {detail.judged}"
    return [head, *(f"  {label}: {text}" for label, text in detail.parts() if text), ""]


def _flagged(calibrations: Sequence[Calibration]) -> Iterator[RenderableType]:
    for detail in _details(calibrations):
        yield Text.assemble((detail.name, "bold"), "  ", (detail.judged, STYLES[detail.row.verdict]))
        grid = Table.grid(padding=(0, 1))
        for label, text in detail.parts():
            grid.add_row(Text(label, style="dim"), Text(text))
        yield Padding(grid, (0, 0, 1, 2))
    yield from (Text(line, style="dim") for line in _unsaid(calibrations))


def _unsaid(calibrations: Sequence[Calibration]) -> list[str]:
    left = len(order.troubled(calibrations)) - DETAILS
    return _more(max(0, left), "flagged or unmeasured row")


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
