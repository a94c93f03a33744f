"""How a script ended, told from what the engine says about it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import pytest

from taskcal.errors import SandboxLost
from taskcal.sandbox import Script, ScriptEnding, ScriptResult
from taskcal.sandbox.engine.docker_types import ExecResult
from taskcal.sandbox.execute import classify_ending, execute, script_to_retry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.sandbox.engine.docker import DockerEngine
    from taskcal.sandbox.engine.stream import ExecCall

DEAD = b"OCI runtime exec failed: exec failed: container is not running"


@dataclass
class Answers:
    """An engine that answers each exec with the next of these, and keeps what it was asked."""

    answers: list[ExecResult]
    running: bool = False
    asked: list[tuple[tuple[str, ...], ExecCall]] = field(default_factory=list)

    def exec(self, container: str, argv: Sequence[str], call: ExecCall) -> ExecResult:
        """Give the next answer."""
        assert container == "box"
        self.asked.append((tuple(argv), call))
        return self.answers.pop(0)

    def is_running(self, container: str) -> bool:
        """What the engine says of the container."""
        assert container == "box"
        return self.running


def ended(code: int | None, out: bytes = b"", err: bytes = b"") -> ExecResult:
    return ExecResult(code, out, err)


def not_started(words: bytes) -> ExecResult:
    """What the engine answers if it cannot start a process."""
    return ExecResult(126, words, b"", started=False)


def run(script: Script, *answers: ExecResult, running: bool = False) -> tuple[ScriptResult, Answers]:
    engine = Answers(list(answers), running)
    return execute(cast("DockerEngine", engine), "box", script), engine


@pytest.mark.parametrize(
    ("code", "kills", "ending", "believed"),
    [
        (0, 0, ScriptEnding.EXITED, 0),
        (1, 0, ScriptEnding.EXITED, 1),
        (126, 0, ScriptEnding.EXITED, 126),
        (127, 3, ScriptEnding.EXITED, 127),
        (137, 0, ScriptEnding.EXITED, 137),
        (137, 1, ScriptEnding.OUT_OF_MEMORY, None),
        (None, 0, ScriptEnding.TIMED_OUT, None),
        (None, 2, ScriptEnding.TIMED_OUT, None),
        (0, 2, ScriptEnding.EXITED, 0),
    ],
)
def test_an_ending_is_one_of_three(code: int | None, kills: int, ending: ScriptEnding, believed: int | None) -> None:
    """137 is out of memory only where the kernel counted a kill; what ended by itself keeps its status."""
    assert classify_ending(ended(code, b"out", b"err"), kills) == ScriptResult(ending, believed, b"out", b"err")


def test_an_ordinary_status_is_believed_at_once() -> None:
    """No second exec where none is needed: each costs 50 ms."""
    result, engine = run(Script("exit 3", 60), ended(3, b"said"))
    assert (result.exit_code, result.stdout, len(engine.asked)) == (3, b"said", 1)


@pytest.mark.parametrize("code", [126, 137])
def test_a_suspicious_status_is_asked_about(code: int) -> None:
    """A living container answers the probe, and then the status is the script's own."""
    result, engine = run(Script("x", 60), ended(code), ended(0, b"0\n"))
    assert (result.ending, result.exit_code) == (ScriptEnding.EXITED, code)
    assert engine.asked[1][1].user == "0"


def test_the_probe_brings_the_kernels_count() -> None:
    """The largest number that either version of the control groups gives."""
    result, _ = run(Script("x", 60), ended(137, b"last words"), ended(0, b"0\n2\n"))
    assert (result.ending, result.exit_code, result.stdout) == (ScriptEnding.OUT_OF_MEMORY, None, b"last words")


@pytest.mark.parametrize(
    ("probe", "said"), [(ended(126, DEAD), "container is not running"), (ended(137), "137"), (ended(None), "None")]
)
def test_a_dead_container_is_lost(probe: ExecResult, said: str) -> None:
    """Who does not answer as a living one is dead: our side's loss, never the script's failure."""
    with pytest.raises(SandboxLost, match=f"the sandbox died while a script ran in it .*{said}"):
        run(Script("x", 60), ended(137), probe)


