"""The final table for a terminal, and the same as plain lines where the output is none.

Names, reasons and notes come from strangers: they enter as cleaned `Text`, in which markup means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from taskcal.core.verdict import Strength, Verdict
from taskcal.report.columns import LEAST_NAME, UNBOUNDED, fitting
from taskcal.report.methods import methods
from taskcal.report.wording import explain, formatting, ordering
from taskcal.report.wording.caveats import NAME_LENGTH
from taskcal.report.wording.claims import claim
from taskcal.report.wording.sanitize import plain
from taskcal.report.wording.sentences import SENTENCE, about_all, headline, run_ending

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.calibration.run_result import RunResult
    from taskcal.core.run import RunRecord
    from taskcal.core.settings import CalibrationSettings
    from taskcal.report.columns import TableColumn

ROWS = 50
DETAILS = 20

STYLES = MappingProxyType(
    {
        Verdict.BROKEN: "bold magenta",
        Verdict.TOO_HARD: "red",
        Verdict.TOO_EASY: "yellow",
        Verdict.UNMEASURED: "cyan",
        Verdict.IN_BAND: "green",
    }
)


def final_table(result: RunResult, *, with_methods: bool = False) -> FinalTable:
    """What a person sees at the end of a run, and the Methods; it fits itself to the width that it is printed at."""
    return FinalTable(result, with_methods)


def final_lines(result: RunResult, *, with_methods: bool = False) -> list[str]:
    """The same as lines without colour or wrapping, for logs and pipes."""
    tasks, left = _first(ordering.by_task(result.calibrations), ROWS)
    shown = [row for rows in tasks for row in rows]
    columns = fitting(shown, [], UNBOUNDED, result.settings)
    head = ["task", *(column.title for column in columns)]
    cells = [[plain(str(row.group.id)), *(column.cell(row) for column in columns)] for row in shown]
    widths = [max(len(line[place]) for line in [head, *cells]) for place in range(len(head))]
    table = [_padded(line, widths) for line in [head, *cells]]
    lines = [run_title(result.record), "", *table, *_more(left), rates_legend(result.record), ""]
    lines += [line for detail in _details(result) for line in _detail_lines(detail)]
    lines += [*_unsaid(result), *about_all(result), *_notes(result.record)]
    return [*lines, "", f"Methods: {methods(result)}"] if with_methods else lines


def run_title(run: RunRecord) -> str:
    """What was measured with which agent, in a line."""
    parts = (
        f"{run.taskset} with agent {formatting.agent(run)}",
        _size(run),
        *([f"seed {run.seed}"] if run.provenance.is_repeatable else []),
        f"run {run.id}",
    )
    return plain(", ".join(parts))


def _size(run: RunRecord) -> str:
    adaptive = run.settings.adaptive
    return f"at most {run.settings.design.limit} rollouts of each" if adaptive else f"groups of {run.group_size}"


def rates_legend(run: RunRecord) -> str:
    """How to read the rates, in a line."""
    if run.settings.adaptive:
        return "passed: of the rollouts that the verdict rests on; success rate: posterior mean [95 % interval]"
    return "success rate: passed / n [Wilson's 95 % interval]"


@dataclass(frozen=True, slots=True)
class FinalTable:
    """A rich renderable: the table, the flagged tasks with why and what to try, and the sentences about the whole."""

    result: RunResult
    with_methods: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Choose the columns by the width at hand."""
        yield Text(run_title(self.result.record), style="bold")
        tasks, left = _first(ordering.by_task(self.result.calibrations), ROWS)
        yield _table(tasks, options.max_width, self.result.settings)
        yield from (Text(line, style="dim") for line in [*_more(left), rates_legend(self.result.record), ""])
        yield from _looked_into(self.result)
        for line in about_all(self.result):
            yield Text(line, style="bold" if line == headline(self.result) else "")
        yield from map(Text, _notes(self.result.record))
        if self.with_methods:
            yield Text(f"\nMethods: {methods(self.result)}")


