"""Chat agents in real containers, against a scripted endpoint on the host."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.agents.tools.agent_tool import ToolReply
from taskcal.agents.tools.bash import Bash
from taskcal.agents.transcript import Message, ToolCall, ToolResult, conversation_digest, read_transcript
from taskcal.core.task import Limits
from tests.agents.chat.openai_server import OpenAIServer, calls, completion, dead_url, fails, runs, says
from tests.agents.chat.openai_server import Step as Answer
from tests.agents.fake_sandbox import carried_out
from tests.docker.rooms import PLAIN, judge, opened, task
from tests.docker.samples import TASKSET, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskcal.sandbox.container import DockerSandbox
    from taskcal.sandbox.engine.run_resources import RunScope
    from tests.conftest import CommandLine, Ended
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

ANSWERED = """
taskset: answers
version: 1
tasks:
  - id: where
    prompt: Which network interfaces are there? Leave a note in /tmp/note.
    environment: {image: "debian:bookworm-slim"}
    params: {expected: lo}
    grader:
      checks:
        - {name: the answer is right, answer: {equals: lo}}
        - {name: the note is there, run: 'test "$(cat /tmp/note)" = "$expected"'}
"""


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """Give an endpoint."""
    with OpenAIServer() as made:
        yield made


def run(taskcal: CommandLine, write: Write, url: str, *options: str, tasks: str = TASKSET, more: str = "") -> Ended:
    """A run of a chat agent at this address, with more in its file."""
    write("tasks.yaml", tasks)
    agent = f"agent: mine\nkind: chat\nbase_url: {url}\nmodel: m\nprice: {{input: 1, output: 2}}\n"
    write("agent.yaml", agent + more)
    return taskcal("run", "tasks.yaml", "--agent", "agent.yaml", "-q", *options)


def test_a_container_without_network_is_acted_in_and_graded(
    taskcal: CommandLine, write: Write, server: OpenAIServer
) -> None:
    """The model is reached from the host, its commands run in the container, its last words are the answer."""
    server.script(runs("cd /sys/class/net && ls"), runs("ls | tee /tmp/note; pwd"), says("lo"))
    ended = run(taskcal, write, server.url, "-G", "1", tasks=ANSWERED)
    assert ended.code == 0, ended.err
    (row,) = rows(taskcal.folder)
    assert (row["outcome"], row["stop"], row["reward"], row["answer"]) == ("graded", "finished", 1.0, "lo")
    assert row["turns"] == 3
    assert row["usage"] == {"input_tokens": 30, "cached_tokens": None, "output_tokens": 15, "cost_usd": 60e-6}
    (path,) = taskcal.folder.rglob("transcript.jsonl")
    events = [entry.event for entry in read_transcript(path)]
    assert row["transcript_sha256"] == conversation_digest(events)
    assert [event for event in events if isinstance(event, Message)][-1] == Message("assistant", "lo")
    told = [event.content for event in events if isinstance(event, ToolResult)]
    assert told == ["lo", "lo\n/sys/class/net"]
    assert [event.name for event in events if isinstance(event, ToolCall)] == ["bash", "bash"]
    assert "expected" not in path.read_text()


def test_each_rollout_asks_for_itself_with_its_own_seed(
    taskcal: CommandLine, write: Write, server: OpenAIServer
) -> None:
    """A group is as many conversations as rollouts, with as many seeds; a run with the same seed has them again."""
    for _ in range(2):
        ended = run(taskcal, write, server.url, "-G", "2", "--task", "easy", "--seed", "7")
        assert ended.code == 0, ended.err
    seeds = [request["seed"] for request in server.requests]
    assert len(seeds) == 4
    assert sorted(seeds[:2]) == sorted(seeds[2:])
    assert len(set(seeds)) == 2


def test_a_model_that_always_does_the_same_is_noticed(taskcal: CommandLine, write: Write, server: OpenAIServer) -> None:
    """Nothing of ours is in what it sees: the same commands in two containers are the same conversation."""
    server.answer = lambda request: (
        runs("ls -A /tmp; env | sort | grep -v HOSTNAME") if len(request["messages"]) < 4 else says("ok")
    )
    run(taskcal, write, server.url, "-G", "2", "--task", "easy")
    assert len({row["transcript_sha256"] for row in rows(taskcal.folder)}) == 1
    (path, *_) = taskcal.folder.rglob("transcript.jsonl")
    (told, again) = [entry.event.content for entry in read_transcript(path) if isinstance(entry.event, ToolResult)]
    assert told.startswith("HOME=")
    assert set(again.splitlines()) - set(told.splitlines()) == {"TASKCAL_FOLDER=/", "OLDPWD=/"}


def test_a_wrong_key_ends_the_run(taskcal: CommandLine, write: Write, server: OpenAIServer) -> None:
    """With one line that names address, model and variable, after the first rollouts of many."""
    server.script(fails(401, "Incorrect API key provided", "invalid_api_key"))
    ended = run(taskcal, write, server.url, "-G", "50", "-c", "2")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert f"{server.url} (401: Incorrect API key provided): the key in OPENAI_API_KEY" in ended.err
    assert len(server.requests) <= 4
    server.script(fails(404, "The model `m` does not exist", "model_not_found"))
    ended = run(taskcal, write, server.url, "-G", "50", "-c", "2")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "is the model 'm' served there?" in ended.err


def test_an_endpoint_in_trouble_is_lost_and_never_a_zero(
    taskcal: CommandLine, write: Write, server: OpenAIServer
) -> None:
    """Five tries a call, then lost at the provider, with no reward anywhere."""
    server.script(fails(503, "overloaded", retry_after="0"))
    ended = run(taskcal, write, server.url, "-G", "1", "--task", "easy", "--retries", "0")
    assert ended.code == 4
    (row,) = rows(taskcal.folder)
    assert (row["outcome"], row["boundary"]) == ("lost", "provider")
    assert "503: overloaded (5 tries" in row["reason"]
    assert "reward" not in row


GONE = Answer(body=completion({"content": ""}, "error", {"completion_tokens": 0}))
"""An upstream's error with status 200."""


