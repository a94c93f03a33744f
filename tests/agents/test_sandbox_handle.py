"""The sandbox as a person's code gets it: within the attempt's time, as the task's user, and whole files or errors."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.agents.sandbox_handle import MOST_BYTES, NOT_A_FILE, SandboxHandle, write_script
from taskcal.errors import LostError, SandboxLost
from tests.agents.fake_sandbox import FakeSandbox, attempt, ending, task

if TYPE_CHECKING:
    from taskcal.sandbox import Script, ScriptResult


def test_grading_waits_for_what_is_under_way() -> None:
    """An operation that began in time is over before the handle is closed, so that nothing meets the grader."""
    started, may_end = threading.Event(), threading.Event()

    class Slow(FakeSandbox):
        def run(self, script: Script, **_: Any) -> ScriptResult:
            started.set()
            may_end.wait(60)
            self.scripts.append(script)
            return self.result

    sandbox = Slow()
    handle = SandboxHandle(sandbox, attempt(task()), lambda _: None)
    threading.Thread(target=handle.run, args=("ls",), daemon=True).start()
    assert started.wait(60)
    closing = threading.Thread(target=handle.close, daemon=True)
    closing.start()
    assert closing.is_alive()
    may_end.set()
    closing.join(60)
    assert not closing.is_alive()
    assert len(sandbox.scripts) == 1


def test_commands_find_the_tasks_tools_and_its_user() -> None:
    """In the task's folder, as its user, with a timeout of their own that the attempt's bounds."""
    sandbox = FakeSandbox()
    handle = SandboxHandle(sandbox, attempt(task()), lambda _: None, {"TASKCAL_TOOLS": "lookup"})
    handle.run("lookup", timeout=5, env={"A": "b"})
    handle.run("sleep 900", timeout=900)
    first, second = sandbox.scripts
    assert first.source.endswith(" PATH=/run/taskcal/bin:$PATH; export PATH; }\nlookup")
    assert first.env == {"A": "b", "TASKCAL_TOOLS": "lookup"}
    assert (first.timeout, first.user, first.workdir) == (5, "agent", None)
    assert 0 < second.timeout <= 60


def test_a_command_that_ran_out_of_time_says_so() -> None:
    """No exit status is made up for it."""
    found = SandboxHandle(ending(None, b"half"), attempt(task()), lambda _: None).run("x")
    assert (found.exit_code, found.stdout, found.timed_out) == (None, "half", True)


def test_files_are_read_whole_or_not_at_all() -> None:
    """Bytes as they are; what is no file, cannot be read or is too long is an error."""

    def reading(sandbox: FakeSandbox) -> bytes:
        return SandboxHandle(sandbox, attempt(task()), lambda _: None).read("/a b")

    assert reading(ending(0, b"\xff\x00")) == b"\xff\x00"
    with pytest.raises(FileNotFoundError, match="/a b: no such file in the sandbox"):
        reading(ending(NOT_A_FILE))
    with pytest.raises(OSError, match="/a b: head: denied"):
        reading(ending(1, stderr=b"head: denied\n"))
    with pytest.raises(OSError, match="longer than 16 MiB"):
        reading(ending(0, b"x" * (MOST_BYTES + 1)))


def test_writing_says_why_it_cannot() -> None:
    """A file that is refused is an error, and one beyond the bound is not begun."""
    with pytest.raises(OSError, match="/proc/x: denied"):
        SandboxHandle(ending(1, stderr=b"denied"), attempt(task()), lambda _: None).write("/proc/x", b"")
    with pytest.raises(ValueError, match="longer than 16 MiB"):
        write_script("/x", b"x" * (MOST_BYTES + 1), 1.0)


@pytest.mark.parametrize(
    ("command", "env"),
    [("echo \0", {}), ("ls", {"A": "\0"}), ("ls", {"A=B": "x"}), ("ls", {"": "x"}), ("ls", {"A": "x" * 200_000})],
    ids=["nul", "nul in a value", "name", "no name", "long"],
)
def test_what_no_process_can_be_started_with_is_the_codes_own_mistake(command: str, env: dict[str, str]) -> None:
    """An engine would fail at it, and that would look like ours."""
    sandbox = FakeSandbox()
    handle = SandboxHandle(sandbox, attempt(task()), lambda _: None)
    with pytest.raises(ValueError, match=r"cannot|longer"):
        handle.run(command, env=env)
    with pytest.raises(ValueError, match="cannot"):
        handle.read("/a\0b")
    assert (sandbox.scripts, handle.lost) == ([], None)


def test_half_a_surrogate_pair_is_run_and_written_as_a_question_mark() -> None:
    """Models write it, and harnesses pass it on."""
    sandbox = FakeSandbox()
    handle = SandboxHandle(sandbox, attempt(task()), lambda _: None)
    handle.run("echo \ud83d", env={"A": "\ud83d"})
    handle.write("/tmp/\ud83d", "\ud83d")
    run, written = sandbox.scripts
    assert (run.source.endswith("echo ?"), run.env, written.env) == (True, {"A": "?"}, {"TASKCAL_PATH": "/tmp/?"})


@pytest.mark.parametrize(
    "error", [SandboxLost("it died"), RuntimeError("a bug"), OSError(28, "No space left")], ids=repr
)
def test_what_breaks_under_a_script_is_kept_although_the_code_swallows_it(error: Exception) -> None:
    """Nothing that the code does makes a script fail, so whatever is raised is ours."""

    class Broken(FakeSandbox):
        def run(self, script: Script, **_: Any) -> ScriptResult:
            assert script
            raise error

    handle = SandboxHandle(Broken(), attempt(task()), lambda _: None)
    with contextlib.suppress(Exception):
        handle.run("ls")
    assert isinstance(handle.lost, LostError)
    assert str(error.args[-1]) in str(handle.lost)
