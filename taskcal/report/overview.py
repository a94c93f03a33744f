"""What a command prints at the end of a run: the tasks by what to do with them, then the answer in a few lines.

A terminal shows its last lines, so the answer comes last. Statistics are in `calibration.json`, in report.md and behind
`--verbose`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from taskcal.core.settings import Metric
from taskcal.core.verdict import Strength, Verdict
from taskcal.report.columns import GAP, TableColumn, lowest
from taskcal.report.wording import formatting
from taskcal.report.wording.actions import NOOP, ORACLE, OverviewRow, RowChoice, TaskAction, fold, group_by_action
from taskcal.report.wording.caveats import list_caveats
from taskcal.report.wording.explain import unmet_checks
from taskcal.report.wording.next_step import next_step
from taskcal.report.wording.sanitize import plain, reason
from taskcal.report.wording.sentences import SENTENCE, run_ending

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.calibration.run_result import RunResult
    from taskcal.core.calibration.summary import Summary
    from taskcal.core.run import RunRecord

ROWS, WIDE = 50, 100
PLAYER_COLUMNS = frozenset({"passed", "reward", "lowest check"})
"""The columns of a run of the oracle or of noop, whose rates say nothing about difficulty."""
LEAST_NAME = 24
REASON, REMARKS = 300, 10
"""Characters of a remark below the table, and how many remarks of one action are printed."""

STYLES = MappingProxyType(
    {
        TaskAction.FIX: "bold magenta",
        TaskAction.KEEP: "bold green",
        TaskAction.MEASURE_MORE: "bold",
        TaskAction.MAKE_EASIER: "bold red",
        TaskAction.MAKE_HARDER: "bold yellow",
        TaskAction.UNMEASURED: "bold cyan",
        TaskAction.SOLVED: "bold green",
        TaskAction.UNEARNED: "bold green",
    }
)


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of one action; `left_out` counts the tasks without one. The unmeasured have reasons, and no row."""

    action: TaskAction
    calibrations: tuple[Calibration, ...]
    rows: tuple[OverviewRow, ...]
    left_out: int

    @property
    def heading(self) -> str:
        """`KEEP (6)`."""
        return f"{self.action} ({len(self.calibrations):,})"

    @property
    def ellipsis(self) -> str:
        """`… 334 more (--all)`."""
        return f"… {self.left_out:,} more (--all)"


