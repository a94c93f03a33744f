"""Measure the size and shape of the package: `python -m tests.measure_code`.

Every count is a pure function of source files, so that `tests/test_project.py` can hold them. Functions are counted
with those inside classes and functions. A length is in lines, from `def` to the end of the body.
"""

from __future__ import annotations

import ast
import math
import statistics
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

PACKAGE = Path(__file__).parent.parent / "taskcal"

Function = ast.FunctionDef | ast.AsyncFunctionDef
Graph = dict[str, set[str]]
"""Each module with the modules of the package that it imports, as dotted names."""


def sources(package: Path = PACKAGE) -> list[Path]:
    """Every Python file below a package, in order."""
    return sorted(package.rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    """A file, parsed."""
    return ast.parse(path.read_text(), str(path))


def functions(path: Path) -> Iterator[Function]:
    """Every function and method of a file."""
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, Function))


def function_lengths(paths: Iterable[Path]) -> list[int]:
    """The lines of every function, shortest first."""
    return sorted((node.end_lineno or 0) - node.lineno + 1 for path in paths for node in functions(path))


def percentile(values: Sequence[int], share: float) -> int:
    """The smallest of these ascending values that at least this share of them does not exceed."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


def files_per_folder(paths: Iterable[Path]) -> dict[Path, int]:
    """The number of Python files that lie directly in each folder."""
    return dict(Counter(path.parent for path in paths))


def names_defined_twice(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Each public class or function that two modules define at their top level, with the modules."""
    places: defaultdict[str, list[Path]] = defaultdict(list)
    for path in paths:
        for node in tree_of(path).body:
            if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path)
    return {name: found for name, found in sorted(places.items()) if len({*found}) > 1}


def wide_dataclasses(paths: Iterable[Path], most: int = 12) -> dict[str, int]:
    """The dataclasses with more than `most` fields, as `path:name`."""
    fields = {
        f"{path.relative_to(PACKAGE.parent)}:{node.name}": sum(isinstance(line, ast.AnnAssign) for line in node.body)
        for path in paths
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef) and any("dataclass" in ast.dump(mark) for mark in node.decorator_list)
    }
    return {name: number for name, number in fields.items() if number > most}


def many_parameters(paths: Iterable[Path], most: int = 5) -> dict[str, int]:
    """The functions with more than `most` parameters, `self` and `cls` aside, as `path:name`."""
    counts = {
        f"{path.relative_to(PACKAGE.parent)}:{node.name}": len(_parameters(node))
        for path in paths
        for node in functions(path)
    }
    return {name: number for name, number in counts.items() if number > most}


def _parameters(node: Function) -> set[str]:
    arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    return {argument.arg for argument in arguments} - {"self", "cls"}


def import_graph(paths: Iterable[Path], *, at_load_only: bool, package: Path = PACKAGE) -> Graph:
    """Which module imports which.

    With `at_load_only` only imports that run as a module loads count, else also those in functions and under
    `TYPE_CHECKING`. A package is its `__init__`.
    """
    by_name = {_module_name(path, package): path for path in paths}
    return {
        name: {target for target in _targets(path, by_name, at_load_only=at_load_only) if target != name}
        for name, path in by_name.items()
    }


def _module_name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _targets(path: Path, known: Mapping[str, Path], *, at_load_only: bool) -> Iterator[str]:
    for node in _import_nodes(tree_of(path), at_load_only=at_load_only):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        else:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in inner if name in known)
            if node.module in known and not all(name in known for name in inner):
                yield str(node.module)


def _import_nodes(node: ast.AST, *, at_load_only: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not at_load_only or not (isinstance(child, Function) or _is_for_types(child)):
            yield from _import_nodes(child, at_load_only=at_load_only)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def import_cycles(graph: Graph) -> list[list[str]]:
    """The sets of two or more modules that reach each other (strongly connected components), each sorted."""
    reach = {name: _reachable(graph, name) for name in graph}
    together = {frozenset(other for other in reach[name] if name in reach[other]) for name in graph}
    return sorted(sorted(group) for group in together if len(group) > 1)


def _reachable(graph: Graph, start: str) -> set[str]:
    """All modules that can be reached from one by at least one import."""
    reached: set[str] = set()
    ahead = [*graph[start]]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += graph[name]
    return reached


def longest_files(paths: Iterable[Path], most: int = 5) -> list[tuple[Path, int]]:
    """The files with the most lines, longest first."""
    lines = [(path, len(path.read_text().splitlines())) for path in paths]
    return sorted(lines, key=lambda pair: -pair[1])[:most]


def report(paths: Sequence[Path]) -> Iterator[str]:
    """The table, line by line."""
    lengths = function_lengths(paths)
    folder, files = max(files_per_folder(paths).items(), key=lambda pair: pair[1])
    doubles = names_defined_twice(paths)
    yield f"files                          {len(paths)}"
    yield f"functions                      {len(lengths)}"
    yield f"lines: median                  {statistics.median(lengths):g}"
    yield f"lines: 90th percentile         {percentile(lengths, 0.9)}"
    yield f"lines: longest                 {lengths[-1]}"
    yield f"files in the fullest folder    {files} ({folder.relative_to(PACKAGE.parent)})"
    yield f"names defined twice            {len(doubles)}: {', '.join(doubles)}"
    for kind, at_load_only in (("at load", True), ("anywhere", False)):
        cycles = import_cycles(import_graph(paths, at_load_only=at_load_only))
        yield f"import cycles {kind:<17}{len(cycles)}"
        yield from (f"    {', '.join(cycle)}" for cycle in cycles)
    yield f"dataclasses over 12 fields     {_listed(wide_dataclasses(paths))}"
    yield f"functions over 5 parameters    {_listed(many_parameters(paths))}"
    yield "longest files"
    yield from (f"    {lines} {path.relative_to(PACKAGE.parent)}" for path, lines in longest_files(paths))


def _listed(numbers: Mapping[str, int]) -> str:
    return f"{len(numbers)}: {', '.join(f'{name} ({number})' for name, number in numbers.items())}"


if __name__ == "__main__":
    for line in report(sources()):
        print(line)  # noqa: T201 - its output is what it is for
