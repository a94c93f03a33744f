"""What a run is asked to measure, complete and checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskcal.runs.prior_run import PriorRun

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskcal.agents import Agent
    from taskcal.core.gate import Gate
    from taskcal.core.plan import OperatorBounds
    from taskcal.core.settings import CalibrationSettings
    from taskcal.core.task import Group, Taskset


@dataclass(frozen=True, slots=True)
class Spending:
    """What one call may spend: attempts, US dollars, seconds; None is no limit."""

    rollouts: int | None = None
    cost_usd: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be measured, complete and checked."""

    taskset: Taskset
    agent: Agent
    agent_source: str
    settings: CalibrationSettings
    gate: Gate
    bounds: OperatorBounds
    concurrency: int
    retries: int
    seed: int
    runs: Path
    keep_failed: bool
    as_json: bool
    quiet: bool
    resume: str | None = None
    extend: bool = False
    agent_version: str = ""
    preflight: bool = True
    earlier: PriorRun = field(default_factory=PriorRun)
    spending: Spending = field(default_factory=Spending)

    @property
    def group_size(self) -> int:
        """The G that signal is computed for; in a fixed design the rollouts of each group."""
        return self.settings.group_size

    @property
    def groups(self) -> tuple[Group, ...]:
        """Every variant of every chosen task."""
        return tuple(self.taskset.groups())


def images_of(groups: Sequence[Group]) -> tuple[str, ...]:
    """The distinct images that groups start from: names, and folders to build."""
    environments = [group.task.environment for group in groups]
    sources = [e.source for e in environments] + [service.source for e in environments for service in e.services]
    return tuple(dict.fromkeys(f"build {s.build}" if s.build else str(s.image) for s in sources))
