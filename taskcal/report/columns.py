"""The columns of the table: what they show, and which of them fit a width."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.cells import cell_len

from taskcal.core.settings import Metric
from taskcal.report.wording import formatting
from taskcal.report.wording.caveats import NAME_LENGTH, full_note
from taskcal.report.wording.sanitize import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.settings import CalibrationSettings

LEAST_NAME = 12
FIRST_RANKS = 2
GAP = 2
UNBOUNDED = 10**6
COUNTS, NOTE, WORD = 12, 19, 9
"""Cells of counts and of a note: as many as one takes that says a single thing; and the longest word of a note."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of the table. Where room is short, those of the highest rank go first.

    Cells are folded where they are wider than `widest`, and down to `least` before the column is dropped. One that is
    `rare` is left out where none of its cells says anything.
    """

    title: str
    cell: Callable[[Calibration], str]
    rank: int
    right: bool = True
    widest: int = UNBOUNDED
    least: int = UNBOUNDED
    rare: bool = False


def columns_for(settings: CalibrationSettings) -> tuple[TableColumn, ...]:
    """All that could be shown: the rates that may be read after this design, and first what the band is about."""
    adaptive = settings.adaptive
    of_reward = settings.metric is Metric.REWARD
    return (
        TableColumn("passed", formatting.fraction, 2, widest=COUNTS)
        if adaptive
        else TableColumn("n", formatting.sample, 2),
        TableColumn("success rate", formatting.posterior_rate if adaptive else formatting.rate, 5 if of_reward else 1),
        TableColumn("reward", lambda c: formatting.decimal(c.rates.mean_reward), 1 if of_reward else 5),
        TableColumn("contrast", lambda c: formatting.decimal(c.learning.contrast, 3), 6),
        TableColumn("signal", lambda c: formatting.percent(c.learning.signal), 4),
        TableColumn("G 90%", formatting.recommended, 11),
        TableColumn("verdict", formatting.verdict, 0, right=False),
        TableColumn("sure", formatting.sure, 7),
        TableColumn("note", lambda c: full_note(c, settings), 3, right=False, widest=NOTE, least=WORD, rare=True),
        TableColumn("time", lambda c: formatting.format_duration(c.cost.seconds), 8),
        TableColumn("cost", lambda c: formatting.money(c.cost.usd), 10, rare=True),
        TableColumn("lowest check", lowest, 12, right=False),
    )


def fitting(
    rows: Sequence[Calibration], names: Sequence[str], width: int, settings: CalibrationSettings
) -> list[TableColumn]:
    """Those that say something (no cost where no agent reports one) and fit, by rank; `widest` is what each is given.

    The names keep a quarter of the width if they need it; before the first columns are dropped, names are folded.
    """
    telling = [column for column in columns_for(settings) if not column.rare or _says_something(column, rows)]
    name = max(LEAST_NAME, min(max(map(cell_len, names), default=0), width // 4))
    room, given = width - GAP - name, {}
    for column in sorted(telling, key=lambda column: column.rank):
        needed = min(column.widest, max(cell_len(text) for text in (column.title, *map(column.cell, rows))))
        spare = room - GAP + (name - LEAST_NAME if column.rank <= FIRST_RANKS else 0)
        if spare < min(needed, column.least):
            break
        given[column.title] = min(needed, spare)
        room -= GAP + given[column.title]
    return [replace(column, widest=given[column.title]) for column in telling if column.title in given]


def _says_something(column: TableColumn, rows: Sequence[Calibration]) -> bool:
    return any(column.cell(row) not in {"", formatting.DASH} for row in rows)


def lowest(calibration: Calibration) -> str:
    """The check that scores least, with its mean score."""
    scored = [(check.mean_score, check.name) for check in calibration.checks if check.mean_score is not None]
    if not scored:
        return formatting.DASH
    score, name = min(scored)
    return f"{score:.2f} {plain(name, NAME_LENGTH)}"
