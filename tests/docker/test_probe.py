"""A defect of an environment is found once, before the first rollout, with a sentence that names it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.agents.builtin import Noop
from taskcal.core.plan import OperatorBounds
from taskcal.core.rollout import Lost
from taskcal.core.task import Environment, FileCopy, Group, ImageSource, Limits, RunProbe, Service
from taskcal.errors import Boundary
from taskcal.runs.images.probe import Probes, ReadyGroup, ready_group
from taskcal.sandbox import container, services
from taskcal.sandbox.images.baking import Images
from tests.docker.rooms import IMAGE, PLAIN, task
from tests.docker.samples import rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from taskcal.sandbox.engine.run_resources import RunScope
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

AGENT = "useradd --create-home agent; mkdir -p /work"


def environment(**changed: Any) -> Environment:
    return replace(PLAIN, workdir="/work", **changed)


def served(command: tuple[str, ...] | str, **changed: Any) -> Environment:
    """An environment with one service, `db`."""
    return environment(services=(Service("db", ImageSource(image=IMAGE), command=command, **changed),))


def tried(scope: RunScope, group: Group, agent: Noop | None = None) -> ReadyGroup | Lost:
    images = Images(scope, network=False, log=lambda _: None)
    return ready_group(group, images, Probes(scope), agent or Noop(), OperatorBounds())


DEFECTS: Mapping[str, tuple[Environment, Boundary, tuple[str, ...]]] = {
    "user": (environment(user="agnet"), Boundary.SETUP, ("agnet does not exist", "unable to find user", "`setup`")),
    "group": (environment(user="root:agnet"), Boundary.SETUP, ("root:agnet does not exist",)),
    "uid": (environment(user="99999999999"), Boundary.SETUP, ("99999999999 does not exist",)),
    "workdir": (
        environment(user="agent", setup=f"{AGENT}; chmod 700 /work"),
        Boundary.SETUP,
        ("agent cannot enter the workdir /work", "chmod"),
    ),
    "workdir-is-a-file": (
        replace(PLAIN, workdir="/etc/passwd"),
        Boundary.SETUP,
        ("/etc/passwd is not a directory", "correct `workdir`"),
    ),
    "no-setsid": (environment(setup="rm /usr/bin/setsid"), Boundary.SETUP, ("the image has no setsid", "install it")),
    "no-stat": (environment(setup="rm /usr/bin/stat"), Boundary.SETUP, ("the image has no stat",)),
    "no-coreutils": (
        environment(setup="rm /usr/bin/head /usr/bin/tail"),
        Boundary.SETUP,
        ("the image has no head and no tail",),
    ),
    "no-shell": (environment(setup="rm /bin/sh"), Boundary.IMAGE, ("the image has no `sh`",)),
    "start": (environment(start="echo broken; exit 3"), Boundary.SETUP, ("start failed after", "exit 3", "broken")),
    "finish-interpreter": (
        environment(finish="#!/usr/bin/env python9\nprint(1)"),
        Boundary.SETUP,
        ("finish asks for python9", "#!"),
    ),
    "cpus": (environment(limits=Limits(cpus=4096.0)), Boundary.SETUP, ("Range of CPUs", "correct `cpus`")),
    "cpus-while-baking": (environment(limits=Limits(cpus=4096.0), setup="true"), Boundary.SETUP, ("Range of CPUs",)),
    "memory": (environment(limits=Limits(memory=1024)), Boundary.SETUP, ("memory limit",)),
    "service-command": (served(("postgres",)), Boundary.SERVICE, ("service db", '"postgres": executable file not')),
    "service-ends": (
        served("sleep 0.3; echo config missing >&2; exit 1"),
        Boundary.SERVICE,
        ("service db ended (exit 1) before the agent began", "config missing"),
    ),
    "service-killed": (served("sleep 0.5; exit 137"), Boundary.SERVICE, ("service db ended (exit 137)",)),
    "service-never-ready": (
        served("exit 0", ready="true"),
        Boundary.SERVICE,
        ("service db ended (exit 0) before its ready script succeeded", "foreground"),
    ),
    "setup-unknown-program": (
        environment(setup="frobnicate now"),
        Boundary.SETUP,
        ("setup failed at its line 1 (frobnicate now), exit 127", "1: frobnicate: not found"),
    ),
    "path": (environment(env={"PATH": "/opt/none"}), Boundary.IMAGE, ("no `sh` on its PATH",)),
    "service-limits": (served("sleep 9", limits=Limits(cpus=4096.0)), Boundary.SETUP, ("Range of CPUs",)),
    "image-name": (replace(PLAIN, source=ImageSource(image="No Image")), Boundary.IMAGE, ("invalid reference format",)),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_lost_with_its_cause(scope: RunScope, name: str) -> None:
    """Each is lost before an agent is asked, at the boundary that it belongs to, in one sentence."""
    defective, boundary, words = DEFECTS[name]
    found = tried(scope, task(environment=defective))
    assert isinstance(found, Lost)
    assert found.boundary is boundary, found.reason
    assert [word for word in words if word not in found.reason] == []
    assert "\n" not in found.reason


SOUND: Mapping[str, Environment] = {
    "plain": PLAIN,
    "a user": environment(user="agent", setup=f"{AGENT}; chown agent /work"),
    "a uid that no file names": environment(user="12345", setup="mkdir -p /work; chmod 777 /work"),
    "a service": served("sleep 60"),
    "a service that has done its work": served("exit 0"),
    "a service whose image does not matter": served("sleep 60", ready="true"),
    "start, ready and finish": environment(start="sleep 60 & touch /tmp/up", ready="test -e /tmp/up", finish="true"),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_environment_passes_without_a_warning(scope: RunScope, name: str) -> None:
    """What works is not complained about, and the programs of its image are known."""
    found = tried(scope, task(environment=SOUND[name]))
    assert isinstance(found, ReadyGroup), found
    assert found.probe.warnings == ()
    assert {"sh", "grep", "setsid"} <= found.probe.programs[""]


def test_a_service_that_checks_run_in_must_stay(scope: RunScope) -> None:
    """One that has ended with 0 has done its work for the agent, and is no place for a check."""
    found = tried(scope, task(RunProbe("true", service="db"), environment=served("exit 0")))
    assert isinstance(found, Lost)
    assert found.boundary is Boundary.SERVICE
    assert "checks run in it (`in: db`)" in found.reason


def test_a_closed_tmp_is_a_warning(scope: RunScope) -> None:
    """Most programs need /tmp; a task may still mean it."""
    found = tried(scope, task(environment=environment(user="agent", setup=f"{AGENT}; chmod 777 /work; chmod 700 /tmp")))
    assert isinstance(found, ReadyGroup), found
    assert found.probe.warnings == ("the user agent cannot write to /tmp",)


def test_what_may_be_meant_is_a_warning(scope: RunScope) -> None:
    """A read-only workdir and a failing `finish` are told, and the task is measured."""
    odd = environment(user="agent", setup=AGENT, finish="echo gone; exit 2")
    found = tried(scope, task(environment=odd))
    assert isinstance(found, ReadyGroup), found
    assert found.probe.warnings == (
        "the user agent cannot write to the workdir /work",
        "`finish` failed (exit 2): gone",
    )


def test_a_graders_file_below_a_file_is_a_defect(scope: RunScope, tmp_path: Path) -> None:
    """It would replace the file, and no check could run; below a folder or a link to one it is fine."""
    (tmp_path / "x").write_text("x")
    for place, is_defect in (("/etc/passwd/x", True), ("/etc/hostname/a/x", True), ("/var/run/x", False)):
        group = task()
        grader = replace(group.task.grader, files=(FileCopy(place, str(tmp_path / "x")),))
        found = tried(scope, Group(replace(group.task, grader=grader), group.variant))
        assert isinstance(found, Lost) is is_defect, found
        if isinstance(found, Lost):
            assert f"{place} lies below" in found.reason


def test_the_agent_files_user_is_tried_too(scope: RunScope) -> None:
    """An agent file that names a user is measured as that user."""

    class Named(Noop):
        user = "nobodyhere"

    found = tried(scope, task(), Named())
    assert isinstance(found, Lost)
    assert "nobodyhere does not exist" in found.reason


def test_a_service_that_checks_run_in_needs_what_grading_needs(scope: RunScope) -> None:
    """The service's image is tried as well, and named; without such a check it may be as it likes."""
    bare = served("sleep 60", setup="rm /usr/bin/setsid")
    found = tried(scope, task(RunProbe("true", service="db"), environment=bare))
    assert isinstance(found, Lost)
    assert "the image of service db has no setsid" in found.reason
    assert isinstance(tried(scope, task(environment=bare)), ReadyGroup)


