"""Tools as programs on PATH: any call is answered, and a call that our side fails at is not the agent's wait."""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskcal.agents.tools.path_programs import LISTENER, ToolServer, tools_on_path
from taskcal.agents.tools.task_tools import tools_of
from taskcal.agents.transcript import Transcript, storage_sink
from taskcal.core.tool import Tool
from taskcal.errors import EngineLost, LostError
from taskcal.sandbox import ScriptEnding, ScriptResult
from tests.agents.fake_sandbox import FakeSandbox, attempt, task
from tests.agents.tools.test_tool_arguments import ARGUMENTS, DONE, SHIP, Strict
from tests.agents.tools.test_tool_guard import FULL_DISK
from tests.core.text.test_foreign_text import ANY_TEXT

if TYPE_CHECKING:
    from taskcal.sandbox import Script, Sink

SHOP = replace(task(), tools=(Tool("ship", run="./ship", parameters=SHIP),))
WORDS = ARGUMENTS | ANY_TEXT | st.sampled_from(["--order", "--order=5", "--note", "--help", "-", "--tags=[", "--"])


def call(*words: str) -> bytes:
    """A call's words as its program writes them."""
    return b"".join(word.encode(errors="replace") + b"\0" for word in words)


@given(words=st.lists(WORDS.filter(lambda word: "\0" not in word), max_size=4))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_every_call_of_a_program_is_answered(words: list[str]) -> None:
    """With an output and a status, whatever its words are."""
    server = ToolServer(Strict(DONE), attempt(SHOP), tools_of(SHOP, None, 1000), None)
    result = server._carry_out("abcdefgh", call("ship", *words))
    assert result.exit_code in {0, 2}
    assert result.stdout + result.stderr


@given(data=st.binary())
def test_a_forged_call_is_answered(data: bytes) -> None:
    """What the agent writes into the folder of a call itself."""
    server = ToolServer(Strict(DONE), attempt(SHOP), tools_of(SHOP, None, 1000), None)
    assert server._carry_out("abcdefgh", data).exit_code in {0, 2}


@dataclass
class Ringing(FakeSandbox):
    """A sandbox whose listener hears one call, and in which what root kills ends the agent."""

    error: Exception | None = None
    killed: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, script: Script, *, sink: Sink | None = None, **_: Any) -> ScriptResult:
        """Ring once, fail at the tool's own script, and note who is killed."""
        if script.source == LISTENER:
            assert sink is not None
            sink(b"ready 7\ncall abcdefgh " + base64.b64encode(call("ship", "--order", "5")) + b"\n")
            assert self.stopped.wait(60)
        elif "kill -9 -1" in script.source:
            self.killed.set()
        elif script.source.startswith("kill 7"):
            self.stopped.set()
        elif "./ship" in script.source and "mktemp" in script.source and self.error is not None:
            raise self.error
        return ScriptResult(ScriptEnding.EXITED, 0, b"", b"")


@pytest.mark.parametrize("error", [EngineLost("the engine is gone"), FULL_DISK, RuntimeError("a bug")], ids=repr)
def test_a_call_that_our_side_fails_at_ends_the_agent_and_is_raised(error: Exception) -> None:
    """It would wait for its answer until its time is over, and be graded for it."""
    sandbox = Ringing(error=error)
    with pytest.raises(type(error), match=str(error.args[-1])), tools_on_path(sandbox, attempt(SHOP), None):
        assert sandbox.killed.wait(60)


def test_a_record_that_cannot_be_written_is_our_side() -> None:
    """A full disk of this machine, while a call is recorded."""

    def fail(_: bytes) -> None:
        raise FULL_DISK

    sandbox = Ringing()
    asked = replace(attempt(SHOP), transcript=Transcript(storage_sink(fail, "transcript.jsonl")))
    with (
        pytest.raises(LostError, match=r"transcript\.jsonl cannot be written: No space left"),
        tools_on_path(sandbox, asked, None),
    ):
        assert sandbox.killed.wait(60)


def test_what_fails_after_the_agent_has_ended_is_nobodys() -> None:
    """A call that is cut off by the end of the agent changes nothing."""
    sandbox = Ringing()
    with tools_on_path(sandbox, attempt(SHOP), None) as told:
        assert told == {"TASKCAL_TOOLS": "ship"}
