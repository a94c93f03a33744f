"""docs/verdicts.md: its tables are those of the simulation, and every cell above its claim is explained."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from tests.bench.claims_page import BEGIN, DESIGNS, END, NAMES, PAGE, TASKS, cell, measure

TYPICAL = {"i", "ii", "iii", "hardheavy", "nospike", "near"}
COLD = [title for title, (design, *_) in DESIGNS.items() if not design.earlier]
NUMBERS = re.compile(r"([\d.]+) / ([\d.]+)")


class Cell(NamedTuple):
    """Where a cell stands and what is in it."""

    title: str
    row: str
    tasks: str
    text: str

    @property
    def above(self) -> bool:
        """Whether more are wrong than claimed, beyond chance."""
        return self.text.startswith("**")


def cells() -> list[Cell]:
    """Every cell of the tables by design and population."""
    text = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    found = []
    for title in DESIGNS:
        lines = text.partition(f"### {title}\n")[2].partition("###")[0].splitlines()
        rows = [[part.strip() for part in line.strip("|").split("|")] for line in lines if line.startswith("|")]
        heads, _, *rest = rows
        found += [
            Cell(title, row[0], head, text) for row in rest for head, text in zip(heads[1:], row[1:], strict=True)
        ]
    return found


def test_the_tables_are_whole() -> None:
    """Every design, every population, every number of tasks."""
    asked = {(title, name, f"{tasks} tasks") for title in DESIGNS for name in NAMES.values() for tasks in TASKS}
    assert {cell[:3] for cell in cells()} == asked


def test_claims_hold_on_typical_tasksets() -> None:
    """No cell of the six populations is above its claim, for fixed groups and adaptive runs, at any number of tasks."""
    typical = {NAMES[name] for name in TYPICAL}
    assert [one for one in cells() if one.above and one.title in COLD and one.row in typical] == []


def test_what_is_above_its_claim_is_named() -> None:
    """The page says of every population with such a cell which it is."""
    prose = PAGE.read_text().partition(BEGIN)[0]
    above = {one.row for one in cells() if one.above}
    assert above
    assert sorted(row for row in above if f"`{row}`" not in prose) == []


@pytest.mark.parametrize("name", ["i", "nospike", "edges"])
def test_the_page_has_what_the_simulation_says(name: str) -> None:
    """One cell of each simulated anew: the same shares to half a point, whatever the version of the generator."""
    title = COLD[0]
    text = next(one.text for one in cells() if one[:3] == (title, NAMES[name], "25 tasks"))
    old, new = ([float(share) for share in NUMBERS.findall(one)[0]] for one in (text, cell(measure(title, name, 25))))
    assert new == pytest.approx(old, abs=8 if name == "edges" else 0.5)
