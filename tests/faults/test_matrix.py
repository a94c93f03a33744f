"""Every defect of our side or of an environment, with every kind of agent: no cell is graded.

A cell that is graded 0 is a broken environment or provider that looks like a hard task.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.errors import Boundary
from tests.agents.chat.openai_server import OpenAIServer, Step, completion, fails, runs, says
from tests.conftest import mostly_long
from tests.docker.samples import rows

if TYPE_CHECKING:
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

SERVICE = '{image: "debian:bookworm-slim", command: "%s"}'
ENVIRONMENTS = {
    "image": ("image: 'taskcal-test.invalid/nothing:1'", Boundary.IMAGE),
    "dockerfile": ("build: broken", Boundary.IMAGE),
    "shell": ("setup: rm /bin/sh", Boundary.IMAGE),
    "user": ("user: agnet", Boundary.SETUP),
    "workdir": ("user: agent, setup: useradd agent; chmod 700 /work", Boundary.SETUP),
    "tool": ("setup: rm /usr/bin/setsid", Boundary.SETUP),
    "setup": ("setup: 'false'", Boundary.SETUP),
    "start": ("start: 'false'", Boundary.SETUP),
    "limits": ("cpus: 1000", Boundary.SETUP),
    "service-command": ("services: {db: {image: 'debian:bookworm-slim', command: [nosuch]}}", Boundary.SERVICE),
    "service-dies": (f"services: {{db: {SERVICE % 'exit 1'}}}", Boundary.SERVICE),
}
READY = {
    "ready": ("ready: 'false'", Boundary.SETUP),
    "service-ready": (
        "services: {db: {image: 'debian:bookworm-slim', command: sleep 999, ready: 'false'}}",
        Boundary.SERVICE,
    ),
}
CHECKS = {"program": ("grader: {checks: [{name: a, run: nosuch-program a}]}", Boundary.GRADER)}
PROVIDERS = ("provider-200", "provider-503")
"""Only agents that ask a model have these cells."""

COMMAND = """\
agent: cmd
kind: command
run: |
  case "$TASKCAL_PROMPT" in provider-*) echo overloaded; exit 75 ;; esac
  touch a
"""
HEAD = """\
taskset: matrix
version: 1
environments: {box: {image: "debian:bookworm-slim", workdir: /work}}
defaults:
  environment: box
  timeouts: {agent: 20s, grader: 5s}
  grader: {checks: [{name: a, run: test -e a}]}
  solutions: [{name: s, run: touch a}]
tasks:
"""


def answer(request: Any) -> Step:
    """Touch the file, then stop; or fail as the prompt asks."""
    prompt = next(message["content"] for message in request["messages"] if message["role"] == "user")
    if prompt == "provider-200":
        usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        return Step(body=completion({"content": None}, "error", usage), headers={"retry-after": "0"})
    if prompt == "provider-503":
        return fails(503, "upstream connect error", retry_after="0")
    done = any(message["role"] == "assistant" for message in request["messages"])
    return says("done") if done else runs("touch a")


def taskset(environments: dict[str, tuple[str, Boundary]]) -> str:
    """A task for each defect, and a sound one."""
    tasks = [
        f"  - {{id: {name}, prompt: x, environment: {{extends: box, {text}}}}}\n"
        for name, (text, _) in environments.items()
    ]
    tasks += [f"  - {{id: {name}, prompt: x, {text}}}\n" for name, (text, _) in CHECKS.items()]
    tasks += [f"  - {{id: {name}, prompt: {name}}}\n" for name in (*PROVIDERS, "sound")]
    return HEAD + "".join(tasks).replace("{extends: box, image", "{image").replace("{extends: box, build", "{build")


@pytest.mark.parametrize("agent", mostly_long(["oracle", "noop", "command", "chat"], "oracle", "chat"))
@pytest.mark.parametrize(
    "environments", [ENVIRONMENTS, pytest.param(READY, marks=pytest.mark.long)], ids=["at once", "after a minute"]
)
def test_no_defect_is_graded(
    taskcal: CommandLine, write: Write, agent: str, environments: dict[str, tuple[str, Boundary]]
) -> None:
    """Each defect is lost at its boundary and its task is unmeasured; the sound task beside them is graded."""
    write("tasks.yaml", taskset(environments))
    write("broken/Dockerfile", "FROM debian:bookworm-slim\nRUN false\n")
    write("command.yaml", COMMAND)
    with OpenAIServer() as server:
        server.answer = answer
        write("chat.yaml", f"agent: chat\nkind: chat\nbase_url: {server.url}\nmodel: m\n")
        named = agent if agent in {"oracle", "noop"} else f"{agent}.yaml"
        done = taskcal("run", "tasks.yaml", "-a", named, "-G", "1", "-c", "4", "--retries", "0", "--json")
    expected = {name: boundary.value for name, (_, boundary) in {**environments, **CHECKS}.items()}
    if agent in {"command", "chat"}:
        expected |= dict.fromkeys(PROVIDERS, Boundary.PROVIDER.value)
    recorded = {row["task"]: row for row in rows(taskcal.folder)}
    assert {name: recorded[name].get("boundary", recorded[name]) for name in expected} == expected
    assert recorded["sound"]["reward"] == float(agent != "noop")
    verdicts = {one["task"]: one["verdict"] for one in json.loads(done.out)["tasks"]}
    assert {verdicts[name] for name in expected} == {"unmeasured"}
    assert done.code == (4 if agent in {"command", "chat"} else 0), "what a task breaks is not too much lost"
