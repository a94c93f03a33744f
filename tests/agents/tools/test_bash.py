"""The tools of a chat agent: what the shell does with a command, and how calls that make no sense are answered."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.agents.chat.messages import tool_definition
from taskcal.agents.tools.agent_tool import AgentTool, PreparedCall, ToolReply, call_tool
from taskcal.agents.tools.bash import LONGEST_COMMAND, Bash, bash_of, shell_script
from taskcal.machine import host
from taskcal.sandbox import TASKCAL_FOLDER, ScriptEnding, ScriptResult
from tests.agents.fake_sandbox import FakeSandbox, carried_out, ending, task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


BOUND = 1000


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., tuple[int | None, str]]:
    """Run commands as the sandbox would, one after the other, in this machine's own shell."""

    def run(command: str, seconds: float = 20.0) -> tuple[int | None, str]:
        script = shell_script(command, seconds, BOUND).replace(TASKCAL_FOLDER, str(tmp_path))
        done = host.run_program(["sh", "-c", f"cd {tmp_path}\n{script}"], seconds=60)
        return done.status, done.output

    return run


def test_a_command_says_what_it_printed(shell: Callable[..., tuple[int | None, str]]) -> None:
    """Output and errors in their order, and the status."""
    assert shell("echo one; echo two >&2; echo three; exit 3") == (3, "one\ntwo\nthree\n")


@pytest.mark.parametrize(
    "command",
    [
        "echo it\\'s \"here\" '$HOME'",
        "cat <<'END'\nit's $HOME\nEND",
        "for i in 1 2; do\n  echo $i # it's\ndone",
        "echo 'ü€'",
    ],
)
def test_a_command_arrives_as_it_is(shell: Callable[..., tuple[int | None, str]], command: str) -> None:
    """Quotes, newlines, heredocs and comments are the shell's to read, not ours to break."""
    plain = host.run_program(["bash", "-c", command], seconds=60)
    assert shell(command) == (plain.status, plain.output)


def test_folder_and_variables_are_kept(shell: Callable[..., tuple[int | None, str]]) -> None:
    """From call to call, also when a command fails; variables that are not exported are not."""
    shell("mkdir -p 'a folder' && cd 'a folder' && export WORD='it'\\''s\ntwo lines' PLAIN=1; private=2; false")
    assert shell('pwd | grep -o "[^/]*$"; echo "$WORD $PLAIN $private"') == (0, "a folder\nit's\ntwo lines 1 \n")
    shell("cd ..; export PLAIN=2; exit 7")
    assert shell("ls -d 'a folder'; echo $PLAIN") == (0, "a folder\n2\n")


def test_a_folder_that_is_gone_stops_nothing(shell: Callable[..., tuple[int | None, str]]) -> None:
    """The next command starts where the first one did."""
    shell("mkdir x; cd x; rmdir ../x")
    assert shell("mkdir y && echo made") == (0, "made\n")


def test_a_wrong_command_keeps_the_state(shell: Callable[..., tuple[int | None, str]]) -> None:
    """Quotes that do not end are the model's to mend, and nothing is forgotten."""
    shell("export KEPT=1")
    status, output = shell("echo 'no end")
    assert status == 2
    assert "syntax error" in output or "unexpected EOF" in output
    assert shell("echo $KEPT") == (0, "1\n")


def test_long_output_keeps_head_and_tail(shell: Callable[..., tuple[int | None, str]]) -> None:
    """The middle is left out, with how much of it."""
    status, output = shell("seq 1 10000")
    assert status == 0
    assert output.startswith("1\n2\n3\n")
    assert output.endswith("9999\n10000\n")
    assert len(output) < BOUND + 100
    left_out = re.search(r"\[… (\d+) bytes left out …\]", output)
    assert left_out
    assert int(left_out[1]) == 48_894 - BOUND


def test_what_takes_too_long_is_killed(shell: Callable[..., tuple[int | None, str]]) -> None:
    """With what it started, and with what it had printed."""
    status, output = shell("echo before; sleep 1000 & sleep 1000", 1.0)
    assert status == 124
    assert output == "before\n\n[killed: still running after 1 s]\n"


def test_a_process_in_the_background_holds_nothing_up(shell: Callable[..., tuple[int | None, str]]) -> None:
    """A server that is started without a redirection: the call ends when its command does."""
    status, output = shell("sleep 30 & echo $!")
    assert status == 0
    host.run_program(["kill", output.strip()], seconds=10)


def test_a_command_killed_by_others_is_not_late(shell: Callable[..., tuple[int | None, str]]) -> None:
    """137 is any killed command's status."""
    assert shell("echo a; kill -9 $$") == (137, "a\n")


def bash(sandbox: FakeSandbox, seconds: float = 500.0, **arguments: object) -> ToolReply:
    return carried_out(Bash("agent", BOUND), sandbox, arguments, seconds)


