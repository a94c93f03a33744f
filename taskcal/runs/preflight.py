"""An agent is tried on one trivial task before it is measured: a wrong key is one line, not a taskset of too-hards.

The trial runs as any rollout does, in a container of its own, in the environment of the tasks that it is for (its
services, start and ready left out) or on the base image. What it shows about the agent, and what a run makes of it:

    passed                             works; the run begins
    finished, max-turns                weak: it may be made for other tasks; a warning
    crashed                            failed: so may a program that looks for the files of its own tasks; a warning
    timeout                            broken: no task takes five minutes for one word, so it waits for something (a
                                         login, a network) that it will not get
    out-of-memory                      broken: the memory that its tasks allow does not hold the agent itself
    refused, context-full              broken: no model refuses one word, and no context is too small for it
    a tool call in the last message    broken: the model's server does not parse tool calls
    lost at provider, agent-install    broken: the endpoint, the key or the program is missing
    lost elsewhere                     untried: the run shows it better

A broken agent ends the run with exit code 3 before anything is measured.
"""

from __future__ import annotations

import re
import secrets
import tempfile
import threading
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.agents.builtin import BuiltinAgent
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
from taskcal.execution.logs import FileLogs
from taskcal.execution.rollout import run_rollout
from taskcal.execution.workplace import RolloutJob, Workplace
from taskcal.machine.base_image import BASE_IMAGE
from taskcal.machine.draft_folders import draft_folder
from taskcal.report.show import numbers
from taskcal.report.wording.sanitize import plain
from taskcal.store.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskcal.agents import Agent
    from taskcal.core.plan import OperatorBounds
    from taskcal.runs.engine import SandboxEngine

TASK = "taskcal-preflight"
PROMPT = """Make a file /tmp/taskcal-ready that contains the one word ready. Nothing else is to be done: when the file
is there, you are finished."""
SOLUTION = Solution("write it", run="echo ready >/tmp/taskcal-ready")
SECONDS = 300.0
WALL = 600.0
"""Seconds for the whole trial: a server that asks for long waits, or never answers, must not hold a run for an hour."""
LAST_WORDS = 300
LONGEST_REASON = 600
THE_AGENTS = frozenset({Boundary.AGENT_INSTALL, Boundary.PROVIDER})
BROKEN = frozenset({Stop.TIMEOUT, Stop.OUT_OF_MEMORY, Stop.REFUSED, Stop.CONTEXT_FULL})
UNPARSED = re.compile(
    r"<tool_calls?>|<\|tool_call|\[TOOL_CALLS\]|<function=|<\|python_tag\|>|<\uff5ctool\u2581call|<function_calls?>"
)
"""How a model writes a call; it stands in a message only if its server did not parse it."""


class Fitness(Enum):
    """What a trial shows about an agent."""

    WORKS = "works"
    WEAK = "weak"
    FAILED = "failed"
    BROKEN = "broken"
    UNTRIED = "untried"
    """Something else broke on the way, which a run reports better."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How an agent did at the trivial task, and why in one sentence."""

    fitness: Fitness
    words: str


def trivial_group(like: Group | None) -> Group:
    """The task: one word in one file, in the environment of a group's task, without what it starts."""
    environment = Environment("preflight", ImageSource(image=BASE_IMAGE))
    params = {} if like is None else like.variant.params
    setup = Timeouts().setup
    if like is not None:
        environment = replace(like.task.environment, services=(), start="", ready="", finish="")
        setup = like.task.timeouts.setup
    check = Check("ready", FileProbe("/tmp/taskcal-ready", contains="ready"))  # noqa: S108 - a path in a container
    variant = Variant("", params, PROMPT)
    timeouts = Timeouts(agent=SECONDS, setup=setup, wall=WALL)
    task = Task(TASK, (variant,), environment, Grader((check,)), timeouts=timeouts, solutions=(SOLUTION,))
    return Group(task, variant)


def is_exempt(agent: Agent) -> bool:
    """Whether an agent has nothing that could be wrong: noop, oracle and simulated play what a task declares."""
    return isinstance(agent, BuiltinAgent)


