"""One task in one sandbox, as short as a test wants to say it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from taskcal.agents.play import Noop
from taskcal.core.plan import Bounds
from taskcal.core.rollout import Lost, Stop
from taskcal.core.task import (
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
from taskcal.grading import Judgement, grade
from taskcal.prepare import prepare_group
from taskcal.sandbox import Script, ScriptResult
from taskcal.sandbox.container import DockerSandbox, Order, open_sandbox
from taskcal.sandbox.images import Images

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskcal.core.task import Probe, Scalar
    from taskcal.sandbox.scope import RunScope

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


@contextlib.contextmanager
def opened(scope: RunScope, group: Group) -> Iterator[DockerSandbox]:
    """The group's sandbox, closed at the end."""
    images = prepare_group(group, Images(scope, network=False, log=lambda _: None), Noop(), Bounds())
    assert not isinstance(images, Lost), images.reason
    environment = group.task.environment
    fresh = group.task.grader.sandbox is GraderSandbox.FRESH
    order = Order(environment, images, group.variant.params, environment.network, "task#0", f"{scope.run}-0", fresh)
    sandbox = open_sandbox(scope, order)
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
