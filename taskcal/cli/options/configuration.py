"""The project's configuration: `taskcal.yaml`, or `[tool.taskcal]` in `pyproject.toml`, in this folder or one above."""

from __future__ import annotations

import difflib
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.errors import InputError, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


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


KINDS: dict[str, type | tuple[type, ...]] = {
    "agent": str,
    "group_size": int,
    "concurrency": int,
    "retries": int,
    "fail_on": str,
    "max_lost": (int, float),
    "band": str,
    "runs": str,
}


TOO_DEEP = "nested too deep"
LEAST = {"group_size": 1, "concurrency": 1, "retries": 0, "max_lost": 0}
"""The bounds that the options of the same names have."""


def find_configuration(start: Path) -> Configuration:
    """The nearest configuration at or above a folder. Raises InputError where it is wrong."""
    for path, found in _candidates(start):
        if found is not None:
            return _checked(path, found)
    return Configuration()


def _candidates(start: Path) -> Iterator[tuple[Path, object]]:
    for folder in (start, *start.parents):
        if (path := folder / "taskcal.yaml").is_file():
            yield path, _read_yaml(path)
        if (path := folder / "pyproject.toml").is_file():
            yield path, _read_toml(path)


def _read_yaml(path: Path) -> object:
    """Read it as a taskset is read, since it may come with a stranger's repository, too. Raises InputError."""
    from taskcal.yamlfile.source import parse, read_text

    text = read_text(path, _relative(path))
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        return {}
    found = parse(text, _relative(path))
    if found.problems:
        raise InputError(found.problems)
    return found.top


def _read_toml(path: Path) -> object:
    import tomllib

    from taskcal.yamlfile.source import read_text

    try:
        tool = tomllib.loads(read_text(path, _relative(path))).get("tool", {})
    except RecursionError as error:
        raise _problem(path, "", TOO_DEEP) from error
    except ValueError as error:
        raise _problem(path, "", str(error)) from error
    if not isinstance(tool, dict):
        raise _problem(path, "tool", "must be a table")
    return tool.get("taskcal")


def _checked(path: Path, found: object) -> Configuration:
    if not isinstance(found, dict):
        raise _problem(path, "", "must be a map of settings")
    for key, value in found.items():
        _check(path, str(key), value)
    if "agent" in found and (path.parent / found["agent"]).is_file():
        found = {**found, "agent": _relative(path.parent / found["agent"])}
    return Configuration(**found)


def _check(path: Path, key: str, value: object) -> None:
    if key not in KINDS:
        near = difflib.get_close_matches(key, KINDS, 1)
        raise _problem(
            path, key, f"unknown setting; {f'did you mean {near[0]}?' if near else 'known: ' + ', '.join(KINDS)}"
        )
    if not isinstance(value, KINDS[key]) or isinstance(value, bool):
        hint = ", must be text such as 0.05,0.75" if key == "band" else ""
        raise _problem(path, key, f"{reprlib.repr(value)} does not fit here{hint}")
    if isinstance(value, int | float) and not value >= LEAST[key]:
        raise _problem(path, key, f"must be at least {LEAST[key]}")
    if key == "max_lost" and isinstance(value, int | float) and value > 1:
        raise _problem(path, key, "must be at most 1")
    if isinstance(value, str):
        _check_text(path, key, value)


def _check_text(path: Path, key: str, value: str) -> None:
    """Refuse here what the option of the same name would refuse, so that the file is named, not an option."""
    from taskcal.cli.options.parse import read_band
    from taskcal.core.gate import FailOn

    if key == "fail_on" and value not in set(FailOn):
        raise _problem(path, key, f"{value!r} must be one of {', '.join(FailOn)}")
    if key == "band":
        try:
            read_band(value)
        except UsageError as error:
            raise _problem(path, key, str(error).removeprefix("--band ")) from error


def _relative(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _problem(path: Path, key: str, message: str) -> InputError:
    return InputError((Problem(_relative(path), None, key, message),))