def was_seen(runs: Path, digest: str) -> bool:
    """Whether a run below a folder has graded a rollout of the agent with that digest."""
    return any(_has_results(file.parent, digest) for file in runs.glob("*/run.json"))


def _has_results(path: Path, digest: str) -> bool:
    try:
        folder = RunFolder.open(path)
        found = folder.record().agent_digest == digest
        return found and any(isinstance(rollout.outcome, Graded) for rollout in folder.rollouts())
    except RunFolderError:
        return False


def try_agent(
    engine: SandboxEngine, agent: Agent, bounds: OperatorBounds, like: Group | None, log: Callable[[str], None]
) -> Trial:
    """Let an agent do the trivial task; `log` gets a line about each step that takes time.

    The engine remembers the images that are made, or that fail. Raises UsageError for a person to mend.
    """
    if agent.missing:
        return Trial(Fitness.BROKEN, agent.missing)
    on_engine = engine.begin(f"preflight-{secrets.token_hex(4)}")
    group = trivial_group(like)
    try:
        ready = on_engine.preparation(agent, bounds, log).prepare(group)
        if isinstance(ready, Lost):
            return _lost(ready)
        with draft_folder(Path(tempfile.gettempdir()), "taskcal-logs-") as folder:
            logs = FileLogs(lambda _, name: folder / name)
            workplace = Workplace(on_engine.open_sandbox, {"": agent}, logs, threading.Event())
            planned = PlannedRollout(RolloutId(group.id, 0, 0), group)
            rollout = run_rollout(RolloutJob(on_engine.run, planned, ready.images, seed=0), workplace)
            return judge_trial(rollout, (folder / "agent.log").read_text(encoding="utf-8", errors="replace"))
    finally:
        on_engine.close()


def judge_trial(rollout: Rollout, said: str) -> Trial:
    """What a rollout of the trivial task says of its agent; `said` is what it printed. Its last word is its answer."""
    outcome = rollout.outcome
    if isinstance(outcome, Lost):
        return _lost(outcome)
    if outcome.passed:
        return Trial(Fitness.WORKS, f"did one trivial task: {numbers(rollout)}")
    words = _one_line(rollout.answer or "") or _one_line(said)
    last = f"; its last words: {words}" if words else "; it printed nothing and gave no answer"
    if UNPARSED.search(rollout.answer or ""):
        advice = "the server does not parse tool calls; start it with its tool call parser"
        return Trial(Fitness.BROKEN, f"{advice}{last}")
    if outcome.stop in BROKEN or outcome.stop is Stop.CRASHED:
        fitness = Fitness.FAILED if outcome.stop is Stop.CRASHED else Fitness.BROKEN
        return Trial(fitness, f"{outcome.stop.value} at a trivial task{last}")
    return Trial(Fitness.WEAK, f"{outcome.stop.value} without having done a trivial task{last}")


def _one_line(text: str) -> str:
    return " | ".join(line.strip() for line in text.splitlines() if line.strip())[-LAST_WORDS:]


def _lost(lost: Lost) -> Trial:
    fitness = Fitness.BROKEN if lost.boundary in THE_AGENTS else Fitness.UNTRIED
    return Trial(fitness, f"{lost.boundary.value}: {plain(lost.reason, LONGEST_REASON).rstrip(': ')}")


def preflight(
    engine: SandboxEngine, agent: Agent, bounds: OperatorBounds, like: Group, log: Callable[[str], None]
) -> str:
    """Try an agent before a run, and give the warning about one that may be made for other tasks ('' for none).

    Raises MissingError for an agent that does not work.
    """
    trial = try_agent(engine, agent, bounds, like, log)
    if trial.fitness is Fitness.BROKEN:
        raise MissingError(
            f"the agent {agent.name} does not work: {trial.words}; nothing was measured, --no-preflight does it anyway"
        )
    if trial.fitness not in {Fitness.WEAK, Fitness.FAILED}:
        return ""
    warning = f"the agent {agent.name} {trial.words}; if it was made for this taskset only, that is no harm"
    log(warning)
    return warning
