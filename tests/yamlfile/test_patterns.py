"""A regular expression that would take long to compile is refused, and what people write is not."""

from __future__ import annotations

import re
import time

import pytest

from taskcal.yamlfile.patterns import check_pattern

TOP, LAST = "\U0010ffff", "\uffff"


@pytest.mark.parametrize(
    "pattern",
    [
        "(?i)x{1}" + f"[!-{TOP}]" * 1980,
        "(?i)" + f"[!-{TOP}]" * 190,
        f"[!-{LAST}]" * 199,
        r"[!-\uffff]" * 90,
        r"[!-\U0010ffff]" * 60,
        r"[!-\N{REPLACEMENT CHARACTER}]" * 30,
        f"[!-\\{LAST}]" * 160,
        r"[\\U0000ff00-\uffff]" * 45,
        "[" + "".join(f"{chr(33 + n)}-{chr(65535 - n)}" for n in range(60) if chr(33 + n) not in "]^-\\") + "]",
        "x" * 1001,
    ],
    ids=lambda pattern: pattern[:24].encode("unicode_escape").decode(),
)
def test_what_would_take_long_is_refused_at_once(pattern: str) -> None:
    """However the ends of a range are written, what they span is added up before anything is compiled."""
    begun = time.process_time()
    with pytest.raises(ValueError, match=r"span more than 200,000 characters|more than 1,000 characters"):
        check_pattern(pattern)
    assert time.process_time() - begun < 0.05


@pytest.mark.parametrize(
    "pattern",
    [
        "(?i)" + f"[!-{TOP}]" * 3,
        "(?i)" + "[ -ÿ]" * 199,
        "[a€ﬀ]" * 200,
        "(?:" * 120 + f"[!-{LAST}]" + ")*+" * 120,
        "(?i)" + "".join(f"[{chr(0xF000 + n)}-{LAST}]" for n in range(48)),
    ],
    ids=lambda pattern: pattern[:24].encode("unicode_escape").decode(),
)
def test_what_is_allowed_compiles_soon(pattern: str) -> None:
    """The most expensive patterns within the bounds cost a fraction of a second."""
    re.purge()
    begun = time.process_time()
    assert check_pattern(pattern) == pattern
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{4}-\d{2}-\d{2}$",
        r"[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff]+",
        "[一-龥]+(?:、[一-龥]+)*",
        "[\U0001f600-\U0001f64f\U0001f300-\U0001f5ff\U0001f680-\U0001f6ff\u2600-\u26ff\u2700-\u27bf]",
        "(?i)[a-zà-ÿ]+-€",
        r"[^\x00-\x7f]|[\u0080-\uffff]",
    ],
)
def test_what_people_write_is_allowed(pattern: str) -> None:
    """Dates, Chinese, emoji, accents."""
    assert check_pattern(pattern) == pattern
