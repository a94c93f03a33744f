"""Time and trouble of a chat agent: what is its own, and what is never its fault."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.agents.chat.agent import ChatAgent
from taskcal.agents.transcript import Note, conversation_digest, read_transcript
from taskcal.core.rollout import Graded, Lost, Stop
from taskcal.errors import Boundary, ProviderLost, UsageError
from taskcal.execution.rollout import run_rollout
from tests.agents.chat.chat_case import KEY, ChatCase
from tests.agents.chat.openai_server import Step as Answer
from tests.agents.chat.openai_server import completion, dead_url, fails, runs, says
from tests.execution.test_rollout import Stage, Typist, job
from tests.sandbox.fake_engine import FakeEngine

if TYPE_CHECKING:
    from pathlib import Path


def test_the_timeout_counts_the_models_and_the_tools_time(case: ChatCase) -> None:
    """Ten seconds a turn and ten a command: after sixty it is over, and the next command gets what is left."""
    case.sandbox.takes = 10.0
    case.timeout = 55.0
    acted = case.act(runs("work", takes=10.0))
    assert (acted.stop, case.account.turns) == (Stop.TIMEOUT, 3)
    assert [script.timeout - 10.0 for script in case.sandbox.scripts] == [45.0, 25.0, 5.0]


def test_an_answer_after_the_end_of_its_time_does_not_count(case: ChatCase) -> None:
    """The model was too slow; nothing that it asks for then is done."""
    case.timeout = 10.0
    assert case.act(runs("late", takes=11.0)).stop is Stop.TIMEOUT
    assert case.act(says("late", takes=11.0)).stop is Stop.TIMEOUT
    assert case.sandbox.scripts == []


def test_waiting_is_not_the_agents_time(case: ChatCase) -> None:
    """Rate limits, failed tries and the pauses between them: a timeout of ten seconds survives a minute of them."""
    case.timeout = 10.0
    busy = fails(429, "slow down", retry_after="20")
    acted = case.act(busy, fails(500), fails(503), runs("work", takes=4.0), busy, says("ok", takes=4.0))
    assert acted.stop is Stop.FINISHED
    assert case.clock.time > 48.0
    assert [note.partition(",")[0] for note in case.notes] == [
        *(f"try {number} at {case.server.url} failed" for number in (1, 2, 3)),
        f"try 1 at {case.server.url} failed",
    ]


def test_the_wall_bounds_the_waiting(case: ChatCase) -> None:
    """Where the endpoint wants more patience than the whole rollout may take, it is lost, and no timeout."""
    case.wall = 100.0
    with pytest.raises(ProviderLost, match="asks to wait 500 s"):
        case.act(fails(429, "slow down", retry_after="500"))
    with pytest.raises(ProviderLost, match=r"waited 100 s for its turn there; .*timeouts\.wall"):
        case.act(says("ok"))
    assert case.clock.time == 100.0


@pytest.mark.parametrize(
    "answer",
    [
        fails(500, "oops"),
        fails(503, "overloaded"),
        fails(429, "slow down"),
        Answer(body={"choices": []}),
        Answer(body="<html>"),
        Answer(body=completion({"content": "x"}), sends=10, ends="torn"),
        Answer(body={"error": {"message": "upstream", "code": 502}}),
    ],
    ids=["500", "503", "429", "no choices", "html", "torn", "502 in 200"],
)
def test_an_endpoint_in_trouble_is_lost(case: ChatCase, answer: Answer) -> None:
    """Tried five times, then the provider's fault: never a zero, also in the middle of a conversation."""
    with pytest.raises(ProviderLost, match="5 tries"):
        case.act(answer)
    with pytest.raises(ProviderLost, match="5 tries"):
        case.act(runs("work"), answer)
    assert len(case.server.requests) == 5 + 1 + 5
    assert "5 tries" in case.notes[-1]


def test_a_stalled_answer_is_lost(case: ChatCase) -> None:
    """The call's time ends it, although the connection stays open."""
    case.spec = replace(case.spec, call_timeout=0.4)
    stalled = Answer(body=completion({"content": "x"}), sends=10, ends="stalled")
    case._agent = ChatAgent(case.spec, KEY, call=case.connect)  # the machine's own clock: the wait is in the socket
    with pytest.raises(ProviderLost, match=r"no complete answer within .* a slow model needs a longer call_timeout"):
        case.act(stalled)


def test_the_wall_bounds_a_call_that_hangs(case: ChatCase) -> None:
    """Long before its own time is over, and the reason names the bound."""
    case.wall = 0.4
    stalled = Answer(body=completion({"content": "x"}), sends=10, ends="stalled")
    case._agent = ChatAgent(case.spec, KEY, call=case.connect)  # the machine's own clock: the wait is in the socket
    with pytest.raises(ProviderLost, match=r"the time of the rollout with all its waiting is over \(timeouts\.wall"):
        case.act(stalled)


def test_a_dead_endpoint_is_lost(case: ChatCase) -> None:
    """Nobody listens there."""
    case.spec = replace(case.spec, base_urls=(dead_url(),))
    with pytest.raises(ProviderLost, match=r"refused.*\(5 tries"):
        case.act()


def test_a_wrong_key_stops_the_run_and_is_not_told(case: ChatCase) -> None:
    """Neither in the message nor in the transcript, even where the server repeats it."""
    with pytest.raises(UsageError, match=r"Incorrect API key provided: .*set it with `export") as caught:
        case.act(fails(401, f"Incorrect API key provided: {KEY}", "invalid_api_key"))
    assert "provided: [OPENAI_API_KEY])" in case.agent.redactor.text(str(caught.value))
    assert KEY.encode() not in b"".join(case.lines)


def test_a_runner_lets_it_through(case: ChatCase, tmp_path: Path) -> None:
    """What no rollout can survive is no outcome of one; everything else is, with its transcript and digest."""
    stage, engine = Stage(tmp_path), FakeEngine()
    workplace = replace(stage.workplace(engine, Typist()), agents={"": case.agent})
    case.server.script(fails(404, "The model `m` does not exist", "model_not_found"))
    with pytest.raises(UsageError, match="is the model 'm' served there"):
        run_rollout(job(), workplace)
    case.server.script(fails(500))
    assert run_rollout(job(1), workplace).outcome == Lost(Boundary.PROVIDER, case_reason(tmp_path, 1))
    case.server.script(runs("work"), says("42"))
    found = run_rollout(job(2), workplace)
    assert isinstance(found.outcome, Graded)
    assert found.transcript_sha256 == conversation_digest(
        entry.event for entry in read_transcript(path_of(tmp_path, 2))
    )
    assert engine.containers == set()


def path_of(folder: Path, index: int) -> Path:
    return folder / f"{index}.0.transcript.jsonl"


def case_reason(folder: Path, index: int) -> str:
    """The last remark of a transcript, which is why its rollout was lost."""
    (*_, last) = read_transcript(path_of(folder, index))
    assert isinstance(last.event, Note)
    return last.event.text
