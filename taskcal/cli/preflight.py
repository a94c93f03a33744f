"""An agent is tried on one trivial task before it is measured: a wrong key is one line, not a taskset of too-hards.

The trial runs as any rollout does, in a container of its own, in the environment of the tasks that it is for (its
services, start and ready left out) or on the base image. It tells three things apart: an agent that works, one that
does not (lost, crashed, out of memory, not done in time), and one that ended in order without having done it, which may
be right for an agent that is made for something else.
"""

from __future__ import annotations

import secrets
import tempfile
import threading
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.agents.play import Player
from taskcal.baseimage import BASE_IMAGE
from taskcal.core.plan import PlannedRollout
from taskcal.core.rollout import Graded, Lost, Rollout, RolloutId, Stop
from taskcal.core.task import (
    Check,
    Environment,
    FileProbe,
    Grader,
    Group,
    ImageSource,
    Solution,
    Task,
    Timeouts,
    Variant,
)
from taskcal.errors import Boundary, MissingError, RunFolderError
from taskcal.probe import Probes, ready_group
from taskcal.report.clean import reason
from taskcal.report.show import numbers
from taskcal.runner import Context, run_rollout
from taskcal.sandbox.images import Images
from taskcal.sandbox.scope import RunScope
from taskcal.store import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskcal.agents import Agent
    from taskcal.core.plan import Bounds
    from taskcal.sandbox.docker import DockerEngine

TASK = "taskcal-preflight"
PROMPT = """Make a file /tmp/taskcal-ready that contains the one word ready. Nothing else is to be done: when the file
is there, you are finished."""
SOLUTION = Solution("write it", run="echo ready >/tmp/taskcal-ready")
SECONDS = 300.0
LAST_WORDS = 300
THE_AGENTS = frozenset({Boundary.AGENT_INSTALL, Boundary.PROVIDER})
BROKEN = frozenset({Stop.CRASHED, Stop.TIMEOUT, Stop.OUT_OF_MEMORY})


class Fitness(Enum):
    """What a trial says of an agent."""

    WORKS = "works"
    WEAK = "weak"
    BROKEN = "broken"
    UNTRIED = "untried"
    """Something else broke on the way, which a run says better."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How an agent did at the trivial task, and why in one sentence."""

    fitness: Fitness
    words: str


def trivial(like: Group | None) -> Group:
    """The task: one word in one file, in the environment of a group's task, without what it starts."""
    environment = Environment("preflight", ImageSource(image=BASE_IMAGE))
    params = {} if like is None else like.variant.params
    setup = Timeouts().setup
    if like is not None:
        environment = replace(like.task.environment, services=(), start="", ready="", finish="")
        setup = like.task.timeouts.setup
    check = Check("ready", FileProbe("/tmp/taskcal-ready", contains="ready"))  # noqa: S108 - a path in a container
    variant = Variant("", params, PROMPT)
    timeouts = Timeouts(agent=SECONDS, setup=setup)
    task = Task(TASK, (variant,), environment, Grader((check,)), timeouts=timeouts, solutions=(SOLUTION,))
    return Group(task, variant)


def is_exempt(agent: Agent) -> bool:
    """Whether an agent has nothing that could be wrong: noop, oracle and simulated play what a task declares."""
    return isinstance(agent, Player)


def was_seen(runs: Path, digest: str) -> bool:
    """Whether a run below a folder has graded a rollout of the agent with that digest."""
    return any(_has_graded(file.parent, digest) for file in runs.glob("*/run.json"))


def _has_graded(path: Path, digest: str) -> bool:
    try:
        folder = RunFolder.open(path)
        found = folder.record().agent_digest == digest
        return found and any(isinstance(rollout.outcome, Graded) for rollout in folder.rollouts())
    except RunFolderError:
        return False


def try_agent(
    engine: DockerEngine, agent: Agent, bounds: Bounds, like: Group | None, say: Callable[[str], None]
) -> Trial:
    """Let an agent do the trivial task; `say` is told of what takes time. Raises UsageError for a person to mend."""
    if agent.missing:
        return Trial(Fitness.BROKEN, agent.missing)
    scope = RunScope(engine, f"preflight-{secrets.token_hex(4)}")
    group = trivial(like)
    try:
        images = Images(scope, network=bounds.builds_have_network, log=say)
        ready = ready_group(group, images, Probes(scope), agent, bounds)
        if isinstance(ready, Lost):
            return _lost(ready)
        with tempfile.TemporaryDirectory(prefix="taskcal-") as logs:
            made = {group.id: ready.images}
            context = Context(scope, agent, made, 0, lambda _, name: Path(logs) / name, threading.Event())
            rollout = run_rollout(PlannedRollout(RolloutId(group.id, 0, 0), group), context)
            return judged(rollout, (Path(logs) / "agent.log").read_text(encoding="utf-8", errors="replace"))
    finally:
        scope.close()


def judged(rollout: Rollout, said: str) -> Trial:
    """What a rollout of the trivial task says of its agent; `said` is what it printed. Its last word is its answer."""
    outcome = rollout.outcome
    if isinstance(outcome, Lost):
        return _lost(outcome)
    if outcome.passed:
        return Trial(Fitness.WORKS, f"did one trivial task: {numbers(rollout)}")
    words = _one_line(rollout.answer or "") or _one_line(said)
    last = f"; its last words: {words}" if words else "; it printed nothing and gave no answer"
    if outcome.stop in BROKEN:
        return Trial(Fitness.BROKEN, f"{outcome.stop.value} at a trivial task{last}")
    return Trial(Fitness.WEAK, f"{outcome.stop.value} without having done a trivial task{last}")


def _one_line(text: str) -> str:
    return " | ".join(line.strip() for line in text.splitlines() if line.strip())[-LAST_WORDS:]


def _lost(lost: Lost) -> Trial:
    fitness = Fitness.BROKEN if lost.boundary in THE_AGENTS else Fitness.UNTRIED
    return Trial(fitness, f"{lost.boundary.value}: {reason(lost.reason)}")


def preflight(engine: DockerEngine, agent: Agent, bounds: Bounds, like: Group, say: Callable[[str], None]) -> None:
    """Try an agent before a run. Raises MissingError where it does not work; one that is weak is only told of."""
    trial = try_agent(engine, agent, bounds, like, say)
    if trial.fitness is Fitness.BROKEN:
        raise MissingError(
            f"the agent {agent.name} does not work: {trial.words}; nothing was measured, --no-preflight does it anyway"
        )
    if trial.fitness is Fitness.WEAK:
        say(f"the agent {agent.name} {trial.words}; if it was made for this taskset only, that is no harm")
