"""The tools of a task: what their scripts are given, and what an agent is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from taskcal.agents.tools.path_programs import LISTENER, PROGRAM, install_script, reply_script, usage_error
from taskcal.agents.tools.task_tools import (
    LONGEST_VALUE,
    argument_variables,
    call_script,
    missing_for_tools,
    open_tools,
    tools_of,
)
from taskcal.agents.tools.tool_arguments import wrong_arguments
from taskcal.core.tool import McpServer, Tool
from taskcal.machine import host
from taskcal.sandbox import ScriptEnding, ScriptResult
from tests.agents.fake_sandbox import FakeSandbox, carried_out, ending, task

SHIP = Tool(
    "ship-order",
    run="./ship",
    description="Ship an order.",
    parameters={"properties": {"order": {"type": "integer"}, "code": {"pattern": "^[A-Z]+$"}}, "required": ["order"]},
)
SHOP = replace(task(), tools=(SHIP,))


def test_a_tool_is_described_as_a_function() -> None:
    """Name, description and an object's schema, also where the taskset says nothing of its parameters."""
    (found,) = tools_of(SHOP, "agent", 1000)
    assert (found.name, found.description) == ("ship-order", "Ship an order.")
    assert found.parameters == {"type": "object", **SHIP.parameters}
    (bare,) = tools_of(replace(SHOP, tools=(Tool("t", run="x"),)), None, 1000)
    assert bare.parameters == {"type": "object", "properties": {}}


def test_a_script_gets_its_arguments_and_no_params() -> None:
    """As variables and as a line of JSON, as the agent's user; what the schema does not name is no variable."""
    sandbox = FakeSandbox()
    (tool,) = tools_of(SHOP, "agent", 1000)
    carried_out(tool, sandbox, {"order": 5, "code": "A", "LD_PRELOAD": "/x.so"})
    (script,) = sandbox.scripts
    assert script.env == {"order": "5", "code": "A"}
    assert (script.user, script.timeout) == ("agent", 30.0)
    assert '\n{"order": 5, "code": "A", "LD_PRELOAD": "/x.so"}\n' in script.source
    assert not set(sandbox.variables) & (set(script.env) - {"order"})


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ({}, "order is missing"),
        ({"order": "five"}, "order must be a whole number"),
        ({"order": 1, "code": "a"}, "code must match"),
    ],
)
def test_arguments_that_do_not_fit_run_nothing(arguments: dict[str, Any], wrong: str) -> None:
    """The model is told what is wrong, and may call again."""
    sandbox = FakeSandbox()
    (tool,) = tools_of(SHOP, None, 1000)
    assert carried_out(tool, sandbox, arguments).content.startswith(f"ship-order was not run: {wrong}")
    assert sandbox.scripts == []


def test_a_model_is_told_output_and_status_within_a_bound() -> None:
    """Both streams, the status where it is not 0, and not more than it can read."""
    (tool,) = tools_of(SHOP, None, 100)
    used = carried_out(tool, ending(3, b"shipped\n", b"late\n"), {"order": 1})
    assert (used.content, used.exit_code) == ("shipped\nlate\n[exit status 3]", 3)
    long = carried_out(tool, ending(0, b"x" * 1000), {"order": 1})
    assert "900 characters left out" in long.content


def test_values_that_no_variable_holds_are_on_standard_input_alone() -> None:
    """The kernel would refuse them all; the script still gets them."""
    long = "x" * (LONGEST_VALUE + 1)
    assert argument_variables({"a": long, "b": True, "c": None, "d": [1, "x"], "e": 1.5, "f": "a\0b"}) == {
        "b": "true",
        "c": "",
        "d": '[1, "x"]',
        "e": "1.5",
        "f": "ab",
    }
    together = argument_variables(dict.fromkeys("abc", "x" * 60000))
    assert list(together) == ["a"]
    assert long in call_script(SHIP, {"code": long})


def test_searches_have_a_limit_of_time() -> None:
    """A pattern that takes for ever fits nothing, and ends."""
    parameters = {"properties": {"a": {"pattern": "(a+)+$"}}}
    assert wrong_arguments(parameters, {"a": "a" * 40 + "b"}) == "a must match (a+)+$"
    assert wrong_arguments(parameters, {"a": "aaa"}) is None


def test_a_task_without_tools_costs_nothing() -> None:
    """No script runs for it."""
    sandbox = FakeSandbox()
    with open_tools(sandbox, task(), None, 1000) as tools:
        assert tools == ()
    assert sandbox.scripts == []


def test_a_missing_package_is_told_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where a task has MCP servers."""
    served = replace(task(), mcp=(McpServer("shop", "x"),))
    assert missing_for_tools(served) is None
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "pip install 'taskcal[mcp]'" in str(missing_for_tools(served))
    assert missing_for_tools(SHOP) is None


@pytest.mark.parametrize(
    "source",
    [
        PROGRAM.replace("@", "t", 2),
        install_script(tools_of(SHOP, None, 1)),
        LISTENER,
        call_script(SHIP, {"order": 5, "code": "a'b\nTASKCAL_ARGUMENTS\n"}),
        reply_script("abcdefgh", ScriptResult(ScriptEnding.EXITED, 0, b"\xff@out@err@status", b"@name"), None).source,
    ],
    ids=["program", "programs", "listener", "call", "reply"],
)
def test_what_runs_in_the_sandbox_is_valid_shell(source: str) -> None:
    """For `sh`, whatever the arguments and the output hold."""
    assert host.run_program(["sh", "-n"], seconds=30, stdin=source).output == ""


def test_an_answer_is_carried_back_byte_for_byte() -> None:
    """Output that looks like a part of the script, and one that is none at all."""
    script = reply_script("abcdefgh", usage_error("@out"), "agent")
    assert (script.user, script.hidden) == ("agent", True)
    assert "echo 2 >&3" in script.source
    assert "echo 125 >&3" in reply_script("a", ScriptResult(ScriptEnding.TIMED_OUT, None, b"", b""), None).source
