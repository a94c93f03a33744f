"""What one trivial task says of an agent, and when an agent need not do it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.agents.builtin import Noop, Oracle, Simulated
from taskcal.agents.command import CommandAgent
from taskcal.agents.spec import CommandSpec, SimulatedSpec
from taskcal.cli.commands.doctor import sign_of
from taskcal.cli.docker_runs import DockerRuns
from taskcal.core.plan import OperatorBounds
from taskcal.core.rollout import Graded, Lost, Stop, Timing
from taskcal.core.task import Environment, Group, ImageSource, Network, NetworkMode, Service, Timeouts
from taskcal.errors import Boundary
from taskcal.runs.preflight import (
    SECONDS,
    WALL,
    Fitness,
    Trial,
    is_exempt,
    judge_trial,
    trivial_group,
    try_agent,
    was_seen,
)
from taskcal.store.run_folder import RunFolder
from tests.agents.fake_sandbox import task
from tests.sandbox.fake_engine import FakeEngine, as_engine
from tests.store.store_case import FIRST, GROUP, RECORD, SECOND

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.core.rollout import Outcome, Rollout


def rollout(outcome: Outcome) -> Rollout:
    return replace(FIRST, outcome=outcome, answer=None, turns=2, timing=Timing(agent=3.0))


def graded(stop: Stop, *, passed: bool) -> Graded:
    return Graded(stop, float(passed), passed=passed, checks=())


@pytest.mark.parametrize(
    ("outcome", "fitness", "words"),
    [
        (graded(Stop.FINISHED, passed=True), Fitness.WORKS, "did one trivial task: 2 turns, 3.0s"),
        (graded(Stop.CRASHED, passed=True), Fitness.WORKS, "did one trivial task: 2 turns, 3.0s"),
        (graded(Stop.CRASHED, passed=False), Fitness.FAILED, "crashed at a trivial task; its last words: bad | key"),
        (
            graded(Stop.OUT_OF_MEMORY, passed=False),
            Fitness.BROKEN,
            "out-of-memory at a trivial task; its last words: bad | key",
        ),
        (graded(Stop.REFUSED, passed=False), Fitness.BROKEN, "refused at a trivial task; its last words: bad | key"),
        (
            graded(Stop.CONTEXT_FULL, passed=False),
            Fitness.BROKEN,
            "context-full at a trivial task; its last words: bad | key",
        ),
        (
            graded(Stop.MAX_TURNS, passed=False),
            Fitness.WEAK,
            "max-turns without having done a trivial task; its last words: bad | key",
        ),
        (graded(Stop.TIMEOUT, passed=False), Fitness.BROKEN, "timeout at a trivial task; its last words: bad | key"),
        (
            graded(Stop.FINISHED, passed=False),
            Fitness.WEAK,
            "finished without having done a trivial task; its last words: bad | key",
        ),
        (Lost(Boundary.AGENT_INSTALL, "not found"), Fitness.BROKEN, "agent-install: not found"),
        (Lost(Boundary.PROVIDER, "no answer"), Fitness.BROKEN, "provider: no answer"),
    ],
)
def test_a_trial_tells_broken_agents_from_weak_ones(outcome: Outcome, fitness: Fitness, words: str) -> None:
    """What cannot work keeps a run from starting; what ended, well or not, may be made for something else."""
    found = judge_trial(rollout(outcome), "\nbad\n  key\n")
    assert (found.fitness, found.words) == (fitness, words)


def test_an_agent_that_printed_nothing_is_said_to_have() -> None:
    """An empty log is a finding as well; a long one is its end."""
    assert judge_trial(rollout(graded(Stop.CRASHED, passed=False)), " \n").words.endswith(
        "it printed nothing and gave no answer"
    )
    assert len(judge_trial(rollout(graded(Stop.CRASHED, passed=False)), "x" * 9000).words) < 400


def test_the_last_word_of_an_agent_is_its_answer() -> None:
    """A chat prints nothing, and what it answered says why it did not do the task."""
    answered = replace(rollout(graded(Stop.FINISHED, passed=False)), answer="I cannot\ndo that.")
    assert judge_trial(answered, "").words.endswith("; its last words: I cannot | do that.")
    assert judge_trial(replace(answered, answer=" "), "a log").words.endswith("; its last words: a log")


@pytest.mark.parametrize(
    "answer",
    [
        '<tool_call>\n{"name": "bash", "arguments": {"command": "echo ready"}}\n</tool_call>',
        '[TOOL_CALLS][{"name": "bash"}]',
        "<function=bash><parameter=command>echo</parameter></function>",
        "<|python_tag|>bash.call()",
        "<\uff5ctool\u2581calls\u2581begin\uff5c>bash",
    ],
)
def test_a_call_that_the_server_did_not_parse_is_its_fault(answer: str) -> None:
    """The model did its part: without a tool call parser every task would look too hard."""
    found = judge_trial(replace(rollout(graded(Stop.FINISHED, passed=False)), answer=answer), "")
    assert found.fitness is Fitness.BROKEN
    assert found.words.startswith("the server does not parse tool calls; start it with its tool call parser; its last")
    done = judge_trial(replace(rollout(graded(Stop.FINISHED, passed=True)), answer=answer), "")
    assert done.fitness is Fitness.WORKS


def test_a_long_reason_is_printed_whole() -> None:
    """It ends with what to write into the agent file."""
    lost = Lost(Boundary.PROVIDER, f"http://{'host' * 60}/v1: add finish_reasons: {{eos: stop}} to the agent file")
    assert judge_trial(rollout(lost), "").words.endswith("add finish_reasons: {eos: stop} to the agent file")


@pytest.mark.parametrize(
    ("fitness", "line", "remedy"),
    [
        (Fitness.WORKS, "agent       ok       mine as said", ""),
        (Fitness.WEAK, "agent       unsure   mine as said; it may be made for something else", ""),
        (Fitness.UNTRIED, "agent       unknown  mine was not tried: as said", ""),
        (Fitness.FAILED, "agent       failed   mine: as said", "mend the agent mine, and try it again"),
        (Fitness.BROKEN, "agent       failed   mine: as said", "mend the agent mine, and try it again"),
    ],
)
def test_only_a_broken_agent_is_a_failure(fitness: Fitness, line: str, remedy: str) -> None:
    """The mark agrees with the exit code: failed is what needs a remedy, and what may be right is unsure."""
    sign = sign_of("mine", Trial(fitness, "as said"))
    assert (str(sign), sign.remedy) == (line, remedy)


def test_the_trivial_task_is_where_the_real_ones_are() -> None:
    """In the same environment, so that the agent is installed on the same image, without what takes time to start."""
    services = (Service("db", ImageSource(image="db")),)
    real = Environment("e", ImageSource(image="shop"), "/app", "agent", network=Network(NetworkMode.BRIDGE))
    real = replace(real, services=services, start="serve", ready="up", finish="back", setup="make $order")
    like = replace(task(), environment=real, timeouts=Timeouts(setup=5.0))
    found = trivial_group(Group(like, replace(like.variants[0], params={"order": 1})))
    environment = found.task.environment
    assert (environment.source.image, environment.user, environment.setup) == ("shop", "agent", "make $order")
    assert (environment.services, environment.start, environment.ready, environment.finish) == ((), "", "", "")
    assert (found.task.timeouts.agent, found.task.timeouts.setup, found.task.timeouts.wall) == (SECONDS, 5.0, WALL)
    assert found.variant.params == {"order": 1}
    assert found.variant.prompt != like.variants[0].prompt
    assert trivial_group(None).task.environment.source.image == "debian:bookworm-slim"


def test_agents_that_play_need_no_trial() -> None:
    """There is nothing in them that could be wrong."""
    assert is_exempt(Noop())
    assert is_exempt(Oracle())
    assert is_exempt(Simulated(SimulatedSpec("s")))
    assert not is_exempt(CommandAgent(CommandSpec("a", "x")))


def test_an_agent_is_seen_once_a_rollout_of_it_was_graded(tmp_path: Path) -> None:
    """Not by a run that was lost as a whole, nor by another agent's; damaged runs say nothing."""
    assert not was_seen(tmp_path, "bb")
    folder = RunFolder.create(tmp_path, RECORD, [GROUP])
    folder.append(SECOND)
    assert not was_seen(tmp_path, "bb")
    folder.append(FIRST)
    folder.close()
    (tmp_path / "aaa").mkdir()
    (tmp_path / "aaa" / "run.json").write_text("damaged")
    assert was_seen(tmp_path, "bb")
    assert not was_seen(tmp_path, "cc")


def test_what_cannot_be_reached_is_not_tried() -> None:
    """An endpoint at which nothing listens: said at once, without a container and without five tries."""
    engine = FakeEngine()
    agent = CommandAgent(CommandSpec("mine", "run"), missing="nothing answers at http://x")
    trial = try_agent(DockerRuns(as_engine(engine)), agent, OperatorBounds(), None, pytest.fail)
    assert (trial.fitness, trial.words) == (Fitness.BROKEN, "nothing answers at http://x")
    assert engine.calls == []
