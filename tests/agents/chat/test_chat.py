"""The chat agent's loop: what is said, what is done, and when it stops."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from taskcal.agents.chat.conversation import total
from taskcal.agents.chat.messages import MOST_CALLS
from taskcal.agents.spec import Price
from taskcal.agents.transcript import Message, TokenUsage, ToolCall, ToolResult, conversation_digest
from taskcal.core.rollout import Stop, Usage
from taskcal.errors import ProviderLost, SandboxLost
from taskcal.sandbox import ANSWER_FILE, Script, ScriptEnding, ScriptResult
from tests.agents.chat.chat_case import ChatCase, SlowSandbox
from tests.agents.chat.openai_server import Step as Answer
from tests.agents.chat.openai_server import calls, completion, fails, runs, says


def test_a_model_acts_until_it_is_done(case: ChatCase) -> None:
    """Prompt, tool call, result, answer: each request holds the whole conversation; the answer is put in its place."""
    case.sandbox.result = ScriptResult(ScriptEnding.EXITED, 0, b"shipped\n", b"")
    acted = case.act(runs("ship --order 12"), says("It is shipped."))
    assert (acted.stop, case.account.turns) == (Stop.FINISHED, 2)
    first, second = case.server.requests
    assert first["messages"] == [{"role": "user", "content": "Ship it."}]
    assert [tool["function"]["name"] for tool in first["tools"]] == ["bash"]
    function = {"name": "bash", "arguments": '{"command": "ship --order 12"}'}
    call = {"id": "id_0", "type": "function", "function": function}
    assert second["messages"][1:] == [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "id_0", "content": "shipped"},
    ]
    command, answer = case.sandbox.scripts
    assert "ship --order 12" in command.source
    assert answer.source.endswith(f"printf %s 'It is shipped.' >{ANSWER_FILE}")
    assert [script.user for script in case.sandbox.scripts] == ["agent", "agent"]


def test_a_system_prompt_comes_first(case: ChatCase) -> None:
    """Where the agent file has one."""
    case.spec = replace(case.spec, system="Be brief.")
    case.act(says("ok"))
    assert case.server.requests[0]["messages"][0] == {"role": "system", "content": "Be brief."}


def test_sampling_and_seed_are_passed_on(case: ChatCase) -> None:
    """Every rollout asks with its own seed, in all of its requests."""
    for seed in (7, 8):
        case.act(runs("true"), says("ok"), seed=seed)
    assert [one["seed"] for one in case.server.requests] == [7, 7, 8, 8]
    assert {(one["temperature"], one["top_p"], one["max_tokens"]) for one in case.server.requests} == {(0.7, 0.9, 500)}


def test_nothing_is_remembered_between_rollouts(case: ChatCase) -> None:
    """Two rollouts with the same seed ask twice, each from the beginning."""
    case.act(says("ok"))
    case.act(says("ok"))
    first, second = case.server.requests
    assert first == second


def test_the_params_are_never_in_a_request(case: ChatCase) -> None:
    """They hold what the grader expects."""
    case.act(runs("env"), says("ok"))
    assert "TASKCAL_ROLLOUT" not in json.dumps(case.server.requests)
    assert all(script.env == {} for script in case.sandbox.scripts)


def test_parallel_calls_are_all_answered(case: ChatCase) -> None:
    """In their order, each under its id, also when one of them makes no sense."""
    wanted = [
        ("bash", {"command": "one"}),
        ("bsh", {"command": "two"}),
        ("bash", '{"command": "thr'),
        ("bash", {"command": "four"}),
    ]
    case.act(calls(*wanted, content="Working."), says("ok"))
    answers = case.server.requests[1]["messages"][2:]
    assert [one["tool_call_id"] for one in answers] == ["id_0", "id_1", "id_2", "id_3"]
    assert case.told[0] == case.told[3] == "(no output)"
    assert case.told[1].startswith("there is no tool 'bsh'")
    assert case.told[2].startswith("bash was not run: the arguments are not JSON")
    assert [script.source.count("one") + script.source.count("four") for script in case.sandbox.scripts[:2]] == [1, 1]


def test_a_number_of_calls_is_carried_out(case: ChatCase) -> None:
    """Of thousands in one answer the first ones, and the model is told; the rest is not in the history either."""
    acted = case.act(calls(*[("bash", {"command": "x"})] * 1000), says("ok"))
    assert acted.stop is Stop.FINISHED
    assert len(case.told) == MOST_CALLS
    _, said, *answers, remark = case.server.requests[1]["messages"]
    assert len(said["tool_calls"]) == len(answers) == MOST_CALLS
    assert remark == {"role": "user", "content": "Only the first 128 of your 1000 tool calls were carried out."}


def test_a_conversation_has_a_length(case: ChatCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that answers with megabytes in every turn fills no memory: the context is full then."""
    monkeypatch.setattr("taskcal.agents.chat.conversation.MOST_SAID", 10_000)
    acted = case.act(calls(("bash", {"command": "x" * 4000}), content="y" * 4000))
    assert (acted.stop, case.account.turns) == (Stop.CONTEXT_FULL, 2)
    assert any("longer than" in note for note in case.notes)


