"""Files, folders and globs become one `Taskset`, or one error that names every mistake in them."""

from __future__ import annotations

import glob
import re
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.core.task import Task, Taskset
from taskcal.errors import InputError, UsageError
from taskcal.taskset.models.taskset import TasksetModel
from taskcal.taskset.prompts.check_templates import build_grader
from taskcal.taskset.prompts.template import Prompts
from taskcal.taskset.scope import Budget, Scope
from taskcal.taskset.shared_parts import SharedParts, build_environment
from taskcal.taskset.tasks import Reader
from taskcal.yamlfile.allowance import LoadAllowance
from taskcal.yamlfile.mistakes import validate_model
from taskcal.yamlfile.nodes import Map, Seq
from taskcal.yamlfile.paths import Folder
from taskcal.yamlfile.problems import Problems
from taskcal.yamlfile.reader import MAX_BYTES, parse_yaml, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

TOP_KEY = re.compile(rb"""^(?:\xef\xbb\xbf)?["']?taskset["']?\s*:""", re.MULTILINE)
NOT_IN_DEFAULTS = ("id", "variants")


def load(paths: Sequence[str | Path]) -> Taskset:
    """Give the tasks of `paths` as one taskset: files, globs, and folders (the tasksets directly in them).

    Raises InputError with all mistakes of all files, UsageError for a path that does not exist or holds no taskset.
    """
    files = find_files(paths)
    problems, budget, prompts, allowance = Problems(), Budget(), Prompts(), LoadAllowance()
    names: dict[str, None] = {}
    ids: dict[str, str] = {}
    tasks: list[Task] = []
    for file in files:
        scope = Scope(file, Folder(Path(file).parent, allowance), problems, budget, prompts, ids)
        taskset = _read_file(scope)
        if taskset is not None:
            names[taskset.name] = None
            tasks.extend(taskset.tasks)
    problems.raise_any()
    return Taskset("+".join(names), tuple(tasks), files)


def find_files(paths: Sequence[str | Path]) -> tuple[str, ...]:
    """Give the files that `paths` name, as the user wrote them, each once; raises UsageError if there is none."""
    if not paths:
        raise UsageError("no taskset given; name a file, a folder or a glob")
    names_by_path: dict[Path, str] = {}
    for path in paths:
        try:
            for file in _expand(str(path)):
                names_by_path.setdefault(Path(file).resolve(), file)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from error
    return tuple(names_by_path.values())


def _expand(path: str) -> list[str]:
    if "\0" in path:
        raise UsageError("a path with a NUL character")
    if Path(path).is_file():
        return [path]
    if Path(path).is_dir():
        files = _tasksets(str(file) for file in Path(path).iterdir())
        return files or _nothing(f"{path}: no taskset in this folder (a .yaml file with a top-level taskset: key)")
    if Path(path).exists():
        raise UsageError(f"{path}: neither a file nor a folder")
    if not glob.has_magic(path):
        raise UsageError(f"{path}: no such file or folder")
    return _tasksets(glob.iglob(path, recursive=True)) or _nothing(f"{path}: matches no taskset")  # noqa: PTH207  # Path.glob cannot start at /


def _nothing(message: str) -> list[str]:
    raise UsageError(message)


def _tasksets(files: Iterable[str]) -> list[str]:
    return sorted(file for file in files if file.endswith((".yaml", ".yml")) and _is_taskset(Path(file)))


def _is_taskset(path: Path) -> bool:
    """Tell tasksets from other YAML, such as agent files, without parsing; what cannot be read is told on reading."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as handle:
            return TOP_KEY.search(handle.read(MAX_BYTES)) is not None
    except OSError:
        return True


def _read_file(scope: Scope) -> Taskset | None:
    try:
        raw, mistakes = parse_yaml(read_text(Path(scope.file), scope.file), scope.file)
    except InputError as error:
        scope.problems.extend(error.problems)
        return None
    scope.problems.extend(mistakes)
    model = validate_model(TasksetModel, raw, scope.file, scope.folder, scope.problems)
    tasks = tuple(_read_tasks(raw, scope))
    return None if model is None else Taskset(model.taskset, tasks, (scope.file,))


def _read_tasks(raw: Map, scope: Scope) -> Iterator[Task]:
    """Read the tasks, also where something else in the file is wrong, so that all mistakes are found."""
    environments = SharedParts(_map_at(raw, "environments"), build_environment, scope)
    graders = SharedParts(_map_at(raw, "graders"), build_grader, scope)
    environments.read_all()
    graders.read_all()
    reader = Reader(scope, _defaults(raw, scope), environments, graders)
    tasks = raw.get("tasks")
    for own in tasks if isinstance(tasks, Seq) else ():
        task = reader.task(own) if isinstance(own, Map) else None
        if task is not None:
            yield task


def _map_at(raw: Map, key: str) -> Map:
    value = raw.get(key)
    return value if isinstance(value, Map) else Map(raw.line, raw, key)


def _defaults(raw: Map, scope: Scope) -> Map:
    defaults = _map_at(raw, "defaults")
    for key in NOT_IN_DEFAULTS:
        if key in defaults:
            scope.report(defaults.at(key), "belongs into a task; defaults takes every other key")
            del defaults[key]
    return defaults