def test_a_probe_that_was_killed_as_well_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container that runs: an agent that kills everything for a moment has crashed, and is graded."""
    monkeypatch.setattr("taskcal.sandbox.execute.PROBE_PAUSES", (0.0, 0.0))
    result, _ = run(Script("x", 60), ended(137), ended(137), ended(126), ended(0, b"0\n"), running=True)
    assert (result.ending, result.exit_code) == (ScriptEnding.EXITED, 137)
    with pytest.raises(SandboxLost):
        run(Script("x", 60), ended(137), ended(137), ended(137), ended(137), running=True)


def test_a_script_goes_in_as_it_should() -> None:
    """As an argument, or hidden through standard input with an end of its own, since no end of file comes."""
    _, engine = run(Script("echo 'a b'", 60, user="u", env={"A": "1"}, workdir="/w"), ended(0))
    argv, call = engine.asked[0]
    assert argv == ("sh", "-c", "echo 'a b'")
    assert (call.stdin, call.user, call.env, call.workdir) == (None, "u", {"A": "1"}, "/w")
    _, engine = run(Script("echo secret", 60, hidden=True), ended(0))
    argv, call = engine.asked[0]
    assert argv == ("sh",)
    assert call.stdin == b"echo secret\nexit\n"


def test_the_deadline_is_the_scripts() -> None:
    """In seconds from now, on the clock that no one sets."""
    before = time.monotonic()
    _, engine = run(Script("x", 500), ended(0))
    assert before + 500 <= engine.asked[0][1].deadline <= time.monotonic() + 500


@pytest.mark.parametrize(
    ("stdout", "stderr", "tail"),
    [
        (b"", b"", ""),
        (b"a\n\n  b \n", b"c\n", "a | b | c"),
        (b"x" * 600, b"", f"…{'x' * 499}"),
        (b"\xff", b"", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_tail_is_one_line(stdout: bytes, stderr: bytes, tail: str) -> None:
    """The last words of both streams, for a reason that a table bears."""
    assert ScriptResult(ScriptEnding.EXITED, 1, stdout, stderr).tail == tail


NO_FOLDER = b'OCI runtime exec failed: exec failed: unable to start container process: chdir to cwd ("/work") failed'


def test_a_script_whose_folder_is_gone_starts_at_the_top() -> None:
    """As the agent's user; root gets the folder back instead, and a script may name a folder that must be there."""
    by_agent, by_root = Script("ls", 60, user="agent"), Script("ls", 60, user="0")
    assert script_to_retry(by_agent, not_started(NO_FOLDER)) == replace(by_agent, workdir="/")
    assert script_to_retry(by_root, not_started(NO_FOLDER)) == by_root
    assert script_to_retry(replace(by_agent, workdir="/work"), not_started(NO_FOLDER)) is None
    assert script_to_retry(by_agent, not_started(DEAD)) is None
    for script in (by_root, replace(by_agent, workdir="/work")):
        result, engine = run(script, not_started(NO_FOLDER), ended(0))
        assert (result.exit_code, len(engine.asked)) == (126, 2)
        assert engine.asked[1][1].workdir == "/"


@pytest.mark.parametrize("words", [NO_FOLDER, DEAD, b"", b"x"], ids=["folder", "dead", "nothing", "other"])
@pytest.mark.parametrize("code", [0, 1, 126, 127, 137, None])
@pytest.mark.parametrize("user", [None, "agent", "0"])
def test_what_has_started_is_not_run_again(user: str | None, code: int | None, words: bytes) -> None:
    """Whatever it prints, also the engine's words, and however it ends: an agent could print them for more time."""
    script = Script("mine", 60, user=user)
    assert script_to_retry(script, ended(code, words)) is None
    _, engine = run(script, ended(code, words), ended(0, b"0"))
    assert [argv for argv, _ in engine.asked if argv[-1] == "mine"] == [("sh", "-c", "mine")]
