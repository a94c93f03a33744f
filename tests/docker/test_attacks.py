"""Ways to an unearned reward, or out of an earned failure, that are closed; and params that keep their names."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.core.task import Check, FileCopy, FileProbe, Grader, Group, ImageSource, RunProbe, ScoreBy, Service
from taskcal.errors import SandboxLost
from taskcal.sandbox import Condition, Script
from tests.docker.rooms import IMAGE, PLAIN, act, judge, opened, scores, task

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.sandbox.engine.run_resources import RunScope

pytestmark = pytest.mark.docker

NAMES = ["state", "room", "line", "p", "n", "pid", "keep", "again", "up", "tries", "size", "status", "log", "mark"]


def test_params_keep_their_values_in_checks(scope: RunScope) -> None:
    """No variable of the grading itself replaces a param, in the first check or behind others."""
    sees = " && ".join(f'test "${name}" = "mine {name}"' for name in NAMES)
    group = task(sees, "true", sees, params={name: f"mine {name}" for name in NAMES})
    assert scores(scope, group) == [1, 1, 1]


def test_link_to_a_hidden_file_is_no_result(scope: RunScope, tmp_path: Path) -> None:
    """A file check does not follow a link that the agent made, at the end of the path or within it."""
    (tmp_path / "expected").write_text("root: the answer\n")
    files = (FileCopy("/grader/expected", str(tmp_path / "expected")),)
    (tmp_path / "expected").chmod(0o600)
    probes = (FileProbe("/work/a", contains="root:"), FileProbe("/work/b/shadow", contains="root:"))
    grader = Grader(tuple(Check(f"c{i}", probe) for i, probe in enumerate(probes)), files=files)
    base = task(environment=replace(PLAIN, setup="mkdir -m 777 /work"))
    group = Group(replace(base.task, grader=grader), base.variant)
    links = "ln -s /grader/expected /work/a; ln -s /etc /work/b"
    assert scores(scope, group, links, user="nobody") == [0, 0]


@pytest.mark.parametrize(
    "blocked", ["echo hi >/work/tests", "ln -s nowhere /work/tests", "mkdir -p /work/tests/check.sh/x"]
)
def test_graders_files_arrive_whatever_is_in_their_way(scope: RunScope, tmp_path: Path, blocked: str) -> None:
    """A file, a link or a folder of the agent's at their place is removed; grading is not lost."""
    (tmp_path / "check.sh").write_text("exit 0\n")
    files = (FileCopy("/work/tests/check.sh", str(tmp_path / "check.sh")),)
    base = task(environment=replace(PLAIN, setup="mkdir -m 777 /work"))
    grader = Grader((Check("c", RunProbe("sh /work/tests/check.sh")),), files=files)
    group = Group(replace(base.task, grader=grader), base.variant)
    assert scores(scope, group, blocked, user="nobody") == [1]


def test_words_give_no_second_run(scope: RunScope) -> None:
    """An agent that prints the engine's words for a failed start, or takes all pids, has had its run."""
    printed = "printf 'OCI runtime exec failed: exec failed: chdir to cwd'; exit 126"
    full = "(while :; do sleep 100 >/dev/null 2>&1 & done) 2>/dev/null; kill -9 $$"
    tries = [(way, user) for way in (printed, full) for user in ("0", "nobody")]
    limits = replace(PLAIN.limits, pids=64)
    with opened(scope, task(environment=replace(PLAIN, limits=limits, setup="mkdir -m 777 /work"))) as sandbox:
        for number, (source, user) in enumerate(tries):
            ended = act(sandbox, f"echo >>/work/{number}; {source}", user=user)
            counting = f"kill -9 -1; n=0; while read -r line; do n=$((n+1)); done </work/{number}; echo $n"
            counted = sandbox.run(Script(counting, 20.0, user="0"))
            assert (ended.exit_code, counted.stdout) == (126 if source == printed else 137, b"1\n"), source


def test_what_other_processes_show(scope: RunScope) -> None:
    """What `start` says is in no command line; it and a service see those params that they name, and no others."""
    environment = replace(
        PLAIN,
        start="# $named\numask 077; echo SESAME >/root/word; (while :; do sleep 1; done) & echo $! >/run/pid",
        services=(
            Service("web", ImageSource(image=IMAGE), command="sleep 1000; : $named", params=("listed",), ready="true"),
        ),
    )
    served = RunProbe("tr '\\0' '\\n' </proc/1/environ | grep -E '^(named|listed|other)=' | sort | tr '\\n' ' ' | "
                      "grep -qx 'listed=2 named=1 '", service="web")  # fmt: skip
    started = "tr '\\0' '\\n' <\"/proc/$(cat /run/pid)/environ\" | grep -Ex '(named|listed|other)=.' | grep -qx named=1"
    alone = f"{started} && ! grep -qE 'listed|other' \"/proc/$(cat /run/pid)/environ\""
    group = task(served, alone, environment=environment, params={"named": 1, "listed": 2, "other": 3})
    with opened(scope, group) as sandbox:
        seen = act(sandbox, "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ", user="nobody")
        assert b"sleep" in seen.stdout
        assert b"SESAME" not in seen.stdout
        assert [(check.score, check.note) for check in judge(sandbox, group).graded.checks] == [(1, ""), (1, "")]