def test_a_flaky_gateway_does_not_change_what_is_measured(
    taskcal: CommandLine, write: Write, server: OpenAIServer
) -> None:
    """Every second answer is an error: a perfect model still passes every rollout."""
    number = itertools.count()
    server.answer = lambda request: model(request) if next(number) % 2 else GONE
    ended = run(taskcal, write, server.url, "-G", "3", "--task", "easy", "--json")
    assert ended.code == 0, ended.err
    (task_,) = ended.json()["tasks"]
    assert (task_["passed"], task_["n"], task_["lost"]) == (3, 3, 0)


@pytest.mark.long  # its tries wait for seconds
def test_a_dead_gateway_is_unmeasured(taskcal: CommandLine, write: Write, server: OpenAIServer) -> None:
    """Every answer is an error: nothing is measured, and nothing is too hard."""
    server.answer = lambda _: GONE
    ended = run(taskcal, write, server.url, "-G", "2", "--task", "easy", "--json", "--retries", "0")
    assert ended.code == 4
    (task_,) = ended.json()["tasks"]
    assert (task_["verdict"], task_["n"]) == ("unmeasured", 0)


def test_an_endpoint_that_is_not_there_starts_nothing(taskcal: CommandLine, write: Write) -> None:
    """One line that says so, before a container or a run's folder is made; what needs no model works without it."""
    ended = run(taskcal, write, dead_url(), "-G", "50")
    assert (ended.code, ended.err.count("\n")) == (3, 1)
    assert "Connection refused; see to it, or mend the agent file, then try again" in ended.err
    assert not (taskcal.folder / "runs").exists()
    assert run(taskcal, write, dead_url(), "-G", "50", "--dry-run").code == 0


def model(request: Any) -> Answer:
    """A model that does the task in one call."""
    is_new = not any(message["role"] == "assistant" for message in request["messages"])
    return runs("touch /tmp/easy /tmp/hard") if is_new else says("done")


def mortal(server: OpenAIServer, calls: int) -> Callable[[Any], Answer]:
    """The same one, whose server breaks off in the middle of an answer after so many calls, and is gone."""

    def answer(request: Any) -> Answer:
        if len(server.requests) <= calls:
            return model(request)
        threading.Thread(target=server.close).start()
        return replace(says("do"), sends=5, ends="torn")

    return answer


@pytest.mark.long  # its tries wait for seconds
def test_an_endpoint_that_dies_halfway_costs_what_was_in_flight(taskcal: CommandLine, write: Write) -> None:
    """No zero comes of it; a resume says in one line that it is away, and finishes the run where it is back."""
    with OpenAIServer() as first:
        first.answer = mortal(first, calls=9)
        sizes = ("-G", "6", "-c", "3", "--retries", "0", "--json")
        ended = run(taskcal, write, first.url, *sizes, more="call_timeout: 3s\n")
    assert ended.code == 4, ended.err
    before = rows(taskcal.folder)
    assert {row["boundary"] for row in before if row["outcome"] == "lost"} == {"provider"}
    assert {row["reward"] for row in before if row["outcome"] == "graded"} == {1.0}
    assert {task["success_rate"] for task in ended.json()["tasks"]} <= {1.0, None}
    away = taskcal("run", "--resume", "last", "-q")
    assert (away.code, away.err.count("\n")) == (3, 1)
    assert away.err.startswith(f"nothing answers at {first.url}: [Errno 111] Connection refused; see to it, ")
    with OpenAIServer(port=first.port) as second:
        second.answer = model
        resumed = taskcal("run", "--resume", "last", "-q", "--json")
    assert resumed.code == 0, resumed.err
    after = rows(taskcal.folder)
    assert after[: len(before)] == before
    graded = [row for row in after if row["outcome"] == "graded"]
    assert sorted(row["key"] for row in graded) == sorted(f"{t}#{n}" for t in ("easy", "hard") for n in range(6))
    assert {(row["stop"], row["reward"]) for row in graded} == {("finished", 1.0)}


