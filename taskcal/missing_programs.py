"""Find a check whose program exists nowhere, before rollouts pay for it.

A check that calls `jq` in an image without it scores 0 for every agent. The agent may be meant to install the program,
so its absence alone proves nothing: the task is unmeasured only if the program is missing after no action and after
every solution. A task without solutions shows no way to the program, and is unmeasured too. Only a task whose scripts
name a program that the image lacks costs a container here.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from taskcal.agents import Attempt
from taskcal.agents.play import play
from taskcal.core.reach import reach_of
from taskcal.core.rollout import Lost, Stop
from taskcal.core.script import shebang_of
from taskcal.core.shell_words import find_programs, reports_missing
from taskcal.core.task import GraderSandbox, RunProbe
from taskcal.errors import Boundary, GraderLost, LostError
from taskcal.grading import grade
from taskcal.sandbox.container import Order, open_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.agents import Agent
    from taskcal.core.task import Group, Solution
    from taskcal.probe import ReadyGroup
    from taskcal.sandbox.container import DockerSandbox
    from taskcal.sandbox.scope import RunScope

GRADER_RUN = "grader.run"


def find_missing_program(group: Group, ready: ReadyGroup, scope: RunScope, agent: Agent) -> Lost | None:
    """The loss of a group of which a check needs a program that the image lacks and no solution brings, or None."""
    suspects = list(_suspects(group, ready))
    if not suspects:
        return None
    order = _order(group, ready, scope, agent)
    for solution in (None, *group.task.solutions):
        try:
            printed = _grading_output(group, scope, order, solution)
        except LostError:  # it says nothing about the check, and the rollouts will meet it as well
            return None
        suspects = [(check, program) for check, program in suspects if reports_missing(printed, program)]
    return Lost(Boundary.GRADER, _sentence(group, *suspects[0])) if suspects else None


def _suspects(group: Group, ready: ReadyGroup) -> Iterator[tuple[str, str]]:
    """Pairs of a check and a program that it names and that is not on PATH where the check runs."""
    grader = group.grader
    if "PATH" in grader.env:  # its folders were not listed
        return
    scripts = [
        (check.name, check.probe.service, check.probe.script)
        for check in grader.checks
        if isinstance(check.probe, RunProbe)
    ]
    for check, service, script in (*scripts, (GRADER_RUN, "", grader.run)):
        present = ready.probe.programs.get(service)
        if present is not None:
            yield from ((check, program) for program in sorted(absent_programs(script, present)))


def absent_programs(script: str, present: frozenset[str]) -> frozenset[str]:
    """The programs that a script may call and that are not among those on PATH, its interpreter with its path."""
    shebang = shebang_of(script)
    if shebang is None:
        return find_programs(script) - present
    interpreter = frozenset(one for one in shebang.programs if one.rpartition("/")[2] not in present)
    return interpreter | (find_programs(script) - present if shebang.is_shell else frozenset())


def _grading_output(group: Group, scope: RunScope, order: Order, solution: Solution | None) -> str:
    """What the grading printed after a solution, or after nothing was done. Raises LostError."""
    sandbox = open_sandbox(scope, order)
    try:
        if solution is not None:
            play(sandbox, Attempt(group, 0, group.task.timeouts.agent, lambda _: None), solution)
        printed = _graded_output(sandbox, group)
        sandbox.finish()
        return printed
    finally:
        sandbox.close()


def _graded_output(sandbox: DockerSandbox, group: Group) -> str:
    try:
        return grade(sandbox, group, Stop.FINISHED).log
    except GraderLost as error:  # a script that prints no scores for want of a program is the very thing looked for
        return str(error)


def _order(group: Group, ready: ReadyGroup, scope: RunScope, agent: Agent) -> Order:
    environment = group.task.environment
    return Order(
        environment=environment,
        images=ready.images,
        params=group.variant.params,
        network=reach_of(environment.network, agent.network),
        rollout=f"{group.id}#programs",
        unique=f"{scope.run}-programs-{secrets.token_hex(4)}",
        fresh=group.task.grader.sandbox is GraderSandbox.FRESH,
    )


def _sentence(group: Group, check: str, program: str) -> str:
    who = "the grader's script" if check == GRADER_RUN else f"the check '{check}'"
    brings = "no solution brings it" if group.task.solutions else "no solution brings it (the task has none)"
    return f"{who} needs `{program}`. The image does not have it and {brings}; install it in the image or in `setup`"
