"""The main job from the outside: the command line, real containers, exit codes, the run's folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from scipy.stats import binom

from tests.conftest import environment
from tests.docker.conftest import left_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from taskcal.sandbox.docker import DockerEngine
    from tests.conftest import CommandLine

    Write = Callable[[str, str], Path]

pytestmark = pytest.mark.docker

TASKSET = """
taskset: small
version: 1
environments: {plain: {image: "debian:bookworm-slim"}}
defaults: {environment: plain}
tasks:
  - id: easy
    prompt: Make the file /tmp/easy.
    grader: &grader {checks: [{name: it is there, run: "test -e /tmp/$name"}]}
    params: {name: easy}
    solutions: [{name: touch, run: "touch /tmp/$name"}]
  - id: hard
    prompt: Make the file /tmp/hard.
    grader: *grader
    params: {name: hard}
    solutions: [{name: touch, run: "touch /tmp/$name"}]
"""
SOLVES_EASY = "agent: half\nkind: command\nrun: touch /tmp/easy\n"


def task_of(document: Any, name: str) -> Any:
    return next(task for task in document["tasks"] if task["id"] == name)


def run_id(folder: Path) -> str:
    return next((folder / "runs").iterdir()).name


def test_command_agent_end_to_end(taskcal: CommandLine, write: Write, engine: DockerEngine) -> None:
    """One task solved and one not, JSON on standard output and nothing else, nothing left, and the same again later."""
    write("tasks.yaml", TASKSET)
    write("agent.yaml", SOLVES_EASY)
    ended = taskcal("run", "tasks.yaml", "-G", "3", "--agent", "agent.yaml", "--json", "-c", "4")
    assert ended.code == 0, ended.err
    document = ended.json()
    assert (task_of(document, "easy")["passed"], task_of(document, "hard")["passed"]) == (3, 0)
    assert task_of(document, "hard")["verdict"] == "too-hard"
    assert task_of(document, "easy")["checks"][0]["mean_score"] == 1.0
    assert left_on(engine, run_id(taskcal.folder)) == 0
    again = taskcal("report", "--json")
    assert again.json() == document
    run = taskcal.folder / "runs" / run_id(taskcal.folder)
    assert json.loads((run / "calibration.json").read_text()) == document
    assert "too-hard" in (run / "report.md").read_text()
    assert len((run / "rollouts.jsonl").read_text().splitlines()) == 6


def test_fail_on_flagged(taskcal: CommandLine, write: Write) -> None:
    """A gate exits 1 for a flagged task, and 0 for the same without the gate."""
    write("tasks.yaml", TASKSET)
    arguments = ("run", "tasks.yaml", "-G", "1", "--agent", "noop", "--task", "easy", "-q")
    assert taskcal(*arguments).code == 0
    assert taskcal(*arguments, "--fail-on", "flagged").code == 1


def test_missing_image_spares_the_other_tasks(taskcal: CommandLine, write: Write) -> None:
    """A missing image makes its task unmeasured, once, and the others are measured; no image at all is exit 3."""
    gone = "environment: {image: 'taskcal-test.invalid/nothing:1'}"
    write("tasks.yaml", TASKSET.replace("  - id: hard", f"  - id: hard\n    {gone}"))
    ended = taskcal("run", "tasks.yaml", "-G", "2", "--agent", "oracle", "--json")
    hard = task_of(ended.json(), "hard")
    assert (ended.code, hard["verdict"], hard["n"], hard["lost"]) == (0, "unmeasured", 0, 1)
    assert "taskcal-test.invalid" in hard["reason"]
    assert task_of(ended.json(), "easy")["passed"] == 2
    assert taskcal("run", "tasks.yaml", "-G", "2", "--agent", "oracle", "--task", "hard").code == 3
    gate = ("run", "tasks.yaml", "-G", "2", "--agent", "oracle", "--fail-on", "flagged")
    assert taskcal(*gate).code == 1


def test_operator_bounds(taskcal: CommandLine, write: Write) -> None:
    """A task that asks for more than the operator allows is unmeasured, and the reason names the option."""
    write(
        "tasks.yaml",
        TASKSET.replace("  - id: hard", "  - id: hard\n    environment: {extends: plain, network: bridge}"),
    )
    ended = taskcal("run", "tasks.yaml", "-G", "1", "--agent", "oracle", "--allow-network", "none", "--json")
    hard = task_of(ended.json(), "hard")
    assert hard["verdict"] == "unmeasured"
    assert "--allow-network" in hard["reason"]
    ended = taskcal("run", "tasks.yaml", "-G", "1", "--agent", "oracle", "--max-memory", "1g", "--json")
    assert {task["verdict"] for task in ended.json()["tasks"]} == {"unmeasured"}
    assert ended.code == 4


@pytest.mark.parametrize(
    ("run", "stop", "reward"),
    [
        ("touch /tmp/easy; sleep 60", "timeout", 1.0),
        ("touch /tmp/easy; exit 9", "crashed", 1.0),
        ("exit 0", "finished", 0.0),
    ],
)
def test_how_the_agent_ended_is_graded(taskcal: CommandLine, write: Write, run: str, stop: str, reward: float) -> None:
    """A timeout and a crash are graded by the end state, and never lost."""
    write("tasks.yaml", TASKSET)
    write("agent.yaml", f"agent: a\nkind: command\ntimeout: 2s\nrun: {run}\n")
    ended = taskcal("run", "tasks.yaml", "-G", "1", "--agent", "agent.yaml", "--task", "easy", "-q")
    assert ended.code == 0, ended.err
    row = json.loads(next(taskcal.folder.glob("runs/*/rollouts.jsonl")).read_text())
    assert (row["outcome"], row["stop"], row["reward"]) == ("graded", stop, reward)


def test_agent_that_is_not_there_is_lost_and_retried(taskcal: CommandLine, write: Write) -> None:
    """A missing program is our side's failure: retried, then lost with its reason, and no reward is made up."""
    write("tasks.yaml", TASKSET)
    write("agent.yaml", "agent: a\nkind: command\nrun: no-such-program\n")
    ended = taskcal("run", "tasks.yaml", "-G", "1", "--agent", "agent.yaml", "--task", "easy", "--retries", "1", "-q")
    assert ended.code == 4
    rows = [json.loads(line) for line in next(taskcal.folder.glob("runs/*/rollouts.jsonl")).read_text().splitlines()]
    assert [(row["attempt"], row["outcome"], row["boundary"]) for row in rows] == [
        (0, "lost", "agent-install"),
        (1, "lost", "agent-install"),
    ]
    assert all("reward" not in row for row in rows)


