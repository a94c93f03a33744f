"""Grading in a fresh container: what arrives there, what stays behind, and that no way of ending the agent is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.core.rollout import Graded, Stop
from taskcal.core.task import (
    AnswerProbe,
    Artifact,
    Check,
    FileCopy,
    FileProbe,
    Grader,
    Group,
    ImageSource,
    Limits,
    RunProbe,
    ScriptedProbe,
    Service,
)
from taskcal.sandbox import Condition, ScriptEnding
from tests.docker.rooms import IMAGE, PLAIN, act, fresh, judge, opened, outcome, scores, task

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.core.task import Environment
    from taskcal.sandbox.engine.run_resources import RunScope

pytestmark = pytest.mark.docker

WORK = replace(PLAIN, workdir="/work", setup="chmod 777 /work; echo old >/work/old; ln -s /usr/bin/env /work/env")
DB = Service(
    "db", ImageSource(image=IMAGE), command="mkdir /data; echo row >/data/rows; sleep 1000", ready="test -s /data/rows"
)


def with_scripts(environment: Environment, *checks: str) -> Group:
    return fresh(task(*checks, environment=environment), "/work")


def test_artifacts_arrive_as_they_were(scope: RunScope) -> None:
    """Content, owner, mode, time and the oddest names; what the agent removed is gone; the image's own link stays."""
    group = with_scripts(
        WORK,
        'test "$(stat -c "%a %u %g %Y" made/file)" = "640 1000 2000 86400" && test "$(cat made/file)" = hello',
        "test ! -e old",
        'test -e "$(printf "a\\nb\\033\\377")"',
        "test made/hard -ef made/file",
        'test "$(readlink env) $(readlink made/link)" = "/usr/bin/env file" && ./env true',
        'test "$(stat -c %a made)" = 2755',
        "test $(pwd) = /work",
    )
    source = """mkdir -m 2755 made; cd made; echo hello >file; ln file hard; ln -s file link; chmod 640 file
    chown 1000:2000 file; touch -d '1970-01-02 UTC' file; rm ../old; : >"$(printf '../a\\nb\\033\\377')" """
    assert scores(scope, group, source) == [1] * 7


def test_nothing_else_arrives(scope: RunScope) -> None:
    """Files outside the artifacts, processes, special files and links that lead out stay behind."""
    group = with_scripts(
        WORK,
        "test ! -e /tmp/x && test ! -e /etc/ld.so.preload && ! grep -q evil /etc/passwd /etc/hosts",
        "! grep -qsa 432[1] /proc/[0-9]*/cmdline",
        'test -z "$(find /work -type p -o -type l ! -name env -o -perm /6000)"',
        "timeout 5 cat /work/pipe; test $? = 1",
    )
    source = """touch /tmp/x; echo nothing.so >/etc/ld.so.preload; echo evil >>/etc/passwd; echo evil >>/etc/hosts
    mkfifo pipe; ln -s /etc/shadow shadow; cp /usr/bin/id .; chmod 6755 id; (sleep 4321 &) >/dev/null 2>&1 """
    assert scores(scope, group, source) == [1] * 4


def test_missing_artifact_fails_its_checks(scope: RunScope) -> None:
    """It is the agent's doing: graded, with a note where a check fails and none where one passes."""
    group = fresh(task(FileProbe("/out/r.txt", exists=True), "test ! -e /out", environment=WORK), "/out/r.txt", "/work")
    with opened(scope, group) as sandbox:
        checks = judge(sandbox, group).graded.checks
    assert [check.score for check in checks] == [0, 1]
    assert "/out/r.txt was not there" in checks[0].note
    assert checks[1].note == ""


def test_the_answer_is_carried_over(scope: RunScope) -> None:
    """As data: it is checked, and the grader's scripts find it where they are told."""
    group = fresh(task(AnswerProbe(number=42), 'test "$(cat "$TASKCAL_ANSWER_FILE")" = 42'))
    assert scores(scope, group, "echo 42 >/run/taskcal/answer", user="nobody") == [1, 1]
    linked = "echo 42 >/tmp/a; ln -s /tmp/a /run/taskcal/answer"
    assert scores(scope, group, linked, user="nobody") == [0, 0]


