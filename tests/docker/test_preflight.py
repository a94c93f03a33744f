"""An agent that a run has not seen is tried on one trivial task, in a real container, before anything is measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.agents.chat.openai_server import OpenAIServer, Step, completion, fails, runs, says
from tests.conftest import mostly_long
from tests.docker.samples import TASKSET

if TYPE_CHECKING:
    from typing import Any

    from tests.conftest import CommandLine, Ended

pytestmark = pytest.mark.docker


@pytest.fixture
def user(taskcal: CommandLine) -> CommandLine:
    """Give the command line as users have it, with a taskset."""
    (taskcal.folder / "tasks.yaml").write_text(TASKSET)
    return replace(taskcal, preflight=True)


def write(user: CommandLine, script: str) -> None:
    (user.folder / "agent.yaml").write_text(f"agent: mine\nkind: command\nrun: |\n  {script}\n")


def test_an_agent_that_cannot_start_is_one_line(user: CommandLine) -> None:
    """Exit 3 and a line; no run's folder, no taskset of unmeasured or too-hard tasks."""
    write(user, "no-such-program --go")
    ended = user("run", "tasks.yaml", "-G", "2", "--agent", "agent.yaml", "--task", "easy", "-q")
    assert ended.code == 3
    assert len(ended.err.splitlines()) == 1
    assert "agent-install: the agent's program no-such-program was not found" in ended.err
    assert not list(user.folder.glob("runs/*"))


def test_an_agent_is_tried_once(user: CommandLine) -> None:
    """One that works is measured, and its next run here begins at once."""
    write(user, "echo ready >/tmp/taskcal-ready; touch /tmp/easy")
    first = user("run", "tasks.yaml", "-G", "1", "--agent", "agent.yaml", "--task", "easy")
    again = user("run", "tasks.yaml", "-G", "1", "--agent", "agent.yaml", "--task", "easy")
    assert (first.code, again.code) == (0, 0)
    assert ["trying the agent" in ended.err for ended in (first, again)] == [True, False]


def test_an_agent_that_is_only_weak_is_measured(user: CommandLine) -> None:
    """It may be made for this taskset alone: what was noticed is said, and the run goes on."""
    write(user, "touch /tmp/easy")
    ended = user("run", "tasks.yaml", "-G", "1", "--agent", "agent.yaml", "--task", "easy", "--json")
    assert ended.code == 0
    assert "without having done a trivial task" in ended.err
    assert ended.json()["tasks"][0]["passed"] == 1


def test_an_agent_that_crashes_is_measured_with_a_warning(user: CommandLine) -> None:
    """A program for these tasks may need what they have: quiet or not, the report says what the trial showed."""
    write(user, "echo no such table >&2; touch /tmp/easy; exit 3")
    ended = user("run", "tasks.yaml", "-G", "1", "--agent", "agent.yaml", "--task", "easy", "-q")
    assert ended.code == 0, ended.err
    note = "Note: the agent mine crashed at a trivial task; its last words: no such table; if it was made for"
    assert note in " ".join(ended.out.split())
    more = user("run", "--resume", "last", "--extend", "-G", "2", "--json", "-q")
    assert more.code == 0, more.err
    notes = more.json()["run"]["notes"]
    assert [note.startswith("the agent mine crashed at a trivial task") for note in notes].count(True) == 1
    assert len(set(notes)) == len(notes)
    assert user("doctor", "--agent", "agent.yaml").code == 3


def chat(user: CommandLine, url: str, more: str = "") -> Ended:
    """A run of a chat agent that no run here has measured."""
    (user.folder / "agent.yaml").write_text(f"agent: mine\nkind: chat\nbase_url: {url}\nmodel: m\n{more}")
    return user("run", "tasks.yaml", "-G", "1", "--agent", "agent.yaml", "--task", "easy", "-q", "--retries", "0")


GONE = completion({"content": ""}, "error", {"completion_tokens": 0})
GONE["choices"][0]["error"] = {"code": 502, "message": "Upstream connection lost"}


DEAD = {
    "upstream": (Step(body=GONE), "provider: {url}: 502: Upstream connection lost"),
    "nothing": (
        Step(body=completion({"content": None}, usage={"completion_tokens": 0})),
        "an answer without text, tool call",
    ),
    "500": (fails(500, "worker 3 was flagged unhealthy"), "500: worker 3 was flagged unhealthy"),
    "schema": (fails(400, "tools[0] violates the schema of this server"), "400: tools[0] violates the schema"),
    "filter": (says("", finish="content_filter"), "refused at a trivial task"),
    "parser": (says('<tool_call>{"name": "bash"}</tool_call>'), "the server does not parse tool calls"),
    "unknown word": (
        says("done", finish="fin"),
        "if it ends a good answer, add finish_reasons: {{fin: stop}} to the agent file",
    ),
}
"""Answers, and what is reported of them; most are tried again for some ten seconds."""


@pytest.mark.parametrize("kind", mostly_long(DEAD, "parser", "schema"))
def test_a_dead_endpoint_does_not_pass(user: CommandLine, kind: str) -> None:
    """Whatever it sends in place of an answer: one line, exit 3, and nothing that could be taken for a hard task."""
    answer, words = DEAD[kind]
    with OpenAIServer(answer) as server:
        ended = chat(user, server.url)
        assert (ended.code, len(ended.err.splitlines())) == (3, 1), ended.err
        assert words.format(url=server.url) in ended.err
    assert not list(user.folder.glob("runs/*"))


def model(request: Any) -> Step:
    """A model that does both tasks in one call, at a server with a word of its own."""
    is_new = not any(message["role"] == "assistant" for message in request["messages"])
    return runs("echo ready >/tmp/taskcal-ready; touch /tmp/easy") if is_new else says("done", finish="fin")


@pytest.mark.long  # its tries wait for seconds
def test_the_line_that_the_preflight_names_works(user: CommandLine) -> None:
    """The same server, with its word in the agent file: measured, and passed."""
    with OpenAIServer() as server:
        server.answer = model
        assert chat(user, server.url).code == 3
        ended = chat(user, server.url, "finish_reasons: {fin: stop}\n")
    assert ended.code == 0, ended.err
    (row,) = [line for path in user.folder.rglob("rollouts.jsonl") for line in path.read_text().splitlines()]
    assert '"reward": 1' in row
