"""The table of attempts in docs/safety.md is that of `tests/faults/attempts.py`, which others act out.

`python -m tests.test_attempts --write` writes it anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.faults.attempts import ATTEMPTS, KNOWN_SHARED, table

PAGE = Path(__file__).parent.parent / "docs" / "safety.md"
BEGIN, END = "<!-- attempts:begin -->", "<!-- attempts:end -->"


def with_table(text: str) -> str:
    """The page with its table written anew."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


def test_the_attempts_on_the_page_are_those_that_are_tested() -> None:
    """Every attempt has its row, with who is paid for it in each setting, and the text counts them rightly."""
    page = PAGE.read_text()
    assert page == with_table(page)
    assert f"holds {len(ATTEMPTS)} attempts" in page
    assert f"these\n{len(KNOWN_SHARED)} do" in page


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(f"usage: python -m tests.{Path(__file__).stem} --write")
    PAGE.write_text(with_table(PAGE.read_text()))