def test_two_services_on_one_port_are_a_defect(scope: RunScope) -> None:
    """The second cannot listen, ends, and is named with its own words."""
    serve = (
        "perl -MIO::Socket::INET -e "
        "'$s = IO::Socket::INET->new(LocalPort => 7001, Listen => 1) or die qq(bind: $!\\n); sleep 60'"
    )
    both = tuple(Service(name, ImageSource(image=IMAGE), command=serve) for name in ("a", "b"))
    found = tried(scope, task(environment=environment(services=both)))
    assert isinstance(found, Lost)
    assert found.boundary is Boundary.SERVICE
    assert "bind: Address already in use" in found.reason


@pytest.mark.parametrize(
    ("start", "ready", "words"),
    [
        ("echo waiting; sleep 60", "", ("start did not end within", "in the background", "waiting")),
        ("", "echo not yet; false", ("ready did not succeed within 1 s", "not yet", "db printed last: hello")),
        ("", "sleep 60", ("ready did not succeed within 1 s", "it printed nothing")),
    ],
)
def test_what_never_gets_ready_says_what_it_printed(
    scope: RunScope, monkeypatch: pytest.MonkeyPatch, start: str, ready: str, words: tuple[str, ...]
) -> None:
    """Start and ready are told apart; the reason has the output, the services' last lines and the real seconds."""
    monkeypatch.setattr(container, "READY_SECONDS", 1)
    found = tried(scope, task(environment=replace(served("echo hello; sleep 60"), start=start, ready=ready)))
    assert isinstance(found, Lost)
    assert found.boundary is Boundary.SETUP
    assert [word for word in words if word not in found.reason] == []


