"""The project's configuration: `taskcal.yaml`, or `[tool.taskcal]` in `pyproject.toml`, in this folder or one above."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.errors import InputError, Problem

if TYPE_CHECKING:
    from taskcal.cli.options.configuration_file import ConfigurationModel


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a project sets for all its runs; None leaves taskcal's own default. Paths are as `--agent` takes them."""

    agent: str | None = None
    group_size: int | None = None
    concurrency: int | None = None
    retries: int | None = None
    fail_on: str | None = None
    max_lost: float | None = None
    band: str | None = None
    runs: str | None = None


TOO_DEEP = "nested too deep"


def find_configuration(start: Path) -> Configuration:
    """The nearest configuration at or above a folder. Raises InputError where it is wrong."""
    for folder in (start, *start.parents):
        if (path := folder / "taskcal.yaml").is_file():
            return _read_yaml(path)
        if (path := folder / "pyproject.toml").is_file() and (table := _table_in(path)) is not None:
            return _read_table(path, table)
    return Configuration()


def _read_yaml(path: Path) -> Configuration:
    """Read it as a taskset is read, since it may come with a stranger's repository, too. Raises InputError."""
    from taskcal.cli.options.configuration_file import read_yaml_configuration
    from taskcal.yamlfile.reader import read_text

    file = _relative(path)
    return _configuration(read_yaml_configuration(read_text(path, file), path, file), path)


def _table_in(path: Path) -> object:
    """The value of `tool.taskcal` in a pyproject.toml, or None. Raises InputError."""
    import tomllib

    from taskcal.yamlfile.reader import read_text

    try:
        tool = tomllib.loads(read_text(path, _relative(path))).get("tool", {})
    except RecursionError as error:
        raise _problem(path, "", TOO_DEEP) from error
    except ValueError as error:
        raise _problem(path, "", str(error)) from error
    if not isinstance(tool, dict):
        raise _problem(path, "tool", "must be a table")
    return tool.get("taskcal")


def _read_table(path: Path, table: object) -> Configuration:
    from taskcal.cli.options.configuration_file import read_toml_configuration

    if not isinstance(table, dict):
        raise _problem(path, "tool.taskcal", "must be a table of settings")
    return _configuration(read_toml_configuration(table, path, _relative(path)), path)


def _configuration(model: ConfigurationModel, path: Path) -> Configuration:
    settings = Configuration(**model.model_dump())
    if settings.agent is not None and (path.parent / settings.agent).is_file():
        return replace(settings, agent=_relative(path.parent / settings.agent))
    return settings


def _relative(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _problem(path: Path, key: str, message: str) -> InputError:
    return InputError((Problem(_relative(path), None, key, message),))