def test_a_malformed_call_does_not_end_a_rollout(case: ChatCase) -> None:
    """The model is told, mends it, and what it had written is in the transcript as it was."""
    acted = case.act(calls(("bash", "ls -la")), runs("ls -la"), says("ok"))
    assert (acted.stop, case.account.turns) == (Stop.FINISHED, 3)
    assert ToolCall("id_0", "bash", "ls -la") in case.events
    sent = case.server.requests[1]["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert sent == "{}"


def test_long_output_is_cut(case: ChatCase) -> None:
    """Whatever a tool says: a request never grows by more than the bound and a little."""
    case.spec = replace(case.spec, tool_output=1000)
    case.sandbox.result = ScriptResult(ScriptEnding.EXITED, 0, b"x" * 100_000, b"")
    case.act(runs("cat"), says("ok"))
    assert len(case.told[0]) < 1000 + 3000
    assert "characters left out" in case.told[0]


def test_the_transcript_holds_everything(case: ChatCase) -> None:
    """What was said, thought, called, answered and counted, in its order; its digest goes with the result."""
    case.spec = replace(case.spec, system="Be brief.")
    case.sandbox.result = ScriptResult(ScriptEnding.EXITED, 1, b"oh no\n", b"")
    thinking = completion(
        {"content": "Hm.", "reasoning_content": "A hard one."}, usage={"prompt_tokens": 9, "completion_tokens": 4}
    )
    acted = case.act(runs("try"), Answer(body=thinking))
    assert case.events == [
        Message("system", "Be brief."),
        Message("user", "Ship it."),
        Message("assistant", ""),
        ToolCall("id_0", "bash", '{"command": "try"}'),
        TokenUsage(10, None, 5),
        ToolResult("id_0", "oh no\n[exit status 1]", 0.0, 1),
        Message("assistant", "Hm.", "A hard one."),
        TokenUsage(9, None, 4),
        *case.events[8:],
    ]
    assert acted.transcript_digest == conversation_digest(case.events)


def test_reasoning_goes_back_where_it_is_wanted(case: ChatCase) -> None:
    """Some models need it between their tool calls."""
    call = {"id": "c", "type": "function", "function": {"name": "bash", "arguments": '{"command": "true"}'}}
    thinking = Answer(body=completion({"content": None, "reasoning": "Hm.", "tool_calls": [call]}))
    case.spec = replace(case.spec, send_reasoning=True)
    case.act(thinking, says("ok"))
    assert case.server.requests[1]["messages"][1]["reasoning"] == "Hm."


def test_equal_conversations_have_equal_digests(case: ChatCase) -> None:
    """A group that always says the same is noticed."""
    one, same, other = (case.act(says(text), seed=seed) for seed, text in enumerate(("ok", "ok", "well")))
    assert one.transcript_digest == same.transcript_digest != other.transcript_digest


def test_turns_are_bounded(case: ChatCase) -> None:
    """After the last turn its calls are still carried out, and the model is not asked again."""
    case.spec = replace(case.spec, max_turns=3)
    acted = case.act(runs("again"))
    assert (acted.stop, case.account.turns) == (Stop.MAX_TURNS, 3)
    assert len(case.server.requests) == len(case.sandbox.scripts) == 3


@pytest.mark.parametrize(
    ("answer", "stop"),
    [
        (says("", finish="content_filter"), Stop.REFUSED),
        (Answer(body=completion({"content": None, "refusal": "I can't help with that."})), Stop.REFUSED),
        (fails(400, "The response was filtered", "content_filter"), Stop.REFUSED),
        (
            fails(400, "This model's maximum context length is 8192 tokens.", "context_length_exceeded"),
            Stop.CONTEXT_FULL,
        ),
    ],
    ids=["filter", "refusal", "filtered prompt", "context"],
)
def test_a_model_that_will_not_or_cannot_go_on_is_graded(case: ChatCase, answer: Answer, stop: Stop) -> None:
    """With what it did before; there is no answer then."""
    acted = case.act(runs("work"), answer)
    assert acted.stop is stop
    assert [ANSWER_FILE in script.source for script in case.sandbox.scripts] == [False]


def test_a_call_in_the_old_form_is_carried_out(case: ChatCase) -> None:
    """`function_call`, as OpenAI had it before `tool_calls`, and as some gateways still send it."""
    old = {"content": None, "function_call": {"name": "bash", "arguments": '{"command": "one"}'}}
    acted = case.act(Answer(body=completion(old, "function_call")), says("ok"))
    assert (acted.stop, case.account.turns) == (Stop.FINISHED, 2)
    assert "one" in case.sandbox.scripts[0].source


def test_many_rollouts_share_one_endpoint(case: ChatCase) -> None:
    """One connection pool, one rate limit: what one rollout learns holds for all."""
    case.server.script(says("ok"))
    threads = [threading.Thread(target=case.agent.act, args=(SlowSandbox(), case.attempt())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(case.callers) == 1
    assert len(case.server.requests) == 8


def test_tokens_are_counted_and_priced(case: ChatCase) -> None:
    """The sums over all turns, by the agent file's price."""
    case.spec = replace(case.spec, price=Price(input=1.0, output=10.0))
    case.act(runs("work"), says("ok"))
    assert case.account.turns == 2
    assert replace(case.account.usage, cost_usd=None) == Usage(20, None, 10)
    assert case.account.usage.cost_usd == pytest.approx(120e-6)


def test_a_conversation_that_is_lost_was_paid_for(case: ChatCase) -> None:
    """The answers before the endpoint went away are in the account of the attempt."""
    case.spec = replace(case.spec, price=Price(input=1.0, output=10.0))
    with pytest.raises(ProviderLost):
        case.act(runs("work"), *[fails(500)] * 5)
    assert (case.account.turns, case.account.usage.input_tokens) == (1, 10)
    assert case.account.usage.cost_usd == pytest.approx(60e-6)


@pytest.mark.parametrize(
    ("usages", "summed"),
    [
        ([], Usage()),
        ([TokenUsage(1, 2, 3), TokenUsage(10, 20, 30)], Usage(11, 22, 33)),
        ([TokenUsage(1, None, 3), TokenUsage(10, 20, None)], Usage(11)),
    ],
)
def test_a_count_that_is_not_whole_is_unknown(usages: list[TokenUsage], summed: Usage) -> None:
    """A sum over some of the turns would be taken for all of them."""
    assert total(usages) == summed


def test_a_sandbox_that_dies_is_lost_there(case: ChatCase) -> None:
    """Not at the provider."""

    class Dying(SlowSandbox):
        def run(self, script: Script, **_: object) -> ScriptResult:
            raise SandboxLost(f"died with {len(script.source)} bytes")

    case.sandbox = Dying()
    with pytest.raises(SandboxLost):
        case.act(runs("work"))


def test_an_answer_that_cannot_be_written_is_noted(case: ChatCase) -> None:
    """The agent may have put a folder in the way; that is its doing."""
    case.sandbox.result = ScriptResult(ScriptEnding.EXITED, 2, b"", b"sh: Is a directory")
    assert case.act(says("42")).stop is Stop.FINISHED
    assert case.notes == ["the answer could not be written: sh: Is a directory"]


@pytest.mark.parametrize("text", ["it's $HOME", "", "a\0b", "x" * 200_000, "-n", "ü\N{GRINNING FACE}"])
def test_any_answer_is_written_as_it_is(case: ChatCase, text: str) -> None:
    """Quoted for the shell; NUL characters have no place in a script."""
    case.act(says(text))
    assert case.sandbox.scripts[0].source.startswith("umask 022\nprintf %s ")
    assert text.replace("\0", "").replace("'", "'\"'\"'") in case.sandbox.scripts[0].source
