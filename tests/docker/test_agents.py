"""Agents in real containers: what they see, how they end, and rates that come back as they were set."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from scipy.stats import binom

from tests.docker.samples import TASKSET, task_of

if TYPE_CHECKING:
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker


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


@pytest.mark.parametrize("group_size", [8, *(pytest.param(size, marks=pytest.mark.long) for size in (16, 64))])
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
    arguments = ("run", "tasks.yaml", "-G", "4", "--agent", "simulated", "--seed", "11", "--json", "-c", "6")
    first, second = taskcal(*arguments).json(), taskcal(*arguments).json()
    assert [task["rewards"] for task in first["tasks"]] == [task["rewards"] for task in second["tasks"]]
