r"""The one number that an agent's final message states, or the reason why it states none.

Models decorate numbers (`**42**`, `\boxed{42}`, "The answer is 42."). Every form accepted here commits to one number.
What may mean another one is refused, because a wrong answer must never be paid: a percentage, a unit, an approximation,
two different numbers. All searches are linear in the length of the message, which a stranger's agent writes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation, localcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_NUMBER = 400
"""Characters; a double has at most 309 digits before its point."""
LONGEST_SENTENCE = 300
LARGEST_SLACK = 1e-9
RELATIVE_SLACK = 1e-12
EXACT_DIGITS = 1_500
"""Decimal digits that keep the difference of two numbers of LONGEST_NUMBER characters exact."""

_THOUGHTS_END = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_THOUGHTS_BEGIN = re.compile(r"<think(?:ing)?>", re.IGNORECASE)
_MINUS = str.maketrans(dict.fromkeys("\N{MINUS SIGN}\N{EN DASH}\N{SMALL HYPHEN-MINUS}\N{FULLWIDTH HYPHEN-MINUS}", "-"))
_NUMBER = re.compile(
    r"(?P<sign>[-+]?)(?:(?P<before>\\?[$€£¥])\s?)?(?P<inner>[-+]?)"
    r"(?P<whole>[1-9]\d{0,2}(?P<mark>[,_'\u2019\u00a0\u2009\u202f]|\\,|\{,\})\d{3}(?:(?P=mark)\d{3})*|\d*)"
    r"(?P<part>\.\d*)?(?P<power>[eE][-+]?\d{1,4})?\s?(?P<after>\\?[$€£¥])?\.?"
)
_WRAPPERS = (
    ("```", "```"), ("**", "**"), ("__", "__"), ("*", "*"), ("_", "_"), ("`", "`"), ("$$", "$$"), ("$", "$"),
    ("\\(", "\\)"), ("\\[", "\\]"), ("\\boxed{", "}"), ("\\text{", "}"), ("\\textbf{", "}"), ("\\mathbf{", "}"),
    ("\\mathrm{", "}"), ("<answer>", "</answer>"),
    ('"', '"'), ("'", "'"), ("\N{LEFT DOUBLE QUOTATION MARK}", "\N{RIGHT DOUBLE QUOTATION MARK}"),
)  # fmt: skip
"""Parentheses are not among them: in a ledger (42) is minus 42."""
_FENCE_LANGUAGE = re.compile(r"```[a-z]{1,12}\n")
_BOXES = re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]{0,50}\}){0,200})\}|<answer>([^<]{0,200})</answer>")
_EMPHASIS = re.compile(r"(?<!\w)(?:\*{1,3}|_{1,3}|`)|(?:\*{1,3}|_{1,3}|`)(?!\w)")
_LABEL = re.compile(
    r"[#>\s]{0,20}(?:(?:so|therefore|thus|hence),?\s)?(?:the\s|my\s)?(?:final\s|correct\s)?answer"
    r"(?:(?:\s+is)?\s*[:=]|\s+is(?!\w)|\s*$)(.*)",
    re.IGNORECASE,
)
_HASHES = re.compile(r"####\s+(.+)")
_SENTENCE = re.compile(r"(.*)(?:\b(?:is|are|was|were|equals)\b|(?<![=<>!~])=|:)(.*)", re.IGNORECASE)
_DOUBT = re.compile(
    r"\b(?:not?|nor|neither|never|cannot|wrong|incorrect|false|unlikely|unless|whether|if|suppose|assum\w*|doubt|than|or|but"
    r"|except|half|twice|double|minus|plus|times)\b|n['\u2019]t\b"
)
_HEDGE = re.compile(
    r"\b(?:perhaps|maybe|possibly|probably|presumably|roughly|approx(?:imately)?)\b"
    r"|\b(?:about|around|nearly|almost|over|under|above|below|most|least|more|fewer|less|up to)\W*$"
    r"|\b(?:may|might|could) be\W*$"
)
_EXPRESSION = re.compile(r"[\^\u221a\u00b9\u00b2\u00b3]|(?:^|\s)-(?=\w)|[-+*/<>=~(]\s*$|\b(?:sqrt|log|ln|abs)\s*\(")
"""A left side such as `-x` or `x^2`: what it equals is not the answer."""
_SCALE = re.compile(
    r"%|\b(?:hundred|thousand|million|billion|trillion|dozen|percent)|\bin (?:hex\w*|binary|octal)\b", re.IGNORECASE
)
_VARIABLE = re.compile(r"[A-Za-z]\s*=(?!=)\s*")
_DIGIT = re.compile(r"\d")


class NoNumber(ValueError):
    """A message that states no number, or more than one; the text is the reason, for the check's note."""


@dataclass(frozen=True, slots=True)
class _Stated:
    """What a message marks as its answer, and the offset after it."""

    text: str
    end: int


def final_text(answer: str) -> str:
    """The message without the model's thoughts: the text after the last `</think>`, up to a `<think>` left open."""
    begin = 0
    for closing in _THOUGHTS_END.finditer(answer):
        begin = closing.end()
    text = answer[begin:]
    opening = _THOUGHTS_BEGIN.search(text)
    return (text if opening is None else text[: opening.start()]).strip()


