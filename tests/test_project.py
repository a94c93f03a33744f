"""Rules that nobody keeps unless a test does: where imports point, how large things get, what lies in the open."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from taskcal.machine import host
from tests import measure_code

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "taskcal"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

ROOMS = (
    {"errors"},
    {"core"},
    {"machine"},
    {"redact", "yamlfile"},
    {"store", "taskset"},
    {"sandbox"},
    {"agents"},
    {"execution"},
    {"interop", "report"},
    {"runs"},
    {"cli"},
    {"__init__", "__main__"},
)
"""From the bottom up: a room imports itself and the rooms below it."""

PURE = {
    "__future__", "abc", "bisect", "collections", "dataclasses", "decimal", "difflib", "enum", "fnmatch",
    "fractions", "functools", "hashlib", "heapq", "itertools", "json", "math", "operator", "re", "shlex",
    "statistics", "string", "textwrap", "types", "typing", "unicodedata",
}  # fmt: skip
"""All that the core may use of the standard library: nothing with a file, a clock, a process or chance in it."""

HTTP = {
    "agents/chat/transport.py",
    "agents/chat/wire.py",
    "sandbox/engine/error_translation.py",
    "sandbox/engine/connection.py",
}
"""Who speaks HTTP: to models, and to the container engine."""

SCIPY = {"core/stats/rates.py", "core/adaptive/planner.py", "core/stats/comparison.py"}

VISIBLE = {
    *("pyproject.toml", "taskcal", "tasksets", "tests", "docs", "Makefile"),
    *("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"),
}

MOST_TODAY = {
    "files in a folder": 15,
    "names defined twice": 0,
    "import cycles": 0,
    "dataclasses over 12 fields": 10,
    "functions over 5 parameters": 8,
}
"""What no change may make worse. Lower a number as soon as it can be; the goals are 15, 0, 0, 0 and the commands."""

# The brackets keep this file from matching itself.
FORBIDDEN = re.compile(
    r"""
    /[w]ork/(main|shared|\.library)     # paths of one machine
    | /[t]mp/w/
    | [p]ypi\.org | [p]ythonhosted\.org | registry-1\.[d]ocker\.io
    | (?i: [c]o-authored-by | [s]ub-?agents?\b | [i]ssue\ \#\d )
    | [T]ODO\b | [F]IXME\b
    """,
    re.VERBOSE,
)


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    floors = [number for number, rooms in enumerate(ROOMS) if name in rooms]
    assert floors, f"taskcal/{name} has no place in ROOMS: give it one"
    return floors[0]


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in a tree, as a dotted name; `from a import b` is `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_at_load(node: ast.AST) -> Iterator[str]:
    """The imports that run when the module does: not those in functions or, under an `if`, for the type checker."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield from imports(child)
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.If):
            yield from imports_at_load(child)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def top(module: str) -> str:
    return module.partition(".")[0]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    nodes = ast.walk(tree(path))
    yield from (node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(node: ast.FunctionDef | ast.AsyncFunctionDef, *, is_command: bool) -> int:
    """Lines of a function; of a command without its head, which is a table of its options and its help."""
    first = node.body[1 if len(node.body) > 1 and ast.get_docstring(node) else 0] if is_command else node
    return (node.end_lineno or 0) - first.lineno + 1


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return {given.arg for given in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}


def project_files() -> list[str]:
    """All that git has or would take, from the top; a copy without its repository has no such list."""
    if not (ROOT / ".git").exists() or not host.have("git"):
        pytest.skip("a copy without its repository, or a machine without git")
    listing = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = host.run_program(["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), *listing], seconds=60)
    assert done.status == 0, done.output
    return [name for name in done.output.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    """No arrow points up: a part can be read, tested and replaced without what is built on it."""
    here = room(path)
    targets = {name.split(".")[1] for name in imports(tree(path)) if name.startswith("taskcal.")}
    rooms = {target for target in targets if (PACKAGE / target).exists() or (PACKAGE / f"{target}.py").exists()}
    wrong = {there for there in rooms - {here} if floor(there) >= floor(here)}
    assert wrong == set()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_foreign_libraries_stay_in_their_rooms(path: Path) -> None:
    """The docker SDK in one folder, subprocess in one file, HTTP in few, scipy only in functions: it loads slowly."""
    name = str(path.relative_to(PACKAGE))
    used = {top(module) for module in imports(tree(path))}
    assert "docker" not in used or name.startswith("sandbox/engine/")
    assert not used & {"httpcore", "httpx", "urllib3", "requests", "openai"} or name in HTTP
    assert not {"urllib.request", "http.client"} & {".".join(module.split(".")[:2]) for module in imports(tree(path))}
    assert "subprocess" not in used or name == "machine/host.py"
    assert "scipy" not in used or name in SCIPY
    assert "scipy" not in {top(module) for module in imports_at_load(tree(path))}


@pytest.mark.parametrize("path", [path for path in SOURCES if room(path) == "core"], ids=name_of)
def test_the_core_is_pure(path: Path) -> None:
    """Values in and values out: the core can reach no file, clock, process, terminal or chance."""
    used = {top(module) for module in imports(tree(path))}
    assert used - PURE - {"taskcal", "scipy"} == set()


def test_help_loads_nothing_heavy() -> None:
    """Loading the command line loads neither the docker SDK nor scipy, so that `--help` answers at once."""
    code = "import sys, taskcal.cli.main; print(*{'docker', 'scipy', 'numpy', 'requests'} & set(sys.modules))"
    done = host.run_program([sys.executable, "-c", code], seconds=60)
    assert (done.status, done.output) == (0, "\n")


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=name_of)
def test_sizes(path: Path) -> None:
    """What fits a screen or two gets read: files under 400 lines, functions at most 50."""
    assert len(path.read_text().splitlines()) < 400
    lengths = {node.name: length(node, is_command="cli" in path.parts) for node in functions(path)}
    assert {name: lines for name, lines in lengths.items() if lines > 50} == {}


@pytest.mark.parametrize("path", [path for path in SOURCES if room(path) != "cli"], ids=name_of)
def test_no_function_takes_more_than_six_parameters(path: Path) -> None:
    """A seventh parameter means a missing noun; commands are exempt, one parameter is one option there."""
    counts = {node.name: len(parameters(node) - {"self", "cls"}) for node in functions(path)}
    assert {name: count for name, count in counts.items() if count > 6} == {}


def test_no_import_cycle_at_load() -> None:
    """No two modules need each other to load, so that each can be imported first."""
    assert measure_code.import_cycles(measure_code.import_graph(SOURCES, at_load_only=True)) == []


def test_functions_are_short() -> None:
    """Half of all functions have at most 7 lines, nine of ten at most 25."""
    lengths = measure_code.function_lengths(SOURCES)
    assert measure_code.percentile(lengths, 0.5) <= 7
    assert measure_code.percentile(lengths, 0.9) <= 25


def test_nothing_gets_worse() -> None:
    """Full folders, names with two meanings, cycles and wide signatures become fewer, never more."""
    counts = {
        "files in a folder": max(measure_code.files_per_folder(SOURCES).values()),
        "names defined twice": len(measure_code.names_defined_twice(SOURCES)),
        "import cycles": len(measure_code.import_cycles(measure_code.import_graph(SOURCES, at_load_only=False))),
        "dataclasses over 12 fields": len(measure_code.wide_dataclasses(SOURCES)),
        "functions over 5 parameters": len(measure_code.many_parameters(SOURCES)),
    }
    assert {name: count for name, count in counts.items() if count > MOST_TODAY[name]} == {}


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_every_test_says_what_it_proves(path: Path) -> None:
    """The first line of a test is its promise."""
    silent = [node.name for node in functions(path) if node.name.startswith("test_") and not ast.get_docstring(node)]
    assert silent == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_module_says_why_it_exists(path: Path) -> None:
    """The first line of a module is a sentence."""
    assert (ast.get_docstring(tree(path)) or "").splitlines()[:1] not in ([], [""])


def test_the_visible_top_level() -> None:
    """A newcomer sees ten names and no more."""
    assert {name.partition("/")[0] for name in project_files() if not name.startswith(".")} == VISIBLE


def test_no_file_speaks_of_its_making() -> None:
    """No file names a package registry's host, a path of one machine, or how and by whom it was made."""
    found = {
        f"{name}: {match[0]}"
        for name in project_files()
        for match in FORBIDDEN.finditer((ROOT / name).read_text(errors="replace"))
    }
    assert found == set()
