"""What scripts print as scores: numbers give or take rounding, true and false, and a reason for everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.grading.scores import ROUNDING, NoScore, score_on_last_line, scores_on_last_line

TWENTIETHS = sum([0.05] * 20)
"""1.0000000000000002"""


@pytest.mark.parametrize(
    ("output", "score"),
    [
        ("0.5", 0.5),
        ("talk\nmore talk\n 1 \n\n", 1.0),
        ("0", 0.0),
        ("-0.0", 0.0),
        ("1e-3", 0.001),
        ("0.5\r\n", 0.5),
        ("true", 1.0),
        ("True\n", 1.0),
        ("false", 0.0),
        ("False", 0.0),
        (repr(TWENTIETHS), 1.0),
        ("1.000000001", 1.0),
        ("0.9999999999999999", 1.0),
        ("-1e-12", 0.0),
        ("1e-12", 0.0),
    ],
)
def test_a_score_is_a_number_on_the_last_line(output: str, score: float) -> None:
    """Rounding within 1e-9 of 0 and 1 is taken off; true and false, as JSON or Python print them, are 1 and 0."""
    assert score_on_last_line(output) == score


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("", "nothing"),
        ("\n", "nothing"),
        ("nan", "nan"),
        ("inf", "inf (above 1)"),
        ("-inf", "-inf (below 0)"),
        ("-0.1", "-0.1 (below 0)"),
        ("-0.00000001", "-0.00000001 (below 0)"),
        ("1.0000001", "1.0000001 (above 1)"),
        ("85", "85 (above 1)"),
        ("50%", "50%"),
        ("score: 0.5", "score: 0.5"),
        ("0.5\ndone", "done"),
        ("yes", "yes"),
        ("TRUE", "TRUE"),
        ('"1"', '"1"'),
        ("x" * 1000, "x" * 59 + "…"),
        ("9" * 5000, "9" * 59 + "…"),
    ],
    ids=lambda value: value[:20],
)
def test_everything_else_is_refused_with_what_came(output: str, shown: str) -> None:
    """NaN, infinities, numbers out of range, words and nothing: the reason shows what stood there."""
    with pytest.raises(NoScore) as caught:
        score_on_last_line(output)
    assert str(caught.value) == f"must end with a number in [0, 1], not: {shown}"


@pytest.mark.parametrize(
    ("output", "scores"),
    [
        ('{"a": 1, "b": 0.5}', {"a": 1.0, "b": 0.5}),
        ('log\n{"a": true, "b": false}\n', {"a": 1.0, "b": 0.0}),
        (f'{{"a": {TWENTIETHS!r}, "b": -1e-12}}', {"a": 1.0, "b": 0.0}),
        ('{"a": 0, "b": 1, "other": "talk", "big": 7}', {"a": 0.0, "b": 1.0}),
    ],
)
def test_scores_by_name_are_json_on_the_last_line(output: str, scores: dict[str, float]) -> None:
    """Numbers and booleans of the checks that were asked for; other keys may hold anything."""
    assert scores_on_last_line(output, ["a", "b"]) == scores


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ('{"a": NaN}', "must give 'a' a number in [0, 1], true or false, not: nan"),
        ('{"a": Infinity}', "must give 'a' a number in [0, 1], true or false, not: inf (above 1)"),
        ('{"a": -0.5}', "must give 'a' a number in [0, 1], true or false, not: -0.5 (below 0)"),
        ('{"a": 1.5}', "must give 'a' a number in [0, 1], true or false, not: 1.5 (above 1)"),
        ('{"a": "1"}', "must give 'a' a number in [0, 1], true or false, not: the text \"1\""),
        ('{"a": null}', "must give 'a' a number in [0, 1], true or false, not: null"),
        ('{"a": [1]}', "must give 'a' a number in [0, 1], true or false, not: a list"),
        ('{"a": {}}', "must give 'a' a number in [0, 1], true or false, not: an object"),
        ('{"a": 1' + "0" * 400 + "}", "not: 1" + "0" * 58 + "… (above 1)"),
        ("{}", "gave no score for 'a', only for no check"),
        ('{"A": 1}', "gave no score for 'a', only for 'A'"),
        ('{"a": 1' + "0" * 9000 + "}", "printed no scores"),
        ("[" * 100_000, "printed no scores"),
        ("[1]", "printed no scores"),
        ('{"a": 1', "printed no scores"),
        ("", "printed no scores"),
    ],
    ids=lambda value: value[:20],
)
def test_the_check_without_a_score_is_named(output: str, reason: str) -> None:
    """Which check, what came and why it is not a score; or that there was no JSON at all."""
    with pytest.raises(NoScore) as caught:
        scores_on_last_line(output, ["a"])
    assert reason in str(caught.value)


@given(text=st.text(), value=st.floats() | st.integers() | st.booleans())
def test_a_score_lies_in_zero_to_one_or_there_is_none(text: str, value: float) -> None:
    """Whatever is printed, a score is in [0, 1] and is the number printed, up to rounding."""
    for output in (text, str(value), f"{text}\n{value!r}"):
        try:
            score = score_on_last_line(output)
        except NoScore:
            continue
        assert 0.0 <= score <= 1.0
        if output == str(value):
            assert abs(score - float(value)) <= ROUNDING
