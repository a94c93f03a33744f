"""The standard streams of every command: a console that cannot take its output ends nothing and loses no result."""

from __future__ import annotations

import ast
import errno
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.cli.main import COMMANDS
from taskcal.cli.terminal.output import UNWRITTEN, Output, escape_character, fit_encoding
from tests.conftest import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TABLE = "task,score\n\N{LATIN SMALL LETTER U WITH DIAERESIS}ber \N{EN DASH} \N{SNOWMAN},1\na,0\na,1\n"
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
CALLS: dict[str, tuple[str, ...]] = {
    "init": ("init", "made"),
    "validate": ("validate", "first"),
    "schema": ("schema",),
    "doctor": ("doctor",),
    "clean": ("clean",),
    "simulate": ("simulate", "uniform", "-G", "8", "--rule", "none", "--tasks", "2"),
    "shell": ("shell", "first/taskset.yaml", "absent"),
    "run": ("run", "first", "-a", "oracle", "--dry-run"),
    "report": ("report", "out"),
    "report --json": ("report", "out", "--json"),
    "show": ("show", "out"),
    "show --json": ("show", "out", "--json"),
    "import": ("import", "rows.csv", "-o", "new"),
    "--help": ("--help",),
    "usage": ("report", "--no-such-option"),
}
NO_ENGINE = {"doctor": 3, "clean": 3}
WRONG = {"shell": 2, "usage": 2}
"""The exit codes that these calls have anyway, here without an engine."""


@dataclass(frozen=True)
class Console:
    """How a command is started: shell redirections, and variables."""

    redirections: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    loses: bool = False
    """Whether standard output cannot be written, for another reason than a reader that has left."""


