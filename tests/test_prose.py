"""The text that people read keeps to plain English: each stilted pattern has a budget per 1,000 words.

A budget is the most that four well-written Python projects (mini-swe-agent, httpx, nox and build) need, so that a word
such as "where" can still name a place. Code, and tables that code generates, do not count.
Help texts, errors and docstrings can join: add their text to `SOURCES`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent

BUDGETS = {
    r"\bwhere\b": 1.8,  # for a place; "if" states a condition, "when" a time
    r"\b(those that|that which|what (is|was|it|a|the|came|every|has|can|one|stands?))\b": 0.3,  # use a noun
    r"\b(told|tells?|said|says)\b": 0.1,  # a program prints, reports, returns
    r"\b(is|are|was) no (?!more|longer|less)[a-z]+": 0.2,  # "is not a"
    r"\b(so many|so much|so few|so long|so far)\b": 0.2,  # "at most N"
    r"\b(beside|behind|alone)\b": 0.4,
    r"\b(nobody|somebody|anybody|whoever)\b": 0.0,
    r"\bof (its|their|his|one's) own\b": 0.2,
}
"""Occurrences per 1,000 words that a text may have of each pattern."""

NOT_PROSE = re.compile(r"<!-- (\w+):begin -->.*?<!-- \1:end -->|^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def prose(markdown: str) -> str:
    """The hand-written sentences of a page: no generated parts, no code."""
    return NOT_PROSE.sub("", markdown)


def pages() -> str:
    """README and docs, as one text."""
    return "\n".join(prose(page.read_text()) for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))))


SOURCES: dict[str, Callable[[], str]] = {"README and docs": pages}


def over_budget(text: str) -> Iterator[str]:
    """Each pattern that is too frequent in `text`, with its rate per 1,000 words and the places."""
    words = len(re.findall(r"[A-Za-z']+", text))
    for pattern, budget in BUDGETS.items():
        places = [match.start() for match in re.finditer(pattern, text, re.IGNORECASE)]
        if 1000 * len(places) / words > budget:
            examples = [" ".join(text[max(0, place - 40) : place + 40].split()) for place in places]
            yield f"{pattern}: {1000 * len(places) / words:.1f} per 1,000 words, not {budget}: {examples}"


@pytest.mark.parametrize("source", SOURCES)
def test_text_is_plain_english(source: str) -> None:
    """No stilted pattern is more frequent than its budget."""
    assert list(over_budget(SOURCES[source]())) == []


def test_only_sentences_count() -> None:
    """Code and generated parts are left out, and text between them is not."""
    page = "Kept.\n```sh\necho where\n```\n<!-- help:begin -->\nwhere\n<!-- help:end -->\nAlso `where` kept.\n"
    assert prose(page).split() == ["Kept.", "Also", "kept."]


def test_a_stilted_text_is_over_budget() -> None:
    """Each pattern is found: a text that has one of each exceeds every budget."""
    text = "Where it says so many, nobody alone is no use of its own, what is more."
    assert len(list(over_budget(text))) == len(BUDGETS)
