"""The README and docs/ are tested like code: what they say can be run, loads, exists, and is all there is.

`python tests/test_docs.py --write` writes the command reference and the table of faults anew. The reference is rendered
here, from the commands themselves, and not by typer: its layout differs from version to version, and with the terminal.
"""

from __future__ import annotations

import itertools
import re
import shlex
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from taskcal import __version__
from taskcal.agents.agent_file import load_agent
from taskcal.cli.main import app
from taskcal.core.calibration.calibrate import calibrate
from taskcal.core.calibration.run_result import RunResult
from taskcal.core.gate import Exit
from taskcal.core.group_record import GroupRecord
from taskcal.core.rollout import GroupId, Stop
from taskcal.core.run import RunRecord
from taskcal.core.settings import fixed_settings
from taskcal.core.verdict import Verdict
from taskcal.errors import Boundary, TaskcalError
from taskcal.machine import host
from taskcal.report.calibration_json import calibration_document
from taskcal.taskset.advice.advice import warnings
from taskcal.taskset.load import load
from tests.faults.table import rows as fault_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REFERENCE = ROOT / "docs" / "reference.md"
BEGIN, END = "<!-- help:begin -->", "<!-- help:end -->"
FAULTS_PAGE = ROOT / "docs" / "faults.md"
FAULTS_BEGIN, FAULTS_END = "<!-- faults:begin -->", "<!-- faults:end -->"
FAULT_HEADS = ("what happens", "the rollout is", "why")
WIDTH = 100
COLUMN = 36
COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]  # typer's group has them, its base not
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATHS = re.compile(
    r"(?:^|[ `(])((?:taskcal|tasksets|tests|docs)/[\w./-]*\b/?|Makefile|LICENSE|[A-Z]+\.md)", re.MULTILINE
)
HEAVY = {"scipy", "numpy", "docker", "pydantic", "jinja2"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str


def pages() -> str:
    """All that a person can read."""
    return "\n".join(page.read_text() for page in PAGES)


def blocks(*languages: str) -> list[Block]:
    found = (Block(*match.groups()) for match in FENCE.finditer(pages()))
    return [block for block in found if block.language in languages]


def name_of(block: Block) -> str:
    return block.text.partition("\n")[0][:40]


def yaml_blocks(key: str) -> list[Block]:
    """The YAML blocks whose first key is the given one, comments aside."""
    return [block for block in blocks("yaml") if next(iter(yaml.safe_load(block.text))) == key]


def options(command: Any) -> list[Any]:
    return [param for param in command.params if param.param_type_name == "option"]


def help_text(name: str, command: Any) -> str:
    """One command: how it is called, what it does, its arguments and its options."""
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    called = " ".join(["taskcal", name, "[OPTIONS]", *map(_placeholder, arguments)])
    paragraphs = [_wrapped(" ".join(part.split()), "  ") for part in command.help.split("\n\n")]
    rows = [_row(argument.name.upper(), argument) for argument in arguments]
    rows += [_row(_flags(option), option) for option in options(command)]
    return "\n".join([called, *paragraphs, *rows])


def _placeholder(argument: Any) -> str:
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _flags(option: Any) -> str:
    names = ", ".join(sorted(option.opts, key=len))
    return names if option.is_flag else f"{names} {option.metavar or option.name.strip('_').upper()}"


def _row(head: str, param: Any) -> str:
    text = param.help + (f" [variable: {param.envvar}]" if param.envvar else "")
    if isinstance(param.default, str):
        text += f" [default: {param.default}]"
    first = f"    {head}".ljust(COLUMN)
    return _wrapped(text, first if len(first) == COLUMN else f"{first}  ")


def _wrapped(text: str, first: str) -> str:
    rest = " " * (COLUMN if first.strip() else len(first))
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def reference() -> str:
    """The whole command reference, between its markers."""
    parts = (help_text(name, command) for name, command in COMMANDS.items())
    return "\n".join([BEGIN, "", "```text", "\n\n".join(parts), "```", "", END])


def with_reference(text: str) -> str:
    """The page with its command reference written anew."""
    before, _, rest = text.partition(BEGIN)
    return before + reference() + rest.partition(END)[2]


def with_faults(text: str) -> str:
    """The page on faults with the table of `tests.faults.table` in its place."""
    lines = [f"| {' | '.join(row)} |" for row in (FAULT_HEADS, ("---", "---", "---"), *fault_rows())]
    before, _, rest = text.partition(FAULTS_BEGIN)
    return "\n".join((before + FAULTS_BEGIN, "", *lines, "", FAULTS_END)) + rest.partition(FAULTS_END)[2]


def calls() -> Iterator[list[str]]:
    """Every call of taskcal in shell blocks and CI steps, as its arguments."""
    typed = (line for block in blocks("console") for line in block.text.splitlines() if line.startswith("$ "))
    lines = [line.removeprefix("$ ") for line in typed]
    lines += [line for block in blocks("sh") for line in block.text.splitlines()]
    lines += [found for block in blocks("yaml") for found in re.findall(r"- run: (taskcal .*)", block.text)]
    for line in lines:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        yield from _calls_in(list(lexer))


def _calls_in(words: Sequence[str]) -> Iterator[list[str]]:
    for place, word in enumerate(words):
        if word == "taskcal":
            yield [*itertools.takewhile(lambda other: other not in {"|", "&&", ";", ">"}, words[place + 1 :])]


def run_taskcal(*arguments: str, options_of_python: Sequence[str] = ()) -> host.Completed:
    return host.run_program([sys.executable, *options_of_python, "-m", "taskcal", *arguments], seconds=60)


def test_reference_is_current() -> None:
    """The command reference is what the commands say today (`python tests/test_docs.py --write` writes it)."""
    assert REFERENCE.read_text() == with_reference(REFERENCE.read_text())


def test_the_table_of_faults_is_current() -> None:
    """People read the very rows that the code and the tests have, all of them and no others."""
    assert FAULTS_PAGE.read_text() == with_faults(FAULTS_PAGE.read_text())


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_documented(name: str) -> None:
    """No command and no option without help, and a page shows each command in use."""
    command = COMMANDS[name]
    assert command.help
    assert [param.name for param in command.params if not param.help] == []
    assert f"taskcal {name}" in pages().replace(reference(), "")


@pytest.mark.parametrize("name", COMMANDS)
def test_real_help_has_every_option(name: str) -> None:
    """The reference names the very options that `--help` prints, so nothing is hidden and nothing is made up."""
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).output
    long = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", re.sub(r"\x1b\[[0-9;]*m", "", shown)))
    documented = {name for option in options(COMMANDS[name]) for name in option.opts if name.startswith("--")}
    assert documented <= long
    assert documented <= set(re.findall(r"--[a-z-]+", reference()))


@pytest.mark.parametrize("block", yaml_blocks("taskset"), ids=name_of)
def test_tasksets_on_the_pages_load(block: Block, tmp_path: Path) -> None:
    """A taskset that a page shows can be copied: it loads, and not even a warning is left."""
    path = tmp_path / "taskset.yaml"
    path.write_text(block.text)
    taskset = load([path])
    assert taskset.tasks
    assert warnings(taskset) == ()


@pytest.mark.parametrize("block", yaml_blocks("agent"), ids=name_of)
def test_agents_on_the_pages_load(block: Block, tmp_path: Path) -> None:
    """An agent file that a page shows is a valid one."""
    path = tmp_path / "agent.yaml"
    path.write_text(block.text)
    assert load_agent(path).name == yaml.safe_load(block.text)["agent"]


def test_the_pages_have_a_taskset_and_agents() -> None:
    """The two tests above have something to test, and excerpts from an example are in it word for word."""
    assert len(yaml_blocks("taskset")) >= 1
    assert len(yaml_blocks("agent")) >= 2
    webshop = (ROOT / "tasksets" / "webshop.yaml").read_text()
    assert [block.text for block in yaml_blocks("services") if textwrap.indent(block.text, "    ") in webshop]


@pytest.mark.parametrize("arguments", [*calls()], ids=" ".join)
def test_command_lines_parse(arguments: list[str]) -> None:
    """Every call of taskcal on a page is one that taskcal understands."""
    name, *rest = arguments
    if name.startswith("-"):
        assert name in {"--help", "--version"}
    else:
        assert COMMANDS[name].make_context(name, rest).params


def test_paths_exist() -> None:
    """Every file and folder of this repository that a page names is there."""
    named = set(PATHS.findall(pages())) - {"taskcal/calibration", "taskcal/simulation"}
    assert len(named) > 10
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_links_between_pages_lead_somewhere() -> None:
    """Every relative link names a page that is there, and its heading."""
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
            name, _, anchor = target.partition("#")
            other = (page.parent / name).resolve() if name else page
            if not other.exists() or (anchor and anchor not in _anchors(other)):
                broken.append((page.name, target))
    assert broken == []


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def test_words_and_keys_are_all_explained() -> None:
    """The pages name every verdict, stop, boundary and exit code, and every key of calibration.json."""
    text = pages()
    words = {word.value for kind in (Verdict, Stop, Boundary) for word in kind} - {"unknown"}
    assert sorted(word for word in words if word not in text) == []
    kinds: list[type[TaskcalError]] = [TaskcalError, *TaskcalError.__subclasses__()]
    codes = {int(code) for code in Exit} | {kind.exit_code for kind in kinds}
    assert sorted(code for code in codes if f"| {code} |" not in text) == []
    assert sorted(key for key in _keys() if f"`{key}`" not in text) == []


def _keys() -> set[str]:
    nothing: dict[str, Any] = dict.fromkeys(RunRecord.__dataclass_fields__, "")
    run = RunRecord(
        **{**nothing, "taskset_files": (), "settings": fixed_settings(8), "images": {}, "groups": {}, "notes": ()}
    )
    group = GroupRecord(GroupId("task", ""), {}, "", (), 1.0, (), "", 1)
    document: dict[str, Any] = calibration_document(RunResult(run, calibrate([group], [], fixed_settings(8))))
    return {*document["run"], *document["taskset"], *document["tasks"][0]} | {"schema", "run", "taskset", "tasks"}


def test_help_is_quick_because_it_loads_little() -> None:
    """`taskcal --help` imports none of the libraries that only a command needs."""
    done = run_taskcal("--help", options_of_python=("-X", "importtime"))
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.output.splitlines() if "|" in line}
    assert done.status == 0
    assert "typer" in loaded
    assert loaded & HEAVY == set()


def test_version() -> None:
    """`taskcal --version` says which one it is."""
    assert run_taskcal("--version") == host.Completed(0, f"taskcal {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("validate", "nowhere.yaml"), "nowhere.yaml: no such file or folder"),
        (("run", "nowhere.yaml", "--agent", "noop"), "nowhere.yaml: no such file or folder"),
        (("run", "nowhere.yaml", "--agent", "nobody.yaml"), "--agent nobody.yaml: no such file"),
        (("report", "nowhere"), "not a run's folder"),
    ],
    ids=["validate", "run", "agent", "report"],
)
def test_known_errors_are_one_line(arguments: tuple[str, ...], said: str) -> None:
    """Wrong usage ends with 2 and one line that says what is wrong, without a traceback."""
    done = run_taskcal(*arguments)
    assert done.status == 2
    assert said in done.output
    assert len(done.output.splitlines()) == 1


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(f"usage: {Path(__file__).name} --write")
    REFERENCE.write_text(with_reference(REFERENCE.read_text()))
    FAULTS_PAGE.write_text(with_faults(FAULTS_PAGE.read_text()))
