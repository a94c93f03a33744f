"""What is wrong with a task's image is reported as the task's, once, and never as a broken engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import CommandLine
from tests.docker.samples import rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.samples import Write

BASE = "FROM debian:bookworm-slim\n"
PIP = (
    "RUN echo 'ERROR: No matching distribution found for nosuch'; echo; echo '[notice] A new release of pip'; "
    "seq 1 300; exit 1\n"
)
DOCKERFILES = {
    "good": (BASE, ""),
    "nofile": (None, "Cannot locate specified Dockerfile"),
    "empty": ("", "cannot be empty"),
    "comment": ("# nothing\n", "file with no instructions"),
    "badfrom": ("FROM Debian:bookworm-slim\n", "repository name must be lowercase"),
    "noimage": ("FROM taskcal-test.invalid/nothing:1\n", "taskcal-test.invalid"),
    "badword": (f"{BASE}RUNN echo hi\n", "unknown instruction: RUNN"),
    "nocopy": (f"{BASE}COPY nothere /x\n", "stat nothere: file does not exist"),
    "failing": (f"{BASE}{PIP}", "ERROR: No matching distribution found for nosuch"),
    "mount": (
        f"{BASE}RUN --mount=type=cache,target=/c true\n",
        "mount/Dockerfile:2: RUN --mount=type=cache,target=/c needs",
    ),
    "heredoc": (f"{BASE}\nRUN <<EOF\necho hi\nEOF\n", "heredoc/Dockerfile:3: the heredoc <<EOF needs BuildKit"),
    "chmod": (f"{BASE}COPY --chmod=755 Dockerfile /x\n", "chmod/Dockerfile:2: COPY --chmod=755 needs BuildKit"),
    "scratch": ("FROM scratch\nCOPY Dockerfile /x\n", "the image has no `sh`"),
}
HEAD = """\
taskset: images
version: 1
defaults: {grader: {checks: [{name: a, run: "true"}]}, solutions: [{name: s, run: "true"}]}
tasks:
"""


def test_every_mistake_in_a_dockerfile_is_the_images(taskcal: CommandLine, write: Write) -> None:
    """Each is built once, lost at the image with the line that failed, and the sound task beside it is measured."""
    for name, (text, _) in DOCKERFILES.items():
        write(f"{name}/{'readme' if text is None else 'Dockerfile'}", text or "")
    tasks = (f"  - {{id: {name}, prompt: x, environment: {{build: {name}}}}}\n" for name in DOCKERFILES)
    write("tasks.yaml", HEAD + "".join(tasks))
    done = taskcal("run", "tasks.yaml", "-a", "oracle", "-G", "1", "--retries", "2")
    assert "doctor" not in done.err
    recorded = {row["task"]: row for row in rows(taskcal.folder)}
    assert len(recorded) == len(rows(taskcal.folder)) == len(DOCKERFILES)
    assert recorded.pop("good")["outcome"] == "graded"
    for name, row in recorded.items():
        assert (name, row["outcome"], row.get("boundary")) == (name, "lost", "image")
        assert DOCKERFILES[name][1] in row["reason"]
        assert str(taskcal.folder) not in row["reason"]
        assert done.err.count(f"building {name}\n") == 1


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("no-helper", '{"credsStore": "taskcal-test-nothing"}'),
        ("helper-of-one", '{"credHelpers": {"taskcal-test.invalid": "taskcal-test-nothing"}, "auths": {"x": {}}}'),
        ("not-json", "{not json"),
    ],
)
def test_a_broken_docker_configuration_costs_nothing_that_needs_none(
    taskcal: CommandLine, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, config: str
) -> None:
    """Images that are here and builds on them need no credentials; one that must be pulled is lost at the image."""
    write("config/config.json", config)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    write("built/Dockerfile", f"{BASE}LABEL name={name}\n")
    environments = {"built": "build: built", "here": "image: 'debian:bookworm-slim'"}
    environments["pulled"] = "image: 'taskcal-test.invalid/nothing:1'"
    tasks = (f"  - {{id: {task}, prompt: x, environment: {{{text}}}}}\n" for task, text in environments.items())
    write("tasks.yaml", HEAD + "".join(tasks))
    done = taskcal("run", "tasks.yaml", "-a", "oracle", "-G", "1", "--retries", "0")
    assert (done.code, "Traceback" in done.err, "Warning" in done.err) == (0, False, False), done.err
    outcomes = {row["task"]: (row["outcome"], row.get("boundary")) for row in rows(taskcal.folder)}
    assert outcomes == {"built": ("graded", None), "here": ("graded", None), "pulled": ("lost", "image")}


def test_a_trial_of_the_agent_does_not_build_a_second_time(tmp_path: Path, write: Write) -> None:
    """The first task's Dockerfile fails for the trial and for the run, and is built once."""
    write("failing/Dockerfile", f"{BASE}RUN exit 7\n")
    write("tasks.yaml", f"{HEAD}  - {{id: a, prompt: x, environment: {{build: failing}}}}\n")
    write("agent.yaml", "agent: touch\nkind: command\nrun: touch a\n")
    done = CommandLine(tmp_path, preflight=True)("run", "tasks.yaml", "-a", "agent.yaml", "-G", "1")
    assert done.code == 3, done.err
    assert done.err.count("building failing\n") == 1
    (row,) = rows(tmp_path)
    assert "exit 7" in row["reason"] or "code: 7" in row["reason"]
