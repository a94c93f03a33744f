"""A project's own defaults: where they are looked for, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskcal.cli.options.configuration import Configuration, find_configuration
from taskcal.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = Configuration("oracle", 4, 3, 0, "flagged", 0.5, "0.1,0.9", "results")
YAML = """\
agent: oracle
group_size: 4
concurrency: 3
retries: 0
fail_on: flagged
max_lost: 0.5
band: 0.1,0.9
runs: results
"""
TOML = """\
[project]
name = "shop"
[tool.taskcal]
agent = "oracle"
group_size = 4
concurrency = 3
retries = 0
fail_on = "flagged"
max_lost = 0.5
band = "0.1,0.9"
runs = "results"
"""

BOMB = "".join(f"{chr(97 + n)}: &{chr(97 + n)} [{', '.join([f'*{chr(96 + n)}'] * 10)}]\n" for n in range(1, 9))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder, two levels below a project's root."""
    here = tmp_path / "project" / "deep" / "er"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    return tmp_path / "project"


def refused(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        find_configuration(folder)
    return str(caught.value)


@pytest.mark.parametrize(("name", "text"), [("taskcal.yaml", YAML), ("pyproject.toml", TOML)])
def test_either_file_says_the_same(project: Path, name: str, text: str) -> None:
    """Every setting, found from any folder below."""
    (project / name).write_text(text)
    assert find_configuration(project / "deep" / "er") == EVERYTHING


def test_nothing_configured_is_nothing_set(project: Path) -> None:
    """No file, a file of others, or an empty one: taskcal's own defaults."""
    assert find_configuration(project) == Configuration()
    (project / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert find_configuration(project) == Configuration()
    (project / "taskcal.yaml").write_text("# nothing yet\n")
    assert find_configuration(project) == Configuration()


def test_the_nearest_file_counts(project: Path) -> None:
    """Alone: settings of a folder above are not mixed in. A pyproject.toml without a table for taskcal is none."""
    (project / "taskcal.yaml").write_text("group_size: 2\nretries: 5\n")
    (project / "deep" / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert find_configuration(project / "deep" / "er").group_size == 2
    (project / "deep" / "pyproject.toml").write_text("[tool.taskcal]\ngroup_size = 3\n")
    assert find_configuration(project / "deep" / "er") == Configuration(group_size=3)


def test_taskcals_own_file_comes_first(project: Path) -> None:
    """In one folder taskcal.yaml wins over pyproject.toml."""
    (project / "taskcal.yaml").write_text("group_size: 2\n")
    (project / "pyproject.toml").write_text("[tool.taskcal]\ngroup_size = 3\n")
    assert find_configuration(project).group_size == 2


def test_an_agent_file_is_found_beside_the_configuration(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its path is relative to the file that names it, wherever the command runs; a name that is no file stays."""
    (project / "agents").mkdir()
    (project / "agents" / "mine.yaml").touch()
    (project / "taskcal.yaml").write_text("agent: agents/mine.yaml\n")
    assert find_configuration(project / "deep" / "er").agent == str(project / "agents" / "mine.yaml")
    monkeypatch.chdir(project)
    assert find_configuration(project).agent == "agents/mine.yaml"
    (project / "taskcal.yaml").write_text("agent: simulated\n")
    assert find_configuration(project).agent == "simulated"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("groupsize: 4\n", "groupsize: unknown key, did you mean group_size?"),
        ("colour: red\n", "colour: unknown key; known are agent, group_size, concurrency, retries, fail_on"),
        ("retries: 1\ngroupsize: 4\n", "taskcal.yaml:2: groupsize: unknown key"),
        ("group_size: four\n", 'group_size: must be a whole number, not "four"'),
        ("group_size: 4.5\n", "group_size: must be a whole number, not the number 4.5"),
        ("group_size: true\n", "group_size: must be a whole number, not true"),
        ("agent:\n", "agent: must have a value; leave out the key"),
        ("agent: [a]\n", "agent: must be text, not a list"),
        ("group_size: 0\n", "group_size: must be at least 1"),
        ("concurrency: 0\n", "concurrency: must be at least 1"),
        ("concurrency: -4\n", "concurrency: must be at least 1"),
        ("retries: -1\n", "retries: must be at least 0"),
        ("max_lost: -0.1\n", "max_lost: must be at least 0"),
        ("max_lost: .nan\n", "max_lost: must be a finite number"),
        ("max_lost: 20\n", "max_lost: must be at most 1"),
        ("3: x\n", "3: unknown key"),
        ("fail_on: sometimes\n", 'fail_on: must be one of never, flagged, not "sometimes"'),
        ("band: wide\n", "band: wide: two numbers with a comma between them, such as 0.05,0.75"),
        ("band: 0.9,0.1\n", "band: 0.9,0.1: both ends lie in [0, 1], the lower one first"),
        ("band: 0.1,.nan\n", "band: 0.1,.nan: two numbers"),
        ("agent: " + "[" * 100_000, ":1: nested deeper than 64 levels"),
        ("- agent: x\n", ":1: empty, or not a map"),
        ("just text\n", ":1: empty, or not a map"),
        ("agent: [\n", "while parsing a flow node"),
        ("a: !!python/object:os.system x\n", ":1: the tag tag:yaml.org,2002:python/object:os.system is not allowed"),
        ("a: &a [x, x, x, x, x, x, x, x, x, x]\n" + BOMB, "more than 1,000,000 values"),
        ("a: &a {b: 1}\nagent: {<<: [*a, *a]}\n", ":2: merge keys (<<) are not supported"),
    ],
    ids=lambda text: text[:40],
)
def test_a_mistake_is_one_line_with_its_place(
    project: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    """File, key and what is wrong; a value that would hang or mean nothing never gets through."""
    monkeypatch.chdir(project)
    (project / "taskcal.yaml").write_text(text)
    error = refused(project)
    assert error.startswith("taskcal.yaml:")
    assert message in error
    assert "\n" not in error
    assert len(error) < 1000


def test_all_mistakes_are_named_at_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look at the file mends it; a TOML file has no lines to name."""
    monkeypatch.chdir(project)
    (project / "pyproject.toml").write_text("[tool.taskcal]\nretries = -1\ngroup_size = 0\n")
    lines = refused(project).splitlines()
    assert [line.partition(", not")[0] for line in lines] == [
        "pyproject.toml: group_size: must be at least 1",
        "pyproject.toml: retries: must be at least 0",
    ]
    (project / "taskcal.yaml").write_text("retries: -1\ngroup_size: 0\n")
    lines = refused(project).splitlines()
    assert [line.partition(", not")[0] for line in lines] == [
        "taskcal.yaml:1: retries: must be at least 0",
        "taskcal.yaml:2: group_size: must be at least 1",
    ]


@pytest.mark.parametrize("name", ["taskcal.yaml", "pyproject.toml"])
def test_a_configuration_that_leads_elsewhere_is_not_read(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A cloned folder's link would show the keys of the operator's own file."""
    monkeypatch.chdir(project)
    outside = project.parent / "credentials"
    outside.write_text("password: 1\n")
    (project / name).symlink_to(outside)
    assert refused(project) == f"{name}: a link that leaves its folder; name the file itself: {outside}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.taskcal\n", "pyproject.toml: Expected"),
        ("tool = 3\n", "pyproject.toml: tool: must be a table"),
        ("[tool.taskcal]\nagent = " + "[" * 100_000, "pyproject.toml: nested too deep"),
        ("[tool.taskcal]\nfail_on = 'all'\n", 'pyproject.toml: fail_on: must be one of never, flagged, not "all"'),
        ("[tool.taskcal]\nband = '1'\n", "pyproject.toml: band: 1: two numbers"),
        ("[tool.taskcal]\nagent = 2026-01-01\n", "pyproject.toml: agent: must be text, not a date"),
        ("[tool]\ntaskcal = 5\n", "pyproject.toml: tool.taskcal: must be a table of settings"),
        ("[tool.taskcal]\nband = 0.5\n", "pyproject.toml: band: must be text such as 0.05,0.75, not the number 0.5"),
    ],
    ids=lambda text: text[:40],
)
def test_a_mistake_in_toml_is_named_too(
    project: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    """The same errors from the other file."""
    monkeypatch.chdir(project)
    (project / "pyproject.toml").write_text(text)
    assert message in refused(project)


def test_files_that_are_no_text_are_named(project: Path) -> None:
    """Bytes that are no UTF-8."""
    (project / "taskcal.yaml").write_bytes(b"agent: \xff\xfe\n")
    assert "taskcal.yaml" in refused(project)
