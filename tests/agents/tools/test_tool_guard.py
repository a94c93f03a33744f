"""One guard around a tool call: what the call causes is answered, and what our side causes is raised."""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.agents.tools import tool_arguments
from taskcal.agents.tools.agent_tool import PreparedCall, call_tool
from taskcal.agents.tools.task_tools import tools_of
from taskcal.core import tool as declared
from taskcal.errors import EngineLost, LostError, SandboxLost
from tests.agents.fake_sandbox import FakeSandbox, task
from tests.agents.tools.test_tool_arguments import tools

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.sandbox import Script, ScriptResult


@dataclass
class Faulty:
    """A tool with a bug that some arguments trigger."""

    error: Exception
    name: str = "faulty"
    description: str = ""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Any."""
        return {"type": "object"}

    def prepare(self, arguments: Mapping[str, Any], seconds: float) -> PreparedCall:
        """Fail."""
        assert seconds
        assert arguments == {}
        raise self.error


class Broken(FakeSandbox):
    """A sandbox in which every script fails on our side."""

    error: Exception

    def run(self, script: Script, **_: Any) -> ScriptResult:
        """Fail."""
        assert script
        raise self.error


FULL_DISK = OSError(errno.ENOSPC, "No space left on device")
CAUSED = [
    KeyError("a"),
    TypeError("b"),
    ValueError("c"),
    OverflowError("int too large to convert to float"),
    RecursionError("d"),
    UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "surrogates not allowed"),
    AttributeError("e\nf"),
    ZeroDivisionError(),
]
OURS = [EngineLost("the engine is gone"), SandboxLost("it died"), LostError("full"), FULL_DISK, MemoryError()]


@pytest.mark.parametrize("error", CAUSED, ids=repr)
def test_what_fails_while_a_call_is_understood_is_told(error: Exception) -> None:
    """It is the call's doing, since nothing has been touched yet."""
    told = call_tool((Faulty(error),), FakeSandbox(), "faulty", "{}", 60.0).content
    assert told.startswith("faulty was not run: ")
    assert "\n" not in told


@pytest.mark.parametrize("error", OURS, ids=repr)
def test_our_sides_failures_pass_while_a_call_is_understood(error: Exception) -> None:
    """A full disk of this machine is nothing that a model has done."""
    with pytest.raises(type(error)):
        call_tool((Faulty(error),), FakeSandbox(), "faulty", "{}", 60.0)


@pytest.mark.parametrize("error", [*CAUSED, *OURS], ids=repr)
@pytest.mark.parametrize("name", ["bash", "ship"])
def test_whatever_fails_while_a_call_is_carried_out_is_ours(name: str, error: Exception) -> None:
    """The same errors: where one arises decides, not its kind."""
    sandbox = Broken()
    sandbox.error = error
    with pytest.raises(type(error)):
        call_tool(tools(), sandbox, name, '{"command": "ls", "order": 1}', 60.0)


def test_a_search_that_this_machine_cannot_start_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern is searched by another process, which a full disk keeps from starting."""

    def fail(*_: object) -> None:
        raise FULL_DISK

    monkeypatch.setattr(tool_arguments, "search_within", fail)
    pattern = {"type": "object", "properties": {"a": {"pattern": "x"}}}
    made = tools_of(replace(task(), tools=(declared.Tool("ship", run="x", parameters=pattern),)), None, 1000)
    with pytest.raises(OSError, match="No space left"):
        call_tool(made, FakeSandbox(), "ship", '{"a": "x"}', 60.0)
