"""A simulation as a page: whole in itself, harmless whatever a population is called, well-formed in every case."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from taskcal.report.forecast.html import render_html
from taskcal.report.forecast.words import advise_on_sizes
from tests.report.forecast.simulation_case import empty, hostile, simulation

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskcal.core.forecast.compare_designs import Simulation

CASES: dict[str, Callable[[], Simulation]] = {
    "typical": simulation,
    "adverse": lambda: simulation("near-edge", 0.02),
    "empty": empty,
    "hostile": hostile,
}
VOID = {"meta", "br"}


class Outline(HTMLParser):
    """Every tag in order, the text, and whether each tag is closed by its own end."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count a tag."""
        self.tags.append(tag)
        self.attributes += attrs
        self.open += [tag] if tag not in VOID else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count a tag that is its own end."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost tag."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.text += data


@cache
def page(case: str) -> str:
    return render_html(CASES[case]())


def outline(case: str) -> Outline:
    parser = Outline()
    parser.feed(page(case))
    parser.close()
    assert parser.open == []
    return parser


def drawings(case: str) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page(case), re.DOTALL)]  # noqa: S314 - our own text


@pytest.mark.parametrize("case", CASES)
def test_the_page_needs_nothing_beside_itself(case: str) -> None:
    """No script, no link, no address, no import: it can be mailed, and opened without a network."""
    read = outline(case)
    assert not {"script", "link", "img", "iframe", "a", "object", "base", "form"} & set(read.tags)
    assert not {"src", "href", "onload", "onclick", "onerror", "style"} & {name for name, _ in read.attributes}
    assert not re.search(r"url\(|@import|https?:|//", page(case).partition("<body>")[0])


def test_a_strangers_name_is_text() -> None:
    """Markup, quotes, braces and escapes in a name are shown, not obeyed."""
    text = outline("hostile").text
    assert "<script>alert(1)</script>" in text
    assert "{{ 7*7 }}" in text
    assert "\x1b" not in page("hostile")


def test_the_table_and_the_advice_are_on_the_page() -> None:
    """The same numbers and sentences as in a terminal."""
    text = " ".join(outline("typical").text.split())
    assert all(" ".join(line.split()) in text for line in advise_on_sizes(simulation()))
    assert "17.9" in text


def test_every_design_is_drawn() -> None:
    """A dot and a label each among the errors, a panel each by true rate, and a line for each adaptive one."""
    errors, *panels, rollouts = drawings("typical")
    names = [one.plan.name for one in simulation().forecasts]
    circles = [node for node in errors.iter() if node.tag == "circle"]
    labels = {node.text for node in errors.iter() if node.tag == "text"}
    assert len(circles) == len(panels) == len(names)
    assert set(names) <= labels
    assert [panel.get("aria-label", "").partition(":")[0] for panel in panels] == names
    assert sum(node.get("class", "").startswith("line rule") for node in rollouts.iter()) == 3


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_drawn_outside(case: str) -> None:
    """Every point of every drawing is a finite one inside its view."""
    for drawing in drawings(case):
        width, height = (float(end) for end in drawing.get("viewBox", "").split()[2:])
        for node in drawing.iter():
            pairs = [tuple(map(float, pair.split(","))) for pair in node.get("points", "").split()]
            pairs += [(float(node.get("cx", 0)), float(node.get("cy", 0)))]
            assert all(0 <= x <= width and 0 <= y <= height for x, y in pairs)


def test_without_adaptive_designs_there_is_no_plot_of_theirs() -> None:
    """The page of fixed groups alone has their line and panels, and no empty drawing."""
    assert len(drawings("empty")) == 2
