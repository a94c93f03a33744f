"""An answer that ends at a limit: of the agent file, of the server, or of the model's context."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.agents.chat.identity import Served
from taskcal.agents.spec import Sampling
from taskcal.core.rollout import Stop
from taskcal.errors import ProviderLost
from taskcal.sandbox import ScriptEnding, ScriptResult
from tests.agents.chat.openai_server import Step as Answer
from tests.agents.chat.openai_server import calls, completion, fails, says

if TYPE_CHECKING:
    from tests.agents.chat.chat_case import ChatCase


def test_an_answer_cut_by_max_tokens_may_go_on(case: ChatCase) -> None:
    """The model is informed where it was cut."""
    acted = case.act(says("so long", finish="length"), says("short"))
    assert (acted.stop, case.account.turns) == (Stop.FINISHED, 2)
    assert "cut off at 500 tokens" in case.server.requests[1]["messages"][-1]["content"]
    assert case.notes == []


def cut(tokens: int | None, prompt: int = 100, **message: Any) -> Answer:
    """An answer that the server cuts after some tokens."""
    return Answer(body=completion(message, "length", {"prompt_tokens": prompt, "completion_tokens": tokens}))


def test_an_answer_cut_by_the_server_may_go_on(case: ChatCase) -> None:
    """Without a max_tokens of ours it is the server's own limit, and a note names the key that changes it."""
    case.spec = replace(case.spec, sampling=Sampling())
    acted = case.act(cut(512, content="so long"), cut(None, content="so long"), says("short"))
    assert (acted.stop, case.account.turns) == (Stop.FINISHED, 3)
    assert "cut off at 512 tokens" in case.server.requests[1]["messages"][-1]["content"]
    assert "cut off at its limit" in case.server.requests[2]["messages"][-1]["content"]
    assert all("sampling.max_tokens" in note for note in case.notes)
    assert len(case.notes) == 2


@pytest.mark.parametrize(
    ("prompt", "tokens", "stop"),
    [(3584, 512, Stop.CONTEXT_FULL), (3560, 512, Stop.CONTEXT_FULL), (3000, 512, Stop.FINISHED)],
)
def test_a_cut_answer_that_fills_the_window_is_the_end(case: ChatCase, prompt: int, tokens: int, stop: Stop) -> None:
    """By the numbers of the server alone: the size of the context from its list of models, and its counts."""
    case.spec = replace(case.spec, sampling=Sampling())
    case.served = (Served("m", "", 4096),)
    assert case.act(cut(tokens, prompt, content="so long"), says("ok")).stop is stop


def test_a_request_that_is_refused_at_the_end_of_the_window_is_full(case: ChatCase) -> None:
    """In words that are not in any list: counted tokens and what the tools added since decide."""
    case.served = (Served("m", "", 4096),)
    case.sandbox.result = ScriptResult(ScriptEnding.EXITED, 0, b"x" * 6000, b"")
    refused = fails(400, "request rejected")
    near = calls(("bash", {"command": "cat"}))
    near.body["usage"] = {"prompt_tokens": 3300, "completion_tokens": 10}
    assert case.act(near, refused).stop is Stop.CONTEXT_FULL
    near.body["usage"] = {"prompt_tokens": 300, "completion_tokens": 10}
    with pytest.raises(ProviderLost, match="request rejected"):
        case.act(near, refused)


@pytest.mark.parametrize("arguments", ['{"command": "cat <<EOF', "", "{}"])
def test_a_call_cut_by_a_limit_is_not_run(case: ChatCase, arguments: str) -> None:
    """The model is informed that it was cut; whole calls before it are run."""
    acted = case.act(calls(("bash", {"command": "one"}), ("bash", arguments), finish="length"), says("ok"))
    assert acted.stop is Stop.FINISHED
    assert case.told[0] == "(no output)"
    assert case.told[1].startswith("This call was cut off at 500 tokens and was not run. Make it shorter")
    assert ["one" in script.source for script in case.sandbox.scripts] == [True, False]
