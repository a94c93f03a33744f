"""The agent that is a Python function: how it is found, what it is given, and whose fault its end is."""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.agents.choose import choose_agent
from taskcal.agents.python import PythonAgent, load_python
from taskcal.agents.sandbox_handle import SandboxHandle, TimeUp
from taskcal.agents.spec import Price, PythonSpec
from taskcal.agents.transcript import Transcript
from taskcal.core.rollout import Stop, Usage
from taskcal.errors import InputError, ProviderLost, SandboxLost, UsageError
from taskcal.sandbox import ANSWER_FILE, Script, ScriptEnding, ScriptResult
from tests.agents.fake_sandbox import FakeSandbox, attempt, ending, task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from taskcal.agents import AgentResult

SPEC = PythonSpec("mine", call="module:solve")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder, and forget afterwards what was imported from it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def act(
    solve: Callable[[str, SandboxHandle, int], Any],
    sandbox: FakeSandbox | None = None,
    log: list[bytes] | None = None,
    timeout: float = 60.0,
    spec: PythonSpec = SPEC,
) -> AgentResult:
    asked = replace(attempt(task(), log), timeout=timeout)
    return PythonAgent(spec, "", solve).act(sandbox or FakeSandbox(), asked)


def test_a_failure_of_the_provider_is_lost() -> None:
    """A function reports it with ProviderLost."""

    def solve(*_: Any) -> str:
        raise ProviderLost("429")

    with pytest.raises(ProviderLost, match=r"^the agent reports .* provider: 429$"):
        act(solve)


def test_a_function_gets_prompt_sandbox_and_seed() -> None:
    """What it returns is its answer, written by the task's user; nothing is written where it returns None."""
    seen: list[object] = []

    def solve(prompt: str, sandbox: SandboxHandle, seed: int) -> str:
        seen.extend((prompt, type(sandbox), seed))
        return "42"

    sandbox = FakeSandbox()
    assert act(solve, sandbox).stop is Stop.FINISHED
    assert seen == ["Ship it.", SandboxHandle, 7]
    (written,) = sandbox.scripts
    assert written.source.endswith(f"printf %s 42 >{ANSWER_FILE}")
    assert (written.user, written.hidden) == ("agent", True)
    silent = FakeSandbox()
    assert act(lambda *_: None, silent).stop is Stop.FINISHED
    assert silent.scripts == []


def test_what_it_does_is_in_log_and_transcript() -> None:
    """Each command with its output and status, the prompt before and the answer behind them."""
    lines: list[bytes] = []
    log: list[bytes] = []
    asked = replace(attempt(task(), log), transcript=Transcript(lines.append))

    def solve(_prompt: str, sandbox: SandboxHandle, _seed: int) -> str:
        ran = sandbox.run("ls")
        return f"{ran.exit_code} {ran.stdout}"

    PythonAgent(SPEC, "", solve).act(ending(3, b"no\n"), asked)
    rows = [json.loads(line) for line in lines]
    assert [row["type"] for row in rows] == ["message", "tool_call", "tool_result", "message", "note"]
    assert (rows[1]["name"], json.loads(rows[1]["arguments"])) == ("run", {"command": "ls"})
    assert (rows[2]["content"], rows[2]["exit_code"]) == ("no\n", 3)
    assert (rows[3]["role"], rows[3]["content"]) == ("assistant", "3 no\n")
    assert rows[4]["text"] == "the answer could not be written: no"
    assert b"".join(log) == b"no\n"


def test_an_exception_is_the_agents_own() -> None:
    """Graded as a crash, with the person's traceback in the log and none of taskcal's frames."""
    log: list[bytes] = []

    def solve(*_: object) -> None:
        raise KeyError("colour")

    assert act(solve, log=log).stop is Stop.CRASHED
    said = b"".join(log).decode()
    assert "raise KeyError" in said
    assert said.endswith("KeyError: 'colour'\n")
    assert "taskcal/agents/python.py" not in said
    assert act(lambda *_: sys.exit(3)).stop is Stop.CRASHED


def test_an_answer_is_text() -> None:
    """Anything else is a mistake of the function, and the log says so."""
    log: list[bytes] = []
    assert act(lambda *_: 42, log=log).stop is Stop.CRASHED
    assert "the agent returned int, and must return its answer as text" in b"".join(log).decode()