def _names(tasks: Sequence[Sequence[Calibration]]) -> Iterator[str]:
    """What stands in the first column, for each group: its variant alone where a line with the task is above it."""
    for rows in tasks:
        for row in rows:
            yield f"  {plain(row.group.id.variant)}" if len(rows) > 1 else plain(str(row.group.id))


def _table(tasks: Sequence[Sequence[Calibration]], width: int, settings: CalibrationSettings) -> Table:
    names = list(_names(tasks))
    columns = fitting([row for rows in tasks for row in rows], names, width, settings)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="dim")
    table.add_column("task", overflow="fold", min_width=LEAST_NAME)
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", width=column.widest)
    left = iter(names)
    for rows in tasks:
        if len(rows) > 1:
            table.add_row(Text(plain(rows[0].group.id.task)))
        for row in rows:
            table.add_row(Text(next(left)), *(_cell(column, row) for column in columns))
    return table


def _cell(column: TableColumn, row: Calibration) -> Text:
    text = Text(column.cell(row))
    if column.title == "verdict":
        text.stylize(STYLES[row.judgement.verdict])
        if row.judgement.strength is Strength.LEANING:
            text.stylize("dim", len(row.judgement.verdict.value))
    if row.counts.lost and column.title in {"n", "passed"}:
        text.stylize("magenta", text.plain.rindex(" +"))
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


def _more(left: int, what: str = "") -> list[str]:
    return [f"… and {formatting.many(left, 'more row')}{what} in report.md"] if left else []


@dataclass(frozen=True, slots=True)
class Detail:
    """What is said of one group that needs a look."""

    row: Calibration
    settings: CalibrationSettings
    tasks: int

    @property
    def name(self) -> str:
        """The group's name."""
        return plain(str(self.row.group.id))

    @property
    def judged(self) -> str:
        """The verdict, its strength and its probability."""
        verdict = formatting.full_verdict(self.row)
        return f"{verdict} ({formatting.sure(self.row)})" if self.row.judgement.posterior else verdict

    def parts(self) -> Iterator[tuple[str, str]]:
        """Labels with what belongs to them."""
        yield "why", plain(explain.why(self.row, self.settings), SENTENCE)
        yield "try", plain(explain.advise(self.row, self.settings), SENTENCE)
        yield "claim", claim(self.row, self.settings, self.tasks)
        if self.row.judgement.verdict.flagged and self.row.counts.graded:
            checks = (f"{plain(c.name, NAME_LENGTH)} {formatting.decimal(c.mean_score)}" for c in self.row.checks)
            yield "checks", ", ".join(checks)
        if self.row.counts.lost:
            yield "lost", f"{self.row.counts.lost} ({formatting.list_counts(self.row.counts.lost_by)})"


def _details(result: RunResult) -> list[Detail]:
    tasks = result.measured
    return [Detail(row, result.settings, tasks) for row in ordering.needing_a_look(result)[:DETAILS]]


def _detail_lines(detail: Detail) -> list[str]:
    head = f"{detail.name}: {detail.judged}"
    return [head, *(f"  {label}: {text}" for label, text in detail.parts() if text), ""]


def _looked_into(result: RunResult) -> Iterator[RenderableType]:
    for detail in _details(result):
        yield Text.assemble((detail.name, "bold"), "  ", (detail.judged, STYLES[detail.row.judgement.verdict]))
        grid = Table.grid(padding=(0, 1))
        for label, text in detail.parts():
            if text:
                grid.add_row(Text(label, style="dim"), Text(text))
        yield Padding(grid, (0, 0, 1, 2))
    yield from (Text(line, style="dim") for line in _unsaid(result))


def _unsaid(result: RunResult) -> list[str]:
    left = len(ordering.needing_a_look(result)) - DETAILS
    return _more(max(0, left), " to look at")


def _notes(run: RunRecord) -> list[str]:
    lines = [run_ending(run), *(f"Note: {plain(text, SENTENCE)}" for text in run.notes)]
    return [line for line in lines if line]


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
