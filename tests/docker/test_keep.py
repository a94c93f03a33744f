"""`grader: {processes: keep}`: what the agent left running is judged, what it still ran itself is ended."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.core.rollout import Graded
from taskcal.core.task import AnswerProbe, Check, FileCopy, FileProbe, Grader, Group, Limits, Processes, RunProbe
from tests.agents.chat.openai_server import OpenAIServer, runs, says
from tests.conftest import mostly_long
from tests.docker.rooms import PLAIN, act, judge, opened, outcome, scores, task
from tests.docker.samples import rows

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.core.task import Probe
    from taskcal.sandbox.engine.run_resources import RunScope
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

SERVER = """#!/usr/bin/perl
use IO::Socket::INET;
my $s = IO::Socket::INET->new(Listen => 5, LocalPort => 8080, ReuseAddr => 1) or die;
while (my $c = $s->accept) { print {$c} "hello\\n"; close $c }
"""
ASK = """#!/usr/bin/perl
use IO::Socket::INET;
for (1 .. 40) { $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1:8080") and last; select undef, undef, undef, .05 }
exit(<$c> ne "hello\\n");
"""
HEAD = """
taskset: servers
version: 1
environments:
  box: {image: "debian:bookworm-slim", workdir: /srv, files: {/srv/server: server}}
defaults:
  environment: box
  solutions: [{name: background, run: "./server &"}]
tasks:
"""
CHECKS = "files: {/grader/ask: ask}, checks: [{name: it answers, run: /grader/ask}]"
DETACHED = {
    "background": "./server >/dev/null 2>&1 &",
    "with-our-output": "./server &",
    "nohup": "nohup ./server >/dev/null 2>&1 &",
    "setsid": "setsid ./server >/dev/null 2>&1 &",
    "daemon": "(setsid ./server </dev/null >/dev/null 2>&1 &)",
}


def keeping(group: Group, files: tuple[FileCopy, ...] = ()) -> Group:
    """The same group, its agent's processes kept."""
    grader = replace(group.task.grader, processes=Processes.KEEP, files=files)
    return Group(replace(group.task, grader=grader), group.variant)


@pytest.fixture
def serving(write: Write) -> None:
    """Write the server, and the check that asks it."""
    write("server", SERVER).chmod(0o755)
    write("ask", ASK).chmod(0o755)


def taskset(prompts: dict[str, str], processes: str = "keep") -> str:
    """A task for each prompt; an agent may run it as a command."""
    grader = f"{{processes: {processes}, {CHECKS}}}"
    return HEAD + "".join(
        f"  - {{id: {name}, prompt: {json.dumps(prompt)}, grader: {grader}}}\n" for name, prompt in prompts.items()
    )


def results(taskcal: CommandLine, agent: str) -> dict[str, tuple[str, float]]:
    """How the rollout of each task ended and what it earned."""
    ended = taskcal("run", "tasks.yaml", "-G", "1", "--agent", agent, "-q", "-c", "4")
    assert ended.code == 0, ended.err
    return {row["task"]: (row["stop"], row["reward"]) for row in rows(taskcal.folder)}


@pytest.mark.usefixtures("serving")
@pytest.mark.parametrize(("processes", "reward"), [("keep", 1.0), ("stop", 0.0)])
def test_a_right_solution_passes_with_keep_alone(
    taskcal: CommandLine, write: Write, processes: str, reward: float
) -> None:
    """The oracle's server answers the check, or was ended before."""
    write("tasks.yaml", taskset({"serve": "Serve."}, processes))
    assert results(taskcal, "oracle") == {"serve": ("finished", reward)}


@pytest.mark.usefixtures("serving")
def test_a_command_agents_server_is_kept(taskcal: CommandLine, write: Write) -> None:
    """However it was detached from the command, which has ended."""
    write("tasks.yaml", taskset(DETACHED))
    write("agent.yaml", 'agent: a\nkind: command\nrun: eval "$TASKCAL_PROMPT"\n')
    assert results(taskcal, "agent.yaml") == dict.fromkeys(DETACHED, ("finished", 1.0))


@pytest.mark.usefixtures("serving")
def test_after_a_timeout_what_was_detached_is_kept(taskcal: CommandLine, write: Write) -> None:
    """The command and its plain children are ended; nohup, setsid and daemons go on."""
    ways = {name: way for name, way in DETACHED.items() if name != "with-our-output"}
    write("tasks.yaml", taskset(ways))
    write("agent.yaml", 'agent: a\nkind: command\ntimeout: 4s\nrun: |\n  eval "$TASKCAL_PROMPT"\n  sleep 60\n  true\n')
    expected = {name: ("timeout", float(name != "background")) for name in ways}
    assert results(taskcal, "agent.yaml") == expected


@pytest.mark.usefixtures("serving")
def test_a_chat_agents_server_is_kept(taskcal: CommandLine, write: Write) -> None:
    """A tool call's background process survives the call, and the conversation."""
    write("tasks.yaml", taskset({"serve": "Serve."}))
    with OpenAIServer() as server:
        server.script(runs("./server &"), says("done"))
        write("agent.yaml", f"agent: mine\nkind: chat\nbase_url: {server.url}\nmodel: m\n")
        assert results(taskcal, "agent.yaml") == {"serve": ("finished", 1.0)}


@pytest.mark.usefixtures("serving")
def test_a_chat_agents_server_is_kept_after_its_timeout(taskcal: CommandLine, write: Write) -> None:
    """What a call left in the foreground is ended with the attempt, what an earlier one detached is not."""
    write("tasks.yaml", taskset({"serve": "Serve."}))
    with OpenAIServer() as server:
        server.script(runs("./server &"), runs("sleep 100"), says("done"))
        write("agent.yaml", f"agent: mine\nkind: chat\nbase_url: {server.url}\nmodel: m\ntimeout: 6s\n")
        assert results(taskcal, "agent.yaml") == {"serve": ("timeout", 1.0)}


def test_the_agents_own_processes_are_ended(scope: RunScope) -> None:
    """A foreground process of a command that ran out of time does nothing more; one in its own session does."""
    group = keeping(task("rm -f /own /kept; sleep 0.5; test ! -e /own", "test -e /kept"))
    loop = "sh -c 'while :; do touch {}; sleep 0.05; done'"
    with opened(scope, group) as sandbox:
        kept, own = loop.format("/kept"), loop.format("/own")
        act(sandbox, f"setsid {kept} >/dev/null 2>&1 & {own} & {own}; true", timeout=1.5)
        assert [check.score for check in judge(sandbox, group).graded.checks] == [1, 1]


def test_start_is_not_run_again(scope: RunScope) -> None:
    """What it started still runs, and is not started twice."""
    environment = replace(PLAIN, start="echo x >>/started; sleep 1000 & echo $! >/pid")
    group = keeping(task("test $(wc -l </started) = 1 && kill -0 $(cat /pid)", environment=environment))
    assert scores(scope, group) == [1]


def test_a_check_still_leaves_nothing_to_the_next(scope: RunScope) -> None:
    """What a check left is killed; the agent's, and what that makes meanwhile, is spared."""
    first = "(setsid sh -c 'while :; do touch /alive; done' >/dev/null 2>&1 &); sleep 0.1; true"
    second = "rm -f /alive; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; test ! -e /alive"
    third = "rm -f /kept; sleep 0.5; test -e /kept"
    group = keeping(task(first, second, third, RunProbe(third, alone=True)))
    keep = "setsid sh -c 'while :; do touch /kept; sleep 0.05; done' >/dev/null 2>&1 &"
    assert scores(scope, group, keep) == [1, 1, 1, 1]


def test_nothing_acts_while_files_are_read(scope: RunScope, tmp_path: Path) -> None:
    """Even root's are stopped from before the grader's files arrive until files and answer have been read."""
    (tmp_path / "expected").write_text("right")
    files = (FileCopy("/grader/expected", str(tmp_path / "expected")),)
    probes: tuple[Probe, ...] = (FileProbe("/tmp/result", equals="right", has_equals=True), AnswerProbe(equals="right"))
    group = keeping(task(*probes, "sleep 0.5; test -e /tmp/result"), files)
    spy = "while :; do cp /grader/expected /tmp/result && cp /tmp/result /run/taskcal/answer; done"
    assert scores(scope, group, f"setsid sh -c '{spy}' >/dev/null 2>&1 &", user="0") == [0, 0, 1]


BOMBS = {
    "every pid": "i=0; while [ $i -lt 300 ]; do sleep 1000 >/dev/null 2>&1 & i=$((i+1)); done; true",
    "a fork bomb": "f() { f & f & }; f >/dev/null 2>&1 &",
    "one that respawns": "f() { sleep 0.1; f & f & }; f >/dev/null 2>&1 &",
    "memory": "setsid perl -e '$x = q(a) x 55_000_000; sleep 1000' >/dev/null 2>&1 &",
}


@pytest.mark.parametrize("user", mostly_long(["0", "nobody"], "nobody"))
@pytest.mark.parametrize("bomb", mostly_long(BOMBS, "a fork bomb", "memory"))
def test_what_is_kept_cannot_get_a_rollout_lost(scope: RunScope, tmp_path: Path, bomb: str, user: str) -> None:
    """An agent that leaves no pid or memory is graded all the same."""
    environment = replace(PLAIN, limits=Limits(pids=64, memory=64 * 1024**2))
    group = keeping(task("test -e /tmp/done", FileProbe("/tmp/done", exists=True), environment=environment))
    found = outcome(scope, tmp_path, group, f"touch /tmp/done; {BOMBS[bomb]}", user)
    assert isinstance(found, Graded), found


def test_odd_names_of_processes_change_nothing(scope: RunScope) -> None:
    """A process that calls itself like a line of /proc is neither ended nor spared for it."""
    name = "x) S 1 1\n 1 (y"
    odd = f"cp /bin/sleep '/tmp/{name}'; '/tmp/{name}' 1000 & wait"
    group = keeping(task("! grep -sq 'x) S 1' /proc/[0-9]*/comm"))
    with opened(scope, group) as sandbox:
        act(sandbox, odd, timeout=1.5)
        assert [check.score for check in judge(sandbox, group).graded.checks] == [1]


def test_a_grader_alone_is_what_keeps(scope: RunScope) -> None:
    """Without the key nothing of the agent's is there."""
    group = task("test ! -e /tmp/pid || ! kill -0 $(cat /tmp/pid)")
    assert scores(scope, group, "setsid sleep 1000 & echo $! >/tmp/pid") == [1]
    assert Grader((Check("c", RunProbe("true")),)).processes is Processes.STOP
