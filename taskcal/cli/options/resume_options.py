"""Resume a run: options that were not typed come from the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.errors import UsageError
from taskcal.store.run_folder import find

if TYPE_CHECKING:
    from taskcal.cli.options.configuration import Configuration
    from taskcal.cli.options.request import RunOptions


def fill_from_run(given: RunOptions, configured: Configuration) -> RunOptions:
    """The options, with those not typed taken from the run to resume. Raises RunFolderError if there is no such run."""
    if given.resume is None:
        if given.extend:
            raise UsageError("--extend goes with --resume")
        return given
    root = Path(given.out or configured.runs or "runs")
    folder = find(given.resume, root)
    asked = folder.record()
    if not asked.provenance.is_repeatable:
        raise UsageError(f"run {asked.id} was imported and cannot be resumed; import its rows again with the new ones")
    if given.design.prior and find(given.design.prior, root).record().id != asked.prior_run:
        began = f"with --prior {asked.prior_run}" if asked.prior_run else "without an earlier calibration"
        raise UsageError(f"run {asked.id} began {began}; leave --prior out, or start a new run")
    return replace(
        given,
        resume=str(folder.path),
        files=given.files or asked.taskset_files,
        agent=given.agent or asked.agent_source,
        agent_found_in="" if given.agent else f"{folder.path}/run.json",
        only=frozenset(group.id for group in folder.groups()) if given.chooses_nothing else None,
        agent_version=asked.agent_version if given.agent_version is None else given.agent_version,
        asked=asked.settings,
        prior_run=asked.prior_run,
        seed=asked.seed if given.seed is None else given.seed,
    )
