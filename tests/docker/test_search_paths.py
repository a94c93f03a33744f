"""A fresh grading runs nothing of the agent's, whatever the image's variables name; what checks get instead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from taskcal.core.rollout import Graded
from taskcal.core.shell.search_paths import OWN_PATH
from taskcal.core.task import Artifact, FileCopy, FileProbe, ImageSource, RunProbe, ScoreBy, Service
from tests.docker.rooms import IMAGE, PLAIN, Typist, act, fresh, judge, opened, rolled_out, scores, task

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.sandbox.engine.run_resources import RunScope

pytestmark = pytest.mark.docker

SETUP = """useradd -m agent; mkdir -p /app/own/bin /app/sub/own /app/sub/other; echo image >/app/own/mark
echo image >/app/sub/own/mark; ln -s /app/bin /opt/bin; ln -s /app /alias; chown -R agent /app"""
NAMED = {
    "PATH": f"/app/own/bin:/opt/bin:bin:{OWN_PATH}",
    "PERL5LIB": "/app/lib",
    "LD_PRELOAD": "/app/x.so",
    "HOME": "/app",
}
BOX = replace(PLAIN, workdir="/app", user="agent", setup=SETUP, env=NAMED)
REMOVE = "/usr/bin/rm -rf"
TOOLS = """for d in bin own/bin; do mkdir -p $d; for t in sh setsid grep head stat sleep cat rm; do
printf '#!/usr/bin/bash\\nprintf right; exit 0\\n' >$d/$t; chmod 755 $d/$t; done; done"""


def test_no_search_path_leads_a_fresh_grading_to_the_agent(scope: RunScope, tmp_path: Path) -> None:
    """Neither the driver nor a check runs a program of its own; what an artifact excludes is the image's."""
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "check").write_text("exit 1")
    base = task(
        "grep -q right result",
        FileProbe("/app/result", contains="right"),
        "for t in /alias/t/*; do . $t; done",
        'test "$(cat own/mark)$(cat sub/own/mark)" = imageimage && test ! -e own/bin/grep && test ! -e sub/other',
        f'test "$PATH $HOME" = "/app/own/bin:{OWN_PATH} /nonexistent" && test -z "$PERL5LIB$LD_PRELOAD"',
        'test "$(stat -c %a-%u /alias/t /alias/t/check | tr "\\n" " ")" = "700-0 600-0 "',
        environment=BOX,
    )
    group = fresh(
        base, Artifact("/app", exclude=("own", "sub/own")), files=(FileCopy("/alias/t", str(tmp_path / "t")),)
    )
    source = f"unset LD_PRELOAD; {TOOLS}; mkdir t lib; echo 'exit 0' >t/aaa; echo x | tee result own/mark; {REMOVE} sub"
    with opened(scope, group) as sandbox:
        act(sandbox, source, user="agent")
        judged = judge(sandbox, group).graded
        gone = {one.variable for one in sandbox.check_variables().gone}
        healthcheck = scope.engine._api.inspect_container(sandbox.container)["Config"]["Healthcheck"]
    assert [check.score for check in judged.checks] == [0, 0, 0, 1, 1, 1]
    assert (gone, healthcheck) == ({"PATH", "PERL5LIB", "LD_PRELOAD", "HOME"}, {"Test": ["NONE"]})


@dataclass(frozen=True)
class Installer(Typist):
    """An agent whose installation replaces the grader's tools."""

    @property
    def install(self) -> str:
        """It runs as root."""
        return "rm /usr/bin/cmp; printf '#!/bin/sh\\nexit 0\\n' >/usr/bin/cmp; chmod 755 /usr/bin/cmp"


def test_an_agents_installation_is_no_part_of_a_fresh_grading(scope: RunScope, tmp_path: Path) -> None:
    """It is graded in the task's own image; in a shared sandbox it is where the agent was."""
    group = task("cmp /etc/passwd /etc/hosts", environment=replace(PLAIN, workdir="/work"))
    rewards = [rolled_out(scope, tmp_path, one, Installer()) for one in (group, fresh(group, "/work"))]
    assert [isinstance(found, Graded) and found.reward for found in rewards] == [1.0, 0.0]


def test_a_check_of_another_user(scope: RunScope, tmp_path: Path) -> None:
    """It has no params, reads the grader's files only if its text names them, and leaves no process behind."""
    (tmp_path / "expected").write_text("hidden")
    (tmp_path / "expected").chmod(0o644)
    program = "printf '#!/bin/sh\\nx=er; cat /grad$x/expected || echo \"$word\"\\n' >program; chmod 755 program"
    probes = (
        RunProbe("./program | grep -q .", user="agent"),
        RunProbe("cat /grader/expected && (sleep 4321 & setsid sleep 4321 &)", user="agent"),
        RunProbe('test "$(id -un) $HOME$TASKCAL_ROLLOUT$word" = "agent /home/agent"', user="agent"),
        RunProbe("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' >/all; ! grep -q 'sleep [4]321' /all", alone=True),
        RunProbe('test "$(stat -c %a /grader /grader/expected | tr "\\n" " ")" = "700 600 "', alone=True),
        RunProbe('su agent -c ./program >/tmp/said 2>&1; test "$(cat /tmp/said)" = "$word"', alone=True),
        RunProbe("kill -9 -1", score=ScoreBy.STDOUT, user="agent"),
        RunProbe("sleep 100", timeout=1.0, user="agent"),
        RunProbe("#!/usr/bin/perl\nexit($< == 0)", user="agent"),
    )
    box = replace(BOX, env={})
    group = fresh(
        task(*probes, environment=box, params={"word": "w"}),
        "/app",
        files=(FileCopy("/grader/expected", str(tmp_path / "expected")),),
    )
    assert scores(scope, group, program, user="agent") == [0, 1, 1, 1, 1, 0, 0, 0, 1]


def test_the_names_of_a_shared_network_are_not_the_agents(scope: RunScope) -> None:
    """The files that containers of one network share are put back, with their owners and modes."""
    db = Service("db", ImageSource(image=IMAGE), command="sleep 1000")
    files = "/etc/hostname /etc/hosts /etc/resolv.conf"
    check = f'! grep -q smuggled {files} && test "$(stat -c %a-%u {files} | sort -u)" = 644-0'
    group = fresh(task(check, environment=replace(PLAIN, services=(db,))), "/work")
    assert scores(scope, group, f"for f in {files}; do echo smuggled >$f; chown 7 $f; chmod 4777 $f; done") == [1]
