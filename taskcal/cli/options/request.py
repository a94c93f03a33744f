"""From what a person typed and a project configures to one complete request, or an error before anything runs."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from taskcal.agents.choose import choose_agent
from taskcal.cli.options.configuration import Configuration
from taskcal.cli.options.design import DesignOptions, check_cost, settings_of_design
from taskcal.cli.options.parse import read_amount, read_band, read_network, read_pairs
from taskcal.cli.terminal.output import redact_output
from taskcal.core.gate import FailOn, Gate
from taskcal.core.plan import OperatorBounds, Selection, select
from taskcal.core.rollout import GroupId
from taskcal.core.settings import CalibrationSettings, fixed_settings
from taskcal.errors import UsageError
from taskcal.runs.prior_run import PriorRun, read_prior_run, read_recorded_prior
from taskcal.runs.request import Request, Spending
from taskcal.runs.untrusted import UntrustedOptions, bounds_of, check_places, check_untrusted
from taskcal.taskset.load import find_files, load

if TYPE_CHECKING:
    from taskcal.core.task import Taskset

GROUP_SIZE = 8
RETRIES = 2
LEAST_CONCURRENCY = 2
CONFIGURATION = "the project's configuration (taskcal.yaml or [tool.taskcal])"
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The command line as typed; None is not given. `agent_found_in` is the file that names the agent, '' if typed."""

    files: tuple[str, ...]
    agent: str | None
    overrides: tuple[str, ...]
    selection: Selection
    params: tuple[str, ...]
    group_size: int | None
    concurrency: int | None
    retries: int | None
    seed: int | None
    band: str | None
    fail_on: str | None
    max_lost: float | None
    allow_network: str
    max_memory: str | None
    max_cpus: float | None
    keep_failed: bool
    as_json: bool
    quiet: bool
    out: str | None
    agent_found_in: str = ""
    resume: str | None = None
    extend: bool = False
    agent_version: str | None = None
    preflight: bool = True
    only: frozenset[GroupId] | None = None
    asked: CalibrationSettings | None = None
    prior_run: str = ""
    design: DesignOptions = field(default_factory=DesignOptions)
    spending: Spending = field(default_factory=Spending)
    strangers: UntrustedOptions = field(default_factory=UntrustedOptions)

    @property
    def chooses_nothing(self) -> bool:
        """Whether no part of the taskset was chosen."""
        return self.selection == Selection() and not self.params


def resolve_request(given: RunOptions, configured: Configuration) -> Request:
    """The request, with flags before configuration before defaults. Raises UsageError or InputError."""
    if not given.files:
        raise UsageError("name a taskset, such as `taskcal run tasks.yaml`, or --resume a run")
    if given.strangers.untrusted:
        configured = Configuration()
    typed = given.agent or os.environ.get("TASKCAL_AGENT")
    named, named_by = (typed, given.agent_found_in) if typed else (configured.agent, CONFIGURATION)
    agent = choose_agent(named, dict(read_pairs("--set", list(given.overrides))), named_by)
    redact_output(agent.redactor)
    check_cost(given.spending, agent)
    check_places(given.strangers, find_files(given.files))
    selection = replace(given.selection, params=read_pairs("--param", list(given.params)))
    taskset = choose_tasks(load(given.files), selection)
    if given.only is not None:
        taskset = keep_groups(taskset, given.only)
        if not taskset.tasks:
            raise UsageError(
                f"none of the tasks of the run is in {', '.join(given.files)} now; bring them back, or start a new run"
            )
    check_untrusted(given.strangers, agent, taskset)
    runs = Path(_first(given.out, configured.runs, "runs"))
    earlier = _earlier(given, runs, taskset)
    concurrency = _first(given.concurrency, configured.concurrency, default_concurrency(taskset))
    return Request(
        taskset=taskset,
        agent=agent,
        agent_source=named or "",
        settings=_question(given, configured, earlier),
        gate=Gate(_fail_on(_first(given.fail_on, configured.fail_on, "never")), _max_lost(given, configured)),
        bounds=_bounds(given),
        concurrency=concurrency,
        retries=_first(given.retries, configured.retries, RETRIES),
        seed=_first(given.seed, None, secrets.randbits(32)),
        runs=runs,
        keep_failed=given.keep_failed,
        as_json=given.as_json,
        quiet=given.quiet,
        resume=given.resume,
        extend=given.extend,
        agent_version=given.agent_version or "",
        preflight=given.preflight,
        earlier=earlier,
        spending=given.spending,
    )


