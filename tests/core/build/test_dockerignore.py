"""`.dockerignore` as the engine's own tools read it: pattern by pattern, and at a cost that a stranger cannot raise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.build.dockerignore import Ignored

NAMES = st.text("ab.*?[]\\", min_size=1, max_size=4)
PATHS = st.lists(st.text("ab.", min_size=1, max_size=4), min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    ("pattern", "out", "kept"),
    [
        (".venv", [".venv", ".venv/bin/python"], ["a/.venv", ".venvs", "x.venv"]),
        ("/.venv/", [".venv", ".venv/x"], ["a/.venv"]),
        ("./a/../b", ["b", "b/c"], ["a", "a/b"]),
        ("../b", [], ["b"]),
        ("/../b", ["b"], []),
        ("*.md", ["README.md", ".md"], ["docs/README.md", "README.mdx"]),
        ("*/*.md", ["docs/README.md"], ["README.md", "a/b/README.md"]),
        ("?.md", ["a.md"], ["ab.md", ".md", "/.md"]),
        ("**/*.md", ["README.md", "a/README.md", "a/b/c.md", "a/b.md/c"], ["a/README.mdx"]),
        ("**/node_modules", ["node_modules", "a/b/node_modules/c/d"], ["a/xnode_modules", "node_modulesx"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b", "a/x/b/c"], ["a/xb", "ab"]),
        ("**", ["a", "a/b"], []),
        ("foo**", ["foo", "foobar", "foobar/baz"], ["xfoo"]),
        ("**foo", ["foo", "a/foo"], ["xfoo"]),
        ("foo**bar", ["foobar", "foo/bar", "foox/y/bar"], ["fooxbar"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "-x", "x"]),
        ("[^a-c]x", ["dx"], ["ax"]),
        ("[a\\-c]", ["a", "-", "c"], ["b"]),
        ("\\*", ["*"], ["a"]),
        ("a[", ["a["], ["a"]),
        ("README", ["README"], ["readme", "Readme"]),
    ],
)
def test_what_a_pattern_leaves_out(pattern: str, out: list[str], kept: list[str]) -> None:
    """Case counts, a star stays within a name, two stars cross folders, and what is below a match goes with it."""
    ignored = Ignored(pattern)
    assert [path for path in out if not ignored.leaves_out(path)] == []
    assert [path for path in kept if ignored.leaves_out(path)] == []


def test_the_last_match_decides() -> None:
    """An exception brings back what an earlier line left out, and a later line may leave it out again."""
    ignored = Ignored("*\n!src\nsrc/*.log\n! src/keep.log \n")
    assert [path for path in ("a", "src", "src/a", "src/a.log", "src/keep.log") if ignored.leaves_out(path)] == [
        "a",
        "src/a.log",
    ]
    assert ignored.brings_back
    assert not Ignored("*").brings_back


@pytest.mark.parametrize("text", ["", "\n \n", "# a\n#*", "\ufeff\n", ".", "/", "!", "! "])
def test_what_leaves_nothing_out(text: str) -> None:
    """Comments, empty lines, and patterns that name nothing."""
    assert not Ignored(text).leaves_out("a")


def test_lines_end_as_on_any_machine() -> None:
    """A byte order mark and carriage returns are not part of a pattern; a # behind spaces is."""
    ignored = Ignored("\ufeffa\r\n b \r\n #c\r\n")
    assert [ignored.leaves_out(name) for name in ("a", "b", "#c", "c")] == [True, True, True, False]


def test_a_hostile_pattern_costs_its_length() -> None:
    """A matcher that goes back and forth would take longer than anyone waits."""
    for part in ("*a", "**/a", "**a", "[a-z]*", "?*"):
        assert not Ignored(part * 400 + "!").leaves_out("a" * 4000)
        assert not Ignored(part * 400 + "!").leaves_out("a/" * 2000 + "a")


@given(path=PATHS, text=st.lists(NAMES, max_size=4).map("\n".join))
def test_what_a_folder_loses_its_files_lose(path: str, text: str) -> None:
    """Without an exception nothing below a folder that is left out can be left in."""
    ignored = Ignored(text.replace("!", ""))
    if ignored.leaves_out(path):
        assert ignored.leaves_out(f"{path}/any")


@given(path=PATHS)
def test_a_path_is_its_own_pattern(path: str) -> None:
    """A plain path leaves out itself, unless it names nothing."""
    parts = [part for part in path.split("/") if part != "."]
    if ".." not in parts:
        assert Ignored(path).leaves_out("/".join(parts)) is bool(parts)
