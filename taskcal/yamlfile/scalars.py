"""What a plain YAML word means: the 1.2 core schema, so that `no` is text, dates are text and nothing surprises.

null, true, false (also in capitals), decimal, 0o17 and 0x1F whole numbers, floats, .inf and .nan; all
else is text. Leading zeros are refused, since YAML 1.1 and 1.2 disagree about them, and so are absurdly long numbers.

A number or truth value that becomes text (a param, a variable, the text that a file must hold) must be written as that
text. `1.10` would become "1.1" without a word, `0x1F` "31" and `True` "true": these are refused there, as `Written`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core.task import as_text

if TYPE_CHECKING:
    from taskcal.core.task import Scalar

WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
WHOLE = re.compile(r"[-+]?[0-9]+")
BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
LONGEST_NUMBER = 300


@dataclass(frozen=True, slots=True)
class Written:
    """A number or truth value that was written otherwise than scripts would receive it."""

    value: Scalar
    text: str


def differs(value: object, text: str) -> bool:
    """Whether `value`, written as `text`, would become another text. Null becomes nothing, however it is written."""
    return isinstance(value, bool | int | float) and as_text(value) != text


def quoting_advice(written: Written) -> str:
    """Give the sentence that explains how to write such a value."""
    kind = "a truth value" if isinstance(written.value, bool) else "a number"
    became = as_text(written.value)
    return f'{written.text} is {kind} and would become the text {became}; write "{written.text}" in quotes, or {became}'


def read_scalar(text: str) -> Scalar:
    """Give the value of one plain scalar.

    Raises ValueError if the text is a number that cannot be meant as it stands.
    """
    if text in WORDS:
        return WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    return _number(text)


def _number(text: str) -> Scalar:
    whole, real = WHOLE.fullmatch(text), REAL.fullmatch(text)
    based = BASED.fullmatch(text)
    if not (whole or real or based):
        return text
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} digits; put it in quotes if it is text")
    if LEADING_ZERO.fullmatch(text):
        raise ValueError(f'a number with a leading zero; write "{text}" in quotes for the text, or drop the zero')
    if whole or based:
        return int(text, 0)
    return float(text)


def check_writable(text: str) -> None:
    """Raise ValueError for text that no script, path or environment variable can hold."""
    if "\0" in text:
        raise ValueError("a NUL character, which no script or path can hold")
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("half of a surrogate pair, which is no character") from error