def test_a_service_that_never_gets_ready_says_what_both_printed(
    scope: RunScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ready script's words and the service's own."""
    monkeypatch.setattr(services, "READY_SECONDS", 1)
    found = tried(scope, task(environment=served("echo starting; sleep 60", ready="echo refused; false")))
    assert isinstance(found, Lost)
    assert found.boundary is Boundary.SERVICE
    assert "did not succeed within 1 s" in found.reason
    assert "refused" in found.reason
    assert "service db printed last: starting" in found.reason


TASKSET = """
taskset: probed
version: 1
environments:
  good: {image: "debian:bookworm-slim", workdir: /work}
  bad: {image: "debian:bookworm-slim", workdir: /work, user: agnet}
defaults: {grader: {checks: [{name: a, run: test -e a}]}, solutions: [{name: s, run: touch a}]}
tasks:
  - {id: one, prompt: x, environment: good}
  - {id: two, prompt: x, environment: good, params: {n: 1}, variants: {word: [x, y]}}
  - {id: three, prompt: x, environment: bad}
  - {id: four, prompt: x, environment: bad}
"""


def test_a_run_tries_each_image_once(taskcal: CommandLine, write: Write) -> None:
    """A defect is one line for all its tasks and one row a task, whatever the retries; the others are measured."""
    write("tasks.yaml", TASKSET)
    done = taskcal("run", "tasks.yaml", "-a", "oracle", "-G", "2", "--retries", "2", "--json")
    assert done.code == 0, done.err
    assert done.err.count("three and 1 more cannot be measured: setup: the user agnet does not exist") == 1
    recorded = rows(taskcal.folder)
    lost = [row for row in recorded if row["outcome"] == "lost"]
    assert sorted((row["task"], row["attempt"]) for row in lost) == [("four", 0), ("three", 0)]
    assert sum(row["outcome"] == "graded" for row in recorded) == 6
    verdicts = {one["id"]: one["verdict"] for one in json.loads(done.out)["tasks"]}
    assert verdicts["three"] == verdicts["four"] == "unmeasured"


def test_groups_of_one_environment_share_a_probe(scope: RunScope) -> None:
    """The second group of an environment costs no container."""
    images, probes = Images(scope, network=False, log=lambda _: None), Probes(scope)
    first, second = task("true"), task("false", params={"n": 1})
    results = [ready_group(group, images, probes, Noop(), OperatorBounds()) for group in (first, second)]
    assert isinstance(results[0], ReadyGroup)
    assert isinstance(results[1], ReadyGroup)
    assert results[0].probe is results[1].probe


def test_a_service_that_fails_beside_the_agent_is_named_beside_the_reward(taskcal: CommandLine, write: Write) -> None:
    """The rollout is graded; its row, the table and `show` name the service."""
    write(
        "tasks.yaml",
        TASKSET.split("environments:", maxsplit=1)[0]
        + """\
environments:
  box:
    image: debian:bookworm-slim
    services: {db: {image: "debian:bookworm-slim", command: "sleep 5; echo out of disk; exit 4"}}
tasks:
  - id: t
    prompt: x
    environment: box
    grader: {checks: [{name: a, run: "true"}]}
    solutions: [{name: s, run: "sleep 7"}]
""",
    )
    done = taskcal("run", "tasks.yaml", "-a", "oracle", "-G", "1")
    assert done.code == 0, done.err
    (row,) = rows(taskcal.folder)
    assert row["ended_services"] == ["service db ended (exit 4): out of disk"]
    assert "service db ended (exit 4): out of disk" in done.out
    assert "service db ended (exit 4): out of disk" in taskcal("show", "t#0").out
