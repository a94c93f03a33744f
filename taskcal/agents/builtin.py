"""Agents that know the answer: noop does nothing, oracle plays the first solution, simulated plays one sometimes.

They test a taskset and try out the tool without a model. A solution runs as the agent would: as the environment's
user, in its workdir; unlike an agent it sees the params.
"""

from __future__ import annotations

import fnmatch
import random
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from taskcal.agents import AgentResult
from taskcal.agents.tools.path_programs import ON_PATH, tools_on_path
from taskcal.core.rollout import Stop
from taskcal.redact import Redactor
from taskcal.sandbox import ANSWER_FILE, Script, ScriptEnding
from taskcal.sandbox.interpreters import as_shell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.agents import Attempt
    from taskcal.agents.spec import SimulatedSpec
    from taskcal.core.task import FileCopy, Network, Task
    from taskcal.sandbox import Sandbox, ScriptResult, Sink


class DeclaredSolution(Protocol):
    """A solution or a wrong answer that a task declares."""

    @property
    def name(self) -> str:
        """Its name in the taskset."""
        ...

    @property
    def run(self) -> str:
        """Its script."""
        ...

    @property
    def answer(self) -> str | None:
        """Its final message."""
        ...

    @property
    def files(self) -> tuple[FileCopy, ...]:
        """The files that it brings into the sandbox."""
        ...


def apply_solution(sandbox: Sandbox, attempt: Attempt, solution: DeclaredSolution) -> AgentResult:
    """Run a solution or a wrong answer as the agent would, and return how it ended."""
    return AgentResult(stop_of_result(run_solution(sandbox, attempt, solution)))


def run_solution(
    sandbox: Sandbox, attempt: Attempt, solution: DeclaredSolution, errors: Sink | None = None
) -> ScriptResult:
    """Run it and return its script's result; `errors` gets its standard error, else the attempt's log does."""
    sandbox.copy_in(solution.files, attempt.group.task.environment.user)
    source = as_shell(solution.run)
    if solution.answer is not None:
        source = f"printf %s {shlex.quote(solution.answer)} >{ANSWER_FILE}\n{source}"
    user = attempt.group.task.environment.user
    with tools_on_path(sandbox, attempt, user) as variables:
        whole = ON_PATH + source if variables else source
        # A variant's answer may depend on its params, which only the script knows.
        env = {**variables, **sandbox.variables, "TASKCAL_ANSWER_FILE": ANSWER_FILE}
        script = Script(whole, attempt.seconds, user=user, env=env)
        return sandbox.run(script, sink=attempt.log, errors=errors)


def stop_of_result(result: ScriptResult) -> Stop:
    """Why an agent ended, from how its process did."""
    if result.ending is ScriptEnding.TIMED_OUT:
        return Stop.TIMEOUT
    if result.ending is ScriptEnding.OUT_OF_MEMORY:
        return Stop.OUT_OF_MEMORY
    return Stop.FINISHED if result.ok else Stop.CRASHED


class BuiltinAgent:
    """What the agents here share: nothing to install, no timeout or network of their own, no secrets."""

    @property
    def install(self) -> str:
        """Nothing."""
        return ""

    @property
    def timeout(self) -> float | None:
        """The task's own."""
        return None

    @property
    def network(self) -> Network | None:
        """The task's own."""
        return None

    @property
    def user(self) -> str | None:
        """The environment's."""
        return None

    @property
    def redactor(self) -> Redactor:
        """There is nothing to hide."""
        return Redactor()


@dataclass(frozen=True)
class Noop(BuiltinAgent):
    """Ends at once; its reward is that of the unchanged state."""

    name: str = "noop"
    about: str = "does nothing: every reward is the unchanged state's"
    missing: ClassVar[str] = ""

    def refusal(self, task: Task) -> str | None:  # noqa: ARG002 - the protocol's
        """Nothing can be done to every task."""
        return None

    def act(self, sandbox: Sandbox, attempt: Attempt) -> AgentResult:  # noqa: ARG002 - the protocol's
        """Do nothing."""
        return AgentResult(Stop.FINISHED)


@dataclass(frozen=True)
class Oracle(BuiltinAgent):
    """Plays the first solution: the reward of a correct solution."""

    name: str = "oracle"
    about: str = "plays each task's first solution: every task should pass"
    missing: ClassVar[str] = ""

    def refusal(self, task: Task) -> str | None:
        """A task without a solution cannot be played."""
        return None if task.solutions else "the oracle needs a solution, and the task has none"

    def act(self, sandbox: Sandbox, attempt: Attempt) -> AgentResult:
        """Play the first solution."""
        return apply_solution(sandbox, attempt, attempt.group.task.solutions[0])


@dataclass(frozen=True)
class Simulated(BuiltinAgent):
    """Plays a solution with a known probability per task, else a wrong answer or nothing; seeded."""

    spec: SimulatedSpec
    about: str = "no model: plays declared solutions with set probabilities, to try out taskcal"
    missing: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """The name in its file."""
        return self.spec.name

    @property
    def timeout(self) -> float | None:
        """The cap in its file."""
        return self.spec.timeout

    def refusal(self, task: Task) -> str | None:
        """A task without a solution cannot be played, unless it should never succeed."""
        if task.solutions or probability(self.spec.success, task.id) == 0.0:
            return None
        return "the simulated agent needs a solution, and the task has none"

    def act(self, sandbox: Sandbox, attempt: Attempt) -> AgentResult:
        """Choose a solution, a wrong answer or nothing by this rollout's seed, and run it."""
        task = attempt.group.task
        solution = choose_solution(random.Random(attempt.seed), task, probability(self.spec.success, task.id))  # noqa: S311 - no secret
        return AgentResult(Stop.FINISHED) if solution is None else apply_solution(sandbox, attempt, solution)


def probability(success: Mapping[str, float], task: str) -> float:
    """The probability of the longest glob that matches a task's id; 0 if none does."""
    matching = [pattern for pattern in success if fnmatch.fnmatchcase(task, pattern)]
    return success[max(matching, key=len)] if matching else 0.0


def choose_solution(dice: random.Random, task: Task, success: float) -> DeclaredSolution | None:
    """A solution with probability `success`, else evenly a wrong answer or nothing (None)."""
    if dice.random() < success:
        return dice.choice(task.solutions)
    solutions: Sequence[DeclaredSolution | None] = (None, *task.wrong)
    return dice.choice(solutions)
