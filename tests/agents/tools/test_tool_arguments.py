"""Tool calls as models write them: whatever they hold they are answered, and only our side's failures are raised."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import types as protocol

from taskcal.agents.tools.agent_tool import AgentTool, ToolReply, call_tool
from taskcal.agents.tools.bash import Bash, allowed_seconds
from taskcal.agents.tools.mcp import McpTool
from taskcal.agents.tools.mcp_process import message_of
from taskcal.agents.tools.task_tools import tools_of
from taskcal.agents.tools.tool_arguments import CallError, fit_arguments, history_of, read_object
from taskcal.core import tool as declared
from taskcal.sandbox import ScriptEnding, ScriptResult
from tests.agents.fake_sandbox import FakeSandbox, task
from tests.core.text.test_foreign_text import ANY_JSON, ANY_TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.sandbox import Script

SHIP = {
    "properties": {
        "order": {"type": "integer", "minimum": 1, "multipleOf": 0.5},
        "note": {"type": ["string", "null"], "maxLength": 20},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "more": {"anyOf": [{"type": "number"}, {"type": "object"}]},
    },
    "required": ["order"],
}
DONE = ScriptResult(ScriptEnding.EXITED, 0, b"done\n", b"")


class Strict(FakeSandbox):
    """Takes only what a real sandbox can be given."""

    def run(self, script: Script, **options: Any) -> ScriptResult:
        """Encode it as the engine's client does."""
        for text in (script.source, *script.env, *script.env.values()):
            assert b"\0" not in text.encode()
        assert math.isfinite(script.timeout)
        assert all(len(value.encode()) < 128 * 1024 for value in script.env.values())
        return super().run(script, **options)


@dataclass
class Connection:
    """A server that answers every call; the arguments are written as for a real one."""

    def call(self, name: str, arguments: Mapping[str, Any], seconds: float) -> protocol.CallToolResult:
        """Write the request."""
        assert seconds
        params = protocol.CallToolRequestParams(name=name, arguments=dict(arguments))
        assert json.loads(params.model_dump_json().encode())["arguments"] == arguments
        return protocol.CallToolResult(content=[protocol.TextContent(type="text", text="done")])


def tools() -> tuple[AgentTool, ...]:
    """One of each kind: a shell, a script of the task, and a tool of an MCP server."""
    (ship,) = tools_of(replace(task(), tools=(declared.Tool("ship", run="x", parameters=SHIP),)), "agent", 1000)
    return Bash("agent", 1000), ship, McpTool("find", "", {"type": "object", **SHIP}, 1000, Connection())  # type: ignore[arg-type]  # a fake


NAMES = st.sampled_from(["command", "timeout", "order", "note", "tags", "more", "x"]) | ANY_TEXT
NUMBERS = st.sampled_from(
    ["1" + "0" * 400, "-1" + "0" * 400, "1e999", "-1e999", "NaN", "Infinity", "1" * 5000, "1e400"]
)
VALUES = ANY_JSON.map(json.dumps) | NUMBERS | st.sampled_from(['"30"', '"[1]"', '"\\ud83d"', "null", '"\\u0000"'])
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=5).map(
    lambda found: "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in found.items()) + "}"
)
ARGUMENTS = OBJECTS | OBJECTS.map(json.dumps) | ANY_JSON.map(json.dumps) | ANY_TEXT


@given(arguments=ARGUMENTS, name=st.sampled_from(["bash", "ship", "find"]) | ANY_TEXT)
def test_every_call_is_answered(arguments: str, name: str) -> None:
    """Whatever its name and its arguments hold; nothing reaches the sandbox that it could not take."""
    used = call_tool(tools(), Strict(DONE), name, arguments, 60.0)
    assert used.content
    assert json.loads(history_of(arguments).encode("utf-8", "replace")) is not None


