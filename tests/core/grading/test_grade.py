"""The arithmetic of a reward, and what counts as a number, an answer, a file or a place in JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.grading.grade import (
    FileState,
    Score,
    combine,
    judge_answer,
    judge_file,
    resolve_pointer,
    text_to_match,
)
from taskcal.core.rollout import CheckResult, Graded, Stop
from taskcal.core.task import AnswerProbe, FileProbe

RFC_6901: dict[str, Any] = {
    "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8,
}  # fmt: skip
"""The example document of RFC 6901, section 5, and below it each pointer with what it names there."""
POINTERS = {
    "": RFC_6901, "/foo": ["bar", "baz"], "/foo/0": "bar", "/": 0, "/a~1b": 1, "/c%d": 2, "/e^f": 3, "/g|h": 4,
    "/i\\j": 5, '/k"l': 6, "/ ": 7, "/m~0n": 8,
}  # fmt: skip

CHECKS = st.lists(
    st.builds(
        CheckResult,
        name=st.just("a"),
        weight=st.floats(0.01, 100),
        score=st.sampled_from([0.0, 0.3, 1.0]) | st.floats(0, 1),
        required=st.booleans(),
    ),
    min_size=1,
)


def check(weight: float, score: float, *, required: bool = False) -> CheckResult:
    return CheckResult("a check", weight, score, required=required)


def reward(*checks: CheckResult, passing: float = 1.0) -> Graded:
    return combine(checks, Stop.FINISHED, passing)


def file(content: str) -> FileState:
    return FileState(exists=True, content=content.encode())


def at(pointer: str, wanted: object) -> FileProbe:
    return FileProbe("/a", pointer=pointer, equals=wanted, has_equals=True)


def test_weights_are_normalised() -> None:
    """The reward is sum(w s) / sum(w), whatever the weights sum to."""
    assert reward(check(7, 1), check(3, 0)).reward == pytest.approx(0.7)
    assert reward(check(0.2, 1), check(0.2, 0.5)).reward == pytest.approx(0.75)
    assert reward(check(1, 1), check(0, 0)).reward == 1.0


def test_a_guard_that_is_not_met_takes_everything() -> None:
    """One required check below full makes the reward 0, with or without a weight of its own; met, it is silent."""
    assert reward(check(1, 1), check(0, 0, required=True)).reward == 0.0
    assert reward(check(1, 1), check(1, 0.99, required=True)).reward == 0.0
    assert reward(check(1, 0.5), check(0, 1, required=True)).reward == 0.5
    assert not reward(check(1, 1), check(0, 0, required=True)).passed


def test_passing_bears_binary_fractions() -> None:
    """0.7 and 0.3 are together 1 for the threshold, as are ten tenths; a real miss is one."""
    assert reward(check(0.7, 1), check(0.3, 1)).passed
    assert reward(*[check(0.1, 1)] * 10).passed
    assert reward(check(0.7, 1), check(0.2, 1), check(0.1, 0), passing=0.9).passed
    assert not reward(check(0.7, 1), check(0.3, 0.999)).passed


@given(checks=CHECKS, stop=st.sampled_from(Stop))
def test_a_reward_lies_in_zero_to_one(checks: list[CheckResult], stop: Stop) -> None:
    """Any weights and scores give a reward in [0, 1]: 1 only where all are full, 0 where a guard is not met."""
    outcome = combine(checks, stop, 1.0)
    assert 0.0 <= outcome.reward <= 1.0
    assert outcome.stop is stop
    assert outcome.checks == tuple(checks)
    if all(one.score == 1.0 for one in checks):
        assert outcome.passed
    if any(one.required and one.score < 0.99 for one in checks):
        assert (outcome.reward, outcome.passed) == (0.0, False)


@pytest.mark.parametrize("pointer", POINTERS)
def test_pointers_are_the_rfcs(pointer: str) -> None:
    """Every example of RFC 6901, with its escapes ~0 for ~ and ~1 for a slash."""
    assert resolve_pointer(RFC_6901, pointer) == POINTERS[pointer]


def test_escapes_are_read_once() -> None:
    """~01 names the key ~1, not a slash (RFC 6901, section 4)."""
    assert resolve_pointer({"~1": "tilde", "/": "slash"}, "/~01") == "tilde"


@pytest.mark.parametrize(
    "pointer", ["/foo/2", "/foo/-", "/foo/-1", "/foo/01", "/foo/\N{ARABIC-INDIC DIGIT ZERO}", "/foo/x", "/nope", "/ /x"]
)
def test_a_pointer_to_nothing_is_said(pointer: str) -> None:
    """Beyond an array's end, by no plain index, or into a value: nothing is there, and the note says so."""
    with pytest.raises(LookupError):
        resolve_pointer(RFC_6901, pointer)
    score = judge_file(at(pointer, 1), file(json.dumps(RFC_6901)))
    assert score == Score(0.0, f"/a has nothing at {pointer}")


