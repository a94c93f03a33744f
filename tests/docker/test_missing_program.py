"""Agents that end with 126 or 127 in real containers: whose fault it is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.agents.command import CommandAgent
from taskcal.agents.spec import CommandSpec
from taskcal.core.rollout import Graded, Lost, Stop
from taskcal.errors import Boundary
from tests.docker.rooms import PLAIN, rolled_out, task

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.core.rollout import Outcome
    from taskcal.sandbox.engine.run_resources import RunScope
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

SETUP = """
printf '#!/usr/bin/env node\\n' >/usr/local/bin/needs-node; chmod 755 /usr/local/bin/needs-node
printf '#!/no/such/shell\\n' >/usr/local/bin/no-shell; chmod 755 /usr/local/bin/no-shell
printf '#!/bin/sh\\necho hello\\n' >/usr/local/bin/closed; chmod 700 /usr/local/bin/closed
mkdir -p /opt/x; printf '#!/bin/sh\\necho hello; exit 127\\n' >/opt/x/works; chmod 755 /opt/x/works
"""
WORKED = """cat >solve.sh <<'S'
echo "nearly there"
pyhton3 test.py
S
sh solve.sh"""


def end_of(scope: RunScope, folder: Path, run: str) -> Outcome:
    """What comes of a rollout in which an agent without rights runs this, in a folder of its own."""
    environment = replace(PLAIN, setup=SETUP, user="1000", workdir="/tmp")
    return rolled_out(scope, folder, task("true", environment=environment), CommandAgent(CommandSpec("a", run)))


MISSING = [
    ("no-such-agent --prompt x", "no-such-agent"),
    ("set -e; cd /tmp\nno-such-agent", "no-such-agent"),
    ("echo starting >log; exec no-such-agent", "no-such-agent"),
    ("timeout 20 no-such-agent", "no-such-agent"),
    ("no-such-agent >log 2>&1", "no-such-agent"),
    ("needs-node", "needs-node"),
    ("no-shell", "no-shell"),
    ("closed", "closed"),
    ("/opt/agent/run", "/opt/agent/run"),
    ("bash -c 'no-such-agent'", "no-such-agent"),
    ("no-such-agent --prompt x | tee log", "no-such-agent"),
    ("no-such-agent || exit 1", "no-such-agent"),
    ("AGENT=no-such-agent\n$AGENT --prompt x", "no-such-agent"),
    ("#!/usr/bin/env no-such-python\nimport os\nos.remove('x')", "no-such-python"),
    ("#!/bin/bash\nset -e\nno-such-agent", "no-such-agent"),
]


@pytest.mark.parametrize(
    ("run", "name"), [*MISSING[:3], *(pytest.param(*case, marks=pytest.mark.long) for case in MISSING[3:])]
)
def test_an_agent_whose_program_is_missing_is_lost(scope: RunScope, tmp_path: Path, run: str, name: str) -> None:
    """At agent-install, with one sentence that names it; no reward is made up."""
    outcome = end_of(scope, tmp_path, run)
    assert isinstance(outcome, Lost), outcome
    assert outcome.boundary is Boundary.AGENT_INSTALL
    assert f"the agent's program {name} was not found or cannot run (exit " in outcome.reason


CRASHED = [
    WORKED,
    "touch ok; exit 127",
    "echo starting; exec no-such-agent",
    "perl -e 1 >log || true; no-such-agent",
    "exit 126",
    'sh -c "$(echo pyhton3)" 2>/dev/null',
    "cd /opt/x; ./works",
    "export PATH=/opt/x:$PATH; works",
    "cp /bin/ls tool; rm tool; ./tool",
    "ls /; ./what-the-model-should-have-written",
    "echo 'sh: 1: no-such-agent: not found'; exit 127",
    "touch ok; no-such-agent || exit 1",
]


@pytest.mark.parametrize("run", [*CRASHED[:3], *(pytest.param(case, marks=pytest.mark.long) for case in CRASHED[3:])])
def test_an_agent_that_worked_and_ends_so_has_crashed(scope: RunScope, tmp_path: Path, run: str) -> None:
    """It is graded by what it left behind, and cannot choose to be lost."""
    outcome = end_of(scope, tmp_path, run)
    assert isinstance(outcome, Graded), outcome
    assert (outcome.stop, outcome.reward) == (Stop.CRASHED, 1.0)


TASKS = """
taskset: checks
version: 1
tasks:
  - id: make
    prompt: Install no-such-jq, and write {} into /tmp/made.
    environment: {image: "debian:bookworm-slim"}
    grader: {checks: [{name: valid, run: "no-such-jq -e . /tmp/made && exit 0\\nseq 300 >&2\\nexit 127"}]}
    solutions:
      - {name: brings it, run: "ln -s /bin/true /bin/no-such-jq"}
"""


def test_a_check_whose_program_is_missing_is_shown_as_that(taskcal: CommandLine, write: Write) -> None:
    """A program that the agent has to bring: the note is in the table, in report.md and in calibration.json."""
    write("tasks.yaml", TASKS)
    write("agent.yaml", "agent: a\nkind: command\nrun: echo {} >/tmp/made\n")
    ended = taskcal("run", "tasks.yaml", "--agent", "agent.yaml", "-G", "2", "-q")
    assert ended.code == 0, ended.err
    said = r"exit 127: \S*: 1: no-such-jq: not found \| "
    assert re.search(rf"check 'valid' cannot run: {said}", ended.out)
    (report,) = taskcal.folder.rglob("report.md")
    assert "no-such-jq: not found" in report.read_text()
    (path,) = taskcal.folder.rglob("calibration.json")
    (check,) = json.loads(path.read_text())["tasks"][0]["checks"]
    assert re.match(said, check["note"])
    assert check["note"].endswith(" | 300")
