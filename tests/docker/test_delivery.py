"""The grader's files meet the image's own folder, whatever the agent made of it; a solution's files are its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.agents import Attempt
from taskcal.agents.builtin import apply_solution
from taskcal.core.task import Check, FileCopy, FileProbe, Grader, Group, RunProbe, Solution
from taskcal.sandbox import delivery
from taskcal.sandbox.scripts import clear_destinations
from tests.conftest import mostly_long
from tests.docker.rooms import PLAIN, act, fresh, judge, opened, scores, task

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.sandbox.engine.run_resources import RunScope

pytestmark = pytest.mark.docker

IMAGE_FOLDER = """mkdir -p /opt/tests/deep /opt/alias.d; echo 'exit 1' >/opt/tests/helper; chmod 640 /opt/tests/helper
chown 7:8 /opt/tests /opt/tests/helper; echo deep >/opt/tests/deep/file; mkdir -p /work; chmod 777 /work
ln -s tests /opt/alias; useradd agent; chown -R agent /opt/tests/deep; chmod 777 /opt /opt/tests"""
BOX = replace(PLAIN, workdir="/work", setup=IMAGE_FOLDER)

AS_IN_THE_IMAGE = """test "$(stat -c '%a %u %g' /opt/tests/helper)" = '640 7 8' &&
test "$(cat /opt/tests/helper)" = 'exit 1' &&
test "$(stat -c '%a %u' /opt/tests)" = '777 7' && test "$(cat /opt/tests/deep/file)" = deep && test ! -L /opt/tests &&
test "$(find /opt/tests | sort | tr '\\n' ' ')" = "$expected" """
TREE = "/opt/tests /opt/tests/deep /opt/tests/deep/file /opt/tests/helper /opt/tests/test_x "

HARM = {
    "nothing": ":",
    "changed": "echo 'exit 0' >/opt/tests/helper; chmod 777 /opt/tests/helper; echo x >/opt/tests/deep/file",
    "added": "mkdir -p /opt/tests/a/b; echo x >/opt/tests/a/b/c; ln -s /etc /opt/tests/link; : >/opt/tests/.hidden",
    "removed": "rm -rf /opt/tests/helper /opt/tests/deep",
    "moved away": "mv /opt/tests /opt/elsewhere",
    "a link": "mv /opt/tests /work/tests; ln -s /work/tests /opt/tests; echo 'exit 0' >/work/tests/helper",
    "a file": "mv /opt/tests /work/tests; echo x >/opt/tests",
    "a pipe": "mv /opt/tests /work/tests; mkfifo /opt/tests",
    "in the file's place": "mkdir -p /opt/tests/test_x/y",
    "a link in the file's place": "ln -s /work/stolen /opt/tests/test_x",
    "rights taken away": "chmod 0 /opt/tests/deep /opt/tests",
    "immutable": "chattr +i /opt/tests/helper; chattr -R +a /opt/tests",
}


def grading(group: Group, *files: FileCopy) -> Group:
    """The same group with files of the grader's."""
    return Group(replace(group.task, grader=replace(group.task.grader, files=files)), group.variant)


def arriving(tmp_path: Path, *, whole: bool) -> FileCopy:
    """A test that arrives in /opt/tests, as a file or in a folder."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x").write_text("true")
    return (
        FileCopy("/opt/tests", str(tmp_path / "tests"))
        if whole
        else FileCopy("/opt/tests/test_x", str(tmp_path / "tests/test_x"))
    )


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize("user", mostly_long(["0", "agent"], "0"))
@pytest.mark.parametrize("mode", mostly_long(["shared", "fresh"], "shared"))
def test_a_folder_of_the_image_is_as_the_image_has_it(
    scope: RunScope, tmp_path: Path, mode: str, user: str, whole: bool
) -> None:
    """Content, modes and owners are put back, what was added is gone, and no link is followed; whatever was done."""
    base = task(AS_IN_THE_IMAGE, "test ! -e /work/stolen", environment=BOX, params={"expected": TREE})
    copy = arriving(tmp_path, whole=whole)
    group = fresh(base, "/opt", files=(copy,)) if mode == "fresh" else grading(base, copy)
    failed = {name: found for name, harm in HARM.items() if (found := scores(scope, group, harm, user)) != [1, 1]}
    assert failed == {}


def test_the_agents_work_stays_where_it_works(scope: RunScope, tmp_path: Path) -> None:
    """Files that arrive in the workdir, above it or in a home replace nothing but themselves."""
    (tmp_path / "overlay" / "tests").mkdir(parents=True)
    (tmp_path / "overlay" / "tests" / "check").write_text("true")
    (tmp_path / "one").write_text("1")
    files = (
        FileCopy("/srv/app", str(tmp_path / "overlay")),
        FileCopy("/srv/one", str(tmp_path / "one")),
        FileCopy("/root/one", str(tmp_path / "one")),
    )
    setup = "mkdir -p /srv/app/tests; echo mine >/srv/app/tests/own; chown -R nobody /srv/app; chmod 700 /srv/app"
    box = replace(PLAIN, workdir="/srv/app", setup=setup)
    group = grading(
        task(
            "test -e /srv/app/done && test -e /srv/done && test -e /root/done",
            'test -e tests/check && test -e /srv/one && test -e /root/one && test "$(cat tests/own)" = mine',
            "test \"$(stat -c '%a %U' /srv/app)\" = '700 nobody' && test ! -e tests/agents",
            environment=box,
        ),
        *files,
    )
    harm = "touch done /srv/done /root/done tests/agents; echo theirs >tests/own"
    assert scores(scope, group, harm) == [1, 1, 1]


def test_where_the_image_has_nothing_the_agents_is_removed(scope: RunScope, tmp_path: Path) -> None:
    """A folder of the agent's at the place of the grader's folder, a link or file above it: all are removed."""
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "a").write_text("true")
    group = grading(
        task('test "$(ls -A /grader/checks)" = a && test ! -L /grader'),
        FileCopy("/grader/checks", str(tmp_path / "checks")),
    )
    for harm in ("mkdir -p /grader/checks; : >/grader/checks/b", "mkdir /x; ln -s /x /grader", ": >/grader"):
        assert scores(scope, group, harm) == [1], harm


def test_a_link_of_the_image_is_followed(scope: RunScope, tmp_path: Path) -> None:
    """/opt/alias is the image's own way to /opt/tests, and is put back where the agent led it elsewhere."""
    (tmp_path / "x").write_text("true")
    group = grading(
        task("test -e /opt/tests/deep/x && test -L /opt/alias", environment=BOX),
        FileCopy("/opt/alias/deep/x", str(tmp_path / "x")),
    )
    for harm in (":", "rm /opt/alias; ln -s /work /opt/alias", "rm /opt/alias; mkdir -p /opt/alias/deep"):
        assert scores(scope, group, harm) == [1], harm


