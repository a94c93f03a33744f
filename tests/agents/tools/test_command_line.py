"""A tool's arguments as a program's words: read as their types say, or refused with a sentence."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.agents.tools.command_line import arguments_of, manual

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order": {"type": "integer", "description": "The order's number."},
        "code": {"type": "string"},
        "express": {"type": "boolean"},
        "dry_run": {"type": "boolean"},
        "tags": {"type": "array"},
        "more": {"type": "object"},
        "speed": {"enum": ["slow", "fast"]},
        "either": {"type": ["integer", "null"]},
        "a-b": {"type": "string"},
        "words": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
        "maybe": {"oneOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["order"],
}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], {}),
        (["--order", "5", "--code", "007"], {"order": 5, "code": "007"}),
        (["--order=5", "--code=a=b"], {"order": 5, "code": "a=b"}),
        (["--express"], {"express": True}),
        (["--express", "--order", "5"], {"express": True, "order": 5}),
        (["--express", "false"], {"express": False}),
        (["--dry-run"], {"dry_run": True}),
        (["--a-b", "x"], {"a-b": "x"}),
        (["--tags", "a", "--tags", "b"], {"tags": ["a", "b"]}),
        (["--tags", '["a", 1]', "--tags", "2"], {"tags": ["a", 1, 2]}),
        (["--words", "5", "--words", "a"], {"words": ["5", "a"]}),
        (["--words", '["b"]'], {"words": ["b"]}),
        (["--maybe", "5"], {"maybe": "5"}),
        (["--more", '{"a": [1]}'], {"more": {"a": [1]}}),
        (["--speed", "fast"], {"speed": "fast"}),
        (["--either", "null"], {"either": None}),
        (["--code", "--order"], {"code": "--order"}),
        (["--code", ""], {"code": ""}),
        (["--unknown", "5"], {"unknown": 5}),
        (["--unknown", "x y"], {"unknown": "x y"}),
        ([' {"order": 5, "code": null}'], {"order": 5, "code": None}),
    ],
)
def test_words_become_arguments(words: list[str], found: dict[str, Any]) -> None:
    """By the types of the schema; whether they fit it is asked afterwards."""
    assert arguments_of(PARAMETERS, words) == found


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["5"], "'5' is not understood; write --name value, or one JSON object"),
        (["-o", "5"], "'-o' is not understood"),
        (["--"], "'--' is not understood"),
        (["--order"], "--order needs a value"),
        (["--order", "five"], "--order must be integer, not 'five'"),
        (["--express=maybe"], "--express must be boolean, not 'maybe'"),
        (['{"order": 5'], "the arguments are not JSON"),
        (['{"order": 5}', "--code", "a"], "is not understood"),
    ],
)
def test_what_is_no_argument_is_refused(words: list[str], message: str) -> None:
    """The sentence says how to call the tool."""
    with pytest.raises(ValueError, match=message):
        arguments_of(PARAMETERS, words)


@given(st.dictionaries(st.text(min_size=1), st.none() | st.booleans() | st.integers() | st.text()))
def test_one_json_object_is_taken_as_it_is(arguments: dict[str, Any]) -> None:
    """Whatever it holds."""
    assert arguments_of(PARAMETERS, [json.dumps(arguments)]) == arguments


@given(st.lists(st.text(max_size=8) | st.sampled_from(["--order", "--tags", "--express", "{}"]), max_size=6))
def test_any_words_are_arguments_or_refused(words: list[str]) -> None:
    """An agent may write anything."""
    with contextlib.suppress(ValueError):
        assert isinstance(arguments_of(PARAMETERS, words), dict)


@pytest.mark.parametrize(
    "parameters", [{}, {"properties": 5}, {"properties": {"a": True}}, {"properties": {"a": {"type": 5}}}]
)
def test_a_schema_that_says_nothing_hinders_nothing(parameters: dict[str, Any]) -> None:
    """An MCP server's may be anything."""
    assert arguments_of(parameters, ["--a", "5"]) == {"a": 5}
    assert "usage: t" in manual("t", "", parameters)


def test_the_manual_tells_what_a_tool_takes() -> None:
    """Its description, and each argument with its type, what it is for and whether it may be left out."""
    assert manual("ship", "Ship an order.\n", PARAMETERS).splitlines() == [
        "Ship an order.",
        "",
        "usage: ship [--name value …], or ship JSON",
        "  --order N  The order's number.",
        "  --code TEXT  optional",
        "  --express  optional",
        "  --dry_run  optional",
        "  --tags JSON  optional",
        "  --more JSON  optional",
        '  --speed VALUE  one of "slow", "fast"; optional',
        "  --either N  optional",
        "  --a-b TEXT  optional",
        "  --words JSON  optional",
        "  --maybe TEXT  optional",
    ]
