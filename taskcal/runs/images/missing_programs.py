"""Find a check whose program exists nowhere, before rollouts pay for it.

A check that calls `jq` in an image without it scores 0 for every agent. The agent may be meant to install the program,
so its absence alone proves nothing: the task is unmeasured only if the program is missing after every solution, and no
solution earns the check without it. A task without solutions shows no way to the program, and is unmeasured if a check
reports the program as missing after no action. Only a task whose scripts name a program that the image lacks costs a
container here.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.agents import Attempt
from taskcal.agents.builtin import apply_solution
from taskcal.core.rollout import Lost, Stop
from taskcal.core.shell.script import shebang_of
from taskcal.core.shell.shell_words import RUN_MODULE, find_programs, may_hide, reports_missing
from taskcal.core.task import RunProbe
from taskcal.errors import Boundary, GraderLost, LostError
from taskcal.execution.grading import grade
from taskcal.sandbox import ROOT_USER, Script
from taskcal.sandbox.interpreters import missing_programs
from taskcal.sandbox.sandbox_spec import SandboxSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskcal.agents import Agent
    from taskcal.core.task import Group, Solution
    from taskcal.execution.workplace import RolloutSandbox
    from taskcal.runs.engine import RunOnEngine
    from taskcal.runs.images.probe import ReadyGroup

GRADER_RUN = "grader.run"
SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A check, and a program that its script names and that is not on PATH in `service` ('' for the sandbox)."""

    check: str
    service: str
    script: str
    program: str


@dataclass(frozen=True, slots=True)
class _Graded:
    """One grading: what it printed, the score of each check, and the suspects whose program was still missing."""

    printed: str
    scores: Mapping[str, float]
    absent: frozenset[_Suspect]

    def lacks(self, suspect: _Suspect) -> bool:
        """Whether the program was missed: it was reported, or its check scored 0 and would not have reported it."""
        if reports_missing(self.printed, suspect.program):
            return True
        silent = suspect in self.absent and may_hide(suspect.script, suspect.program)
        return silent and self.best(suspect.check) == 0.0

    def best(self, check: str) -> float | None:
        """The score of a check, of the grader's script the highest; None if nothing was graded."""
        scores = self.scores.values() if check == GRADER_RUN else [self.scores[check]] if check in self.scores else []
        return max(scores, default=None)

    def earns(self, check: str) -> bool:
        """Whether a check scored in full, of the grader's script every check."""
        scores = self.scores.values() if check == GRADER_RUN else [self.scores.get(check, 0.0)]
        return bool(self.scores) and min(scores) == 1.0


def find_missing_program(group: Group, ready: ReadyGroup, on_engine: RunOnEngine, agent: Agent) -> Lost | None:
    """The loss of a group of which a check needs a program that the image lacks and no solution brings, or None.

    A check that a solution earns in full and doing nothing does not works without the program.
    """
    suspects = list(_suspects(group, ready))
    spec = _spec(group, ready, on_engine, agent)
    earned: set[str] = set()
    try:
        for solution in group.task.solutions:
            if not suspects:
                return None
            graded = _grade_after(group, on_engine, spec, suspects, solution)
            suspects = [one for one in suspects if graded.lacks(one)]
            earned |= {one.check for one in suspects if graded.earns(one.check)}
        if suspects and (earned or not group.task.solutions):
            idle = _grade_after(group, on_engine, spec, suspects, None)
            suspects = [one for one in suspects if _is_lacking(group, one, idle, earned)]
    except LostError:  # it says nothing about the check, and the rollouts will meet it as well
        return None
    return Lost(Boundary.GRADER, _sentence(group, suspects[0])) if suspects else None


def _is_lacking(group: Group, suspect: _Suspect, idle: _Graded, earned: set[str]) -> bool:
    """What doing nothing shows: without a solution only a report counts, and a module may be the agent's to write."""
    if group.task.solutions:
        return suspect.check not in earned or idle.earns(suspect.check)
    return not suspect.program.startswith(RUN_MODULE) and reports_missing(idle.printed, suspect.program)


def _suspects(group: Group, ready: ReadyGroup) -> Iterator[_Suspect]:
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
            yield from (_Suspect(check, service, script, name) for name in sorted(absent_programs(script, present)))


def absent_programs(script: str, present: frozenset[str]) -> frozenset[str]:
    """The programs that a script may call and that are not among those on PATH, its interpreter with its path."""
    shebang = shebang_of(script)
    if shebang is None:
        return find_programs(script) - present
    interpreter = frozenset(one for one in shebang.programs if one.rpartition("/")[2] not in present)
    return interpreter | (find_programs(script) - present if shebang.is_shell else frozenset())


def _grade_after(
    group: Group, on_engine: RunOnEngine, spec: SandboxSpec, suspects: Sequence[_Suspect], solution: Solution | None
) -> _Graded:
    """Grade after a solution, or after nothing was done. Raises LostError."""
    sandbox = on_engine.open_sandbox(spec)
    try:
        if solution is not None:
            apply_solution(sandbox, Attempt(group, 0, group.task.timeouts.agent, lambda _: None), solution)
        printed, scores = _graded(sandbox, group)
        absent = frozenset(one for one in suspects if _is_absent(sandbox, one))
        sandbox.finish()
        return _Graded(printed, scores, absent)
    finally:
        sandbox.close()


def _graded(sandbox: RolloutSandbox, group: Group) -> tuple[str, dict[str, float]]:
    """What the grading printed, and its scores."""
    try:
        judged = grade(sandbox, group, Stop.FINISHED)
    except GraderLost as error:  # a script that prints no scores for want of a program is the very thing looked for
        return str(error), {}
    return judged.log, {check.name: check.score for check in judged.graded.checks}


def _is_absent(sandbox: RolloutSandbox, suspect: _Suspect) -> bool:
    """Whether a program that a check may miss silently is not on PATH."""
    if not may_hide(suspect.script, suspect.program):
        return False
    script = Script(missing_programs([suspect.program]), SECONDS, user=ROOT_USER, service=suspect.service)
    return bool(sandbox.run(script).stdout.strip())


def _spec(group: Group, ready: ReadyGroup, on_engine: RunOnEngine, agent: Agent) -> SandboxSpec:
    unique = f"{on_engine.run}-programs-{secrets.token_hex(4)}"
    return SandboxSpec.of(group, ready.images, agent.network, f"{group.id}#programs", unique)


def _sentence(group: Group, suspect: _Suspect) -> str:
    who = "the grader's script" if suspect.check == GRADER_RUN else f"the check '{suspect.check}'"
    brings = "no solution brings it" if group.task.solutions else "no solution brings it (the task has none)"
    where = f"the image of service {suspect.service}" if suspect.service else "the image"
    return (
        f"{who} needs `{suspect.program}`. {where.capitalize()} does not have it and {brings}; "
        f"install it in {where} or in {'its' if suspect.service else ''} `setup`".replace("  ", " ")
    )