def _question(given: RunOptions, configured: Configuration, earlier: PriorRun) -> CalibrationSettings:
    """What is asked of the run; a run that is resumed asks what it asked, where nothing else is typed."""
    if given.asked is None:
        asked = fixed_settings(GROUP_SIZE if configured.group_size is None else configured.group_size)
        asked = asked if configured.band is None else asked.with_band(read_band(configured.band))
        asked = replace(asked, earlier=earlier.counts)
    else:
        asked = given.asked
    asked = asked if given.band is None else asked.with_band(read_band(given.band))
    asked = asked if given.group_size is None else replace(asked, group_size=given.group_size)
    return settings_of_design(given.design, asked)


def _earlier(given: RunOptions, runs: Path, taskset: Taskset) -> PriorRun:
    """The run that --prior names, or that a resumed run began with; its counts are on record."""
    if given.asked is not None:
        return read_recorded_prior(given.prior_run, runs, given.asked.earlier)
    return read_prior_run(given.design.prior, runs, tuple(taskset.groups())) if given.design.prior else PriorRun()


def choose_tasks(taskset: Taskset, selection: Selection) -> Taskset:
    """The chosen tasks. Raises UsageError where a part of the selection, or all of it, matches nothing."""
    chosen, unmatched = select(taskset, selection)
    if unmatched:
        known = ", ".join(task.id for task in taskset.tasks[:8]) + (", …" if len(taskset.tasks) > 8 else "")
        raise UsageError(f"{unmatched[0]} matches nothing; the tasks are {known}"[:400])
    if not chosen.tasks:
        raise UsageError("the selection matches no task; each part of it matches some, but not the same ones")
    return chosen


def keep_groups(taskset: Taskset, groups: frozenset[GroupId]) -> Taskset:
    """Those groups of a taskset, as a run that is resumed had chosen them."""
    kept = (
        replace(task, variants=tuple(v for v in task.variants if GroupId(task.id, v.id) in groups))
        for task in taskset.tasks
    )
    return replace(taskset, tasks=tuple(task for task in kept if task.variants))


def default_concurrency(taskset: Taskset) -> int:
    """Rollouts at a time on this machine: cores over the largest `cpus`, at least 2, and no more than memory holds."""
    limits = [task.environment.limits for task in taskset.tasks]
    by_cpu = int((os.cpu_count() or 1) / max(one.cpus for one in limits))
    wanted = max(LEAST_CONCURRENCY, by_cpu)
    free = _free_memory()
    return wanted if free is None else max(1, min(wanted, free // max(one.memory for one in limits)))


def _free_memory() -> int | None:
    """Bytes that new processes can have, as the kernel estimates it; None where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(kilobytes[0]) * 1024 if kilobytes else None


def _bounds(given: RunOptions) -> OperatorBounds:
    memory = None if given.max_memory is None else read_amount("--max-memory", given.max_memory)
    return bounds_of(
        given.strangers, OperatorBounds(read_network("--allow-network", given.allow_network), memory, given.max_cpus)
    )


def _fail_on(text: str) -> FailOn:
    if text not in set(FailOn):
        raise UsageError(f"--fail-on {text}: must be one of {', '.join(FailOn)}")
    return FailOn(text)


def _max_lost(given: RunOptions, configured: Configuration) -> float:
    return float(_first(given.max_lost, configured.max_lost, 0.2))


def _first(given: Value | None, configured: Value | None, default: Value) -> Value:
    return next((value for value in (given, configured) if value is not None), default)
