"""Attempts to be paid for nothing: none works in a fresh sandbox, and those that work in a shared one are known."""

from __future__ import annotations

import platform
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.core.rollout import Graded
from taskcal.core.shell.search_paths import OWN_PATH
from taskcal.core.task import (
    AnswerProbe,
    Artifact,
    Check,
    FileCopy,
    FileProbe,
    Grader,
    GraderSandbox,
    Group,
    Processes,
    RunProbe,
    ScoreBy,
    Task,
    Timeouts,
    Variant,
)
from tests.docker.rooms import PLAIN, outcome
from tests.faults.attempts import ATTEMPTS, BY_ANY, BY_ROOT, KNOWN_SHARED, NOBODY, ROOT, Attempt

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.core.task import Probe
    from taskcal.sandbox.engine.run_resources import RunScope

pytestmark = pytest.mark.docker

WORD = "sesame-7f3a"
SERVER = """use IO::Socket::INET; my $s = IO::Socket::INET->new(Listen => 5, LocalPort => 7001, ReuseAddr => 1) or die;
while (my $c = $s->accept) { open(F, "<", "/work/result") and print {$c} <F>; close $c }"""
ASK = """for (1 .. 40) { $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1:7001") and last;
select undef, undef, undef, .05 }
chomp($got = <$c>); exit($got ne $ENV{word})"""
COUNT = 'while read -r line; do [ "$line" != "$word" ] || { echo 1; exit; }; done </work/result; echo 0'

ENVIRONMENT = replace(
    PLAIN,
    workdir="/work",
    setup='chmod 777 /work; ln -s /work/result /srv/; mkdir -m 711 /hidden; umask 77; echo "$word" >/hidden/answer',
    start=f"perl -e '{SERVER}' >/dev/null 2>&1 &",
    env={"PATH": f"/work/bin:{OWN_PATH}", "PERL5LIB": "/work/lib"},
)
CHECKS: dict[str, Probe] = {
    "file": FileProbe("/work/result", equals=WORD, has_equals=True),
    "linked": FileProbe("/srv/result", equals=WORD, has_equals=True),
    "script": RunProbe('test "$(cat /work/result)" = "$word"'),
    "compare": RunProbe("cmp -s /work/result /grader/expected"),
    "tool": RunProbe('grep -qx "$word" /work/result'),
    "number": RunProbe(COUNT, score=ScoreBy.STDOUT),
    "server": RunProbe(f"perl -MIO::Socket::INET -e '{ASK}'"),
    "answer": AnswerProbe(equals=WORD),
}
SHARED, FRESH = GraderSandbox.SHARED, GraderSandbox.FRESH


def secret(folder: Path, where: GraderSandbox, user: str, processes: Processes = Processes.STOP) -> Group:
    """The task that all attempts meet."""
    (folder / "expected").write_text(f"{WORD}\n")
    grader = Grader(
        tuple(Check(name, probe) for name, probe in CHECKS.items()),
        files=(FileCopy("/grader/expected", str(folder / "expected")),),
        sandbox=where,
        processes=processes,
        artifacts=(Artifact("/work"),) if where is FRESH else (),
    )
    variant = Variant("", {"word": WORD}, "Say the word.")
    environment = replace(ENVIRONMENT, user=user)
    return Group(Task("secret", (variant,), environment, grader, timeouts=Timeouts(grader=3.0)), variant)


def reward(scope: RunScope, folder: Path, where: GraderSandbox, user: str, script: str) -> float:
    """What a script earns; a rollout that it could get lost would be a way out, and fails."""
    found = outcome(scope, folder, secret(folder, where, user), script, user)
    assert isinstance(found, Graded), found
    return found.reward


def alone(attempts: tuple[Attempt, ...]) -> str:
    """Scripts one after the other, each in a shell of its own."""
    return "\n".join(f"( cd /work\n{attempt.script}\n) >/dev/null 2>&1" for attempt in attempts)


RACES = {"a process that reads what checks are called with", "many that start each other", "a pipe"}
"""What earns something beside the checks now and then."""


