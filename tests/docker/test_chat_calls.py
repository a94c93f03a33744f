"""The nastiest tool calls that a model can write, in real containers: answered, graded, stored and shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.agents.transcript import ToolResult, read_transcript
from tests.agents.chat.openai_server import OpenAIServer, Step, calls, completion, runs, says
from tests.docker.samples import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

TASKS = """
taskset: nasty
version: 1
tasks:
  - id: make
    prompt: Make the file /tmp/easy and answer 42.
    environment: {image: "debian:bookworm-slim"}
    tools:
      - name: note
        run: cat >>/tmp/notes; printf '%s\\n' "$note"
        parameters: {type: object, properties: {note: {type: string}, size: {type: number}}, required: [note]}
    grader:
      checks:
        - {name: it is there, file: /tmp/easy, exists: true}
        - {name: the answer is given, answer: {contains: "42"}}
"""
HALF = "\ud83d"
CALLS: list[tuple[str, Any, str]] = [
    ("bash", {"command": f"echo {HALF}"}, "?"),
    ("bash", {"command": f"echo '{HALF}' >/tmp/{HALF}; cat /tmp/?"}, "?"),
    ("note", {"note": f"half {HALF}", HALF: HALF}, "half ?"),
    (f"ba{HALF}sh", {"command": "ls"}, "there is no tool 'ba?sh'"),
    ("bash", {"command": "echo a\0b"}, "ab"),
    ("note", {"note": "a\0b"}, "ab"),
    ("bash", '{"command": "echo fine", "timeout": 1' + "0" * 400 + "}", "fine"),
    ("bash", '{"command": "echo fine", "timeout": "30"}', "fine"),
    ("bash", '{"command": "echo fine", "timeout": null}', "fine"),
    ("bash", '{"command": "echo fine", "timeout": NaN}', "fine"),
    ("bash", '{"command": "ls", "timeout": true}', "bash was not run: timeout must be a number"),
    ("note", '{"note": "x", "size": 1e999}', "note was not run: the arguments cannot be used"),
    ("note", '{"note": "x", "size": null}', "x"),
    ("note", {"note": "x" * 200_000}, ""),
    ("note", {"note": "x" * 17 * 1024**2}, "note was not run: the arguments are longer than 1024 KiB"),
    ("bash", {"command": ": " + "'" * 2 * 50_000}, "(no output)"),
    ("bash", {"command": ": " + "x" * 101 * 1024}, "bash was not run: the command is longer than 100 KiB"),
    ("bash", '{"command": ' + "[" * 3000 + "]" * 3000 + "}", "bash was not run: the arguments are not JSON"),
    ("bash", "null", "bash was not run: the arguments must be a JSON object"),
    ("bash", json.dumps(json.dumps({"command": "echo fine"})), "fine"),
    ("bash", {"command": "printf '\\377\\376\\000\\355\\240\\275'"}, "\N{REPLACEMENT CHARACTER}"),
]


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """Give an endpoint."""
    with OpenAIServer() as made:
        yield made


def test_every_call_is_answered_and_the_rollout_graded(
    taskcal: CommandLine, write: Write, server: OpenAIServer
) -> None:
    """The model goes on after each of them, and what it did counts; the run can be read afterwards."""
    raw = calls(*((name, arguments) for name, arguments, _ in CALLS))
    for number, one in enumerate(raw.body["choices"][0]["message"]["tool_calls"]):
        one["id"] = f"{HALF}{number}"
    last = completion({"content": f"42 {HALF}", "reasoning_content": f"hm {HALF}"})
    server.script(raw, runs("touch /tmp/easy"), Step(body=last))
    ended = run(taskcal, write, server)
    assert ended == (0, "")
    (row,) = rows(taskcal.folder)
    assert (row["outcome"], row["stop"], row["reward"], row["answer"]) == ("graded", "finished", 1.0, "42 ?")
    (path,) = taskcal.folder.rglob("transcript.jsonl")
    told = [entry.event.content for entry in read_transcript(path) if isinstance(entry.event, ToolResult)]
    assert len(told) == len(CALLS) + 1
    assert all(found.startswith(wanted) for found, (*_, wanted) in zip(told, CALLS, strict=False)), told
    for command in (("show", "make#0"), ("show", "make#0", "--full"), ("show", "make#0", "--json"), ("report",)):
        shown = taskcal(*command)
        assert (shown.code, shown.err) == (0, ""), command
    sent = json.dumps(server.requests[-1], ensure_ascii=False).encode()
    assert len(sent) < 4 * 1024**2


def test_an_answer_of_17_mib_is_graded(taskcal: CommandLine, write: Write, server: OpenAIServer) -> None:
    """By as much of it as a grader reads."""
    server.script(runs("touch /tmp/easy"), says("42" + "x" * 17 * 1024**2))
    assert run(taskcal, write, server) == (0, "")
    (row,) = rows(taskcal.folder)
    assert (row["outcome"], row["stop"], row["reward"]) == ("graded", "finished", 1.0)
    assert len(row["answer"]) == 1024**2


def run(taskcal: CommandLine, write: Write, server: OpenAIServer) -> tuple[int, str]:
    """Exit code and errors of a run of one rollout."""
    write("tasks.yaml", TASKS)
    write("agent.yaml", f"agent: mine\nkind: chat\nbase_url: {server.url}\nmodel: m\n")
    ended = taskcal("run", "tasks.yaml", "--agent", "agent.yaml", "-q", "-G", "1", "--retries", "0")
    return ended.code, ended.err