def test_what_ends_a_conversation_is_graded(taskcal: CommandLine, write: Write, server: OpenAIServer) -> None:
    """With what the agent had done until then."""
    full = fails(400, "This model's maximum context length is 8192 tokens.", "context_length_exceeded")
    server.script(runs("touch /tmp/easy"), full)
    ended = run(taskcal, write, server.url, "-G", "1", "--task", "easy")
    assert ended.code == 0, ended.err
    (row,) = rows(taskcal.folder)
    assert (row["stop"], row["reward"]) == ("context-full", 1.0)


def test_parallel_calls_share_the_sandbox(taskcal: CommandLine, write: Write, server: OpenAIServer) -> None:
    """One after the other, in their order."""
    server.script(
        calls(("bash", {"command": "echo 1 >/tmp/x"}), ("bash", {"command": "mv /tmp/x /tmp/easy"})), says("ok")
    )
    run(taskcal, write, server.url, "-G", "1", "--task", "easy")
    assert [row["reward"] for row in rows(taskcal.folder)] == [1.0]


def used(sandbox: DockerSandbox, command: str, seconds: float = 30.0, user: str | None = "1000") -> ToolReply:
    """One call of the bash tool."""
    return carried_out(Bash(user, 2000), sandbox, {"command": command}, seconds)


def test_the_shell_of_a_sandbox(scope: RunScope) -> None:
    """Bash, with what the last call left; what it starts in the background goes on, and what is too slow is killed."""
    with opened(scope, task()) as sandbox:
        assert used(sandbox, "[[ a == a* ]] && id -u") == ToolReply("1000", 0)
        assert used(sandbox, "cd /tmp; export A='x y'; ls /nowhere") == ToolReply(
            "ls: cannot access '/nowhere': No such file or directory\n[exit status 2]", 2
        )
        assert used(sandbox, 'echo "$A $PWD"; cat') == ToolReply("x y /tmp", 0)
        assert used(sandbox, "sleep 300 & echo started") == ToolReply("started", 0)
        assert used(sandbox, "pidof sleep >/dev/null && echo running").content == "running"
        assert used(sandbox, "echo before; sleep 300", 1.0) == ToolReply(
            "before\n\n[killed: still running after 1 s]\n[exit status 124]", 124
        )
        found = used(sandbox, "yes | head -c 50000000")
        assert found.exit_code == 0
        assert len(found.content) < 2100
        assert "[… 49998000 bytes left out …]" in found.content
        assert used(sandbox, "kill -9 $$") == ToolReply("[exit status 137]", 137)
        assert used(sandbox, 'echo "$A"') == ToolReply("x y", 0)


def test_a_command_that_needs_too_much_memory_is_told(scope: RunScope) -> None:
    """The kernel kills it; the agent is on the host and can try another way."""
    small = replace(PLAIN, limits=Limits(memory=64 * 1024**2))
    with opened(scope, task(environment=small)) as sandbox:
        assert used(sandbox, "head -c 300m /dev/zero | tail").content.endswith("[killed: out of memory]")
        assert used(sandbox, "echo alive") == ToolReply("alive", 0)


def test_a_room_that_the_agent_has_filled_stops_nothing(scope: RunScope) -> None:
    """Commands still run, without keeping folder and variables."""
    with opened(scope, task()) as sandbox:
        used(sandbox, "head -c 20m /dev/zero >/run/taskcal/full; rm -f /run/taskcal/shell")
        assert used(sandbox, "echo still").content == "still"


@pytest.mark.parametrize("after", ["true", "touch /srv", "ln -s /srv /srv"], ids=["nothing", "a file", "a loop"])
def test_a_folder_that_the_agent_has_removed_stops_nothing(scope: RunScope, after: str) -> None:
    """Its own one, to make it anew: it goes on at the top, and is graded."""
    group = task("test -e /srv/made", environment=replace(PLAIN, workdir="/srv"))
    with opened(scope, group) as sandbox:
        assert used(sandbox, f"cd /; rm -rf /srv; {after}; rm -f /run/taskcal/shell", user=None).exit_code == 0
        assert used(sandbox, "pwd", user=None) == ToolReply("/", 0)
        assert used(sandbox, "rm -rf /srv; mkdir /srv && touch /srv/made", user=None).exit_code == 0
        assert judge(sandbox, group).graded.reward == 1.0
