"""However a run ends, nothing of it is left; and the ways to go on: resume, keep, shell."""

from __future__ import annotations

import json
import secrets
import shlex
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.conftest import environment
from tests.docker.conftest import left_on
from tests.docker.samples import TASKSET, run_id

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.sandbox.engine.docker import DockerEngine
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_leaves_nothing(
    taskcal: CommandLine, write: Write, engine: DockerEngine, number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM: nothing on the engine, a report of what was measured, exit 130."""
    write("tasks.yaml", TASKSET)
    write("agent.yaml", "agent: a\nkind: command\nrun: echo up; sleep 100\n")
    command = taskcal.command("run", "tasks.yaml", "-G", "4", "--agent", "agent.yaml", "-c", "3")
    process = subprocess.Popen(
        command, cwd=taskcal.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for_output(taskcal.folder, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert left_on(engine, run_id(taskcal.folder)) == 0
    assert "not run" in out
    assert (taskcal.folder / "runs" / run_id(taskcal.folder) / "calibration.json").exists()


def wait_for_output(folder: Path, process: subprocess.Popen[str]) -> None:
    """Until an agent has said something: its container is then in the middle of its life."""
    while process.poll() is None:
        if any(path.stat().st_size for path in folder.glob("runs/*/rollouts/*/*/*/agent.log")):
            return
        time.sleep(0.01)  # it is another process that is waited for
    raise AssertionError(process.communicate())


def test_kept_container_can_be_entered_and_cleaned(taskcal: CommandLine, write: Write, engine: DockerEngine) -> None:
    """--keep-failed leaves one failed container per group, names it, and `clean --kept` removes it."""
    write("tasks.yaml", TASKSET)
    ended = taskcal("run", "tasks.yaml", "-G", "2", "--agent", "noop", "--keep-failed", "--task", "easy")
    names = [line.split()[4] for line in ended.err.splitlines() if line.startswith("kept: docker exec -it")]
    assert len(names) == 1
    assert engine.is_running(names[0])
    taskcal("clean")
    assert engine.is_running(names[0])
    taskcal("clean", "--kept")
    assert not engine.is_running(names[0])


def test_shell_grades_what_was_done(taskcal: CommandLine, write: Write) -> None:
    """The inner loop: commands piped in, or a named solution, then every check with its note."""
    write("tasks.yaml", TASKSET)
    good = taskcal("shell", "tasks.yaml", "easy", stdin="touch /tmp/easy\n")
    assert (good.code, good.out.splitlines()[-1]) == (0, "reward 1, passed")
    assert good.out.splitlines()[0] == "the script ended with exit status 0"
    bad = taskcal("shell", "tasks.yaml", "easy", stdin="true\n")
    assert "exit 1" in bad.out
    played = taskcal("shell", "tasks.yaml", "easy", "--solution", "touch")
    assert played.out.splitlines()[-1] == "reward 1, passed"
    assert taskcal("shell", "tasks.yaml", "easy", "--solution", "nope").code == 2
    assert taskcal("shell", "tasks.yaml", "nope").code == 2


def test_interrupted_run_is_resumed(taskcal: CommandLine, write: Write) -> None:
    """A run cut short goes on where it was: each rollout once, and the calibration of an uninterrupted run."""
    write("tasks.yaml", TASKSET)
    arguments = ("run", "tasks.yaml", "-G", "5", "--agent", "simulated", "--seed", "3", "-c", "2", "-q", "-o")
    whole = taskcal(*arguments, "whole", "--json")
    process = subprocess.Popen(
        taskcal.command(*arguments, "cut"), cwd=taskcal.folder, env=environment(), stderr=subprocess.PIPE, text=True
    )
    try:
        while process.poll() is None and not any(p.stat().st_size for p in taskcal.folder.glob("cut/*/rollouts.jsonl")):
            time.sleep(0.01)  # it is another process that is waited for
        process.kill()
        process.communicate(timeout=30)
    finally:
        process.kill()
    resumed = taskcal("run", "--resume", "last", "-o", "cut", "-q", "--json")
    assert resumed.code == 0, resumed.err
    keys = [
        json.loads(line)["key"] for line in next(taskcal.folder.glob("cut/*/rollouts.jsonl")).read_text().splitlines()
    ]
    assert len(keys) == len(set(keys)) == 10
    assert [task["rewards"] for task in resumed.json()["tasks"]] == [task["rewards"] for task in whole.json()["tasks"]]


def test_resume_refuses_another_question(taskcal: CommandLine, write: Write) -> None:
    """Another agent, group size or task is refused by name; --extend allows more rollouts."""
    write("tasks.yaml", TASKSET)
    assert taskcal("run", "tasks.yaml", "-G", "1", "--agent", "oracle", "-q").code == 0
    other = taskcal("run", "--resume", "last", "--agent", "noop")
    assert (other.code, "the agent" in other.err) == (2, True)
    larger = taskcal("run", "--resume", "last", "-G", "2")
    assert (larger.code, "--extend" in larger.err) == (2, True)
    extended = taskcal("run", "--resume", "last", "-G", "2", "--extend", "--json", "-q")
    assert [task["n"] for task in extended.json()["tasks"]] == [2, 2]
    write("tasks.yaml", TASKSET.replace("Make the file /tmp/easy.", "Make another file."))
    changed = taskcal("run", "--resume", "last")
    assert (changed.code, "the tasks" in changed.err) == (2, True)


def test_kept_container_with_network_spoils_nothing(taskcal: CommandLine, write: Write) -> None:
    """A kept container keeps its network too, and neither this run nor the next command fails for it."""
    write("tasks.yaml", TASKSET.replace('bookworm-slim"', 'bookworm-slim", network: bridge'))
    run = ("run", "tasks.yaml", "-G", "1", "--agent", "noop", "--task", "easy", "-q")
    assert taskcal(*run, "--keep-failed").code == 0
    assert taskcal(*run).code == 0
    assert taskcal("clean", "--kept").code == 0


def test_reader_that_leaves_spoils_nothing(taskcal: CommandLine, write: Write) -> None:
    """`2>&1 | head -1` ends neither the run nor its report."""
    write("tasks.yaml", TASKSET)
    command = shlex.join(taskcal.command("run", "tasks.yaml", "-G", "3", "--agent", "noop", "-c", "3"))
    piped = ["sh", "-c", f"{command} 2>&1 | head -n 1"]
    subprocess.run(piped, cwd=taskcal.folder, env=environment(), check=True, stdout=subprocess.DEVNULL)
    run = taskcal.folder / "runs" / run_id(taskcal.folder)
    assert len((run / "rollouts.jsonl").read_text().splitlines()) == 6
    assert (run / "report.md").exists()


def test_interrupt_while_baking(taskcal: CommandLine, write: Write, engine: DockerEngine) -> None:
    """Ctrl-C in the middle of a setup: 130, and nothing left that was being baked."""
    token = secrets.token_hex(8)
    write("tasks.yaml", TASKSET.replace('bookworm-slim"', f'bookworm-slim", setup: "sleep 60; : {token} $name"'))
    command = taskcal.command("run", "tasks.yaml", "-G", "1", "--agent", "noop")
    process = subprocess.Popen(command, cwd=taskcal.folder, env=environment(), stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        while "baking" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert left_on(engine, run_id(taskcal.folder)) == 0


def test_resume_needs_nothing_typed_again(taskcal: CommandLine, write: Write) -> None:
    """Agent, selection and group size come from the run, also where the project configures another agent."""
    write("tasks.yaml", TASKSET)
    write("taskcal.yaml", "agent: noop\n")
    assert taskcal("run", "tasks.yaml", "-G", "1", "--agent", "oracle", "--task", "easy", "-q").code == 0
    again = taskcal("run", "--resume", "last", "-G", "2", "--extend", "--json", "-q")
    assert [(task["id"], task["passed"]) for task in again.json()["tasks"]] == [("easy", 2)]
    refused = taskcal("run", "--resume", "last", "-G", "3", "--extend", "--max-memory", "16m", "-q")
    assert (refused.code, "Traceback" in refused.err) == (4, False)
