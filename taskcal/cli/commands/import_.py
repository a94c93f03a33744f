"""`taskcal import`: numbers that a team already has as a run's folder, so that every other command works on them."""

from __future__ import annotations

import math
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskcal.core.settings import fixed_settings
from taskcal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskcal.core.run import RunRecord
    from taskcal.core.settings import CalibrationSettings
    from taskcal.interop.rows import ImportedRollouts, ImportSettings

MEANING = "What the rows mean"
MOST_FILES_NAMED = 3


def import_(
    files: Annotated[
        list[str], typer.Argument(help="Tables of one row a rollout, in JSONL or CSV.", metavar="FILES...")
    ],
    map_: Annotated[
        list[str],
        typer.Option(
            "--map",
            help="Which column says what: key=column,… with the keys task and reward, and where there are any variant, "
            "agent, lost, reason, passed, index, stop, seconds, cost, input_tokens, output_tokens and check.NAME. In "
            "JSONL a.b is the b in a. (default: columns of these names, but index; also task_id, score, cost_usd)",
            metavar="MAP",
            rich_help_panel=MEANING,
        ),
    ] = [],  # noqa: B006 - typer's way to say: none given
    agent: Annotated[
        str | None,
        typer.Option(
            "--agent",
            "-a",
            help="Only the rows of this agent; or whose they are, where no column says it.",
            rich_help_panel=MEANING,
        ),
    ] = None,
    reward_range: Annotated[
        str, typer.Option("--reward-range", help="Where rewards lie.", metavar="LOW,HIGH", rich_help_panel=MEANING)
    ] = "0,1",
    passing: Annotated[
        float,
        typer.Option(
            help="The reward, of 1, from which a row has passed. (default: 1)", min=0, max=1, rich_help_panel=MEANING
        ),
    ] = 1.0,
    delimiter: Annotated[
        str | None,
        typer.Option(help="What separates cells of CSV. (default: seen in its header)", rich_help_panel=MEANING),
    ] = None,
    taskset: Annotated[str | None, typer.Option(help="The name for all the tasks. (default: the file's)")] = None,
    group_size: Annotated[
        int | None,
        typer.Option("--group-size", "-G", help="The G of signal. (default: the commonest rows of a task)", min=1),
    ] = None,
    band: Annotated[
        str | None,
        typer.Option(
            "--band",
            help="Success rates worth training on; 5,75 is in percent. (default: 0.05,0.75)",
            metavar="LOW,HIGH",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the calibration as JSON and nothing else.")] = False,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="The run's folder, new. (default: one below runs)", metavar="RUN")
    ] = None,
) -> None:
    """Make a run of rewards that were measured elsewhere: a table with a row for each rollout.

    A row whose reward is empty, null or NaN is lost, and so is one that says so in `lost`; a lost row is never counted
    as failed. The rows of one task are its group, in their order.
    """
    from taskcal.cli.options.configuration import find_configuration
    from taskcal.cli.options.parse import read_band
    from taskcal.cli.terminal.publish import publish
    from taskcal.interop.columns import guess_columns, parse_column_map
    from taskcal.interop.rows import ImportSettings, read_results
    from taskcal.store.collector import pause_collector
    from taskcal.store.run_folder import RunFolder

    configured = find_configuration(Path.cwd())
    paths = _once_each(files)
    reading = ImportSettings(
        columns=parse_column_map(map_) if map_ else guess_columns(),
        agent=agent,
        passing=passing,
        scale=_scale(reward_range),
        delimiter=_delimiter(delimiter),
    )
    asked = read_band(band or configured.band or "0.05,0.75")
    with pause_collector():
        found = read_results(paths, reading)
    name = taskset or paths[0].stem
    root, run = _place(out, configured.runs, name)
    settings = fixed_settings(group_size or configured.group_size or found.group_size, asked)
    record = _record(run, name, settings, found, tuple(_notes(paths, reading, found)))
    with pause_collector():
        folder = RunFolder.create_whole(root, record, found.groups, found.rollouts)
    publish(folder, as_json=as_json)
    folder.close()


def _record(
    run: str, taskset: str, settings: CalibrationSettings, found: ImportedRollouts, notes: tuple[str, ...]
) -> RunRecord:
    """What is known of a run that was not taskcal's: there is no seed, no machine and no taskset to go on with."""
    from taskcal import __version__
    from taskcal.core.identity import value_digest
    from taskcal.core.provenance import Provenance
    from taskcal.core.run import RunRecord

    return RunRecord(
        id=run,
        taskset=taskset,
        taskset_files=(),
        taskset_digest=value_digest(sorted(str(group.id) for group in found.groups)),
        agent=found.agent,
        agent_digest=value_digest(found.agent),
        settings=settings,
        seed=0,
        concurrency=0,
        retries=0,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        engine=Provenance.IMPORTED.value,
        host="an unknown machine",
        notes=notes,
    )


def _notes(paths: Sequence[Path], reading: ImportSettings, found: ImportedRollouts) -> Iterator[str]:
    """What every report of the run says: where its numbers come from, and what was made of them."""
    from taskcal.interop.columns import name_some
    from taskcal.report.wording.formatting import many

    names = ", ".join(map(str, paths[:MOST_FILES_NAMED]))
    more = f" and {many(len(paths) - MOST_FILES_NAMED, 'more file')}" if len(paths) > MOST_FILES_NAMED else ""
    used = ", ".join(_used(found))
    yield f"imported from {names}{more}: {many(len(found.rollouts), 'row')}, {found.lost:,} of them lost ({used})"
    if found.left_out:
        yield f"left out: {many(found.left_out, 'row')} of other agents"
    if found.unread:
        yield f"columns that were not read: {name_some(found.unread)}"
    if reading.scale != (0.0, 1.0):
        yield "rewards from {:g} to {:g} were brought to 0 to 1".format(*reading.scale)


def _used(found: ImportedRollouts) -> Iterator[str]:
    """Which column each key was found in; checks in columns of their own names are only listed."""
    from taskcal.interop.columns import CHECK, name_some

    own = [key for key, column in found.used.items() if key == column and key.startswith(CHECK)]
    yield from (f"{key} in {column}" for key, column in found.used.items() if key not in own)
    if own:
        yield f"checks in {name_some(own)}"


def _place(out: str | None, runs: str | None, taskset: str) -> tuple[Path, str]:
    """The folder that holds the run, and the run's id, which is its folder's name."""
    if out is not None:
        return Path(out).parent, Path(out).name
    name = "".join(c if c.isalnum() or c in "-._" else "-" for c in taskset)[:40]
    return Path(runs or "runs"), f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{name}-{secrets.token_hex(2)}"


def _once_each(files: list[str]) -> tuple[Path, ...]:
    paths = {Path(file).resolve(): Path(file) for file in files}
    if len(paths) < len(files):
        raise UsageError("a file is given twice; each of its rows would count twice")
    return tuple(paths.values())


def _scale(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--reward-range {text}: two numbers with a comma between them, such as -1,1") from None
    if not (low < high and math.isfinite(high - low)):
        raise UsageError(f"--reward-range {text}: the lower end comes first")
    return low, high


def _delimiter(text: str | None) -> str | None:
    found = {"tab": "\t", "\\t": "\t"}.get(text or "", text)
    if (
        found is None
        or found == "\t"
        or (len(found) == 1 and found.isprintable() and not found.isalnum() and found != '"')
    ):
        return found
    raise UsageError(f"--delimiter {text}: must be one character, such as ; or tab")
