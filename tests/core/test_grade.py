"""The arithmetic of a reward, and what counts as a number, an answer, a file or a place in JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.grade import (
    FileState,
    Score,
    combine,
    judge_answer,
    judge_file,
    number_on_last_line,
    resolve_pointer,
    scores_on_last_line,
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
    return FileProbe("/app/r.json", pointer=pointer, equals=wanted, has_equals=True)


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


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("0.5", 0.5),
        ("talk\nmore talk\n 1 \n\n", 1.0),
        ("0", 0.0),
        ("1e-3", 0.001),
        ("0.5\r\n", 0.5),
        ("", None),
        ("\n", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("-0.1", None),
        ("1.0000001", None),
        ("50%", None),
        ("score: 0.5", None),
        ("0.5\ndone", None),
        ("true", None),
    ],
)
def test_a_score_is_a_number_on_the_last_line(output: str, expected: float | None) -> None:
    """Only a number in [0, 1] is one: NaN, infinities, negatives, words and nothing are None."""
    assert number_on_last_line(output) == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ('{"a": 1, "b": 0.5}', {"a": 1.0, "b": 0.5}),
        ('log\n{"a": 0}\n', {"a": 0.0}),
        ("{}", {}),
        ('{"a": true}', None),
        ('{"a": NaN}', None),
        ('{"a": Infinity}', None),
        ('{"a": -0.5}', None),
        ('{"a": 1.5}', None),
        ('{"a": "1"}', None),
        ('{"a": null}', None),
        ('{"a": 1' + "0" * 400 + "}", None),
        ('{"a": 1' + "0" * 9000 + "}", None),
        ("[" * 100_000, None),
        ("[1]", None),
        ('{"a": 1', None),
        ("", None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_scores_by_name_are_json_on_the_last_line(output: str, expected: dict[str, float] | None) -> None:
    """One number outside [0, 1], one that is none, or any other JSON, and nothing is believed."""
    assert scores_on_last_line(output) == expected


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
    assert score == Score(0.0, f"/app/r.json has nothing at {pointer}")


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
        (AnswerProbe(number=42), "42", True),
        (AnswerProbe(number=1234.5), "$1,234.50", True),
        (AnswerProbe(number=1_000_000), "1_000_000", True),
        (AnswerProbe(number=1_234_567), "-1,234,567", False),
        (AnswerProbe(number=-1_234_567), "-1,234,567", True),
        (AnswerProbe(number=1000), "€ 1,000.", True),
        (AnswerProbe(number=15), "1,5", False),
        (AnswerProbe(number=1.5), "1,5", False),
        (AnswerProbe(number=1500), "1,50,0", False),
        (AnswerProbe(number=125), "0,125", False),
        (AnswerProbe(number=1234567), "1234,567", False),
        (AnswerProbe(number=1.234567), "1.234,567", False),
        (AnswerProbe(number=15), "1_5", False),
        (AnswerProbe(number=15), "15%", False),
        (AnswerProbe(number=0.15), "15 %", False),
        (AnswerProbe(number=0.5), ".5", True),
        (AnswerProbe(number=0), ".", False),
        (AnswerProbe(number=1500), "1.5e3", True),
        (AnswerProbe(number=12), "12.", True),
        (AnswerProbe(number=-3), "-3", True),
        (AnswerProbe(number=42, tolerance=0.5), "42.5", True),
        (AnswerProbe(number=42, tolerance=0.5), "42.51", False),
        (AnswerProbe(number=0.3), "0.30000000000000004", True),
        (AnswerProbe(number=42), "about 42", False),
        (AnswerProbe(number=0), "nan", False),
        (AnswerProbe(number=0), "", False),
        (AnswerProbe(number=1e308), "1e999", False),
        (AnswerProbe(equals=""), None, False),
    ],
)
def test_an_answer_is_judged_as_people_write(probe: AnswerProbe, answer: str | None, *, full: bool) -> None:
    """Thousands separators, currency and a final dot are no difference; what may mean another number is never right."""
    score = judge_answer(probe, answer)
    assert score.value == float(full)
    assert bool(score.note) != full


@given(text=st.text(), number=st.floats(allow_nan=False, allow_infinity=False))
def test_every_text_has_a_score(text: str, number: float) -> None:
    """No output, answer or file raises, and every score lies in [0, 1] with a note that a table bears."""
    assert not math.isnan(number_on_last_line(text) or 0.0)
    scores_on_last_line(text)
    content = text.encode(errors="replace").decode()
    for score in (judge_answer(AnswerProbe(number=number), text), judge_file(at("/a/0", number), file(content))):
        assert 0.0 <= score.value <= 1.0
        assert len(score.note) <= 300
