"""The agent that is a shell command: what it is given, what is kept of what it says, and whose fault its end is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.agents import UsageSoFar
from taskcal.agents.command import LONGEST_VARIABLE, CommandAgent, give_prompt, pieces
from taskcal.agents.file_agent import FileAgent, read_secrets
from taskcal.agents.spec import CommandSpec, Price, PythonSpec
from taskcal.agents.transcript import Transcript
from taskcal.core.identity import agent_digest
from taskcal.core.rollout import Stop, Usage
from taskcal.errors import AgentInstallLost, ProviderLost, UsageError
from taskcal.machine import host
from taskcal.sandbox import ANSWER_FILE, PROMPT_FILE, USAGE_FILE, Script, ScriptEnding, ScriptResult
from tests.agents.fake_sandbox import FakeSandbox, attempt, ending, task

SPEC = CommandSpec("mine", run="solve it")
PATHS = {"TASKCAL_PROMPT_FILE": PROMPT_FILE, "TASKCAL_ANSWER_FILE": ANSWER_FILE, "TASKCAL_USAGE_FILE": USAGE_FILE}


def act(sandbox: FakeSandbox, spec: CommandSpec = SPEC, log: list[bytes] | None = None, prompt: str = "Ship.") -> Stop:
    return CommandAgent(spec).act(sandbox, attempt(task(), log, prompt=prompt)).stop


def script(spec: CommandSpec = SPEC, prompt: str = "Ship it.") -> Script:
    """The last script that a rollout of this agent runs."""
    sandbox = FakeSandbox()
    act(sandbox, spec, prompt=prompt)
    return sandbox.scripts[-1]


@pytest.mark.parametrize("spec", [SPEC, PythonSpec("mine", "m:solve")])
def test_a_price_makes_no_other_agent(spec: CommandSpec | PythonSpec) -> None:
    """It changes the cost of a rollout and nothing in it; every other key makes another agent."""
    known = agent_digest(FileAgent(spec=spec))
    assert agent_digest(FileAgent(spec=replace(spec, price=Price(3, 15)))) == known
    assert agent_digest(FileAgent(spec=replace(spec, timeout=9.0))) != known
    assert agent_digest(FileAgent(spec=replace(spec, secrets=("KEY",)))) != known


def test_the_command_runs_once_as_the_environments_user() -> None:
    """As a plain script with the attempt's time; the file may name another user and folder."""
    found = script()
    assert found.source.endswith("\nsolve it")
    assert (found.user, found.timeout, found.hidden, found.workdir) == ("agent", 60.0, False, None)
    found = script(replace(SPEC, user="root", workdir="/work"))
    assert (found.user, found.workdir) == ("root", "/work")


def test_an_agent_is_told_where_things_are() -> None:
    """The prompt as it is, and the files for prompt, answer and usage; the file's own variables beside them."""
    assert script(replace(SPEC, env={"LEVEL": "3"})).env == {**PATHS, "TASKCAL_PROMPT": "Ship it.", "LEVEL": "3"}


def test_an_agent_never_sees_the_params() -> None:
    """They hold the grader's expected values."""
    assert not {"order", "TASKCAL_ROLLOUT"} & set(script().env)


def test_secrets_come_from_the_host_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those that the agent file names; one that is not set is said before anything runs."""
    monkeypatch.setenv("MY_KEY", "sk-123")
    monkeypatch.setenv("OTHER_KEY", "sk-456")
    assert script(replace(SPEC, secrets=("MY_KEY",))).env["MY_KEY"] == "sk-123"
    assert "OTHER_KEY" not in script(replace(SPEC, secrets=("MY_KEY",))).env
    for value in ({}, {"MY_KEY": ""}):
        with pytest.raises(UsageError, match="needs the secret MY_KEY, which is not set; run `export MY_KEY="):
            read_secrets(("MY_KEY",), value)


def test_its_redactor_knows_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are set; it is made once, for all rollouts of a run."""
    monkeypatch.setenv("MY_KEY", "sk-123456")
    agent = CommandAgent(replace(SPEC, secrets=("MY_KEY", "OTHER_KEY")))
    assert agent.redactor.text("using sk-123456") == "using [MY_KEY]"
    assert agent.redactor is agent.redactor


