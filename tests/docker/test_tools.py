"""A task's tools in real containers: found as programs, called with checked arguments, and gone when the agent is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.agents.builtin import apply_solution
from taskcal.agents.command import CommandAgent
from taskcal.agents.python import PythonAgent
from taskcal.agents.spec import CommandSpec, PythonSpec
from taskcal.agents.tools.path_programs import tools_on_path
from taskcal.agents.tools.task_tools import open_tools
from taskcal.core.rollout import Stop
from taskcal.core.task import Solution
from taskcal.core.tool import Tool
from taskcal.errors import SetupLost
from tests.agents.fake_sandbox import carried_out
from tests.docker.rooms import act, judge, opened
from tests.docker.shop import attempt, said, shop

if TYPE_CHECKING:
    from taskcal.agents.sandbox_handle import SandboxHandle
    from taskcal.sandbox.engine.run_resources import RunScope
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

SHIP = Tool(
    "ship-order",
    run='cat >/tmp/stdin; echo "$order/$code/$express" >>/tmp/shipped; pwd; echo "as $(id -u)" >&2; exit "${order}"',
    description="Ship an order.",
    parameters={
        "type": "object",
        "properties": {"order": {"type": "integer"}, "code": {"type": "string"}, "express": {"type": "boolean"}},
        "required": ["order"],
        "additionalProperties": False,
    },
)


def test_a_command_finds_tools_on_path(scope: RunScope) -> None:
    """As words, JSON or standard input; in the task's folder, as the agent's user, with both streams and status."""
    run = """
        echo $TASKCAL_TOOLS
        ship-order --order 3 --code 'Z "9"' --express; echo "exit $?"
        ship-order '{"order": 0, "code": "\\u00e4"}' 2>/dev/null
        echo '{"order": 4}' | ship-order - >/dev/null 2>&1; echo "exit $?"
        cat /tmp/shipped /tmp/stdin
    """
    assert said(scope, shop(SHIP, user="nobody"), run).splitlines() == [
        "ship-order", "/srv", "as 65534", "exit 3", "/srv", "exit 4",
        '3/Z "9"/true', "0/ä/", "4//", '{"order": 4}',
    ]  # fmt: skip


def test_a_wrong_call_runs_nothing_and_says_why(scope: RunScope) -> None:
    """Status 2 and a sentence, as from any program; --help tells what it takes."""
    run = """
        for call in '--order x' '--ordr 5' '--code a' 'five'; do ship-order $call; echo "exit $?"; done
        ship-order --help | head -n 1
        ls /tmp/shipped
        true
    """
    found = said(scope, shop(SHIP), run)
    assert found.count("exit 2") == 4
    assert "ship-order: ordr is not known; it takes order, code, express; try ship-order --help" not in found
    assert "ship-order: order is missing; try ship-order --help" in found
    assert "Ship an order.\n" in found
    assert "cannot access '/tmp/shipped'" in found


def test_calls_are_in_the_transcript(scope: RunScope) -> None:
    """What a command agent did with its tools can be read, beside what it printed."""
    lines: list[bytes] = []
    said(scope, shop(SHIP), "ship-order --order 3; true", lines)
    rows = [json.loads(line) for line in lines]
    assert [row["type"] for row in rows] == ["message", "tool_call", "tool_result", "note"]
    assert (rows[1]["name"], rows[1]["arguments"]) == ("ship-order", '{"order": 3}')
    assert (rows[2]["content"], rows[2]["exit_code"]) == ("/srv\nas 0\n", 3)


def test_tools_may_call_tools_and_be_called_together(scope: RunScope) -> None:
    """Eight calls at a time, each of which calls another tool, all come back."""
    outer = Tool("outer", run="inner --word in-$n", parameters={"properties": {"n": {"type": "integer"}}})
    inner = Tool("inner", run='echo "$word"', parameters={"properties": {"word": {"type": "string"}}})
    run = "PATH=$PATH; for n in 1 2 3 4; do outer --n $n & done; wait"
    found = said(scope, shop(replace(outer, run="PATH=/run/taskcal/bin:$PATH; inner --word in-$n"), inner), run)
    assert sorted(found.split()) == ["in-1", "in-2", "in-3", "in-4"]


def test_much_output_comes_whole(scope: RunScope) -> None:
    """Half a megabyte, byte for byte."""
    big = Tool("big", run="head -c 500000 /dev/zero | tr '\\0' x; printf '\\377' >&2")
    found = said(scope, shop(big), "big >/tmp/o 2>/tmp/e; wc -c </tmp/o; od -An -tx1 /tmp/e")
    assert found.split() == ["500000", "ff"]


GONE = """none() {
  for p in /proc/[0-9]*; do
    [ "$(tr '\\0' ' ' 2>/dev/null <"$p/cmdline")" != 'sleep 600 ' ] || return 1
  done
}
until none; do sleep 0.1; done"""
"""Waits until no such process is there; its own time limit makes it fail."""


def test_a_call_that_goes_on_ends_with_the_agent(scope: RunScope) -> None:
    """Nothing that a tool began meets the checks, and the agent's end does not wait for it."""
    slow = Tool("slow", run="touch /tmp/begun; sleep 600; touch /tmp/late")
    group = shop(slow)
    with opened(scope, group) as sandbox:
        run = "slow & until [ -e /tmp/begun ]; do sleep 0.1; done"
        acted = CommandAgent(CommandSpec("a", run)).act(sandbox, attempt(group, [], timeout=120.0))
        assert acted.stop is Stop.FINISHED
        assert act(sandbox, GONE).ok
        assert judge(sandbox, group).graded.passed


