"""The YAML reader: what words mean, where things stand, and what is refused before it can hurt."""

from __future__ import annotations

import math
import tracemalloc
from typing import TYPE_CHECKING

import pytest
import yaml as pyyaml
from hypothesis import given, settings
from hypothesis import strategies as st

from taskcal.errors import InputError
from taskcal.yamlfile import reader
from taskcal.yamlfile.nodes import locate, to_plain
from taskcal.yamlfile.reader import MAX_BYTES, parse_yaml, read_text

if TYPE_CHECKING:
    from pathlib import Path


def refusal(text: str) -> str:
    """Give the only message with which `text` is refused."""
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "f.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("2024-05-06", "2024-05-06"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        (".inf", math.inf),
        ("'12'", "12"),
        ('"true"', "true"),
        ("- x", None),
    ],
)
def test_plain_words_follow_the_core_schema(word: str, value: object) -> None:
    """`no` and dates are text, numbers are numbers, quotes make text."""
    if word == "- x":
        assert to_plain(parse_yaml("a:\n- x", "f").top) == {"a": ["x"]}
    else:
        assert parse_yaml(f"a: {word}", "f").top["a"] == value
        assert type(parse_yaml(f"a: {word}", "f").top["a"]) is type(value)


def test_nan_is_read_as_nan() -> None:
    """`.nan` is a number, so that the models can refuse it by name."""
    value = parse_yaml("a: .nan", "f").top["a"]
    assert isinstance(value, float)
    assert math.isnan(value)


def test_every_value_knows_its_line_and_path() -> None:
    """A path like `b[0].c` leads to the line that the key stands on."""
    top = parse_yaml("a: 1\nb:\n  - c: x\n    'd e': y\n", "f").top
    assert (locate(top, ["b", 0, "c"]).line, locate(top, ["b", 0, "c"]).key) == (3, "b[0].c")
    assert (locate(top, ["b", 0, "d e"]).line, locate(top, ["b", 0, "d e"]).key) == (4, 'b[0]["d e"]')


def test_lines_inside_a_block_scalar_are_known() -> None:
    """Line 2 of a prompt that begins below its key is two lines below the key."""
    top = parse_yaml("x: 1\nprompt: |\n  one\n  two\n", "f").top
    assert top.line_inside("prompt", 2) == 4


def test_duplicate_keys_are_reported_with_both_lines() -> None:
    """Both lines are named, and the rest of the file is read all the same."""
    parsed = parse_yaml("a: 1\nb: 2\na: 3\nb: 4\n", "f")
    assert [str(problem) for problem in parsed.problems] == [
        "f:3: a: duplicate key, first on line 1",
        "f:4: b: duplicate key, first on line 2",
    ]


def test_numbers_with_leading_zeros_are_reported() -> None:
    """007 is 7 for one YAML and text for another, so it must be written clearly."""
    (problem,) = parse_yaml("a: 007", "f").problems
    assert str(problem) == 'f:1: a number with a leading zero; write "007" in quotes for the text, or drop the zero'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "that begins on line 1"),
        ("a: 1\n b: 2", "f.yaml:2: not valid YAML"),
        ("a: 1\n---\nb: 2", "f.yaml:2: a second document"),
        ("", "empty"),
        ("# only a comment", "empty"),
        ("- a", "not a map"),
        ("text", "not a map"),
        ("a: !!python/object/apply:os.system [x]", "the tag tag:yaml.org,2002:python/object/apply:os.system"),
        ("a: !!str 5", "is not allowed"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "f.yaml:3: merge keys (<<) are not supported; use defaults, or extends: NAME"),
        ("? [a]\n: b", "a key must be text"),
        ("a: &x [*x]", "stands inside what it names"),
        ("a: *x", "unknown alias"),
        ("b: &x c\n*x : d", "an alias cannot be a key"),
        ('a: "x\\0y"', "a NUL character"),
        ("a: " + "[" * 1000, "nested deeper than 64 levels"),
        ("{a: " * 1000, "nested deeper than 64 levels"),
        ("a: [" + "x," * 1_100_000 + "]", "more than 1,000,000 values"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(text: str, words: str) -> None:
    """Each kind of broken or hostile YAML has a message of its own."""
    message = refusal(text)
    assert words in message
    assert "\n" not in message


def bomb(levels: int) -> str:
    """Write aliases that expand to 9 ** levels values."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_an_alias_bomb_is_refused_with_little_memory() -> None:
    """A billion values in nine lines cost less than a megabyte to refuse."""
    tracemalloc.start()
    try:
        assert "aliases count as often as they are used" in refusal(bomb(9))
        assert tracemalloc.get_traced_memory()[1] < 1024**2
    finally:
        tracemalloc.stop()


def test_aliases_give_the_same_object() -> None:
    """A small use of aliases works, and costs nothing."""
    top = parse_yaml("a: &x {b: [1]}\nc: *x\nd: &y text\ne: *y", "f").top
    assert top["c"] is top["a"]
    assert top["e"] == "text"


def test_the_slow_parser_understands_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where libyaml is not installed, PyYAML's own parser gives the same values and the same refusals."""
    text = "a: [1, no, {b: 'x'}]\nc: |\n  one\n  two\n"
    fast = parse_yaml(text, "f").top
    monkeypatch.setattr(reader, "FASTEST_LOADER", pyyaml.SafeLoader)
    slow = parse_yaml(text, "f").top
    assert (to_plain(slow), slow.line_inside("c", 1)) == (to_plain(fast), fast.line_inside("c", 1))
    assert "aliases count" in refusal(bomb(9))
    assert "half of a surrogate pair" in refusal('a: "\\ud800"')


def test_files_that_are_too_large_or_not_utf8_are_refused(tmp_path: Path) -> None:
    """The size is known before anything is parsed; the line of a bad byte is named."""
    large, latin = tmp_path / "large.yaml", tmp_path / "latin.yaml"
    with large.open("wb") as handle:
        handle.truncate(MAX_BYTES + 1)
    latin.write_bytes("a: 1\nb: é\n".encode("latin-1"))
    with pytest.raises(InputError, match="larger than 32 MiB"):
        read_text(large, "large.yaml")
    with pytest.raises(InputError, match=r"latin.yaml:2: not UTF-8"):
        read_text(latin, "latin.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        read_text(tmp_path, "folder")


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200) | st.text(alphabet="{}[]:,-&*!|>'\"#%@ \n\tab01?<", max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """Nothing but InputError comes out, whatever goes in."""
    try:
        parse_yaml(text, "f")
    except InputError as error:
        assert error.problems  # noqa: PT017  # either way is fine, but no other exception