def test_the_graders_files_win(scope: RunScope, tmp_path: Path) -> None:
    """Also where the agent put others, or a link, in their place; and the agent's container never has them."""
    (tmp_path / "check").write_text("exit 0\n")
    files = (
        FileCopy("/work/tests/check", str(tmp_path / "check")),
        FileCopy("/work/lib/check", str(tmp_path / "check")),
    )
    group = task("sh tests/check", "sh lib/check", "test ! -e other/check", environment=WORK)
    source = "mkdir -p tests/check/x other; ln -s other lib"
    assert scores(scope, fresh(group, "/work", files=files), source, user="nobody") == [1, 1, 1]


def test_a_detour_above_an_artifact_is_not_followed(scope: RunScope) -> None:
    """An agent cannot pass off what only root may read as its own result."""
    environment = replace(PLAIN, setup="mkdir -m 777 /work && mkdir -m 700 /hidden; echo right >/hidden/r.txt")
    group = fresh(task(FileProbe("/work/out/r.txt", contains="right"), environment=environment), "/work/out/r.txt")
    with opened(scope, group) as sandbox:
        act(sandbox, "ln -s /hidden /work/out", user="nobody")
        (check,) = judge(sandbox, group).graded.checks
    assert (check.score, "replaced by a link" in check.note) == (0, True)


def test_services_stay_up_and_give_artifacts(scope: RunScope) -> None:
    """Checks run in them, a path of theirs arrives, and the names of the network are as they were."""
    probes = (
        "test -s /data/rows && test -e /work/done",
        RunProbe("test -s /data/rows", service="db"),
        RunProbe("! grep -q evil /etc/hosts", service="db"),
        "grep -q '127.0.0.1.*db' /etc/hosts && ! grep -q evil /etc/hosts",
    )
    group = task(*probes, environment=replace(WORK, services=(DB,)))
    source = "touch done; echo '127.0.0.9 evil' >>/etc/hosts"
    assert scores(scope, fresh(group, "/work", Artifact("/data", "db")), source) == [1] * 4


def test_no_server_of_the_agent_is_left(scope: RunScope) -> None:
    """Not even one in the first process of its container, in the network that services share."""
    serve = "use IO::Socket::INET; $s=IO::Socket::INET->new(Listen=>5,LocalPort=>7001) or die; while($c=$s->accept){}"
    ask = "perl -MIO::Socket::INET -e 'exit(IO::Socket::INET->new(PeerAddr=>q(127.0.0.1:7001)) ? 0 : 7)'; test $? = "
    replaced = (
        f"cat >/usr/bin/sleep <<'E'\n#!/usr/bin/perl\n{serve}\nE\nchmod 755 /usr/bin/sleep; kill $(pidof sleep) 2>&-"
    )
    lingering = f"{replaced}; kill -9 -1 & i=0; until {ask}0; do i=$((i+1)); [ $i -lt 100 ] || exit 1; done"
    for environment in (WORK, replace(WORK, services=(DB,))):
        group = fresh(task(f"{ask}7", environment=environment), "/work")
        with opened(scope, group) as sandbox:
            act(sandbox, lingering)
            assert judge(sandbox, group).graded.passed


def test_start_runs_again_in_the_fresh_container(scope: RunScope) -> None:
    """What the checks ask is what `start` starts there, on the artifacts."""
    start = "(cat /work/word >/tmp/begun; mv /tmp/begun /tmp/up; sleep 1000) &"
    environment = replace(WORK, start=start, ready="test -e /tmp/up")
    group = fresh(task("test $(cat /tmp/up) = new", environment=environment), "/work")
    assert scores(scope, group, "echo new >word") == [1]


@pytest.mark.parametrize(
    ("source", "note"),
    [
        ("truncate -s 5G sparse; echo x >done", "artifacts hold more than"),
        ("rm -rf /work", "/work was not there"),
        ("cd /; rm -rf /work; ln -s /tmp /work; touch /tmp/done", "where a folder has to be"),
    ],
)
def test_what_cannot_be_carried_is_graded(scope: RunScope, source: str, note: str) -> None:
    """Too large, gone, or something else in its place: the checks find an empty workdir, and say why."""
    group = with_scripts(WORK, "test -e done", "test $(pwd) = /work && test ! -e old")
    with opened(scope, group) as sandbox:
        act(sandbox, source)
        checks = judge(sandbox, group).graded.checks
    assert [check.score for check in checks] == [0, 1]
    assert note in checks[0].note


