"""`taskcal schema`: prints or writes what editors need."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from taskcal.cli.commands.schema import schema
from taskcal.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def app() -> typer.Typer:
    """Give an app of this one command."""
    app = typer.Typer()
    app.command()(schema)
    return app


@pytest.mark.parametrize(
    ("arguments", "key"), [([], "properties"), (["taskset"], "properties"), (["agent"], "anyOf"), (["config"], "anyOf")]
)
def test_it_prints_json_only(app: typer.Typer, arguments: list[str], key: str) -> None:
    """The output can be piped into a file."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert key in json.loads(result.output)


def test_it_writes_a_file_and_tells_the_modeline(app: typer.Typer, tmp_path: Path) -> None:
    """What to put into the first line is printed, ready to copy."""
    path = tmp_path / "s.json"
    result = CliRunner().invoke(app, ["agent", "-o", str(path)])
    assert "# yaml-language-server: $schema=s.json" in result.output
    assert "anyOf" in json.loads(path.read_text())


def test_a_file_that_cannot_be_written_is_wrong_usage(app: typer.Typer, tmp_path: Path) -> None:
    """No traceback, but what is wrong."""
    assert isinstance(CliRunner().invoke(app, ["-o", str(tmp_path)]).exception, UsageError)