@pytest.mark.parametrize(
    ("code", "stdout", "told"),
    [
        (0, b"fine\n", "fine"),
        (0, b"", "(no output)"),
        (1, b"oh no\n", "oh no\n[exit status 1]"),
        (1, b"", "[exit status 1]"),
        (0, b"\xff\n", "\ufffd"),
    ],
)
def test_the_model_is_told_how_it_ended(code: int, stdout: bytes, told: str) -> None:
    """Output, and the status where it is not 0."""
    assert bash(ending(code, stdout), command="x") == ToolReply(told, code)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (ScriptEnding.TIMED_OUT, "[killed: still running after 120 s]"),
        (ScriptEnding.OUT_OF_MEMORY, "[killed: out of memory]"),
    ],
)
def test_the_model_is_told_why_it_was_killed(kind: ScriptEnding, told: str) -> None:
    """It may try another way."""
    assert bash(FakeSandbox(ScriptResult(kind, None, b"", b"")), command="x") == ToolReply(told)


@pytest.mark.parametrize(
    ("asked", "left", "allowed"),
    [
        ({}, 500.0, 120),
        ({}, 20.0, 20),
        ({"timeout": 300}, 500.0, 300),
        ({"timeout": 3000}, 500.0, 500),
        ({"timeout": -5}, 9.0, 1),
        ({"timeout": 0}, 500.0, 120),
    ],
)
def test_a_command_has_a_time(asked: dict[str, int], left: float, allowed: int) -> None:
    """Two minutes unless the model asks for more or less, and never more than the agent has left."""
    sandbox = FakeSandbox()
    bash(sandbox, left, command="make", **asked)
    (script,) = sandbox.scripts
    assert f"timeout -s KILL {allowed} " in script.source
    assert script.timeout == allowed + 10
    assert (script.user, script.workdir, script.env) == ("agent", None, {})


def test_a_command_that_no_shell_takes_is_answered() -> None:
    """Longer than an argument may be; NUL characters are dropped."""
    sandbox = FakeSandbox()
    long = call_tool((Bash(None, BOUND),), sandbox, "bash", json.dumps({"command": "x" * (LONGEST_COMMAND + 1)}), 60.0)
    assert "longer than 100 KiB" in long.content
    assert sandbox.scripts == []
    bash(sandbox, command="echo a\0b")
    assert "echo ab" in sandbox.scripts[0].source


@dataclass
class Multiply:
    """A tool that needs no sandbox; obeys `taskcal.agents.tools.agent_tool.AgentTool`."""

    name: str = "multiply"
    description: str = "Multiply two numbers."
    given: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Two numbers, and how to write the result."""
        number = {"type": "number"}
        form = {"enum": ["decimal", "hex"]}
        return {"type": "object", "properties": {"a": number, "b": number, "form": form}, "required": ["a", "b"]}

    def prepare(self, arguments: Mapping[str, Any], seconds: float) -> PreparedCall:
        """Multiply."""
        assert seconds
        self.given.append(arguments)
        result = ScriptResult(ScriptEnding.EXITED, 0, str(arguments["a"] * arguments["b"]).encode(), b"")
        return PreparedCall(lambda _: result, lambda result: ToolReply(result.stdout.decode()))


def call(name: str, arguments: str) -> str:
    """What the model is told about a call of one of two tools."""
    tools: tuple[AgentTool, ...] = (Bash(None, BOUND), Multiply())
    return call_tool(tools, FakeSandbox(), name, arguments, 60.0).content


def test_tools_are_called_by_name() -> None:
    """With the arguments as JSON has them."""
    assert call("multiply", '{"a": 6, "b": 7}') == "42"
    assert call("bash", '{"command": "true"}') == "(no output)"


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("multply", "{}", "there is no tool 'multply'; the tools are bash, multiply"),
        ("", "{}", "there is no tool ''; the tools are bash, multiply"),
        ("multiply", '{"a": 6, "b"', "the arguments are not JSON (Expecting ':' delimiter: line 1 column 13"),
        ("multiply", "[" * 100_000, "the arguments are not JSON (it nests deeper than 100 levels)"),
        ("multiply", "[6, 7]", "multiply was not run: the arguments must be a JSON object"),
        ("multiply", "null", "the arguments must be a JSON object"),
        ("multiply", '{"a": 6}', "multiply was not run: b is missing"),
        ("multiply", '{"a": 6, "b": "x"}', "b must be a number"),
        ("multiply", '{"a": 6, "b": true}', "b must be a number"),
        ("multiply", '{"a": 6, "b": null}', "b must be a number"),
        ("multiply", '{"a": 6, "b": 7, "form": "roman"}', 'form must be one of "decimal", "hex"'),
        ("bash", '{"cmd": "ls"}', "command is missing"),
        ("bash", '{"command": ["ls"]}', "command must be text"),
        ("x" * 10_000, "{}", "there is no tool 'xxx"),
    ],
)  # fmt: skip
def test_calls_that_make_no_sense_are_answered(name: str, arguments: str, told: str) -> None:
    """With what is wrong, in few words, so that the model can mend it; nothing is run."""
    found = call(name, arguments)
    assert told in found
    assert len(found) < 500


def test_a_tasks_agent_is_offered_bash() -> None:
    """As the environment's user; the request describes it as a function."""
    tool = bash_of(task(user="solver"), BOUND)
    assert tool == Bash("solver", BOUND)
    form = tool_definition(tool)
    assert (form["type"], form["function"]["name"]) == ("function", "bash")
    assert form["function"]["parameters"]["required"] == ["command"]
    assert "1000 bytes" in form["function"]["description"]
