"""Every script of a task and of an agent is run by the interpreter that its first line names."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.core.task import Check, Grader, Group, ImageSource, RunProbe, ScriptedProbe, Service
from taskcal.errors import SetupLost
from taskcal.sandbox import Script
from taskcal.sandbox.images.baking import Images, Recipe
from taskcal.sandbox.interpreters import missing_programs
from tests.conftest import mostly_long
from tests.docker.rooms import IMAGE, PLAIN, act, judge, opened, scores, task

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.sandbox.engine.run_resources import RunScope
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

# Each text makes a file at @ if the language is the one that the first line names, and prints a score for `a`.
SH = 'test -z "$BASH_VERSION" && : >@; echo \'{"a": 1}\''
BASH = "[[ a == a && -n $BASH_VERSION ]] && : >@; echo '{\"a\": 1}'"
PERL = "use strict; my $x = '{\"a\": 1}'; open(my $f, '>', '@') or die; print \"$x\\n\"; exit 0;"
FIRST_LINES = {
    "none": ("", SH),
    "sh": ("#!/bin/sh\n", SH),
    "sh with an option": ("#!/bin/sh -f\n", f"{SH}; case $- in *f*) ;; *) exit 9 ;; esac"),
    "bash": ("#!/bin/bash\n", BASH),
    "bash by env": ("#!/usr/bin/env bash\n", BASH),
    "perl": ("#!/usr/bin/perl -w\n", PERL),
    "perl by env, split": ("#!/usr/bin/env -S perl -w\n", PERL),
    "below blank lines": ("\n \n#!/usr/bin/perl\n", PERL),
}  # fmt: skip


@pytest.mark.parametrize("kind", mostly_long(FIRST_LINES, "none", "bash", "perl by env, split"))
def test_every_script_has_its_interpreter(scope: RunScope, kind: str) -> None:
    """Setup, start, ready, finish, grader.run, checks alone and not; a service's setup, command, ready and checks."""
    first, text = FIRST_LINES[kind]

    def script(path: str) -> str:
        return first + text.replace("@", path)

    command = script("/command").replace(" exit 0;", "") + "\nsleep 1000"
    db = Service("db", ImageSource(image=IMAGE), setup=script("/setup"), command=command, ready=script("/ready"))
    environment = replace(
        PLAIN,
        setup=script("/setup"),
        start=script("/start"),
        ready=script("/ready"),
        finish=script("/finish"),
        services=(db,),
    )
    checks = (
        Check("a", ScriptedProbe()),
        Check(
            "made",
            RunProbe("cd / && test -e setup && test -e start && test -e ready && test -e run-all && test ! -e finish"),
        ),
        Check("plain", RunProbe(script("/plain"))),
        Check("alone", RunProbe(script("/alone"), alone=True)),
        Check("in db", RunProbe(script("/in-db"), service="db")),
        Check("db made", RunProbe("cd / && test -e setup && test -e command && test -e ready", service="db")),
        Check("all made", RunProbe("test -e /plain && test -e /alone", alone=True)),
    )
    base = task(environment=environment)
    group = Group(replace(base.task, grader=Grader(checks, run=script("/run-all"))), base.variant)
    with opened(scope, group) as sandbox:
        failed = [check for check in judge(sandbox, group).graded.checks if check.score < 1]
        assert failed == []
        sandbox.finish()
        assert act(sandbox, "test -e /finish && ! grep -rl finish /tmp /run/taskcal").ok


@pytest.mark.parametrize("kind", mostly_long(FIRST_LINES, "bash by env"))
def test_solutions_and_agents_have_theirs(taskcal: CommandLine, write: Write, kind: str) -> None:
    """A solution, an agent's install and run, and a tool; none leaves its script behind."""
    first, text = FIRST_LINES[kind]

    def script(path: str, indent: int) -> str:
        return "".join(f"{' ' * indent}{line}\n" for line in (first + text.replace("@", path)).strip().splitlines())

    write(
        "tasks.yaml",
        f"""taskset: t
version: 1
tasks:
  - id: t
    prompt: p
    environment: {{image: "{IMAGE}", user: nobody}}
    grader:
      checks:
        - {{name: made, run: "test -e /tmp/made"}}
        - {{name: nothing left, run: test -z "$(find /tmp /run/taskcal -name 'script.*' -o -name 'tmp.*')"}}
    solutions:
      - name: s
        run: |
{script("/tmp/made", 10)}""",
    )
    write(
        "agent.yaml", f"agent: a\nkind: command\ninstall: |\n{script('/installed', 2)}run: |\n{script('/tmp/made', 2)}"
    )
    for agent in ("oracle", "agent.yaml"):
        ended = taskcal("run", "tasks.yaml", "-G", "1", "-a", agent, "-q", "-o", f"runs-{agent}")
        assert ended.code == 0, ended.err
    assert [row["reward"] for folder in taskcal.folder.glob("runs-*") for row in rows_below(folder)] == [1.0, 1.0]


def rows_below(folder: Path) -> list[dict[str, float]]:
    """The rollouts of the only run in a folder of runs."""
    return [json.loads(line) for line in next(folder.glob("*/rollouts.jsonl")).read_text().splitlines()]


def test_a_missing_interpreter_fails_its_own_script(scope: RunScope) -> None:
    """A setup says which it is; a check is graded with its note; and a probe can list what is missing."""
    images = Images(scope, network=False, log=lambda _: None)
    with pytest.raises(SetupLost, match="/usr/bin/python3: not found"):
        images.bake(images.find(ImageSource(image=IMAGE)), Recipe(setup="#!/usr/bin/python3\nprint(1)"))
    group = task("#!/usr/bin/python3\nprint(1)", "true")
    assert scores(scope, group) == [0, 1]
    with opened(scope, group) as sandbox:
        said = sandbox.run(Script(missing_programs(["/usr/bin/perl", "bash", "python3", "/usr/bin/ruby"]), 20.0))
    assert said.stdout == b"python3\n/usr/bin/ruby\n"


@pytest.mark.parametrize(
    ("setup", "says"),
    [
        ("cp /nonexistent /x\necho prepared", r"at its line 1 \(cp /nonexistent /x\), exit 1: cp: cannot stat"),
        ("true\nfalse; true\necho prepared", r"at its line 2 \(false; true\)"),
        ("f() { false; true; }\nf\necho prepared", r"at its line 2 \(f\)"),
        ("#!/bin/bash\nfalse\necho prepared", r"at its line 2 \(false\)"),
        ("#!/usr/bin/env -S bash -u\necho $none\ntrue", "unbound variable"),
        ("#!/usr/bin/perl\ndie 'no'", r"exit \d+\): no at"),
    ],
)
def test_a_setup_stops_at_its_first_failing_line(scope: RunScope, setup: str, says: str) -> None:
    """And so does an install, with the line in the reason."""
    images = Images(scope, network=False, log=lambda _: None)
    base = images.find(ImageSource(image=IMAGE))
    with pytest.raises(SetupLost, match=says):
        images.bake(base, Recipe(setup=setup))


@pytest.mark.parametrize(
    "setup",
    [
        "false || true\ntrue",
        "if false; then :; fi",
        "! true",
        "false && true\ntrue",
        "false | true\ntrue",
        "set +e\nfalse\ntrue",
    ],
)
def test_what_a_shell_allows_to_fail_may_fail(scope: RunScope, setup: str) -> None:
    """Conditions, lists, pipes before their last command, and what says so."""
    images = Images(scope, network=False, log=lambda _: None)
    assert images.bake(images.find(ImageSource(image=IMAGE)), Recipe(setup=f"{setup}\n: >/made-{len(setup)}"))