def test_our_own_failure_passes() -> None:
    """A sandbox that died is lost, also where the function swallows the error."""

    class Dying(FakeSandbox):
        def run(self, script: Script, **_: Any) -> ScriptResult:
            raise SandboxLost(f"gone under {script.source}")

    def careless(_prompt: str, sandbox: SandboxHandle, _seed: int) -> str:
        try:
            sandbox.run("ls")
        except Exception:  # noqa: BLE001 - what a careless person's code does
            return "fine"
        return "not reached"

    for solve in (careless, lambda _p, sandbox, _s: sandbox.read("/x")):
        with pytest.raises(SandboxLost, match="gone under"):
            act(solve, Dying())


def test_a_function_that_does_not_return_is_a_timeout() -> None:
    """It is left alone when its time is over; its handle refuses everything from then on."""
    goes_on, ended = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def solve(_prompt: str, sandbox: SandboxHandle, _seed: int) -> None:
        goes_on.wait(60)
        try:
            sandbox.run("rm -rf /")
        except TimeUp as error:
            errors.append(error)
        ended.set()

    sandbox = FakeSandbox()
    assert act(solve, sandbox, timeout=0.05).stop is Stop.TIMEOUT
    goes_on.set()
    assert ended.wait(60)
    assert (len(errors), sandbox.scripts) == (1, [])


def test_an_answer_that_comes_too_late_is_none() -> None:
    """A function that stops because its time is over has not finished, and nothing is written for it."""

    def solve(_prompt: str, sandbox: SandboxHandle, _seed: int) -> str:
        while sandbox.seconds_left > 0:
            time.sleep(0.01)
        sandbox.run("ls")
        return "late"

    sandbox = FakeSandbox()
    assert act(solve, sandbox, timeout=0.05).stop is Stop.TIMEOUT
    assert sandbox.scripts == []


def test_secrets_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing begins without them, and what leaves is without their values."""
    spec = replace(SPEC, secrets=("MY_KEY",))
    monkeypatch.setenv("MY_KEY", "sk-123456")
    assert PythonAgent(spec, "", lambda *_: None).redactor.text("a sk-123456") == "a [MY_KEY]"
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(UsageError, match="needs the secret MY_KEY"):
        load_python(spec)


def test_usage_is_read_and_priced() -> None:
    """From the same file as a command's."""
    sandbox = FakeSandbox(
        usage=ScriptResult(ScriptEnding.EXITED, 0, b'{"input_tokens": 1000000, "output_tokens": 0}', b"")
    )
    asked = attempt(task())
    PythonAgent(replace(SPEC, price=Price(2.0, 8.0)), "", lambda *_: None).act(sandbox, asked)
    assert asked.account.usage == Usage(1_000_000, None, 0, cost_usd=2.0)


def test_a_module_is_found_beside_the_agent_file(folder: Path) -> None:
    """Wherever taskcal is called from; the function's file is part of what the agent is, its folder is not."""
    (folder / "mine").mkdir()
    module = folder / "mine" / "beside_the_file.py"
    module.write_text("class Team:\n    @staticmethod\n    def solve(prompt, sandbox, seed):\n        return prompt\n")
    (folder / "mine" / "a.yaml").write_text(
        "agent: mine\nkind: python\ncall: beside_the_file:Team.solve\ntimeout: 5s\n"
    )
    agent = choose_agent("mine/a.yaml", {})
    assert isinstance(agent, PythonAgent)
    assert (agent.name, agent.timeout, agent.network, agent.install) == ("mine", 5.0, None, "")
    assert agent.refusal(task(solutions=())) is None
    assert agent.solve("p", None, 1) == "p"  # type: ignore[arg-type]  # this one uses no sandbox
    assert str(folder) not in repr(agent)
    module.write_text(module.read_text() + "# changed\n")
    assert repr(choose_agent("mine/a.yaml", {})) != repr(agent)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("no_such_module_here:solve", "cannot be imported: ModuleNotFoundError"),
        ("broken_module:solve", "cannot be imported: ZeroDivisionError: division by zero"),
        ("good_module:absent", "cannot be imported: AttributeError"),
        ("good_module:NUMBER", "call: good_module:NUMBER is no function"),
        ("good_module:few", r"must take \(prompt, sandbox, seed\)"),
    ],
)
def test_a_function_that_cannot_be_called_is_wrong_usage(folder: Path, call: str, message: str) -> None:
    """One line before anything runs, not a taskset of crashes."""
    (folder / "broken_module.py").write_text("1 / 0\n")
    (folder / "good_module.py").write_text("NUMBER = 1\ndef few(prompt): ...\n")
    (folder / "a.yaml").write_text(f"agent: a\nkind: python\ncall: {call}\n")
    with pytest.raises(UsageError, match=message):
        choose_agent("a.yaml", {})


