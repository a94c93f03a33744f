"""What `taskcal simulate` is told of a taskset's success rates: a preset's name, a formula, a file or a run."""

from __future__ import annotations

import difflib
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.core.adaptive.launches import final_rollouts
from taskcal.core.forecast.population import (
    PRESETS,
    Part,
    Population,
    from_grid,
    from_parts,
    from_rates,
    parse_population,
)
from taskcal.core.rollout import Graded
from taskcal.core.stats.certificate import Zone
from taskcal.core.stats.prior import STRENGTH, Counts, as_grid, fit_prior
from taskcal.core.stats.rates import DEFAULT_PRIOR, mean
from taskcal.errors import UsageError
from taskcal.report.wording.formatting import extent, many
from taskcal.report.wording.sanitize import plain
from taskcal.store.run_folder import RunFolder, find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.core.rollout import GroupId, Rollout
    from taskcal.core.verdict import Band

MOST_RATES = 2_000
LONGEST_NAME = 80
LARGEST_FILE = 1_000_000
COUNTS = re.compile(r"(\d{1,9})\s*/\s*(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Measured:
    """What an earlier run says beside its counts; None where it does not."""

    tasks: int | None = None
    seconds: float | None = None
    concurrency: int | None = None
    cost_usd: float | None = None
    band: Band | None = None


@dataclass(frozen=True, slots=True)
class Assumption:
    """A population before the band is known: one of the parts of a formula, true rates, or counts to learn from."""

    name: str
    about: str
    told: tuple[Part, ...] | tuple[float, ...] | tuple[Counts, ...]
    measured: Measured = Measured()

    def population(self, band: Band) -> Population:
        """The population; what is integrated jumps at the edges of the band and of the certificates' zone."""
        counts = [one for one in self.told if isinstance(one, Counts)]
        if counts:
            grid = fit_prior(counts, as_grid(DEFAULT_PRIOR, (band.low, band.high)))
            return from_grid(self.name, self.about, grid)
        parts = [one for one in self.told if isinstance(one, Part)]
        if parts:
            zone = Zone.around(band)
            return from_parts(self.name, self.about, parts, (band.low, band.high, zone.a0, zone.a1, zone.b0, zone.b1))
        return from_rates(self.name, self.about, [one for one in self.told if isinstance(one, float)])


def find_population(told: str, runs: Path) -> Assumption:
    """The population that a person means. Raises UsageError or RunFolderError."""
    if told in PRESETS:
        preset = PRESETS[told]
        return Assumption(told, f"{preset.about}; {preset.formula}", parse_population(preset.formula))
    path = Path(told)
    if _is_there(path) and not path.is_dir():
        return _of_file(path)
    if told == "last" or _is_there(path) or _is_there(runs / told):
        return _of_run(find(told, runs))
    if "(" in told:
        return _of_formula(told)
    presets = ", ".join(PRESETS)
    raise UsageError(f"{told}: no population{_near(told)}; name a preset ({presets}), a formula, a file or a run")


def _is_there(path: Path) -> bool:
    """Whether there is such a path; a formula can be longer than any name."""
    try:
        return path.exists()
    except OSError:
        return False


def _near(told: str) -> str:
    near = difflib.get_close_matches(told, PRESETS, 1)
    return f", did you mean {near[0]}" if near else ""


def _of_formula(told: str) -> Assumption:
    try:
        return Assumption("formula", told, parse_population(told))
    except ValueError as error:
        raise UsageError(f"population {plain(told, LONGEST_NAME)}: {error}") from error


def _of_file(path: Path) -> Assumption:
    """One true rate a line, or one k/n a line; empty lines and what follows a # do not count."""
    lines = enumerate(_text(path).splitlines(), 1)
    told = [_line(f"{path}:{number}", text) for number, line in lines if (text := line.partition("#")[0].strip())]
    counts = [one for one in told if isinstance(one, Counts)]
    rates = [one for one in told if isinstance(one, float)]
    if not told or (counts and rates):
        raise UsageError(f"{path}: must hold one true rate a line, such as 0.35, or one k/n a line, such as 3/8")
    if len(set(rates)) > MOST_RATES:
        raise UsageError(f"{path}: more than {MOST_RATES:,} different rates: round them to three decimals")
    measured = Measured(tasks=len(told))
    if rates:
        return Assumption(path.name, f"{many(len(rates), 'true rate')} from {path}", tuple(rates), measured)
    return _learned(path.name, f"{many(len(counts), 'task')} in {path}", counts, measured)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UsageError(f"{path}: larger than {LARGEST_FILE:,} bytes: one rate or one k/n a line is enough")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a text file") from None


def _line(place: str, text: str) -> float | Counts:
    if match := COUNTS.fullmatch(text):
        counts = Counts(int(match[1]), int(match[2]))
        if not counts.graded > 0 or counts.passed > counts.graded:
            raise UsageError(f"{place}: {text}: must be passed/graded, with 1 graded or more")
        return counts
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0.0 <= rate <= 1.0:
        raise UsageError(f"{place}: {text[:40]!r} is no rate from 0 to 1 and no k/n")
    return rate


def _of_run(folder: RunFolder) -> Assumption:
    """A run's history: its counts, and what its rollouts took."""
    record = folder.record()
    by_group: dict[GroupId, list[Rollout]] = defaultdict(list)
    for rollout in folder.rollouts():
        by_group[rollout.id.group].append(rollout)
    final_rows = {
        group: [row for row in final_rollouts(rows) if isinstance(row.outcome, Graded)]
        for group, rows in by_group.items()
    }
    graded = {group: rows for group, rows in final_rows.items() if rows}
    counts = [Counts(sum(_passed(row) for row in rows), len(rows)) for rows in graded.values()]
    if not counts:
        raise UsageError(f"{folder.path}: nothing was graded in this run, so there is no history to learn from")
    every = [row for rows in graded.values() for row in rows]
    costs = [row.usage.cost_usd for row in every if row.usage.cost_usd is not None]
    seconds = mean([row.timing.total for row in every])
    measured = Measured(len(counts), seconds or None, record.concurrency or None, mean(costs), record.band)
    return _learned(record.taskset, f"{extent(graded)} in run {record.id}", counts, measured)


def _passed(row: Rollout) -> bool:
    return isinstance(row.outcome, Graded) and row.outcome.passed


def _learned(name: str, where: str, counts: Sequence[Counts], measured: Measured) -> Assumption:
    total = sum(one.graded for one in counts)
    about = f"learned from {many(total, 'rollout')} of {where}"
    if len(counts) < 2 * STRENGTH:
        about += "; so few say little, and most of it is taskcal's default prior"
    return Assumption(name, about, tuple(counts), measured)