@dataclass(frozen=True)
class Overview:
    """A rich renderable; `lines` gives the same without colour, for logs and pipes.

    `folder` is the run's, '' if it has none. `is_stored` is false if report.md holds another result, judged by another
    band. `with_resume` is false if the command itself prints how to resume a run that is not whole.
    """

    result: RunResult
    folder: str = ""
    is_stored: bool = True
    choice: RowChoice = field(default_factory=RowChoice)
    with_resume: bool = True

    @property
    def run(self) -> RunRecord:
        """What was asked."""
        return self.result.record

    @property
    def calibrations(self) -> tuple[Calibration, ...]:
        """One for each group, in the order of the taskset."""
        return self.result.calibrations

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Choose the columns by the width at hand."""
        blocks = self.blocks()
        short = options.max_width < WIDE
        columns, gap = _fitting(self._columns(short=short), blocks, options.max_width)
        table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="dim", padding=(0, 0, 0, gap))
        table.add_column("task", overflow="fold", min_width=LEAST_NAME)
        for column in columns:
            table.add_column(column.title, justify="right" if column.right else "left", no_wrap=column.right)
        yield table_with_rows(table, blocks, columns)
        for block in blocks:
            if not block.rows:
                yield Text(block.heading, style=STYLES[block.action])
            yield from (Text(line, style="dim") for line in self._remarks(block))
        yield Text("")
        kept = {column.title for column in columns}
        left_out = [column.title for column in self._columns() if column.title not in kept]
        yield from map(Text, self.answer(left_out, short=short))

    def lines(self) -> list[str]:
        """Every row and the answer, without colour or wrapping."""
        blocks, columns = self.blocks(), self._columns()
        shown = [row for block in blocks for row in block.rows]
        head = ["task", *(column.title for column in columns)]
        cells = [[plain(row.name), *(column.cell(row.calibration) for column in columns)] for row in shown]
        widths = [max(len(line[place]) for line in [head, *cells]) for place in range(len(head))]
        text, left = [_padded(head, widths, columns)], iter(cells)
        for block in blocks:
            text += [block.heading, *(_padded(next(left), widths, columns) for _ in block.rows)]
            text += [block.ellipsis] if block.left_out else []
            text += self._remarks(block)
        return [*text, "", *self.answer()]

    def blocks(self) -> list[Block]:
        """The rows by action; each action gets a fair share of `ROWS` rows unless all are asked for."""
        chosen = [(action, rows) for action, every in self._actions.items() if (rows := self.choice.choose(every))]
        folded = [[] if action is TaskAction.UNMEASURED else fold(rows) for action, rows in chosen]
        sizes = [len(rows) for rows in folded]
        shares = sizes if self.choice.show_all else share_rows(sizes, ROWS)
        return [
            Block(action, tuple(calibrations), tuple(rows[:share]), sum(len(row.calibrations) for row in rows[share:]))
            for (action, calibrations), rows, share in zip(chosen, folded, shares, strict=True)
        ]

    @cached_property
    def _actions(self) -> Mapping[TaskAction, tuple[Calibration, ...]]:
        return dict(group_by_action(self.calibrations, self.run.settings, self._player))

    @property
    def _player(self) -> str:
        """The built-in agent whose results are read in another way, '' for any other."""
        return self.run.agent if self.run.agent_source in {ORACLE, NOOP} else ""

    def _columns(self, *, short: bool = False) -> list[TableColumn]:
        adaptive = self.run.settings.adaptive
        columns = [
            TableColumn("passed", _passed, 1),
            TableColumn("rate", lambda c: _percent(c.rates.posterior_mean if adaptive else c.rates.success_rate), 3),
            TableColumn("95%", _interval, 4),
            TableColumn("contrast", lambda c: formatting.decimal(c.learning.contrast, 3), 2),
            TableColumn("reward", lambda c: formatting.decimal(c.rates.mean_reward), 5),
            TableColumn("signal", lambda c: _percent(c.learning.signal), 6),
            TableColumn("lowest check", lowest, 7, right=False),
            TableColumn("verdict", _short_verdict if short else _verdict, 0, right=False),
        ]
        if self._player:
            return [column for column in columns if column.title in PLAYER_COLUMNS]
        if self.run.settings.metric is Metric.SUCCESS:
            return columns
        passed, rate, interval, contrast, reward, *others = columns
        return [passed, replace(reward, rank=rate.rank), rate, interval, contrast, *others]

    def _remarks(self, block: Block) -> list[str]:
        """What the numbers do not show: reasons, unmet checks and caveats, each text once with its tasks."""
        names: dict[str, list[str]] = {}
        for calibration in block.calibrations:
            for text in self._remarks_on(calibration, block.action):
                names.setdefault(plain(text, REASON), []).append(plain(str(calibration.group.id)))
        lines = [f"  {first}{_others(others)}: {text}" for text, (first, *others) in names.items()]
        return (
            lines
            if len(lines) <= REMARKS
            else [*lines[:REMARKS], f"  … and {len(lines) - REMARKS:,} more in report.md"]
        )

    def _remarks_on(self, calibration: Calibration, action: TaskAction) -> list[str]:
        settings = self.run.settings
        unmet = unmet_checks(calibration) if action in {TaskAction.FIX, TaskAction.MAKE_EASIER} else ""
        parts = (reason(calibration.judgement.reason), unmet, *list_caveats(calibration, settings))
        return [part for part in parts if part]

    def answer(self, left_out: Sequence[str] = (), *, short: bool = False) -> list[str]:
        """The lines below the table; `left_out` names the columns that found no room."""
        summary = self.result.summary
        lines = [run_ending(self.run), *(f"Note: {plain(text, SENTENCE)}" for text in self.run.notes)]
        lines += [_spent(summary, self.run), self._rates(summary), self._flat(summary)]
        if short and not self._player and any(map(_is_partial, self.calibrations)):
            lines.append('"*": partial credit varies, so training on the reward has a signal.')
        if left_out:
            lines.append(f"Not shown, for lack of width: {', '.join(left_out)}.")
        lines += [self._conclusion(), self._next()]
        return [line for line in lines if line]

    def _rates(self, summary: Summary) -> str:
        if summary.of_these is None:
            return "Nothing was measured: no rollout was graded."
        if self._player:
            return ""
        average = f"Average success rate {_percent(summary.of_these.mean)} (band {_band(self.run)})."
        if self.run.settings.metric is Metric.REWARD and summary.reward_of_these:
            average = f"Average reward {summary.reward_of_these.mean:.2f} (band {_band(self.run)})."
        doubtful = any(c.judgement.strength is Strength.LEANING for c in self.calibrations)
        sure = 100 * (1 - self.run.settings.error_rate)
        return f'{average} "?": less than {sure:g}% sure.' if doubtful else average

    def _flat(self, summary: Summary) -> str:
        if summary.flat_share is None or self._player:
            return ""
        flat = f"Of 100 groups of {self.run.group_size}, about {round(100 * summary.flat_share)} lack contrast"
        if not summary.selected or not 0 < summary.verdicts.get(Verdict.IN_BAND, 0) < summary.tasks:
            return f"{flat}."
        return f"{flat}; with the in-band ones alone, about {round(100 * (1 - summary.selected.ratio))}."

    def _conclusion(self) -> str:
        sizes = {action: len(rows) for action, rows in self._actions.items()}
        words = (
            (TaskAction.FIX, "to fix"),
            (TaskAction.KEEP, "to train on"),
            (TaskAction.MEASURE_MORE, "undecided"),
            (TaskAction.MAKE_EASIER, "too hard"),
            (TaskAction.MAKE_HARDER, "too easy"),
            (TaskAction.UNMEASURED, "unmeasured"),
            (TaskAction.SOLVED, "solved"),
            (TaskAction.UNEARNED, "earn nothing without an agent"),
        )
        counted = [f"{sizes[action]:,} {text}" for action, text in words if action in sizes]
        extent = formatting.extent(calibration.group.id for calibration in self.calibrations)
        report = f"Report: {PurePath(self.folder, 'report.md')}" if self.folder and self.is_stored else ""
        return f"{extent}: {', '.join(counted)}. {report}".rstrip() if counted else report

    def _next(self) -> str:
        if self.result.is_incomplete and not self.with_resume:
            return ""
        step = next_step(self.result, self._actions, self.folder or self.run.id)
        return f"Next: {step}" if step else ""


def share_rows(sizes: Sequence[int], room: int) -> list[int]:
    """How many rows each block shows if `room` rows are shown in all: small blocks whole, the others equally many."""
    shares, waiting = [0] * len(sizes), len(sizes)
    for place in sorted(range(len(sizes)), key=lambda place: sizes[place]):
        shares[place] = min(sizes[place], room // waiting)
        room, waiting = room - shares[place], waiting - 1
    return shares


def table_with_rows(table: Table, blocks: Sequence[Block], columns: Sequence[TableColumn]) -> Table:
    """The table with its headings and rows; what has no rows is printed below it."""
    for block in (block for block in blocks if block.rows):
        table.add_row(Text(block.heading, style=STYLES[block.action]))
        for row in block.rows:
            table.add_row(Text(plain(row.name)), *(Text(column.cell(row.calibration)) for column in columns))
        if block.left_out:
            table.add_row(Text(block.ellipsis, style="dim"))
    return table


def _fitting(columns: list[TableColumn], blocks: Sequence[Block], width: int) -> tuple[list[TableColumn], int]:
    """The columns that fit, by rank, and the cells between two of them: narrow if that saves a name from folding."""
    rows = [row for block in blocks for row in block.rows]
    texts = (*(plain(row.name) for row in rows), *(block.heading for block in blocks))
    longest = max(map(cell_len, texts), default=0)
    least = max(LEAST_NAME, min(longest, width * 2 // 5))
    room = width - least
    kept: list[TableColumn] = []
    for column in sorted(columns, key=lambda column: column.rank):
        needed = GAP + max(cell_len(text) for text in (column.title, *(column.cell(row.calibration) for row in rows)))
        if needed > room:
            break
        kept.append(column)
        room -= needed
    is_wide = longest <= least + room
    return [column for column in columns if column in kept], GAP if is_wide else 1


def _others(names: Sequence[str]) -> str:
    return f" and {len(names):,} more" if names else ""


def _passed(calibration: Calibration) -> str:
    return formatting.fraction(calibration) if calibration.counts.graded else formatting.DASH


def _percent(value: float | None) -> str:
    return formatting.percent(value).replace(" ", "")


def _interval(calibration: Calibration) -> str:
    if calibration.rates.interval is None:
        return formatting.DASH
    return formatting.bounds(calibration.rates.interval).strip("[]").replace(formatting.DASH, "-")


def _verdict(calibration: Calibration) -> str:
    varies = " (partial credit varies)" if _is_partial(calibration) else ""
    return f"{_marked(calibration)}{varies}"


def _short_verdict(calibration: Calibration) -> str:
    return f"{_marked(calibration)}{'*' if _is_partial(calibration) else ''}"


def _marked(calibration: Calibration) -> str:
    return f"{calibration.judgement.verdict}{'?' if calibration.judgement.strength is Strength.LEANING else ''}"


def _is_partial(calibration: Calibration) -> bool:
    return calibration.judgement.verdict is Verdict.TOO_HARD and calibration.partial_signal


def _band(run: RunRecord) -> str:
    band = run.settings.band
    if run.settings.metric is Metric.REWARD:
        return f"{band.low:g}-{band.high:g}"
    return f"{100 * band.low:g}-{100 * band.high:g}%"


def _spent(summary: Summary, run: RunRecord) -> str:
    if not summary.attempted:
        return ""
    parts = [f"{formatting.many(summary.graded, 'rollout')} graded", f"{summary.lost:,} lost"]
    if summary.lost:
        parts[-1] += f" ({formatting.list_counts(summary.lost_by)}; in no rate)"
    if summary.cost_usd is not None:
        parts.append(f"{'at least ' if summary.cost_unknown else ''}{formatting.money(summary.cost_usd)}")
    if run.seconds is not None and run.provenance.is_repeatable:
        parts.append(formatting.format_duration(run.seconds))
    return f"{', '.join(parts)}."


def _padded(cells: Sequence[str], widths: Sequence[int], columns: Sequence[TableColumn]) -> str:
    right = chain([False], (column.right for column in columns))
    pairs: Iterator[tuple[str, int, bool]] = zip(cells, widths, right, strict=True)
    return "  ".join(cell.rjust(width) if is_right else cell.ljust(width) for cell, width, is_right in pairs).rstrip()
