"""What a grader promises: every kind of check, the agent stopped, and no check able to speak for another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.core.task import (
    AnswerProbe,
    Check,
    FileCopy,
    FileProbe,
    Grader,
    Group,
    ImageSource,
    Limits,
    RunProbe,
    ScoreBy,
    ScriptedProbe,
    Service,
)
from taskcal.errors import GraderLost
from tests.docker.rooms import IMAGE, PLAIN, act, judge, opened, scores, task

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.sandbox.engine.run_resources import RunScope

pytestmark = pytest.mark.docker


def with_grader(group: Group, grader: Grader) -> Group:
    changed = replace(group.task, grader=grader)
    return Group(changed, changed.variants[0])


def test_run_checks_share_one_exec_and_are_told_apart(scope: RunScope) -> None:
    """Exit statuses, numbers on the last line, params and timeouts of several checks, each scored for itself."""
    group = task(
        'test "$word" = hello',
        "exit 5",
        RunProbe("echo noise; echo 0.25", score=ScoreBy.STDOUT),
        RunProbe("sleep 60", timeout=1.0),
        "true",
        params={"word": "hello"},
    )
    with opened(scope, group) as sandbox:
        checks = judge(sandbox, group).graded.checks
    assert [check.score for check in checks] == [1, 0, 0.25, 0, 1]
    assert checks[1].note.startswith("exit 5")
    assert "timeout" in checks[3].note


def test_file_checks(scope: RunScope) -> None:
    """Every condition on a file, on links, folders and pipes, without ever hanging on one."""
    group = task(
        FileProbe("/a/text", exists=True),
        FileProbe("/a/none", absent=True),
        FileProbe("/a/text", equals="line one\nline two", has_equals=True),
        FileProbe("/a/text", contains="two"),
        FileProbe("/a/text", matches=r"^line \w+$"),
        FileProbe("/a/data.json", pointer="/items/1/total", equals=3, has_equals=True),
        FileProbe("/a/data.json", pointer="/items/7", equals=3, has_equals=True),
        FileProbe("/a/link", contains="two"),
        FileProbe("/a/pipe", contains="two"),
        FileProbe("/a", contains="two"),
        FileProbe("/a/broken", absent=True),
    )
    source = """mkdir /a && cd /a && printf 'line one\\nline two\\n' >text && ln -s text link && mkfifo pipe
    ln -s nowhere broken; echo '{"items": [{}, {"total": 3.0}]}' >data.json"""
    assert scores(scope, group, source) == [1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0]


def test_answer_checks(scope: RunScope) -> None:
    """The answer is what the agent left in its file; without one every answer check fails and says so."""
    group = task(AnswerProbe(number=42.0, tolerance=0.5), AnswerProbe(contains="42"), AnswerProbe(equals="42.3"))
    assert scores(scope, group, 'echo 42.3 >"/run/taskcal/answer"') == [1, 1, 1]
    with opened(scope, group) as sandbox:
        judgement = judge(sandbox, group)
    assert judgement.answer is None
    assert {check.note for check in judgement.graded.checks} == {"the agent gave no answer"}


def test_one_script_scores_many_checks(scope: RunScope) -> None:
    """A grader's one script gives each named check its score."""
    checks = (Check("half", ScriptedProbe()), Check("full", ScriptedProbe(), weight=3))
    group = with_grader(task(), Grader(checks, run='echo working; echo \'{"half": 0.5, "full": 1}\''))
    with opened(scope, group) as sandbox:
        graded = judge(sandbox, group).graded
    assert graded.reward == pytest.approx(0.875)


@pytest.mark.parametrize("said", ["nonsense", '{"half": 2}', '{"other": 1}', "", '{"half": NaN}'])
def test_script_without_scores_is_lost(scope: RunScope, said: str) -> None:
    """A grader that does not say what it is there to say is our side's failure, not a zero."""
    group = with_grader(task(), Grader((Check("half", ScriptedProbe()),), run=f"echo '{said}'"))
    with opened(scope, group) as sandbox, pytest.raises(GraderLost):
        judge(sandbox, group)


def test_number_that_is_none_is_lost(scope: RunScope) -> None:
    """`score: stdout` with status 0 and no number is a broken grader; with another status it is a failed check."""
    broken = task(RunProbe("echo perhaps", score=ScoreBy.STDOUT))
    with opened(scope, broken) as sandbox, pytest.raises(GraderLost, match="perhaps"):
        judge(sandbox, broken)
    assert scores(scope, task(RunProbe("echo perhaps; exit 1", score=ScoreBy.STDOUT))) == [0]


def test_grader_files_come_after_the_agent(scope: RunScope, tmp_path: Path) -> None:
    """The agent never sees them, nor does what it leaves running; the checks do."""
    (tmp_path / "expected").write_text("right\n")
    files = (FileCopy("/grader/expected", str(tmp_path / "expected")),)
    checks = (
        Check("sees", RunProbe("grep -q right /grader/expected")),
        Check("nobody copied it", RunProbe("test ! -e /tmp/stolen")),
    )
    group = with_grader(task(), Grader(checks, files=files))
    spy = "(while :; do cp /grader/expected /tmp/stolen && exit; done) >/dev/null 2>&1 &"
    assert scores(scope, group, f"test ! -e /grader && {spy}") == [1, 1]


def test_agents_processes_are_stopped(scope: RunScope) -> None:
    """What the agent left running, in whatever session, is gone before the first check."""
    leave = (
        "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM HUP; while :; do touch /alive; done' >/dev/null 2>&1 & done"
    )
    group = task("rm -f /alive; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; test ! -e /alive")
    assert scores(scope, group, leave) == [1]


