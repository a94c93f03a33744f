"""Values with params: of which type they are, what a param stands for, and that nothing in them can grow large."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.grading.grade import resolve_pointer
from taskcal.taskset.prompts.template import TemplateMistake
from taskcal.taskset.prompts.value_template import Target, ValueTemplates

if TYPE_CHECKING:
    from taskcal.core.task import Scalar

PARAM_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50)
PARAMS: dict[str, Scalar] = {"n": 42, "f": 1.5, "s": "a.b", "b": True, "none": None, "path": "x/y~z", "digits": "7"}


def render(text: str, target: Target = Target.TEXT, **params: Scalar) -> Scalar:
    return ValueTemplates().compile(text, target).render(PARAMS | params)


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [
        ("{{ n }}", Target.TEXT, 42),
        ("{{ f }}", Target.TEXT, 1.5),
        ("{{ b }}", Target.TEXT, True),
        ("{{ none }}", Target.TEXT, None),
        ("{{ digits|int }}", Target.TEXT, 7),
        ("{{ n if b else s }}", Target.TEXT, 42),
        ("{{ other|default(n) }}", Target.TEXT, 42),
        ("#{{ n }}", Target.TEXT, "#42"),
        ("{{ n }} ", Target.TEXT, "42 "),
        ("{{ b }}/{{ none }}", Target.TEXT, "true/"),
        ("{% if b %}yes{% else %}no{% endif %}", Target.TEXT, "yes"),
        ("{# text #} {{ n }}", Target.TEXT, "{# text #} 42"),
        ('{{ "{{" }}', Target.TEXT, "{{"),
        ("{% raw %}{{ n }}{% endraw %}", Target.TEXT, "{{ n }}"),
        ("{{ s }}", Target.PATTERN, r"a\.b"),
        ("^{{ s }}+$", Target.PATTERN, r"^a\.b+$"),
        ("{{ n }}", Target.PATTERN, "42"),
        ("/k/{{ path }}/0", Target.POINTER, "/k/x~1y~0z/0"),
        ("{{ path }}", Target.POINTER, "x/y~z"),
    ],
)
def test_params_are_written_as_their_place_needs_it(text: str, target: Target, value: Scalar) -> None:
    """One expression keeps its type; in a pattern a param is its own text, in a pointer it is one key."""
    assert render(text, target) == value
    assert type(render(text, target)) is type(value)


@pytest.mark.parametrize("text", ["", "abc", "1,5", "0x1F", "nan", "inf", "5 %", None])
@pytest.mark.parametrize("convert", ["int", "float"])
def test_a_filter_makes_no_number_of_what_is_none(convert: str, text: str | None) -> None:
    """Jinja makes a 0 of it, which a wrong answer would meet."""
    with pytest.raises(ValueError, match="number"):
        render(f"{{{{ value|{convert} }}}}", value=text)
    with pytest.raises(ValueError, match="number"):
        render(f"is {{{{ value|{convert} }}}}.", value=text)


@pytest.mark.parametrize(("text", "whole"), [(" 7 ", 7), ("-3.9", -3), (2.5, 2), (True, 1), ("9" * 30, int("9" * 30))])
def test_the_filters_read_numbers(text: Scalar, whole: int) -> None:
    """From text, from numbers, and whole ones of any size."""
    assert render("{{ value|int }}", value=text) == whole
    assert render("{{ value|float }}", value=text) == float(text or 0)


@given(text=PARAM_TEXT, around=st.sampled_from(["{}", "^{}$", "a{}b", "[{}]"]))
def test_a_param_in_a_pattern_matches_itself_only(text: str, around: str) -> None:
    """Whatever a param holds, the pattern that it stands in compiles and finds it."""
    pattern = str(render(around.format("{{ s }}"), Target.PATTERN, s=text))
    assert pattern == around.format(re.escape(text))
    if around in ("^{}$", "a{}b"):
        assert re.search(pattern, around.strip("^$").format(text))


@given(key=PARAM_TEXT)
def test_a_param_in_a_pointer_is_one_key(key: str) -> None:
    """Slashes and tildes of a param lead nowhere else."""
    assert resolve_pointer({"k": {key: "found"}}, str(render("/k/{{ s }}", Target.POINTER, s=key))) == "found"


@pytest.mark.parametrize(
    "text", ["{{ n", "{{ n.x }}", "{{ n * 9 }}", "{% for x in s %}{% endfor %}", "{{ n }}\r", "{{ n }}" * 1_001]
)
def test_a_value_is_bounded_as_a_prompt_is(text: str) -> None:
    """Loops, attributes and arithmetic are refused, and so is what could be made large."""
    with pytest.raises(TemplateMistake):
        ValueTemplates().compile(text, Target.TEXT)


@pytest.mark.parametrize("text", ["{{ [n, n] }}", "{{ (n, s) }}", "{{ s }}" * 100])
def test_a_value_is_one_bounded_scalar(text: str) -> None:
    """A list of references could be printed as gigabytes."""
    with pytest.raises(ValueError, match=r"must be one value|longer than 1 MiB"):
        render(text, s="x" * 50_000)