@pytest.mark.parametrize(
    ("found", "wanted", "equal"),
    [
        ("3", 3.0, True),
        ("3.0", 3, True),
        ("true", 1, False),
        ("1", True, False),
        ("false", 0, False),
        ("true", True, True),
        ("[true, 0]", [1, False], False),
        ('{"a": [true]}', {"a": [1]}, False),
        ('{"a": [1.0, {}]}', {"a": [1, {}]}, True),
        ('{"a": 1}', {"a": 1, "b": None}, False),
        ("[1, 2]", [1], False),
        ("null", None, True),
        ("null", "null", False),
        ('"3"', 3, False),
    ],
)
def test_values_are_equal_as_json(found: str, wanted: object, *, equal: bool) -> None:
    """3 is 3.0, but true is not 1 and text is no number, at any depth."""
    assert judge_file(at("", wanted), file(found)).value == float(equal)


def test_no_document_stops_the_grading() -> None:
    """Whatever an agent writes is judged: there is no depth at which a file cannot be read, compared or noted."""
    for depth in range(1, 1200):
        score = judge_file(at("", 3), file("[" * depth + "1" + "]" * depth))
        assert score.value == 0.0
    assert judge_file(at("", 3), file("9" * 5000)).value == 0.0


def test_a_file_is_judged_by_its_one_condition() -> None:
    """Existence, absence, text with or without its last newline, and what a pipe or folder at the path means."""
    gone, folder = FileState(exists=False), FileState(exists=True)
    assert judge_file(FileProbe("/a", exists=True), folder).value == 1.0
    assert judge_file(FileProbe("/a", exists=True), gone) == Score(0.0, "/a does not exist")
    assert judge_file(FileProbe("/a", absent=True), gone).value == 1.0
    assert judge_file(FileProbe("/a", absent=True), folder) == Score(0.0, "/a exists")
    text = FileProbe("/a", equals="done", has_equals=True)
    assert judge_file(text, file("done\n")).value == 1.0
    assert judge_file(text, file(" done")) == Score(0.0, "/a holds ' done', not 'done'")
    assert judge_file(text, FileState(exists=True, content=b"done", truncated=True)).value == 0.0
    assert judge_file(text, folder) == Score(0.0, "/a is not a regular file")
    assert judge_file(FileProbe("/a", contains="on"), file("done")).value == 1.0
    assert judge_file(FileProbe("/a", pointer="/x", exists=True), file('{"x": null}')).value == 1.0
    assert judge_file(FileProbe("/a", pointer="/x", contains="1"), file('{"x": [1]}')).value == 1.0


FOUND = FileState(exists=True, content=b'{"debug": true, "n": 3, "s": "open", "list": ["\xc3\xa9"], "none": null}')
NOT_FOUND = "/a has nothing at /nope"