def test_agent_sees_the_prompt_and_never_the_params(taskcal: CommandLine, write: Write) -> None:
    """Prompt by variable and file, also one too long for a variable; no param and no secret in what is stored."""
    long = "x" * 150_000
    write(
        "tasks.yaml",
        f"""
        taskset: prompts
        version: 1
        defaults: {{environment: {{image: "debian:bookworm-slim"}}, params: {{expected: param-value}}}}
        tasks:
          - id: short
            prompt: say it
            grader: {{checks: [{{name: same, run: 'cmp -s /tmp/seen /tmp/file && grep -q "say it" /tmp/seen'}}]}}
          - id: long
            prompt: {long}
            grader: {{checks: [{{name: whole, run: test $(wc -c </tmp/file) = 150000}}]}}
        """,
    )
    run = 'cat "$TASKCAL_PROMPT_FILE" >/tmp/file; printf %s "$TASKCAL_PROMPT" >/tmp/seen; env; echo "key $KEY"'
    write("agent.yaml", f"agent: a\nkind: command\nsecrets: [KEY]\nrun: |\n  {run}\n")
    refused = taskcal("run", "tasks.yaml", "-G", "1", "--agent", "agent.yaml")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "KEY" in refused.err
    os.environ["KEY"] = "very-secret-value"
    try:
        ended = taskcal("run", "tasks.yaml", "-G", "1", "--agent", "agent.yaml", "--json")
    finally:
        del os.environ["KEY"]
    assert [task["passed"] for task in ended.json()["tasks"]] == [1, 1]
    stored = [path.read_text() for path in taskcal.folder.rglob("*") if path.is_file()]
    assert not any("very-secret-value" in text for text in stored)
    logs = [path.read_text() for path in taskcal.folder.rglob("agent.log")]
    assert all("key [KEY]" in log and "param-value" not in log for log in logs)