BROKEN = {
    "no shell": "rm /usr/bin/sh /usr/bin/dash",
    "no shell, and killed": "touch /work/more; rm /usr/bin/sh; kill -9 $$",
    "another shell": "printf '#!/usr/bin/env true\\n' >/tmp/sh; chmod 755 /tmp/sh; mv /tmp/sh /usr/bin/dash",
    "no libraries": "rm -rf /lib64 /usr/lib64",
    "no tools": "rm /usr/bin/*",
    "a first process without memory": "cat /dev/zero >/dev/shm/x",
    "no memory left": "head -c 58m /dev/zero >/dev/shm/x",
    "no workdir": "cd /; rm -rf /work",
}


SOME = ("a first process without memory", "no workdir")


@pytest.mark.parametrize("way", [way if way in SOME else pytest.param(way, marks=pytest.mark.long) for way in BROKEN])
def test_breaking_the_judge_is_graded(scope: RunScope, tmp_path: Path, way: str) -> None:
    """However the agent breaks its sandbox: shared it earns nothing, fresh what its artifacts earn; neither is lost."""
    small = replace(WORK, limits=Limits(memory=60 * 1024**2))
    group = task("test -e done", environment=small)
    here = outcome(scope, tmp_path, group, f"touch done; {BROKEN[way]}")
    assert isinstance(here, Graded), here
    assert here.reward == 0
    there = outcome(scope, tmp_path, fresh(group, "/work"), f"touch done; {BROKEN[way]}")
    assert isinstance(there, Graded), there
    assert there.reward == (0 if way == "no workdir" else 1)


@pytest.mark.long  # what breaks a judge fails there four times, and some of it only at its limit of time
def test_a_script_that_scores_is_no_way_out(scope: RunScope, tmp_path: Path) -> None:
    """Where it cannot run, every check that it would have scored fails."""
    checks = (Check("half", ScriptedProbe()),)
    made = task(environment=WORK)
    grader = Grader(checks, run="echo '{\"half\": 1}'")
    group = Group(replace(made.task, grader=grader), made.variant)
    found = outcome(scope, tmp_path, group, "rm /usr/bin/sh")
    assert isinstance(found, Graded)
    assert found.reward == 0


def test_start_sees_the_params_that_it_names(scope: RunScope) -> None:
    """And no other: an agent that is root can read the environment of every process."""
    environment = replace(WORK, start=': "$named"; sleep 1000 &')
    group = task(environment=environment, params={"named": "seen-4b1", "other": "hidden-9c2"})
    with opened(scope, group) as sandbox:
        found = act(sandbox, "cat /proc/[0-9]*/environ").stdout
    assert (b"seen-4b1" in found, b"hidden-9c2" in found) == (True, False)


def test_a_kill_from_outside_is_not_the_agents_doing(scope: RunScope) -> None:
    """Not even where the kernel had killed for memory before, which the engine then remembers of the container."""
    group = task(environment=replace(WORK, limits=Limits(memory=60 * 1024**2)))
    with opened(scope, group) as sandbox:
        assert act(sandbox, "exec perl -e '$x = q(a) x 200_000_000; sleep 1'").ending is ScriptEnding.OUT_OF_MEMORY
        assert sandbox.condition() is Condition.ALIVE
        scope.engine.kill(sandbox.container)
        state = scope.engine.state(sandbox.container)
        assert state is not None
        assert state.out_of_memory
        assert sandbox.condition() is Condition.GONE
        scope.engine.remove(sandbox.container)
        assert sandbox.condition() is Condition.GONE


def test_the_kernels_kill_is_the_agents_end(scope: RunScope, tmp_path: Path) -> None:
    """The stop says what it was."""
    group = task("true", environment=replace(WORK, limits=Limits(memory=60 * 1024**2)))
    found = outcome(scope, tmp_path, group, BROKEN["a first process without memory"])
    assert isinstance(found, Graded)
    assert found.stop is Stop.OUT_OF_MEMORY
    assert "memory limit" in found.checks[0].note


def test_a_kept_fresh_sandbox_has_both_containers(scope: RunScope) -> None:
    """The one that was graded can be entered under the name that is told; the agent's is beside it, ended."""
    group = fresh(task("test -e done", environment=WORK), "/work")
    with opened(scope, group) as sandbox:
        act(sandbox, "touch done")
        judge(sandbox, group)
        name = sandbox.keep()
    try:
        states = [scope.engine.state(name), scope.engine.state(f"{name}-agent")]
        assert [state is not None and state.running for state in states] == [True, False]
        assert None not in states
    finally:
        for container in (name, f"{name}-agent"):
            scope.engine.remove(container)