def test_what_the_agent_reports_is_counted_and_priced() -> None:
    """Tokens and turns from its file, the cost from the price in the agent file."""
    said = b'{"input_tokens": 1000000, "cached_tokens": 0, "output_tokens": 0, "turns": 4}'
    sandbox, asked = FakeSandbox(usage=ScriptResult(ScriptEnding.EXITED, 0, said, b"")), attempt(task())
    agent = CommandAgent(replace(SPEC, price=Price(3.0, 15.0)))
    agent.act(sandbox, asked)
    assert (asked.account.turns, asked.account.usage) == (4, Usage(1_000_000, 0, 0, cost_usd=3.0))


def test_a_lost_rollout_was_paid_for() -> None:
    """An agent that gives up because of its provider, turns after its first: those are on the bill."""
    said = ScriptResult(ScriptEnding.EXITED, 0, b'{"turns": 9, "cost_usd": 0.7}', b"")
    sandbox, asked = replace(ending(75), usage=said), attempt(task())
    with pytest.raises(ProviderLost):
        CommandAgent(SPEC).act(sandbox, asked)
    assert asked.account == UsageSoFar(9, Usage(cost_usd=0.7))


def test_an_agent_that_has_worked_was_found() -> None:
    """127 says that a program is missing; where turns are reported, it was one that the agent itself called."""
    worked = ScriptResult(ScriptEnding.EXITED, 0, b'{"turns": 9}', b"")
    assert act(replace(ending(127), usage=worked)) is Stop.CRASHED
    with pytest.raises(AgentInstallLost):
        act(replace(ending(127), untouched=b"missing solve\n"))


def test_a_wall_bounds_a_command_as_well() -> None:
    """Its waiting cannot be told from its work, so the shorter of the two counts."""
    sandbox = FakeSandbox()
    for wall in (3.0, 90.0):
        CommandAgent(SPEC).act(sandbox, replace(attempt(task()), wall=wall))
    assert [script.timeout for script in sandbox.scripts] == [3.0, 60.0]


def test_a_bad_usage_file_is_a_line_in_the_log() -> None:
    """It is no reason to lose or to change anything."""
    log: list[bytes] = []
    sandbox = FakeSandbox(usage=ScriptResult(ScriptEnding.EXITED, 0, b'{"turns": -1}', b""))
    asked = attempt(task(), log)
    assert CommandAgent(SPEC).act(sandbox, asked).stop is Stop.FINISHED
    assert (asked.account.turns, asked.account.usage) == (None, Usage())
    assert log == [b"[taskcal: usage.json is not used: turns: must be a whole number from 0]\n"]


def test_the_transcript_begins_with_the_prompt() -> None:
    """What was asked, and how the command ended; what it said between is in its log."""
    lines: list[bytes] = []
    asked = replace(attempt(task()), transcript=Transcript(lines.append))
    assert CommandAgent(SPEC).act(ending(3), asked).transcript_digest is None
    first, last = (json.loads(line) for line in lines)
    assert (first["type"], first["role"], first["content"]) == ("message", "user", "Ship it.")
    assert (last["type"], last["text"]) == ("note", "the command ended (exit 3); agent.log holds what it printed")


@pytest.mark.parametrize(
    ("code", "stop"), [(0, Stop.FINISHED), (1, Stop.CRASHED), (137, Stop.CRASHED), (None, Stop.TIMEOUT)]
)
def test_an_agents_own_end_is_a_stop(code: int | None, stop: Stop) -> None:
    """Failing, crashing and taking too long are graded."""
    assert act(ending(code)) is stop