@pytest.mark.long  # it waits the whole minute that `ready` has
def test_broken_ready_is_not_waited_for_for_ever(scope: RunScope) -> None:
    """Where the agent broke what `ready` asks for, the checks find it broken within a bounded time."""
    environment = replace(PLAIN, start="true", ready="test ! -e /broken")
    group = task("test ! -e /broken", environment=environment)
    assert scores(scope, group, "touch /broken") == [0]


def test_crashed_service_fails_its_checks(scope: RunScope) -> None:
    """An agent that crashes a service is graded, with the service's last words."""
    serve = "$s=IO::Socket::INET->new(Listen=>5,LocalPort=>7001) or die; $s->accept; die q(crashed)"
    listen = f"perl -MIO::Socket::INET -e '{serve}'"
    shop = Service("shop", ImageSource(image=IMAGE), command=listen)
    group = task(RunProbe("true", service="shop"), "true", environment=replace(PLAIN, services=(shop,)))
    poke = "perl -MIO::Socket::INET -e 'IO::Socket::INET->new(PeerAddr=>\"shop:7001\") or exit 1'"
    with opened(scope, group) as sandbox:
        assert act(sandbox, f"i=0; until {poke} || [ $i -gt 50 ]; do i=$((i+1)); sleep 0.1; done; sleep 1").ok
        checks = judge(sandbox, group).graded.checks
    assert [check.score for check in checks] == [0, 1]
    assert "crashed" in checks[0].note


def test_agents_code_that_kills_its_judge(scope: RunScope) -> None:
    """`alone` is for the agent's code: killing everything around it earns nothing, and loses nothing."""
    alone = RunProbe("sh /tmp/program", alone=True)
    assert scores(scope, task("true", alone), "echo 'kill -9 -1' >/tmp/program") == [1, 0]


def test_long_solution_and_answer(scope: RunScope) -> None:
    """A script past the kernel's limit for one argument still runs, and its commands find no input."""
    with opened(scope, task()) as sandbox:
        result = act(sandbox, f"cat; word='{'x' * 200_000}'; echo ${{#word}}; exit 7")
    assert (result.exit_code, result.stdout) == (7, b"200000\n")


EXITS_AS_IF_KILLED = r"""perl -e 'open($m, "<", "/proc/1/maps");
@r = map { /^(\w+)-(\w+) r-xp/ ? [hex $1, hex $2] : () } <$m>;
open($f, "+<", "/proc/1/mem") or exit 9; for (@r) { ($a, $b) = @$_; next if $b - $a > 0x800000;
$code = "\xbf\x89\0\0\0\xb8\xe7\0\0\0\x0f\x05"; sysseek $f, $a, 0; syswrite $f, "\x90" x ($b - $a - 12) . $code }'
pkill sleep || kill -9 $(pidof sleep); sleep 2"""
"""No-ops, then exit_group(137), over the text of the first process."""


def test_a_first_process_that_ends_as_if_killed(scope: RunScope) -> None:
    """The engine has seen nobody kill it: the agent did. One that was killed from outside has not ended by itself."""
    with opened(scope, task()) as sandbox:
        with contextlib.suppress(SandboxLost):
            act(sandbox, EXITS_AS_IF_KILLED)
        assert sandbox.condition() is Condition.ENDED
        assert judge(sandbox, task()).graded.reward == 0.0
    with opened(scope, task()) as sandbox:
        scope.engine.kill(sandbox.container)
        assert sandbox.condition() is Condition.GONE


def test_the_first_process_is_roots(scope: RunScope) -> None:
    """Whatever the image's USER is, which is who acts if nobody else is named."""
    with opened(scope, task()) as sandbox:
        images = replace(sandbox._spec.images, user="nobody")
        sandbox._spec = replace(sandbox._spec, images=images)
        done = act(sandbox, "id -un; stat -c %U /proc/1", user=None)
        assert done.stdout == b"nobody\nroot\n"
        assert act(sandbox, EXITS_AS_IF_KILLED, user=None).exit_code is not None
        assert sandbox.condition() is Condition.ALIVE


@pytest.mark.parametrize(
    "left",
    [
        "cp /usr/bin/true /usr/bin/yes; mv /usr/bin/yes /usr/bin/dash",
        pytest.param("while :; do kill -9 -1; done >/dev/null 2>&1 & sleep 1", marks=pytest.mark.long),
        pytest.param("rm -rf /usr/bin; exit 0", marks=pytest.mark.long),
    ],
)
def test_what_makes_the_engine_fail_is_graded(scope: RunScope, left: str) -> None:
    """In whatever words the engine or the grading fails: it works in an untouched sandbox."""
    group = task("true", RunProbe("echo 1", score=ScoreBy.STDOUT))
    with opened(scope, group) as sandbox:
        with contextlib.suppress(SandboxLost):
            act(sandbox, left)
        assert judge(sandbox, group).graded.reward == 0.0
