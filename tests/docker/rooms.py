"""One task in one sandbox, as short as a test wants to say it."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from taskcal.agents import AgentResult
from taskcal.agents.builtin import Noop, stop_of_result
from taskcal.core.plan import OperatorBounds, PlannedRollout
from taskcal.core.rollout import Lost, RolloutId, Stop
from taskcal.core.task import (
    Artifact,
    Check,
    Environment,
    Grader,
    GraderSandbox,
    Group,
    ImageSource,
    RunProbe,
    Task,
    Timeouts,
    Variant,
)
from taskcal.execution.grading import Judgement, grade
from taskcal.execution.logs import FileLogs
from taskcal.execution.rollout import run_rollout
from taskcal.execution.workplace import RolloutJob, Workplace
from taskcal.runs.images.prepare_group import prepare_group
from taskcal.sandbox import Script, ScriptResult
from taskcal.sandbox.container import DockerSandbox, open_sandbox
from taskcal.sandbox.images.baking import Images
from taskcal.sandbox.sandbox_spec import SandboxSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from taskcal.agents import Agent, Attempt
    from taskcal.core.rollout import Outcome
    from taskcal.core.task import FileCopy, Probe, Scalar
    from taskcal.sandbox import Sandbox
    from taskcal.sandbox.engine.run_resources import RunScope

IMAGE = "debian:bookworm-slim"
PLAIN = Environment("plain", ImageSource(image=IMAGE))


def task(*probes: Probe | str, environment: Environment = PLAIN, params: Mapping[str, Scalar] | None = None) -> Group:
    """A group of one task whose checks are named c0, c1, …; a text is a `run` check."""
    checks = [Check(f"c{i}", RunProbe(p) if isinstance(p, str) else p) for i, p in enumerate(probes or ("true",))]
    made = Task(
        id="task",
        variants=(Variant("", params or {}, "a prompt"),),
        environment=environment,
        grader=Grader(tuple(checks)),
        timeouts=Timeouts(grader=10.0),
    )
    return Group(made, made.variants[0])


def fresh(group: Group, *artifacts: Artifact | str, files: tuple[FileCopy, ...] = ()) -> Group:
    """The same group, graded in a fresh sandbox that receives these artifacts; a text is a path of the sandbox."""
    wanted = tuple(Artifact(one) if isinstance(one, str) else one for one in artifacts)
    grader = replace(group.task.grader, sandbox=GraderSandbox.FRESH, artifacts=wanted, files=files)
    return Group(replace(group.task, grader=grader), group.variant)


@contextlib.contextmanager
def opened(scope: RunScope, group: Group) -> Iterator[DockerSandbox]:
    """The group's sandbox, closed at the end."""
    images = prepare_group(group, Images(scope, network=False, log=lambda _: None), Noop(), OperatorBounds())
    assert not isinstance(images, Lost), images.reason
    sandbox = open_sandbox(scope, SandboxSpec.of(group, images, None, "task#0", f"{scope.run}-0"))
    try:
        yield sandbox
    finally:
        sandbox.close()


def act(sandbox: DockerSandbox, source: str, user: str | None = None, timeout: float = 20.0) -> ScriptResult:
    """Run a script as an agent would."""
    return sandbox.run(Script(source, timeout, user=user))


def judge(sandbox: DockerSandbox, group: Group) -> Judgement:
    """Grade what is there."""
    return grade(sandbox, group, Stop.FINISHED)


def scores(scope: RunScope, group: Group, source: str = ":", user: str | None = None) -> list[float]:
    """The score of each check after one script of the agent."""
    with opened(scope, group) as sandbox:
        act(sandbox, source, user)
        return [check.score for check in judge(sandbox, group).graded.checks]


@dataclass(frozen=True)
class Typist(Noop):
    """An agent that runs one script, for as long as it may."""

    source: str = ":"
    user: str | None = None

    def act(self, sandbox: Sandbox, attempt: Attempt) -> AgentResult:
        """Run it."""
        return AgentResult(stop_of_result(sandbox.run(Script(self.source, 20.0, user=self.user), sink=attempt.log)))


def outcome(scope: RunScope, folder: Path, group: Group, source: str, user: str | None = None) -> Outcome:
    """What comes of a whole rollout in which the agent runs one script."""
    return rolled_out(scope, folder, group, Typist(source=source, user=user))


def rolled_out(scope: RunScope, folder: Path, group: Group, agent: Agent) -> Outcome:
    """What comes of a whole rollout of this agent; its logs are in the folder."""
    images = prepare_group(group, Images(scope, network=False, log=lambda _: None), agent, OperatorBounds())
    assert not isinstance(images, Lost), images.reason
    workplace = Workplace(
        open_sandbox=partial(open_sandbox, scope),
        agents={"": agent},
        logs=FileLogs(lambda _, name: folder / name),
        cancelled=threading.Event(),
    )
    planned = PlannedRollout(RolloutId(group.id, 0, 0), group)
    return run_rollout(RolloutJob(scope.run, planned, images, seed=0), workplace).outcome