def test_a_declared_artifact_is_the_agents(scope: RunScope, tmp_path: Path) -> None:
    """In a fresh sandbox what an artifact names below such a folder arrives, and the rest is the image's."""
    (tmp_path / "x").write_text("true")
    check = "test -e deep/made && test \"$(cat helper)\" = 'exit 1' && test -e x"
    group = fresh(
        task(check, environment=replace(BOX, workdir="/opt/tests")),
        "/opt/tests/deep",
        files=(FileCopy("/opt/tests/x", str(tmp_path / "x")),),
    )
    assert scores(scope, group, "touch deep/made; echo 'exit 0' >helper") == [1]


def test_a_hundred_thousand_files_are_removed(scope: RunScope, tmp_path: Path) -> None:
    """In bounded time, and the grader's folder is whole."""
    copy = arriving(tmp_path, whole=True)
    group = grading(task(AS_IN_THE_IMAGE, environment=BOX, params={"expected": TREE}), copy)
    fill = "mkdir -p /opt/tests/a && cd /opt/tests/a && seq 100000 | xargs -n 5000 touch"
    with opened(scope, group) as sandbox:
        act(sandbox, fill, timeout=120)
        assert judge(sandbox, group).graded.passed


def test_a_folder_in_the_way_is_renamed(scope: RunScope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one call, however much is in it: no file is removed, and only root can look at them."""
    monkeypatch.setattr(
        delivery,
        "clear_destinations",
        lambda *args, **more: clear_destinations(*args, **more).replace("rm -rf", "exit 9"),
    )
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x").write_text("true")
    sees = "test $(find /work/tests | wc -l) = 2 && test $(find /.taskcal-*/ | wc -l) = 204"
    closed = "su agent -c 'ls /.taskcal-*/' 2>&1 | grep denied"
    group = grading(task(sees, closed, environment=BOX), FileCopy("/work/tests", str(tmp_path / "tests")))
    assert scores(scope, group, "mkdir tests; cd tests; touch test_x $(seq 200); mkdir -p a", "agent") == [1, 1]


def test_more_than_can_be_removed_fails_every_check(
    scope: RunScope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent is blamed for so many files, and nothing is lost."""
    monkeypatch.setattr(delivery, "REMOVAL_SECONDS", 0.3)
    monkeypatch.setattr(delivery, "MOST_LEFT", 100)
    copy = arriving(tmp_path, whole=True)
    checks = (Check("a", RunProbe("true")), Check("b", FileProbe("/none", absent=True)))
    base = task(environment=BOX)
    group = Group(replace(base.task, grader=Grader(checks, files=(copy,))), base.variant)
    with opened(scope, group) as sandbox:
        act(sandbox, "mkdir -p /opt/tests/a && cd /opt/tests/a && seq 200000 | xargs -n 5000 touch", timeout=120)
        graded = judge(sandbox, group).graded
    assert graded.reward == 0
    assert {check.note for check in graded.checks} >= {
        "exit 137: the agent left more than 100 files where the grader's belong"
    }


@pytest.mark.parametrize("user", ["0", "agent", None])
def test_a_solutions_files_are_its_own(scope: RunScope, tmp_path: Path, user: str | None) -> None:
    """As for an agent that made them: it can make them executable, edit and remove them, and write beside them."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool").write_text("#!/bin/sh\necho tool\n")
    (tmp_path / "run.sh").write_text("#!/bin/sh\necho ran\n")
    files = (
        FileCopy("/work/new/deep/run.sh", str(tmp_path / "run.sh")),
        FileCopy("/work/bin", str(tmp_path / "bin")),
        FileCopy("/work/there/run.sh", str(tmp_path / "run.sh")),
    )
    script = """set -e; cd /work; chmod +x new/deep/run.sh bin/tool; test "$(new/deep/run.sh)" = ran; bin/tool
    echo more >>bin/tool; touch new/other bin/other; sed -i s/ran/ok/ new/deep/run.sh; rm there/run.sh
    mv bin bin2; touch done"""
    setup = "useradd agent; mkdir -p /work/there; chown -R agent /work; chmod 700 /work/there"
    box = replace(PLAIN, workdir="/work", user=user, setup=setup)
    keeps = "test \"$(stat -c '%a %U' /work/there)\" = '700 agent'"
    group = task("test -e done", keeps, environment=box)
    with opened(scope, group) as sandbox:
        played = apply_solution(
            sandbox, Attempt(group, 0, 20.0, lambda _: None), Solution("s", run=script, files=files)
        )
        assert [check.score for check in judge(sandbox, group).graded.checks] == [1, 1], played