@pytest.mark.parametrize("code", [126, 127])
def test_a_program_that_is_not_there_is_lost(code: int) -> None:
    """An agent that could not begin has not failed at the task; the image must lack the program as well."""
    said = ending(code, stderr=b"sh: solve: not found\n")
    reason = rf"program solve was not found or cannot run \(exit {code}\): sh: solve: not found"
    with pytest.raises(AgentInstallLost, match=reason):
        act(replace(said, untouched=b"missing solve\n"))
    assert act(said) is Stop.CRASHED


def test_a_temporary_failure_is_lost() -> None:
    """Exit 75, EX_TEMPFAIL, is how a program says that it is not its fault."""
    with pytest.raises(ProviderLost, match="exit 75"):
        act(ending(75))


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_pattern_tells_the_providers_failures(stream: str) -> None:
    """Where the agent file says how its program speaks of a provider's failure; other words are the agent's."""
    spec = replace(SPEC, lost_pattern=r"rate limit|HTTP 5\d\d")
    said = {stream: b"error: HTTP 503\n"}
    with pytest.raises(ProviderLost, match="error: HTTP 503"):
        act(ending(1, **said), spec)
    assert act(ending(1, b"HTTP 404"), spec) is Stop.CRASHED
    assert act(ending(1, b"HTTP 503"), SPEC) is Stop.CRASHED


def test_an_overload_that_was_survived_is_none() -> None:
    """The pattern is looked for in the last words, whatever the status: some programs end with 0 after giving up."""
    spec = replace(SPEC, lost_pattern="rate limit")
    with pytest.raises(ProviderLost):
        act(ending(0, b"rate limit\n"), spec)
    assert act(ending(0, b"rate limit, again in 2 s\n" + b"step\n" * 1000), spec) is Stop.FINISHED


def test_a_long_prompt_goes_into_its_file() -> None:
    """Beyond 100 KiB no variable can hold it: it is written in pieces before the command, and none is too large."""
    prompt = "ä\N{SNOWMAN}x" * 60_000
    sandbox = FakeSandbox()
    assert give_prompt(sandbox, prompt, "agent") == PATHS
    written = [one.env["PIECE"] for one in sandbox.scripts]
    assert "".join(written) == prompt
    assert all(len(piece.encode()) <= LONGEST_VARIABLE for piece in written)
    assert {one.user for one in sandbox.scripts} == {"agent"}


@pytest.mark.parametrize("characters", [LONGEST_VARIABLE, LONGEST_VARIABLE + 1])
def test_the_bound_is_in_bytes(characters: int) -> None:
    """At 100 KiB it is a variable, one byte more and it is not."""
    found = give_prompt(FakeSandbox(), "x" * characters, None)
    assert ("TASKCAL_PROMPT" in found) == (characters == LONGEST_VARIABLE)
    assert "TASKCAL_PROMPT" not in give_prompt(FakeSandbox(), "ä" * (LONGEST_VARIABLE // 2 + 1), None)


@given(text=st.text(), length=st.integers(1, 9))
def test_pieces_are_the_text(text: str, length: int) -> None:
    """Together they are it, and none is longer than asked."""
    found = list(pieces(text, length))
    assert "".join(found) == text
    assert all(0 < len(piece) <= length for piece in found)


def test_the_beginning_is_a_script_that_a_shell_reads() -> None:
    """What is put before the command is valid for `sh`, whatever the command is."""
    assert host.run_program(["sh", "-n"], seconds=30, stdin=script().source).output == ""


def test_what_the_file_says_is_what_the_agent_says() -> None:
    """Name, install step, cap and network; a command can attempt every task."""
    agent = CommandAgent(replace(SPEC, install="pip install it", timeout=5.0))
    assert (agent.name, agent.install, agent.timeout, agent.network) == ("mine", "pip install it", 5.0, None)
    assert agent.refusal(task(solutions=())) is None