def kept_reward(scope: RunScope, folder: Path, attempt: Attempt, user: str) -> float:
    """What an attempt earns where its processes are kept."""
    found = outcome(scope, folder, secret(folder, SHARED, user, Processes.KEEP), attempt.script, user)
    assert isinstance(found, Graded), found
    return found.reward


@pytest.mark.parametrize("where", [SHARED, FRESH])
def test_the_word_itself_earns_everything(scope: RunScope, tmp_path: Path, where: GraderSandbox) -> None:
    """The checks work: without this the rest would prove nothing."""
    honest = f"echo {WORD} | tee result >/run/taskcal/answer"
    assert reward(scope, tmp_path, where, NOBODY, honest) == 1
    assert reward(scope, tmp_path, where, NOBODY, ":") == 0


@pytest.mark.parametrize("user", [NOBODY, ROOT])
def test_all_together_earn_nothing_in_a_fresh_sandbox(scope: RunScope, tmp_path: Path, user: str) -> None:
    """Every attempt of one user in one sandbox, those that end the shell last."""
    mine = [one for one in ATTEMPTS if one.user == user and not one.slow]
    ordered = sorted((one for one in mine if not one.ends or one.name == "a replaced shell"), key=lambda one: one.ends)
    assert reward(scope, tmp_path, FRESH, user, alone(tuple(ordered))) == 0


@pytest.mark.long
@pytest.mark.parametrize("attempt", KNOWN_SHARED, ids=lambda attempt: attempt.name)
def test_what_a_shared_sandbox_cannot_stop(scope: RunScope, tmp_path: Path, attempt: Attempt) -> None:
    """The list is honest: each of these earns something where grading shares the agent's sandbox."""
    if attempt.name == "a library that is always loaded" and platform.machine() != "x86_64":
        pytest.skip("its code is for x86-64")
    assert reward(scope, tmp_path, SHARED, attempt.user, attempt.script) > 0


@pytest.mark.long  # one container after the other
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_no_attempt_earns_anything_in_a_fresh_sandbox(scope: RunScope, tmp_path: Path, attempt: Attempt) -> None:
    """Each alone."""
    assert reward(scope, tmp_path, FRESH, attempt.user, attempt.script) == 0


@pytest.mark.long  # one container after the other
@pytest.mark.parametrize("attempt", [one for one in ATTEMPTS if not one.works_shared], ids=lambda attempt: attempt.name)
def test_a_shared_sandbox_stops_the_rest(scope: RunScope, tmp_path: Path, attempt: Attempt) -> None:
    """What is not on the list earns nothing there either, and is not lost."""
    assert reward(scope, tmp_path, SHARED, attempt.user, attempt.script) == 0


@pytest.mark.long  # one container after the other
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
@pytest.mark.parametrize("user", [NOBODY, ROOT])
def test_what_kept_processes_earn(scope: RunScope, tmp_path: Path, attempt: Attempt, user: str) -> None:
    """The column for `processes: keep` is honest: what is not on it earns nothing, what is on it does; none is lost."""
    earned = kept_reward(scope, tmp_path, attempt, user)
    if attempt.kept not in ({BY_ANY, BY_ROOT} if user == ROOT else {BY_ANY}):
        assert earned == 0
    elif attempt.name not in RACES:
        assert earned > 0


@pytest.mark.parametrize("attempt", [one for one in ATTEMPTS if "may fill" in one.name], ids=lambda one: one.name)
def test_search_paths_pay_no_unprivileged_agent(scope: RunScope, tmp_path: Path, attempt: Attempt) -> None:
    """Checks do not search what somebody other than root may write."""
    assert reward(scope, tmp_path, SHARED, NOBODY, attempt.script) == 0


@pytest.mark.parametrize("name", ["a background process", "a lingering server", "a process that ends every check"])
def test_an_unprivileged_agents_kept_processes_earn_nothing(scope: RunScope, tmp_path: Path, name: str) -> None:
    """The grader's files are root's alone then, and what is read of the agent's is read while its processes stand."""
    (attempt,) = (one for one in ATTEMPTS if one.name == name)
    assert kept_reward(scope, tmp_path, attempt, NOBODY) == 0