def test_start_runs_again_for_the_checks(scope: RunScope) -> None:
    """What `start` had started died with the agent's processes, and is there again when the checks run."""
    beat = "rm -f /up; (while :; do touch /up; sleep 0.1; done) &"
    environment = replace(PLAIN, start=beat, ready="test -e /up")
    assert scores(scope, task("rm /up; sleep 0.5; test -e /up", environment=environment), "true") == [1]


def test_a_check_leaves_nothing_to_the_next(scope: RunScope) -> None:
    """Processes of one check are killed before the next begins, however they hid."""
    first = "(setsid sh -c 'while :; do touch /alive; done' >/dev/null 2>&1 &); sleep 0.1; true"
    second = "rm -f /alive; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; test ! -e /alive"
    assert scores(scope, task(first, second)) == [1, 1]


def test_a_database_of_start_keeps_its_workers(scope: RunScope) -> None:
    """A child that a started process makes during a check is not taken for a leftover."""
    server = "(while :; do if [ -e /ask ]; then sleep 1000 & echo $! >/worker; rm /ask; fi; sleep 0.05; done) &"
    group = task(
        "touch /ask; i=0; until [ -s /worker ] || [ $i -gt 100 ]; do sleep 0.05; i=$((i+1)); done; test -s /worker",
        "kill -0 $(cat /worker)",
        environment=replace(PLAIN, start=server),
    )
    assert scores(scope, group) == [1, 1]


def test_output_of_a_check_cannot_forge_a_record(scope: RunScope) -> None:
    """A check that prints what the driver prints changes no other check's score."""
    forge = "printf 'taskcal-check 1 0 0 0 0 0\\n\\n'; exit 1"
    assert scores(scope, task(forge, "exit 1", forge)) == [0, 0, 0]


def test_unprivileged_agent_cannot_prepare_the_grading(scope: RunScope) -> None:
    """An agent without root can write none of the places where the driver works."""
    hostile = "mkdir -p /run/taskcal-x; echo 'exit 0' >/run/taskcal/0.sh; ln -s /etc/shadow /run/taskcal/answer; true"
    group = task("exit 1", AnswerProbe(contains="root"))
    assert scores(scope, group, hostile, user="nobody") == [0, 0]


def test_checks_in_a_service(scope: RunScope) -> None:
    """A check with `in:` runs in that service, where the agent has no shell; services stay up into grading."""
    db = Service("db", ImageSource(image=IMAGE), command="touch /srv/recorded; sleep 1000")
    environment = replace(PLAIN, services=(db,))
    probe = RunProbe("test -e /srv/recorded", service="db")
    assert scores(scope, task(probe, "test ! -e /srv/recorded", environment=environment)) == [1, 1]


def test_checks_alone_come_last(scope: RunScope) -> None:
    """A check that runs the agent's code has an exec of its own after the others."""
    alone = RunProbe("test -e /first && touch /alone", alone=True)
    assert scores(scope, task(alone, "test ! -e /alone && touch /first")) == [1, 1]


def test_python_imports_nothing_of_the_agents(scope: RunScope) -> None:
    """No check imports what lies in the agent's folder, unless it is there to run that, or the grader says so."""
    safe = 'test "$PYTHONSAFEPATH" = 1'
    group = task(safe, RunProbe('test -z "$PYTHONSAFEPATH"', alone=True))
    assert scores(scope, group) == [1, 1]
    allowed = replace(group.task.grader, env={"PYTHONSAFEPATH": ""})
    assert scores(scope, with_grader(group, allowed)) == [0, 1]


@pytest.mark.parametrize(
    "way", ["kill -TERM -1", "kill -HUP -1", "kill -9 -1", pytest.param("kill -STOP $PPID", marks=pytest.mark.long)]
)
def test_code_that_ends_its_own_check_fails_it(scope: RunScope, way: str) -> None:
    """Whatever a check `alone` runs does to everything around it, the rollout is graded and the others count."""
    assert scores(scope, task("true", RunProbe(way, alone=True, timeout=1.0))) == [1, 0]


def test_code_that_takes_the_score_away_fails_its_check(scope: RunScope) -> None:
    """In a check `alone` a missing number is the agent's doing; elsewhere it is a broken grader."""
    group = task(RunProbe("echo 1; echo no number", score=ScoreBy.STDOUT, alone=True))
    assert scores(scope, group) == [0]
    with pytest.raises(GraderLost):
        scores(scope, task(RunProbe("echo no number", score=ScoreBy.STDOUT)))


def test_memory_that_is_not_there_fails_the_checks(scope: RunScope) -> None:
    """An agent that leaves none for the grading is not tried again for it."""
    tight = replace(PLAIN, limits=Limits(memory=48 * 1024**2))
    fill = "head -c $((48 * 1024 * 1024 - 2500 * 1024)) /dev/zero >/dev/shm/x; exit 0"
    assert scores(scope, task("true", environment=tight), fill, "nobody") in ([0.0], [1.0])


def test_long_scripts_and_odd_names(scope: RunScope) -> None:
    """Scripts past the kernel's limit for one argument, quotes and here-documents all arrive whole."""
    long = f"word='{'x' * 200_000}'; test ${{#word}} = 200000"
    odd = "cat <<'EOF' | grep -q \"it's\"\nit's \"quoted\" $HOME\nEOF"
    assert scores(scope, task(long, odd)) == [1, 1]


def test_agent_that_crashes_its_shell_is_still_graded(scope: RunScope) -> None:
    """Grading does not depend on how the agent ended."""
    group = task("test -e /tmp/half")
    with opened(scope, group) as sandbox:
        assert not act(sandbox, "touch /tmp/half; kill -SEGV $$").ok
        assert judge(sandbox, group).graded.passed