def test_agents_install_is_baked(taskcal: CommandLine, write: Write) -> None:
    """An install step runs once per image, before the first rollout; one that fails is lost at the agent."""
    write("tasks.yaml", TASKSET)
    write(
        "agent.yaml", "agent: a\nkind: command\ninstall: echo 'touch /tmp/easy' >/opt/program\nrun: sh /opt/program\n"
    )
    ended = taskcal("run", "tasks.yaml", "-G", "2", "--agent", "agent.yaml", "--json", "--task", "easy")
    assert task_of(ended.json(), "easy")["passed"] == 2
    assert sum("baking" in line for line in ended.err.splitlines()) <= 1
    write("agent.yaml", "agent: a\nkind: command\ninstall: exit 3\nrun: 'true'\n")
    ended = taskcal("run", "tasks.yaml", "-G", "2", "--agent", "agent.yaml", "--json", "--task", "easy")
    assert (ended.code, task_of(ended.json(), "easy")["reason"].partition(":")[0]) == (4, "agent-install")


@pytest.mark.parametrize("group_size", [8, 16, pytest.param(64, marks=pytest.mark.long)])
def test_simulated_rates_are_where_the_binomial_says(taskcal: CommandLine, write: Write, group_size: int) -> None:
    """Known probabilities come back: each count lies in the central 99.9 % of its binomial; 0 and 1 are exact."""
    rates = {"never": 0.0, "seldom": 0.2, "often": 0.7, "always": 1.0}
    head = "taskset: t\nversion: 1\ndefaults: {environment: {image: 'debian:bookworm-slim'}}\ntasks:\n"
    rest = "prompt: p, grader: {checks: [{name: c, run: test -e /x}]}, solutions: [{name: s, run: touch /x}]"
    write("tasks.yaml", head + "".join(f"  - {{id: {name}, {rest}}}\n" for name in rates))
    write("agent.yaml", f"agent: simulated\nkind: simulated\nsuccess: {json.dumps(rates)}\n")
    ended = taskcal(
        "run", "tasks.yaml", "-G", str(group_size), "--agent", "agent.yaml", "--seed", "7", "--json", "-c", "6"
    )
    document = ended.json()
    for name, rate in rates.items():
        low, high = binom.interval(0.999, group_size, rate)
        assert max(0.0, low) <= task_of(document, name)["passed"] <= high
    assert task_of(document, "never")["passed"] == 0
    assert task_of(document, "always")["passed"] == group_size


def test_same_seed_same_result(taskcal: CommandLine, write: Write) -> None:
    """A seeded run of the simulated agent can be repeated."""
    write("tasks.yaml", TASKSET)
    arguments = ("run", "tasks.yaml", "-G", "6", "--agent", "simulated", "--seed", "11", "--json", "-c", "6")
    first, second = taskcal(*arguments).json(), taskcal(*arguments).json()
    assert [task["rewards"] for task in first["tasks"]] == [task["rewards"] for task in second["tasks"]]


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
    bad = taskcal("shell", "tasks.yaml", "easy", stdin="true\n")
    assert "exit 1" in bad.out
    played = taskcal("shell", "tasks.yaml", "easy", "--solution", "touch")
    assert played.out.splitlines()[-1] == "reward 1, passed"
    assert taskcal("shell", "tasks.yaml", "easy", "--solution", "nope").code == 2
    assert taskcal("shell", "tasks.yaml", "nope").code == 2


def test_selection_that_matches_nothing(taskcal: CommandLine, write: Write) -> None:
    """A misspelt task, tag or param is exit 2 with what there is, before anything runs."""
    write("tasks.yaml", TASKSET)
    for option in (("--task", "esay"), ("--tag", "x"), ("--param", "name=z"), ("--param", "nothing")):
        ended = taskcal("run", "tasks.yaml", "--agent", "noop", *option)
        assert (ended.code, ended.err.count("\n")) == (2, 1), option
    assert not (taskcal.folder / "runs").exists()


def test_no_agent_named(taskcal: CommandLine, write: Write) -> None:
    """Without an agent there is no run, and never a simulated one by default."""
    write("tasks.yaml", TASKSET)
    ended = taskcal("run", "tasks.yaml")
    assert (ended.code, "--agent" in ended.err) == (2, True)


def test_dry_run_needs_no_engine(taskcal: CommandLine, write: Write) -> None:
    """What would run is known without an engine."""
    write("tasks.yaml", TASKSET)
    os.environ["DOCKER_HOST"] = "unix:///nonexistent.sock"
    try:
        dry = taskcal("run", "tasks.yaml", "-G", "4", "--agent", "oracle", "--dry-run")
        wet = taskcal("run", "tasks.yaml", "-G", "4", "--agent", "oracle")
    finally:
        del os.environ["DOCKER_HOST"]
    assert dry.code == 0
    assert "8 (2 groups x 4)" in dry.out
    assert (wet.code, wet.err.count("\n")) == (3, 1)
    assert "doctor" in wet.err


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
            pass
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