def read_number(text: str) -> Decimal:
    """The number that a message without thoughts states. Raises NoNumber with the reason."""
    whole = _parse(text)
    if whole is not None:
        return whole
    marked = [*_boxes(text), *_labels(text)]
    return _agreed(marked, text) if marked else _sentence(text)


def is_near(found: Decimal, wanted: float, tolerance: float) -> bool:
    """Whether two numbers are at most `tolerance` apart, give or take the rounding of a few binary operations.

    That rounding is at most 1e-9 and at most a relative 1e-12 (1e-12 for a wanted 0), so that no neighbour of a large
    whole number and no 0 in place of a tiny number is taken for the right one.
    """
    slack = min(LARGEST_SLACK, abs(wanted) * RELATIVE_SLACK) if wanted else RELATIVE_SLACK
    with localcontext() as context:
        context.prec = EXACT_DIGITS
        distance = abs(found - Decimal(str(wanted)))
        return distance <= Decimal(str(tolerance)) + Decimal(slack)


def _parse(text: str) -> Decimal | None:
    """The number that a text is once its decoration is off, or None."""
    bare = _bare(text)
    match = _NUMBER.fullmatch(bare.translate(_MINUS)) if len(bare) <= LONGEST_NUMBER else None
    if match is None or (match["sign"] and match["inner"]) or (match["before"] and match["after"]):
        return None
    whole = match["whole"].replace(match["mark"], "") if match["mark"] else match["whole"]
    try:
        value = Decimal(f"{match['sign'] or match['inner']}{whole}{match['part'] or ''}{match['power'] or ''}")
    except InvalidOperation:
        return None
    return value if math.isfinite(float(value)) else None


def _bare(text: str) -> str:
    """A short text without pairs of marks around it and without its final dot."""
    text = text.strip()
    if len(text) > 2 * LONGEST_NUMBER:
        return text
    before = ""
    while before != text:
        before = text
        text = text.removesuffix(".").strip() if not text.endswith("..") else text
        text = _VARIABLE.sub("", text, count=1) if _VARIABLE.match(text) else text
        text = _FENCE_LANGUAGE.sub("```", text, count=1) if text.startswith("```") else text
        for opening, closing in _WRAPPERS:
            if len(text) > len(opening) + len(closing) and text.startswith(opening) and text.endswith(closing):
                text = text[len(opening) : -len(closing)].strip()
    return text


def _agreed(marked: list[_Stated], text: str) -> Decimal:
    """The number that all marked places state, with no other number after the last of them."""
    numbers = {_parse(stated.text) for stated in marked}
    value = numbers.pop()
    if numbers:
        raise NoNumber("marks different numbers as its answer")
    if value is None:
        raise NoNumber(f"marks {_short(marked[-1].text)} as its answer, which is not one number")
    end = max(stated.end for stated in marked)
    if _DIGIT.search(text, end):
        raise NoNumber("has another number after the one marked as its answer")
    if _SCALE.search(text, end):
        raise NoNumber("may mean a multiple of the number marked as its answer")
    return value


def _boxes(text: str) -> Iterator[_Stated]:
    for match in _BOXES.finditer(text):
        yield _Stated(match[1] if match[1] is not None else match[2], match.end())


def _labels(text: str) -> Iterator[_Stated]:
    """Lines such as "Answer: 42", "The final answer is 42." and "#### 42"; after a bare label the next line counts."""
    offset, label_open = 0, False
    for line in text.splitlines(keepends=True):
        offset += len(line)
        plain = _EMPHASIS.sub("", line[: 2 * LONGEST_NUMBER]).strip()
        match = _LABEL.match(plain)
        rest = match[1].strip() if match else plain if label_open else None
        hashes = _HASHES.fullmatch(plain)
        if hashes and _parse(hashes[1]) is not None:
            rest = hashes[1]
        if rest and _DIGIT.search(rest) and not _BOXES.search(rest):
            yield _Stated(rest, offset)
        label_open = (match is not None and not rest) or (label_open and not plain)


def _sentence(text: str) -> Decimal:
    """The only number of a message that ends with it: "The total is 42.", "total = 42", or a line of its own."""
    last = text.splitlines()[-1] if text else ""
    above = text[: len(text) - len(last)].rstrip()
    match = _SENTENCE.fullmatch(_EMPHASIS.sub("", last).strip()) if len(last) <= LONGEST_SENTENCE else None
    if match is not None:
        before, value = match[1].lower(), _parse(match[2])
    else:
        before, value = _EMPHASIS.sub("", above.rpartition("\n")[2]).lower(), _parse(last)
    if value is None:
        raise NoNumber(_unclear(text))
    if _DIGIT.search(before) or _DIGIT.search(above):
        raise NoNumber("holds more than one number and marks none as its answer")
    before = before.translate(_MINUS)
    if any(pattern.search(before) for pattern in (_DOUBT, _HEDGE, _EXPRESSION)) or _SCALE.search(text):
        raise NoNumber("does not commit to its number")
    return value


def _unclear(text: str) -> str:
    if text.rstrip(" .").endswith("%"):
        return "is a percentage, which may mean two numbers"
    return "does not state one number by itself"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
