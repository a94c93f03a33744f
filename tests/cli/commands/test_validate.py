"""`taskcal validate`: one line a file, warnings, and exit codes, without an engine."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from taskcal.cli.commands.validate import validate
from taskcal.errors import InputError, UsageError

GOOD = """\
taskset: t
version: 1
tasks:
  - id: a
    prompt: p
    environment: {image: a}
    grader: {checks: [{name: a, run: x}, {name: b, run: x}]}
    variants: {v: [1, 2, 3]}
    solutions: [{name: s, run: x}]
    wrong: [{name: w, run: x}]
"""


@pytest.fixture
def app() -> typer.Typer:
    """Give an app of this one command."""
    app = typer.Typer()
    app.command()(validate)
    return app


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder, with a good taskset in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)
    return tmp_path


def test_a_good_taskset_is_one_line(app: typer.Typer) -> None:
    """How many tasks and variants, and that it is fine."""
    result = CliRunner().invoke(app, ["good.yaml", "--strict"])
    assert (result.exit_code, result.output) == (0, "good.yaml: 3 variants of 1 task, ok\n")


def test_warnings_are_printed_and_count_only_when_strict(app: typer.Typer) -> None:
    """A warning is no mistake, unless `--strict` says so."""
    Path("weak.yaml").write_text(GOOD.replace("    solutions: [{name: s, run: x}]\n", "").replace("id: a", "id: b"))
    result = CliRunner().invoke(app, ["."])
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "warning: weak.yaml:4: b: no solution: nothing proves that the task can be done",
        "good.yaml: 3 variants of 1 task, ok",
        "weak.yaml: 3 variants of 1 task, ok",
        "in all: 6 variants of 2 tasks",
    ]
    assert CliRunner().invoke(app, [".", "--strict"]).exit_code == 1


def test_mistakes_and_wrong_paths_end_with_two(app: typer.Typer) -> None:
    """The errors of the loader come through as they are, with their exit code."""
    Path("bad.yaml").write_text(GOOD.replace("prompt", "promt"))
    mistake = CliRunner().invoke(app, ["bad.yaml"]).exception
    missing = CliRunner().invoke(app, ["absent.yaml"]).exception
    assert isinstance(mistake, InputError)
    assert "bad.yaml:5: tasks[0].promt: unknown key, did you mean prompt?" in str(mistake)
    assert isinstance(missing, UsageError)
    assert (mistake.exit_code, missing.exit_code) == (2, 2)