@pytest.mark.parametrize(
    ("probe", "state", "score"),
    [
        (FileProbe("/a", absent=True, pointer="/nope"), FOUND, Score(1.0)),
        (FileProbe("/a", absent=True, pointer="/s/deeper"), FOUND, Score(1.0)),
        (FileProbe("/a", absent=True, pointer="/debug"), FOUND, Score(0.0, "/a has 'true' at /debug")),
        (FileProbe("/a", absent=True, pointer="/none"), FOUND, Score(0.0, "/a has 'null' at /none")),
        (FileProbe("/a", absent=True, pointer="/x"), FileState(exists=False), Score(0.0, "/a does not exist")),
        (FileProbe("/a", absent=True, pointer="/x"), file("no JSON"), Score(0.0, "/a is not JSON")),
        (FileProbe("/a", exists=True, pointer="/none"), FOUND, Score(1.0)),
        (FileProbe("/a", exists=True, pointer="/nope"), FOUND, Score(0.0, NOT_FOUND)),
        (FileProbe("/a", exists=True, pointer=""), file("no JSON"), Score(0.0, "/a is not JSON")),
        (FileProbe("/a", contains="open", pointer="/s"), FOUND, Score(1.0)),
        (FileProbe("/a", contains="open", pointer="/n"), FOUND, Score(0.0, "/n is '3' and does not contain 'open'")),
        (FileProbe("/a", contains="\N{LATIN SMALL LETTER E WITH ACUTE}", pointer="/list"), FOUND, Score(1.0)),
        (FileProbe("/a", matches="x", pointer="/nope"), FOUND, Score(0.0, NOT_FOUND)),
        (FileProbe("/a", matches="x", pointer="/s"), FOUND, Score(0.0, "/s does not match 'x': it is 'open'")),
        (at("/n", "3"), FOUND, Score(0.0, '/n is 3, not "3"')),
        (at("/n", 3), FileState(exists=True, content=b"3", truncated=True), None),
    ],
)
def test_every_condition_looks_where_its_pointer_does(probe: FileProbe, state: FileState, score: Score | None) -> None:
    """A value elsewhere in the file decides nothing, and a file that is missing or not JSON meets no condition."""
    judged = judge_file(probe, state, matches=False)
    assert judged == (score or Score(0.0, "/a is larger than 1 MiB, too large to be read as JSON"))


@pytest.mark.parametrize(
    ("pointer", "text"),
    [
        (None, FOUND.content and FOUND.content.decode()),
        ("/s", "open"),
        ("/n", "3"),
        ("/debug", "true"),
        ("/nope", None),
    ],
)
def test_a_pattern_is_tried_on_the_value(pointer: str | None, text: str | None) -> None:
    """A text is matched as it is, another value as JSON writes it; where nothing is, nothing is tried."""
    assert text_to_match(FileProbe("/a", matches="x", pointer=pointer), FOUND) == text


@pytest.mark.parametrize(("wanted", "text"), [(True, "true"), (False, "false"), (3, "3"), (1.5, "1.5"), ("x", "x")])
def test_a_file_equals_a_value_as_scripts_receive_it(wanted: object, text: str) -> None:
    """The text that a param has in a script is the text that a whole file is compared with."""
    probe = FileProbe("/a", equals=wanted, has_equals=True)
    assert judge_file(probe, file(f"{text}\n")).value == 1.0
    assert judge_file(probe, file(f"{text}x")).value == 0.0


@pytest.mark.parametrize(("matches", "value"), [(True, 1.0), (False, 0.0), (None, 0.0)])
def test_a_pattern_out_of_time_is_a_score_of_zero(matches: bool | None, value: float) -> None:
    """Found is full, absent is 0, and no answer in time is 0 with that as the note."""
    for score in (
        judge_file(FileProbe("/a", matches="x"), file("x"), matches),
        judge_answer(AnswerProbe(matches="x"), "x", matches),
    ):
        assert score.value == value
        assert ("took too long" in score.note) == (matches is None)


@pytest.mark.parametrize(
    ("probe", "answer", "full"),
    [
        (AnswerProbe(equals="Paris"), " Paris\n", True),
        (AnswerProbe(equals="Paris"), "paris", False),
        (AnswerProbe(contains="Paris"), "It is Paris.", True),
        (AnswerProbe(equals="Paris"), "<think>Rome? No.</think>\n\nParis", True),
        (AnswerProbe(contains="Rome"), "<think>Rome? No.</think>\n\nParis", False),
        (AnswerProbe(contains="Rome"), "<think>Rome is likely, but", False),
        (AnswerProbe(number=42), "The total is **42**.", True),
        (AnswerProbe(number=42), "41 or 42", False),
        (AnswerProbe(equals=""), None, False),
    ],
)
def test_an_answer_is_judged_by_its_one_condition(probe: AnswerProbe, answer: str | None, *, full: bool) -> None:
    """White space around the message and the model's thoughts do not count; letters do."""
    score = judge_answer(probe, answer)
    assert score.value == float(full)
    assert bool(score.note) != full


@given(text=st.text(), number=st.floats(allow_nan=False, allow_infinity=False))
def test_every_text_has_a_score(text: str, number: float) -> None:
    """No answer or file raises, and every score lies in [0, 1] with a note that a table bears."""
    content = text.encode(errors="replace").decode()
    for score in (judge_answer(AnswerProbe(number=number), text), judge_file(at("/a/0", number), file(content))):
        assert 0.0 <= score.value <= 1.0
        assert len(score.note) <= 300
