"""MCP servers in real containers: their tools offered as a task's own, and what is lost where they do not work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskcal.agents.tools.task_tools import open_tools
from taskcal.core.tool import Tool
from taskcal.errors import EngineLost, SetupLost
from tests.agents.fake_sandbox import carried_out
from tests.docker.rooms import opened
from tests.docker.shop import said, shop

if TYPE_CHECKING:
    from taskcal.sandbox import Script, ScriptResult
    from taskcal.sandbox.container import DockerSandbox
    from taskcal.sandbox.engine.run_resources import RunScope

pytestmark = pytest.mark.docker

SERVER = r"""who='"serverInfo":{"name":"s","version":"1"}'
while read -r line; do
  id=$(printf %s "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  case $line in
    *'"method":"initialize"'*) result='{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},'$who'}' ;;
    *'"method":"tools/list"'*) result='{"tools":[{"name":"count","description":"Count.","inputSchema":@schema}]}' ;;
    *'"method":"tools/call"'*) n=$((n+1)); echo "$line" >>/tmp/called
      [ $n -lt 3 ] || { echo 'no more' >&2; exit 1; }
      result='{"content":[{"type":"text","text":"call '$n'"}],"isError":false}' ;;
    *) continue ;;
  esac
  printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done
"""
STEP = (
    '{"type":"object","properties":{"step":{"$ref":"#/$defs/s"}},"required":["step"],"$defs":{"s":{"type":"integer"}}}'
)


def test_an_mcp_servers_tools_are_offered_the_same_way(scope: RunScope) -> None:
    """One process for the whole rollout; arguments are checked before they are sent; its death is an answer."""
    run = """
        echo $TASKCAL_TOOLS
        count --step 5; count --step 1.5; count --step 6; count --step 7; echo "exit $?"
        grep -c . /tmp/called
        """
    found = said(scope, shop(server=SERVER.replace("@schema", STEP)), run).splitlines()
    assert found[:2] == ["count", "call 1"]
    assert found[2] == "count: step must be a whole number; try count --help"
    assert found[3:] == ["call 2", "Connection closed", "exit 1", "3"]


def test_a_model_calls_an_mcp_servers_tool(scope: RunScope) -> None:
    """As any other function, and is told of wrong arguments."""
    group = shop(server=SERVER.replace("@schema", STEP))
    with opened(scope, group) as sandbox, open_tools(sandbox, group.task, None, 1000) as (tool,):
        assert (tool.name, tool.description) == ("count", "Count.")
        assert carried_out(tool, sandbox, {"step": "x"}).content == "count was not run: step must be a whole number"
        assert carried_out(tool, sandbox, {"step": 5, "odd": "\ud800"}).content == "call 1"


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ("echo 'no such shop' >&2; exit 3", "the MCP server counter does not work: .*no such shop"),
        ("no-such-program", "the MCP server counter does not work: .*not found"),
        ("echo nonsense; exit 0", "the MCP server counter does not work"),
        (
            SERVER.replace("@schema", '{"type":"object","properties":{"a":{"type":"x"}}}'),
            "offers a tool that cannot be used, 'count': properties.a.type must be",
        ),
        (SERVER.replace('"name":"count"', '"name":"sh"'), "offers a tool that cannot be used, 'sh'"),
    ],
)
def test_an_mcp_server_that_does_not_work_is_lost_at_setup(scope: RunScope, server: str, reason: str) -> None:
    """With its own last words; no rollout is graded without the tools that its task promises."""
    group = shop(server=server.replace("@schema", STEP))
    with (
        opened(scope, group) as sandbox,
        pytest.raises(SetupLost, match=reason),
        open_tools(sandbox, group.task, None, 1000),
    ):
        pass


def test_one_name_for_two_tools_is_lost_at_setup(scope: RunScope) -> None:
    """A task's own tool and a server's would hide each other."""
    group = shop(Tool("count", run="true"), server=SERVER.replace("@schema", STEP))
    with (
        opened(scope, group) as sandbox,
        pytest.raises(SetupLost, match="two tools of this task have the name count"),
        open_tools(sandbox, group.task, None, 1000),
    ):
        pass


REPLIES = {
    "half a surrogate pair": (r'{"content":[{"type":"text","text":"half \ud83d"}]}', "half ?"),
    "a result of another form": ('{"content":5}', "the MCP server did not answer"),
    "no JSON": ('{"content":[}', "its answer is not valid JSON-RPC"),
    "deep JSON": ("[" * 500 + "]" * 500, "its answer is not valid JSON-RPC"),
    "a number without an end": ("1" * 5000, "its answer is not valid JSON-RPC"),
    "more than 4 MiB": (r'''"'"$(head -c 5000000 /dev/zero | tr '\0' x)"'"''', "its answer is longer than 4 MiB"),
    "nothing": ("null", "its answer is not valid JSON-RPC"),
}


@pytest.mark.parametrize(("reply", "told"), REPLIES.values(), ids=REPLIES)
def test_any_answer_of_an_mcp_server_is_an_answer(scope: RunScope, reply: str, told: str) -> None:
    """At once, and never lost: a call does not wait for an answer that cannot come."""
    server = SERVER.replace("""'{"content":[{"type":"text","text":"call '$n'"}],"isError":false}'""", f"'{reply}'")
    assert server != SERVER
    group = shop(server=server.replace("@schema", STEP))
    with opened(scope, group) as sandbox, open_tools(sandbox, group.task, None, 1000) as (tool,):
        first = carried_out(tool, sandbox, {"step": 10**400, "note": "\ud83d"}, 300.0)
        assert told in first.content
        assert "within 300 s" not in first.content
        assert told in carried_out(tool, sandbox, {"step": 1}, 300.0).content


def test_an_engine_that_fails_under_a_call_is_lost(scope: RunScope) -> None:
    """The server is not to blame, and the call does not wait until its time is over."""
    group = shop(server=SERVER.replace("@schema", STEP))
    with opened(scope, group) as sandbox:
        failing = Failing(sandbox)
        with open_tools(failing, group.task, None, 1000) as (tool,):  # type: ignore[arg-type]  # a wrapper
            failing.error = EngineLost("the engine is gone")
            with pytest.raises(EngineLost, match="the engine is gone"):
                carried_out(tool, sandbox, {"step": 1}, 300.0)


class Failing:
    """A sandbox that can be made to fail."""

    error: Exception | None = None

    def __init__(self, sandbox: DockerSandbox) -> None:
        self._sandbox = sandbox

    def run(self, script: Script, **options: Any) -> ScriptResult:
        """Fail, or run it."""
        if self.error is not None:
            raise self.error
        return self._sandbox.run(script, **options)