def test_a_forged_call_is_the_agents_own(scope: RunScope) -> None:
    """Whatever it writes where calls are passed on, taskcal goes on and the rollout is graded."""
    run = """
        cd /run/taskcal/calls
        printf 'call ../../etc\\n\\n!!\\nready 1\\n' >bell
        mkdir abcdefgh && printf 'no-such-tool\\0' >abcdefgh/call && echo abcdefgh >bell
        mkdir hgfedcba && head -c 3000000 /dev/urandom >hgfedcba/call && echo hgfedcba >bell
        ship-order --order 5; echo "exit $?"
    """
    assert "exit 5\n" in said(scope, shop(SHIP), run)


def test_solutions_functions_and_models_have_the_same_tools(scope: RunScope) -> None:
    """A solution and a Python function find the program, a model the function."""
    group = shop(SHIP)
    log: list[bytes] = []
    with opened(scope, group) as sandbox:
        apply_solution(sandbox, attempt(group, log), Solution("s", run="ship-order --order 1 --code solution"))

        def solve(_prompt: str, handle: SandboxHandle, _seed: int) -> str:
            return str(handle.run("ship-order --order 2 --code function").exit_code)

        acted = PythonAgent(PythonSpec("p", "m:f"), "", solve).act(sandbox, attempt(group, log))
        assert acted.stop is Stop.FINISHED
        with open_tools(sandbox, group.task, None, 1000) as (tool,):
            used = carried_out(tool, sandbox, {"order": 3, "code": "model"})
            assert used.content == "/srv\nas 0\n[exit status 3]"
        shipped = act(sandbox, "cat /tmp/shipped /run/taskcal/answer").stdout.decode()
    assert shipped == "1/solution/\n2/function/\n3/model/\n2"


def test_an_image_without_what_tools_need_is_lost_at_setup(scope: RunScope) -> None:
    """The reason says what is missing, and no agent is graded for it."""
    group = shop(SHIP)
    with opened(scope, group) as sandbox:
        act(sandbox, "rm $(command -v mkfifo)", user="0")
        with (
            pytest.raises(SetupLost, match=r"tools could not be put on PATH: .*mkfifo"),
            tools_on_path(sandbox, attempt(group, []), None),
        ):
            pass


def test_a_person_in_a_shell_has_the_tools(taskcal: CommandLine, write: Write) -> None:
    """The author's inner loop is as the agent's."""
    write("t.yaml", TASKSET)
    ended = taskcal("shell", "t.yaml", "ship", stdin="ship --order 5\n")
    assert (ended.code, "shipped 5" in ended.err) == (0, True)
    assert "reward 1, passed" in ended.out


TASKSET = """
taskset: shop
version: 1
tasks:
  - id: ship
    prompt: Ship order 5.
    environment: {image: "debian:bookworm-slim"}
    tools:
      - name: ship
        run: echo "shipped $order" | tee /tmp/shipped
        parameters: {properties: {order: {type: integer}}, required: [order]}
    grader: {checks: [{name: shipped, run: "grep -q 'shipped 5' /tmp/shipped"}]}
"""