def test_only_a_person_starts_a_function(folder: Path) -> None:
    """A file that came with a repository or a run does not: nothing is imported, and the error says what to type."""
    (folder / "marking.py").write_text("import pathlib\npathlib.Path('imported').touch()\ndef solve(a, b, c): ...\n")
    (folder / "a.yaml").write_text("agent: a\nkind: python\ncall: marking:solve\n")
    with pytest.raises(
        UsageError, match=r"taskcal\.yaml names the agent a\.yaml, a Python .* name it yourself: --agent"
    ):
        choose_agent("a.yaml", {}, "taskcal.yaml")
    assert not (folder / "imported").exists()
    assert choose_agent("a.yaml", {}).name == "a"
    assert (folder / "imported").exists()


@pytest.mark.parametrize("call", ["solve", "a-b:solve", "module:", ":solve", "module:so lve", "a..b:c"])
def test_a_call_has_one_form(folder: Path, call: str) -> None:
    """What is no `module:function` is refused with its line."""
    (folder / "a.yaml").write_text(f"agent: a\nkind: python\ncall: '{call}'\n")
    with pytest.raises(InputError, match=r"a\.yaml:3: call: must be module:function"):
        choose_agent("a.yaml", {})


def test_a_package_offers_agents_by_name(folder: Path) -> None:
    """By the entry-point group; a file of that name comes first, and a wrong name lists what there is."""
    (folder / "plug_in.py").write_text("def solve(prompt, sandbox, seed):\n    return None\n")
    facts = folder / "plug_in-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-in\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[taskcal.agents]\nplugged = plug_in:solve\n")
    sys.path.insert(0, str(folder))
    agent = choose_agent("plugged", {})
    assert isinstance(agent, PythonAgent)
    assert (agent.name, agent.spec.call) == ("plugged", "plug_in:solve")
    with pytest.raises(UsageError, match=r"taskcal\.yaml names the agent plugged"):
        choose_agent("plugged", {}, "taskcal.yaml")
    with pytest.raises(UsageError, match="no such file, and not one of noop, oracle, simulated, plugged"):
        choose_agent("pluged", {})
    with pytest.raises(UsageError, match="--set changes an agent file, and plugged has none"):
        choose_agent("plugged", {"timeout": "5"})
    (folder / "plugged").write_text("agent: file\nkind: simulated\n")
    assert choose_agent("plugged", {}).name == "file"


class Unprintable(Exception):
    """Its message cannot be had."""

    def __str__(self) -> str:
        raise Unprintable


class Foreign(BaseException):
    """Not one of Python's ordinary exceptions."""


@pytest.mark.parametrize(
    "error",
    [ValueError("half \ud83d"), Unprintable(), Foreign("x"), KeyboardInterrupt(), GeneratorExit(), RecursionError()],
    ids=lambda error: type(error).__name__,
)
def test_any_exception_is_a_crash(error: BaseException) -> None:
    """Whatever it is and says, with its name in the log."""
    log: list[bytes] = []

    def solve(*_: object) -> None:
        raise error

    assert act(solve, log=log).stop is Stop.CRASHED
    assert type(error).__name__ in b"".join(log).decode()


@pytest.mark.parametrize("value", [b"42", 42, ["42"], float("nan"), object()], ids=lambda value: type(value).__name__)
def test_an_answer_of_another_type_is_a_crash(value: object) -> None:
    """It is the function's own mistake."""
    assert act(lambda *_: value).stop is Stop.CRASHED


@pytest.mark.parametrize(
    ("answer", "written"), [("half \ud83d", "'half ?'"), ("a\0b", "ab"), ("x" * 17 * 1024**2, "x" * 1024**2)], ids="abc"
)
def test_an_answer_of_any_text_and_length_is_handed_in(answer: str, written: str) -> None:
    """As much of it as graders read."""
    sandbox = FakeSandbox()
    assert act(lambda *_: answer, sandbox).stop is Stop.FINISHED
    assert sandbox.scripts[-1].source.endswith(f"printf %s {written} >{ANSWER_FILE}")