CONSOLES = {
    "ascii": Console(variables={"PYTHONIOENCODING": "ascii"}),
    "ascii strict": Console(variables={"PYTHONIOENCODING": "ascii:strict"}),
    "latin-1": Console(variables={"PYTHONIOENCODING": "latin-1"}),
    "cp1252": Console(variables={"PYTHONIOENCODING": "cp1252"}),
    "C locale": Console(variables=C_LOCALE),
    "no input": Console("<&-"),
    "no errors": Console("2>&-"),
    "full errors": Console("2>/dev/full"),
    "closed": Console(">&-", loses=True),
    "all closed": Console("<&- >&- 2>&-", loses=True),
    "full": Console(">/dev/full", loses=True),
    "both full": Console(">/dev/full 2>&1", loses=True),
    "left": Console("| true"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a taskset, a table of results with names outside every small encoding, and its run."""
    folder = tmp_path_factory.mktemp("console")
    (folder / "rows.csv").write_text(TABLE, encoding="utf-8")
    for words in (("init", "first"), ("import", "rows.csv", "-o", "out")):
        assert call(folder, words, Console()).returncode == 0
    return folder


def call(folder: Path, words: tuple[str, ...], console: Console) -> subprocess.CompletedProcess[bytes]:
    """Run a command under a shell's redirections, without an engine."""
    env = {**environment(), "DOCKER_HOST": f"unix://{folder}/none.sock", **console.variables}
    line = f'set -o pipefail; "$@" {console.redirections}'
    command = ["bash", "-c", line, "-", sys.executable, "-m", "taskcal", *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, timeout=120, check=False)


def test_the_table_has_every_command() -> None:
    """A command that is added later joins it."""
    names = {command.__name__.strip("_") for group in COMMANDS.values() for command in group}
    assert names <= {words[0] for words in CALLS.values()}


def pairs() -> Iterator[object]:
    """Every command on every console; most are left to the long tests, since each is a process."""
    for name in CALLS:
        for kind in CONSOLES:
            short = kind == "full" or name == "report" or (name, kind) == ("import", "C locale")
            yield pytest.param(name, kind, marks=() if short else pytest.mark.long)


@pytest.mark.parametrize(("name", "kind"), list(pairs()))
def test_no_console_breaks_a_command(folder: Path, tmp_path: Path, name: str, kind: str) -> None:
    """No traceback; the exit code is the usual one, and 2 if output was lost that should have ended with 0."""
    for entry in folder.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    console, usual = CONSOLES[kind], {**NO_ENGINE, **WRONG}.get(name, 0)
    ended = call(tmp_path, CALLS[name], console)
    printed = ended.stdout + ended.stderr
    assert b"Traceback" not in printed
    assert b"Exception ignored" not in printed
    assert ended.returncode == ((usual or UNWRITTEN) if console.loses else usual), printed
    if kind in {"closed", "full"} and not usual:
        (line,) = ended.stderr.decode().splitlines()
        assert line.startswith("standard output cannot be written: ")
    if kind == "left":
        assert usual or not ended.stderr
    if name == "import":
        assert len((tmp_path / "new" / "rollouts.jsonl").read_text().splitlines()) == 3
        assert (tmp_path / "new" / "report.md").is_file()


@pytest.mark.parametrize("kind", ["full", "closed"])
def test_the_line_names_the_results(folder: Path, kind: str) -> None:
    """What was not printed can be read in the run's folder."""
    ended = call(folder, CALLS["report"], CONSOLES[kind])
    assert ended.stderr.decode().rstrip().endswith("; the results are in out")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("name", ["report", "show"])
def test_text_is_written_in_the_encoding_of_the_console(folder: Path, name: str, encoding: str) -> None:
    """Lines and dashes have a look-alike; other characters that are missing are escaped."""
    ended = call(folder, CALLS[name], Console(variables={"PYTHONIOENCODING": encoding}))
    text = ended.stdout.decode(encoding)
    assert not {"ascii"} & {encoding} or text.isascii()
    assert ("\\u2603" in text) == (encoding != "utf-8")
    assert "\\u2013" not in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("name", ["report --json", "show --json"])
def test_json_is_the_same_in_every_encoding(folder: Path, name: str, encoding: str) -> None:
    """A name keeps every character; none becomes a look-alike."""
    ended = call(folder, CALLS[name], Console(variables={"PYTHONIOENCODING": encoding}))
    document = json.dumps(json.loads(ended.stdout.decode(encoding)), ensure_ascii=False)
    assert "\N{LATIN SMALL LETTER U WITH DIAERESIS}ber \N{EN DASH} \N{SNOWMAN}" in document


@given(st.text(st.characters(codec=None)), st.sampled_from(["ascii", "latin-1", "cp1252", "utf-8", "shift-jis"]))
def test_every_text_fits_every_encoding(text: str, encoding: str) -> None:
    """Half a surrogate pair too; a text that the encoding has stays as it is."""
    found = fit_encoding(text, encoding)
    found.encode(encoding)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return
    assert found == text


@given(st.characters(codec=None))
def test_an_escape_is_that_of_json(character: str) -> None:
    """Also beyond U+FFFF, as two of them."""
    assert json.loads(f'"{escape_character(character)}"') == character


class Broken(io.StringIO):
    """A stream that fails with a given error, at once or when it is flushed."""

    def __init__(self, number: int, *, late: bool) -> None:
        super().__init__()
        self._error, self._late = OSError(number, os.strerror(number)), late

    def write(self, text: str) -> int:
        """Fail, or keep it."""
        if not self._late:
            raise self._error
        return super().write(text)

    def flush(self) -> None:
        """Fail."""
        raise self._error


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF, errno.EAGAIN])
def test_no_error_of_a_stream_reaches_a_command(number: int, late: bool) -> None:
    """It is remembered, once, and all further text is swallowed."""
    output = Output(Broken(number, late=late))
    assert output.write("text") == 4
    output.flush()
    output.write("more")
    output.flush()
    assert output.failure is not None
    assert (output.failure.errno, output.missed) == (number, True)


def test_a_stream_that_was_closed_is_like_one_that_fails() -> None:
    """Python raises ValueError for it."""
    stream = io.StringIO()
    output = Output(stream)
    stream.close()
    output.write("text")
    assert output.missed


def calls_without_encoding(tree: ast.AST) -> Iterator[int]:
    """The lines that open text in the encoding of the locale."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        modes = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        opens = name in {"open", "fdopen"} and any(set(mode) <= set("rwax+t") for mode in modes)
        if opens or name in {"read_text", "write_text", "TextIOWrapper"}:
            bare = isinstance(node.func, ast.Name) and name in {"read_text", "write_text"}
            if not bare and "encoding" not in {keyword.arg for keyword in node.keywords}:
                yield node.lineno


def test_no_file_is_read_or_written_in_the_encoding_of_the_locale() -> None:
    """Under LANG=C too a run's folder, a configuration and a report are UTF-8."""
    sources = sorted((ROOT / "taskcal").rglob("*.py"))
    found = [f"{p.name}:{n}" for p in sources for n in calls_without_encoding(ast.parse(p.read_text(encoding="utf-8")))]
    assert found == []
