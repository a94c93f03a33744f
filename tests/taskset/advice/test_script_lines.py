"""A first line that no system could run is refused where it is written, in every place that takes a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskcal.agents.agent_file import load_agent
from taskcal.errors import InputError
from taskcal.taskset.load import load
from tests.taskset.taskset_case import HEAD, Yaml

if TYPE_CHECKING:
    from pathlib import Path

BAD = '"#!/bin/sh\\r\\ntrue"'
GOOD = '"#!/usr/bin/env -S python3 -u\\nprint(1)"'
PLACES = {
    "environment.setup": "environment: {{image: a, setup: {0}}}",
    "environment.start": "environment: {{image: a, start: {0}}}",
    "environment.ready": "environment: {{image: a, ready: {0}}}",
    "environment.finish": "environment: {{image: a, finish: {0}}}",
    "environment.services.db.setup": "environment: {{image: a, services: {{db: {{image: a, setup: {0}}}}}}}",
    "environment.services.db.ready": "environment: {{image: a, services: {{db: {{image: a, ready: {0}}}}}}}",
    "environment.services.db.command": "environment: {{image: a, services: {{db: {{image: a, command: {0}}}}}}}",
    "grader.run": "grader: {{run: {0}, checks: [{{name: a}}]}}",
    "grader.checks[0].run": "grader: {{checks: [{{name: a, run: {0}}}]}}",
    "solutions[0].run": "solutions: [{{name: a, run: {0}}}]",
    "wrong[0].run": "wrong: [{{name: a, run: {0}}}]",
    "tools[0].run": "tools: [{{name: a, run: {0}}}]",
    "mcp[0].run": "mcp: [{{name: a, run: {0}}}]",
}


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yaml:
    """Give a folder to write tasksets into, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Yaml(tmp_path)


@pytest.mark.parametrize("place", PLACES)
def test_every_place_of_a_script_looks_at_its_first_line(yaml: Yaml, place: str) -> None:
    """With line, key and remedy; what a system can run is taken."""
    (problem,) = yaml.task_problems(f"prompt: p\n{PLACES[place].format(BAD)}")
    assert problem.startswith(f"11: tasks[0].{place}: the first line ends with a carriage return (CRLF)")
    yaml.task(f"prompt: p\n{PLACES[place].format(GOOD)}")


@pytest.mark.parametrize(
    ("rest", "key"),
    [("kind: command\n", "run"), ("kind: command\nrun: x\n", "install"), ("kind: python\ncall: a:b\n", "install")],
)
def test_an_agents_scripts_too(tmp_path: Path, rest: str, key: str) -> None:
    """In an agent file."""
    (tmp_path / "agent.yaml").write_text(f"agent: a\n{rest}{key}: {BAD}\n")
    with pytest.raises(InputError, match=rf"{key}: the first line ends with a carriage return"):
        load_agent(tmp_path / "agent.yaml")


def test_windows_line_ends_of_a_file_are_no_mistake(yaml: Yaml) -> None:
    """YAML reads a block's line ends as LF, whatever the editor wrote."""
    text = HEAD + "  - id: one\n    prompt: p\n    grader:\n      checks:\n        - name: c\n          run: |\n"
    text += "            #!/bin/bash\n            true\n"
    (yaml.folder / "t.yaml").write_bytes(text.replace("\n", "\r\n").encode())
    (check,) = load(["t.yaml"]).tasks[0].grader.checks
    assert check.probe.script == "#!/bin/bash\ntrue\n"  # type: ignore[union-attr]  # it is a script's


@pytest.mark.parametrize(
    ("grader", "says"),
    [
        (
            "{processes: keep, sandbox: fresh, artifacts: [/a], checks: [{name: a, run: x}]}",
            "goes with sandbox: shared",
        ),
        ("{processes: kept, checks: [{name: a, run: x}]}", "must be stop or keep"),
    ],
)
def test_processes_are_kept_in_a_shared_sandbox_alone(yaml: Yaml, grader: str, says: str) -> None:
    """And the word is one of two."""
    assert any(says in problem for problem in yaml.task_problems(f"prompt: p\ngrader: {grader}"))