@given(
    arguments=st.fixed_dictionaries(
        {"order": st.integers(1), "command": ANY_TEXT},
        optional={
            "note": st.text(max_size=20),
            "timeout": st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        },
    )
)
def test_every_good_call_is_carried_out(arguments: dict[str, Any]) -> None:
    """With text of any kind and numbers of any size."""
    written = json.dumps(arguments)
    for tool in tools():
        assert call_tool(tools(), Strict(DONE), tool.name, written, 60.0) == ToolReply("done", 0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"command": "' + "x" * 17 * 1024**2 + '"}', "the arguments are longer than 1024 KiB"),
        (json.dumps({"command": "x" * 200_000}), "the command is longer than 100 KiB"),
        ('{"command": ' + "[" * 5000 + "]" * 5000 + "}", "nests deeper than 100 levels"),
        ('{"command": "ls", "timeout": 1' + "0" * 5000 + "}", "a number of 5001 digits"),
        ('{"command": "ls", "timeout": true}', "timeout must be a number"),
        ('{"command": "ls", "timeout": "soon"}', "timeout must be a number"),
        ('{"command": "ls", "timeout": [30]}', "timeout must be a number"),
        ('{"command": null}', "command must be text"),
        ('{"command": 5}', "command must be text"),
        ("null", "the arguments must be a JSON object"),
    ],
    ids=lambda value: value[:30],
)
def test_a_call_that_cannot_be_is_told_why(arguments: str, told: str) -> None:
    """In few words, and nothing is run."""
    sandbox = FakeSandbox()
    answer = call_tool(tools(), sandbox, "bash", arguments, 60.0).content
    assert answer.startswith("bash was not run: ")
    assert told in answer
    assert len(answer) < 500
    assert sandbox.scripts == []


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        ("30", 30),
        ('"30"', 30),
        ('"2.5"', 2.5),
        ("null", 60),
        ("0", 60),
        ("NaN", 60),
        ("-5", 1),
        ("-1e999", 1),
        ("1" + "0" * 400, 60),
        ("-1" + "0" * 400, 1),
        ("1e999", 60),
        ("Infinity", 60),
        ("1e-300", 1),
    ],
)
def test_a_time_of_any_form_is_understood(timeout: str, seconds: float) -> None:
    """A number written as text, null for none, and one that no clock has: from 1 s to what is left."""
    sandbox = Strict(DONE)
    assert call_tool(tools(), sandbox, "bash", f'{{"command": "ls", "timeout": {timeout}}}', 60.0) == ToolReply(
        "done", 0
    )
    assert sandbox.scripts[0].timeout == seconds + 10


@given(asked=st.none() | st.floats() | st.integers(), left=st.floats(0, 1e6))
def test_a_command_never_takes_more_than_is_left(asked: float | None, left: float) -> None:
    """Whatever is asked for."""
    assert 0 <= allowed_seconds(asked, left) <= left


@pytest.mark.parametrize(
    ("given_", "meant"),
    [
        ({"order": "5"}, {"order": 5}),
        ({"order": 5, "note": None}, {"order": 5, "note": None}),
        ({"order": 5, "note": "7"}, {"order": 5, "note": "7"}),
        ({"order": 5, "tags": '["a"]'}, {"order": 5, "tags": ["a"]}),
        ({"order": 5, "tags": None}, {"order": 5}),
        ({"order": 5, "more": '{"a": 1}'}, {"order": 5, "more": {"a": 1}}),
        ({"order": 5, "more": "2.5"}, {"order": 5, "more": 2.5}),
        ({"order": 5, "unknown": "1"}, {"order": 5, "unknown": "1"}),
    ],
)
def test_what_models_mean_is_understood(given_: dict[str, Any], meant: dict[str, Any]) -> None:
    """A value written as text if its schema takes no text, and null for an argument that may be left out."""
    assert fit_arguments(SHIP, given_) == meant


@pytest.mark.parametrize("wrong", [{"order": "x"}, {"order": True}, {"order": "true"}, {"order": None}, {"order": "0"}])
def test_what_does_not_fit_is_refused(wrong: dict[str, Any]) -> None:
    """True is not a number, and a number in a text must fit as well."""
    with pytest.raises(CallError, match="order must be"):
        fit_arguments(SHIP, wrong)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ('{"a":  1}', '{"a":  1}'),
        ('{"a": "\\u00e9"}', '{"a": "\\u00e9"}'),
        ('{"a": "\\ud83d"}', '{"a": "?"}'),
        ('{"\\ud83d": 1}', '{"?": 1}'),
        ('"{\\"a\\": 1}"', '{"a": 1}'),
        ('{"a": NaN}', "{}"),
        ('{"a": 1e999}', "{}"),
        ('{"a": 1', "{}"),
        ("[1]", "{}"),
        ("[" * 2000, "{}"),
        ('{"a": "' + "x" * 2 * 1024**2 + '"}', "{}"),
    ],
    ids=lambda value: value[:20],
)
def test_what_goes_back_to_the_server_is_an_object_that_it_can_read(written: str, sent: str) -> None:
    """As the model wrote it if that is one: a server may have it in its cache."""
    assert history_of(written) == sent


def test_arguments_that_are_encoded_twice_are_understood() -> None:
    """Some models do it."""
    assert read_object(json.dumps(json.dumps({"a": 1}))) == {"a": 1}


@given(line=st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_any_line_of_an_mcp_server_is_read(line: bytes) -> None:
    """As a message or as none."""
    found = message_of(line)
    assert found is None or re.search(rb"jsonrpc", line)
