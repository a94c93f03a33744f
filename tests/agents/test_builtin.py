"""Agents that know the answer: what they play, as whom, and how often."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest

from taskcal.agents.builtin import Noop, Oracle, Simulated, choose_solution, probability, stop_of_result
from taskcal.agents.spec import SimulatedSpec
from taskcal.core.rollout import Stop
from taskcal.core.task import FileCopy, Solution, WrongAnswer
from taskcal.machine import host
from taskcal.sandbox import ANSWER_FILE, ScriptEnding, ScriptResult
from tests.agents.fake_sandbox import SOLVED, FakeSandbox, attempt, ending, task

if TYPE_CHECKING:
    from taskcal.agents import Agent
    from taskcal.agents.builtin import DeclaredSolution
    from taskcal.core.task import Task

WRONG = (WrongAnswer("forgets", 0.7, run="half"), WrongAnswer("all", 0.0, answer="42"))
ROLLOUTS = 400


def simulated(**success: float) -> Simulated:
    return Simulated(SimulatedSpec("sim", {name.replace("_", "-"): value for name, value in success.items()}))


def played(agent: Agent, solutions: tuple[Solution, ...] = (SOLVED,), seed: int = 7) -> FakeSandbox:
    sandbox = FakeSandbox()
    agent.act(sandbox, attempt(task(solutions=solutions, wrong=WRONG), seed=seed))
    return sandbox


def moves(one: Task, success: float) -> list[DeclaredSolution | None]:
    """What 400 rollouts with the seeds 0 to 399 play."""
    return [choose_solution(random.Random(seed), one, success) for seed in range(ROLLOUTS)]  # noqa: S311 - no secret


def is_about(count: int, share: float) -> bool:
    """Within four standard errors of a share of the rollouts."""
    return abs(count / ROLLOUTS - share) < 4 * math.sqrt(share * (1 - share) / ROLLOUTS)


def test_noop_does_nothing() -> None:
    """What the unchanged state earns: no script, no file, finished."""
    sandbox = FakeSandbox()
    assert Noop().act(sandbox, attempt(task())).stop is Stop.FINISHED
    assert (sandbox.scripts, sandbox.files) == ([], [])
    assert Noop().refusal(task(solutions=())) is None


def test_the_oracle_plays_the_first_solution() -> None:
    """With its files, as the environment's user, with the params that its script needs."""
    files = (FileCopy("/app/patch", "/t/patch"),)
    sandbox = played(Oracle(), (Solution("a", run="solve $order", files=files), Solution("b", run="other")))
    (script,) = sandbox.scripts
    assert (script.source, script.user, script.timeout) == ("solve $order", "agent", 60.0)
    assert script.env["order"] == "12"
    assert sandbox.files == list(files)


@pytest.mark.parametrize("answer", ["42", "it's $5 `x`\n", "", "-n \\"])
def test_an_answer_is_written_as_it_is(answer: str) -> None:
    """Whatever characters it holds; the shell that writes it is asked for it, not a copy of its rules."""
    (script,) = played(Oracle(), (Solution("a", answer=answer),)).scripts
    source, _, rest = script.source.partition(f" >{ANSWER_FILE}\n")
    assert rest == ""
    assert host.run_program(["sh", "-c", source], seconds=30).output == answer


def test_an_answer_and_a_script_are_both_played() -> None:
    """The answer first, since the script may end the shell."""
    (script,) = played(Oracle(), (Solution("a", run="exit 0", answer="42"),)).scripts
    assert script.source == f"printf %s 42 >{ANSWER_FILE}\nexit 0"


def test_what_cannot_be_played_is_refused() -> None:
    """A task without a solution, unless the simulated agent should never succeed at it."""
    bare = task("close-account", solutions=())
    assert Oracle().refusal(bare) == "the oracle needs a solution, and the task has none"
    assert simulated(close_account=0.5).refusal(bare) == "the simulated agent needs a solution, and the task has none"
    assert simulated(close_account=0.0).refusal(bare) is None
    assert simulated(other=1.0).refusal(bare) is None
    assert Oracle().refusal(task()) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ship-order", 0.2), ("ship-many", 0.3), ("refund", 0.5), ("Ship-order", 0.5), ("ship-", 0.3)],
)
def test_the_longest_glob_wins(name: str, expected: float) -> None:
    """The most particular pattern that matches a task's id, upper and lower case told apart."""
    assert probability({"*": 0.5, "ship-*": 0.3, "ship-order": 0.2}, name) == expected
    assert probability({"other": 1.0}, name) == 0.0


def test_certain_is_certain() -> None:
    """At 1 every rollout is a solution, at 0 none is."""
    one = task(wrong=WRONG)
    assert set(moves(one, 1.0)) == {SOLVED}
    assert set(moves(one, 0.0)) == {None, *WRONG}


def test_success_comes_as_often_as_it_is_set() -> None:
    """400 fixed seeds at 0.3: so many solutions within four standard errors, and failures spread evenly."""
    found = moves(task(wrong=WRONG), 0.3)
    assert is_about(found.count(SOLVED), 0.3)
    assert all(is_about(found.count(move), 0.7 / 3) for move in (None, *WRONG))


def test_a_seed_is_a_rollout() -> None:
    """The same seed plays the same, so that a retry repeats what was lost; another one may not."""
    agent = simulated(ship=0.5)
    twice = [[played(agent, seed=seed).scripts for seed in range(30)] for _ in range(2)]
    assert twice[0] == twice[1]
    assert len({str(scripts) for scripts in twice[0]}) == 4


def test_every_solution_has_its_turn() -> None:
    """A task's solutions are equally likely."""
    both = (SOLVED, Solution("b", run="other"))
    assert is_about(moves(task(solutions=both), 1.0).count(SOLVED), 0.5)


@pytest.mark.parametrize(
    ("kind", "code", "stop"),
    [
        (ScriptEnding.EXITED, 0, Stop.FINISHED),
        (ScriptEnding.EXITED, 1, Stop.CRASHED),
        (ScriptEnding.EXITED, 137, Stop.CRASHED),
        (ScriptEnding.TIMED_OUT, None, Stop.TIMEOUT),
        (ScriptEnding.OUT_OF_MEMORY, None, Stop.OUT_OF_MEMORY),
    ],
)
def test_a_stop_is_how_the_process_ended(kind: ScriptEnding, code: int | None, stop: Stop) -> None:
    """Each of these is graded: an agent's own end is never a lost rollout."""
    assert stop_of_result(ScriptResult(kind, code, b"", b"")) is stop


def test_a_solution_that_fails_is_a_crash() -> None:
    """The oracle is judged like any agent."""
    assert Oracle().act(ending(1), attempt(task())).stop is Stop.CRASHED


@pytest.mark.parametrize("agent", [Noop(), Oracle(), simulated(ship=0.5)], ids=lambda agent: agent.name)
def test_no_built_in_agent_passes_for_a_model(agent: Agent) -> None:
    """Each says in one sentence what it is, for every place where its name could mislead."""
    assert agent.about
    assert (agent.install, agent.network) == ("", None)
