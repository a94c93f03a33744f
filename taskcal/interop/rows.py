"""Rows of rewards that a team already has, as rollouts: so that numbers from anywhere can be calibrated.

A row without a reward is lost, never 0; a row that says it was lost is lost, whatever stands in its reward.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from taskcal.core.grading.grade import TOLERANCE
from taskcal.core.group_record import GroupRecord
from taskcal.core.rollout import CheckResult, Graded, GroupId, Lost, Outcome, Rollout, RolloutId, Stop, Timing, Usage
from taskcal.errors import UsageError
from taskcal.interop import cells
from taskcal.interop.columns import ABSENT, CHECK, EXAMPLE, REQUIRED, list_columns, value_at
from taskcal.interop.endings import loss_from, stop_in
from taskcal.interop.table_columns import TableColumns
from taskcal.interop.tables import open_table
from taskcal.yamlfile.tables import Row, table_mistake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from taskcal.errors import InputError
    from taskcal.interop.columns import Columns
    from taskcal.yamlfile.tables import Table

MOST_ROWS = 1_000_000
MOST_AGENTS = 8
NO_AGENT = "imported"
NO_REWARD = "the row has no reward"
SAID_LOST = "the row says that it was lost"
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """How rows are understood: their columns, whose rows are taken, and what their rewards mean.

    Rewards lie in `scale` (low, high) and are brought to [0, 1]; one that reaches `passing` then has passed, unless the
    row says it itself. Without an agent all rows must be one agent's.
    """

    columns: Columns
    agent: str | None = None
    passing: float = 1.0
    scale: tuple[float, float] = (0.0, 1.0)
    delimiter: str | None = None


@dataclass(frozen=True, slots=True)
class ImportedRollouts:
    """What tables held: groups in the order of their first rows, rollouts in that of the rows.

    `left_out` counts rows of other agents, `used` holds the column of each key, `unread` the columns of no key.
    """

    agent: str
    groups: tuple[GroupRecord, ...]
    rollouts: tuple[Rollout, ...]
    left_out: int
    used: Mapping[str, str]
    unread: tuple[str, ...] = ()

    @property
    def lost(self) -> int:
        """The rollouts that have no reward."""
        return sum(isinstance(rollout.outcome, Lost) for rollout in self.rollouts)

    @property
    def group_size(self) -> int:
        """The commonest number of rows in a group, the larger one of two that are."""
        sizes = Counter(Counter(rollout.id.group for rollout in self.rollouts).values())
        return max(sizes, key=lambda size: (sizes[size], size))


def read_results(paths: Sequence[Path], reading: ImportSettings) -> ImportedRollouts:
    """The rows of several files, one after the other.

    At most a million rows, which take about half a GB of memory here. Raises InputError for the first mistake, with its
    place, UsageError if the rows are of several agents.
    """
    collector = _Collector(reading)
    for path in paths:
        with open_table(path, reading.delimiter) as table:
            collector.take(table)
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return collector.result(f"{paths[0]}{more}")


class _Collector:
    """Rows so far, as rollouts."""

    def __init__(self, reading: ImportSettings) -> None:
        self._reading = reading
        self._columns = dict(reading.columns.names)
        self._checks = list(reading.columns.checks)
        self._table_columns = TableColumns()
        self._scored: dict[GroupId, set[str]] = {}
        self._file = ""
        self._used: dict[str, str] = {}
        self._rows = 0
        self._agents: Counter[str] = Counter()
        self._groups: dict[GroupId, GroupRecord] = {}
        self._names: dict[str, GroupId] = {}
        self._places: dict[tuple[GroupId, int], str] = {}
        self._sizes: Counter[GroupId] = Counter()
        self._rollouts: list[Rollout] = []

    def take(self, table: Table) -> None:
        """Take every row of a table. Raises InputError."""
        self._file = table.file
        if table.header:
            self._check_header(Row(1, dict.fromkeys(table.header)))
        for row in table.rows:
            self._rows += 1
            if self._rows > MOST_ROWS:
                raise self._mistake(row, f"more than {MOST_ROWS:,} rows; import them as several runs")
            keyed = self._by_key(row)
            if "task" not in self._used:
                raise self._no_column(row, "task")
            if self._is_wanted(keyed):
                self._rollouts.append(self._rollout(keyed))

    def result(self, files: str) -> ImportedRollouts:
        """All of it. Raises UsageError if it is not one agent's, InputError if there is nothing."""
        if not self._rows:
            raise table_mistake(files, None, "no rows")
        agent = self._one_agent(files)
        for key in (key for key in self._reading.columns.needed if key not in self._used):
            hint = f"say which column has it, as in {EXAMPLE}" if key in REQUIRED else "correct --map, or leave it out"
            raise table_mistake(files, None, f"no row has {self._sought(key)}; {hint}")
        left_out = self._rows - len(self._rollouts)
        used = {key: self._used[key] for key in self._columns if key in self._used}
        groups = tuple(self._with_checks(group) for group in self._groups.values())
        return ImportedRollouts(
            agent, groups, tuple(self._rollouts), left_out, used, self._table_columns.unread(used.values())
        )

    def _with_checks(self, group: GroupRecord) -> GroupRecord:
        """A group with its checks: all that are mapped, else those that have a score in one of its rows."""
        wanted = self._scored.get(group.id, set()) if self._reading.columns.takes_checks else set(self._checks)
        return replace(group, checks=tuple((name, 1.0) for name in self._checks if name in wanted))

    def _check_header(self, header: Row) -> None:
        """Refuse a table of which no row can have what is needed."""
        values_by_key = self._by_key(header).values
        for key in self._reading.columns.needed:
            if key not in values_by_key:
                raise self._no_column(header, key)

    def _by_key(self, row: Row) -> Row:
        """The row by keys, those that it has. Raises InputError if two columns could be meant by one."""
        self._look(row)
        values_by_key: dict[str, object] = {}
        for key, columns in self._columns.items():
            for column in columns:
                value = value_at(row.values, column)
                if value is not ABSENT:
                    if self._used.setdefault(key, column) != column:
                        message = f"{key} may be {self._used[key]} or {column}; say which, as in {EXAMPLE}"
                        raise self._mistake(row, message)
                    values_by_key[key] = value
        return Row(row.line, values_by_key)

    def _look(self, row: Row) -> None:
        """Notice new columns, and take those of checks if no map says otherwise. Raises InputError."""
        try:
            columns = self._table_columns.new_checks(row.values)
        except cells.CellError as error:
            raise self._mistake(row, str(error)) from error
        if self._reading.columns.takes_checks:
            self._columns |= {column: (column,) for column in columns}
            self._checks += [column.removeprefix(CHECK) for column in columns]

    def _is_wanted(self, row: Row) -> bool:
        """Whether a row is the agent's; who that is, is seen at the end if no row names one, or some do not."""
        agent = self._name(row, "agent")
        self._agents[agent] += 1
        chosen = next(iter(self._agents)) if self._reading.agent is None else self._reading.agent
        return agent in {chosen, ""}

    def _one_agent(self, files: str) -> str:
        agents, chosen = self._agents, self._reading.agent
        if chosen is None and len(agents) > 1:
            raise UsageError(f"{files}: rows of several agents ({_some(agents)}); choose one with --agent NAME")
        if len(agents) > 1 and agents[""]:
            raise UsageError(f"{files}: {agents['']} rows name no agent, and others do; fill or unmap that column")
        if not self._rollouts:
            raise UsageError(f"{files}: no row of the agent {cells.quote_value(chosen)}; there are {_some(agents)}")
        return chosen or next(iter(agents)) or NO_AGENT

    def _rollout(self, row: Row) -> Rollout:
        group = self._group(row)
        usage = Usage(
            input_tokens=self._value(row, "input_tokens", cells.count_in),
            output_tokens=self._value(row, "output_tokens", cells.count_in),
            cost_usd=self._value(row, "cost", cells.amount_in),
        )
        return Rollout(
            id=RolloutId(group, self._index(row, group), 0),
            outcome=self._outcome(row, group),
            usage=usage,
            timing=Timing(total=self._value(row, "seconds", cells.amount_in) or 0.0),
        )

    def _group(self, row: Row) -> GroupId:
        group = GroupId(self._name(row, "task"), self._name(row, "variant"))
        if group in self._groups:
            return self._groups[group].id
        if not group.task:
            raise self._mistake(row, "no name", "task")
        if self._names.setdefault(str(group), group) != group:
            raise self._mistake(row, f"{cells.quote_value(str(group))} names two tasks, one of them with a variant")
        self._groups[group] = GroupRecord(group, {}, "", (), self._reading.passing, (), self._file, row.line)
        return group

    def _index(self, row: Row, group: GroupId) -> int:
        """The row's own index if one is mapped, else its number among the rows of its group."""
        if "index" not in self._columns:
            self._sizes[group] += 1
            return self._sizes[group] - 1
        index = self._value(row, "index", cells.count_in)
        if index is None:
            raise self._mistake(row, "no index", "index")
        here = f"{self._file}:{row.line}"
        before = self._places.setdefault((group, index), here)
        if before != here:
            hint = "without index in --map the rows are numbered in their order"
            raise self._mistake(
                row, f"{cells.quote_value(str(group))} has index {index} already, in {before}; {hint}", "index"
            )
        return index

    def _outcome(self, row: Row, group: GroupId) -> Outcome:
        lost = self._value(row, "lost", cells.failure_in)
        if lost:
            return loss_from(SAID_LOST, lost, self._value(row, "reason", cells.text_in) or "")
        reward = self._value(row, "reward", self._to_unit)
        if reward is None:
            return loss_from(NO_REWARD, self._value(row, "reason", cells.text_in) or "")
        passed = self._value(row, "passed", cells.truth_in)
        if passed is None:
            passed = reward >= self._reading.passing - TOLERANCE
        stop = self._value(row, "stop", stop_in) or Stop.FINISHED
        checks = tuple(self._check_results(row))
        self._scored.setdefault(group, set()).update(check.name for check in checks)
        return Graded(stop, reward, passed, checks)

    def _to_unit(self, value: object) -> float:
        low, high = self._reading.scale
        reward = cells.place_in_range(cells.number_in(value), low, high)
        if reward is None:
            raise cells.CellError(
                f"{cells.quote_value(value)} is outside {low:g} to {high:g}; --reward-range LOW,HIGH says another range"
            )
        return reward

    def _check_results(self, row: Row) -> Iterable[CheckResult]:
        """The checks that have a score; equal weights, since a table has none."""
        for name in self._checks:
            score = self._value(row, CHECK + name, cells.score_in)
            if score is not None:
                yield CheckResult(name, 1.0, score)

    def _name(self, row: Row, key: str) -> str:
        """A name; '' if the row has none."""
        try:
            return cells.name_in(row.values.get(key))
        except cells.CellError as error:
            raise self._mistake(row, str(error), key) from error

    def _value(self, row: Row, key: str, read: Callable[[object], Value]) -> Value | None:
        """What a row has for a key; None if it has nothing."""
        value = row.values.get(key)
        if value is None:
            return None
        try:
            return None if cells.is_missing(value) else read(value)
        except cells.CellError as error:
            raise self._mistake(row, str(error), key) from error

    def _no_column(self, row: Row, key: str) -> InputError:
        message = f"no column {self._sought(key)} among {list_columns(row.values)}; say which, as in {EXAMPLE}"
        return self._mistake(row, message)

    def _sought(self, key: str) -> str:
        names = " or ".join(map(cells.quote_value, self._columns[key]))
        return f"{names} for {key}" if key not in REQUIRED else f"{names}"

    def _mistake(self, row: Row, message: str, key: str = "") -> InputError:
        place = cells.quote_value(self._used[key]) if key in self._used else key
        return table_mistake(self._file, row.line, message, place)


def _some(agents: Mapping[str, int]) -> str:
    names = [cells.quote_value(name) or "no name" for name in agents]
    more = f" and {len(names) - MOST_AGENTS} more" if len(names) > MOST_AGENTS else ""
    return ", ".join(names[:MOST_AGENTS]) + more
