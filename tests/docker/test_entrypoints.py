"""What an image starts by itself is said to be missing in a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

TASKSET = """
taskset: entrypoints
version: 1
environments:
  app: {build: img, services: {db: {build: svc}}}
  started: {build: img, start: "true"}
defaults: {grader: {checks: [{name: a, run: "true"}]}}
tasks:
  - {id: a, prompt: p, environment: app}
  - {id: b, prompt: p, environment: {extends: app, setup: "touch /x"}}
  - {id: started, prompt: p, environment: started}
"""


def test_an_entrypoint_that_no_sandbox_runs_is_reported_once(taskcal: CommandLine, write: Write) -> None:
    """On the terminal, in the record and in the report; not for a service, and not where `start` takes its place."""
    write("img/Dockerfile", 'FROM debian:bookworm-slim\nENTRYPOINT ["/usr/bin/env", "A=1", "/serve"]\n')
    write("svc/Dockerfile", 'FROM debian:bookworm-slim\nENTRYPOINT ["sleep"]\nCMD ["1000"]\n')
    write("tasks.yaml", TASKSET)
    ended = taskcal("run", "tasks.yaml", "-a", "noop", "-G", "1", "--task", "?")
    says = 'image img has ENTRYPOINT ["/usr/bin/env", "A=1", "/serve"], which a sandbox does not run'
    assert ended.err.count(says) == 1
    assert ended.out.count(f"Note: {says}") == 1
    assert "svc has" not in ended.err + ended.out
    ended = taskcal("run", "tasks.yaml", "-a", "noop", "-G", "1", "--task", "started")
    assert ended.code == 0
    assert "does not run" not in ended.err + ended.out
