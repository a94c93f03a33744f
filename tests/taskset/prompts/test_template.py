"""Prompts: what may stand in them, and that nothing in them can take the machine down."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskcal.taskset.prompts.template import Prompts, TemplateMistake


def render(text: str, **params: str | float | bool | None) -> str:
    """Compile and render in one go."""
    return Prompts().compile(text).render(params)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain } text {", "plain } text {"),
        ("{{ n }} and {{ s|upper }}", "5 and ABC"),
        ("{% if n > 3 and not s == 'x' %}big{% else %}small{% endif %}", "big"),
        ("{% if s in ['abc', 'x'] %}in{% endif %}", "in"),
        ("{{ 'yes' if b else 'no' }}", "yes"),
        ("{{ b }} {{ nothing }}.", "true ."),
        ("{{ f|round(1) }} {{ s|length }} {{ other|default('d') }}", "2.3 3 d"),
        ("{# a comment #}x\n", "x\n"),
    ],
)
def test_params_ifs_comparisons_and_filters_work(text: str, result: str) -> None:
    """All that a prompt needs is there."""
    assert render(text, n=5, s="abc", b=True, nothing=None, f=2.26) == result


@pytest.mark.parametrize(
    "text",
    [
        "{% for x in s %}{{ x }}{% endfor %}",
        "{{ s * 1000000000 }}",
        "{{ n ** n ** n }}",
        "{{ s ~ s }}",
        "{{ s + s }}",
        "{{ s.__class__ }}",
        "{{ s['__class__'] }}",
        "{{ s() }}",
        "{{ range(9) }}",
        "{{ s|replace('a', 'b') }}",
        "{{ s|center(1000000000) }}",
        "{{ n|round(999999999, 'ceil') }}",
        "{{ n|round(999999999) }}",
        "{{ n|round(precision=9999999) }}",
        "{{ s|join(',') }}",
        "{% set x = 1 %}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% extends 'x' %}",
        "{% raw %}{% endraw %}{% block b %}{% endblock %}",
        "{{ self }}",
        "{{ s is defined }}",
        "{{ s|upper('x') }}",
        "{{ n",
        "{% if n %}",
        "{{ " + "(" * 2000 + "n" + ")" * 2000 + " }}",
        "{% if n %}" * 200 + "{% endif %}" * 200,
        "{{ not " + "not " * 100 + "n }}",
        "{{ " + "9" * 5000 + " }}",
        "x" * (1024**2 + 1),
        "{{ n }}" * 1_001,
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    """Loops, calls, attributes, arithmetic and all that could fill memory are refused before they run."""
    with pytest.raises(TemplateMistake):
        Prompts().compile(text)


def test_a_mistake_names_its_line() -> None:
    """The line counts inside the prompt."""
    with pytest.raises(TemplateMistake) as caught:
        Prompts().compile("one\ntwo\n{{ three.four }}\n")
    assert caught.value.line == 3


def test_names_are_collected_from_all_branches() -> None:
    """A name in a branch that is not taken is needed all the same; one with a default is not."""
    prompt = Prompts().compile("{{ a }}\n{% if b %}{{ c }}{% endif %}{{ d|default(e) }}")
    assert dict(prompt.names) == {"a": 1, "b": 2, "c": 2, "e": 2}


def test_what_comes_out_is_bounded() -> None:
    """A short template with a long param cannot make a prompt of more than 1 MiB."""
    with pytest.raises(ValueError, match="longer than 1 MiB"):
        render("{{ s }}" * 100, s="x" * 50_000)


def test_values_of_different_kinds_cannot_be_ordered() -> None:
    """The error says what to do."""
    with pytest.raises(ValueError, match="compare values of one kind"):
        render("{% if s < 1 %}x{% endif %}", s="a")


def test_the_same_text_is_compiled_once() -> None:
    """Five thousand tasks with one prompt cost one compilation."""
    prompts = Prompts()
    assert prompts.compile("{{ a }}") is prompts.compile("{{ a }}")


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="{}%#|()[]'\" \nab01.,~*+-<>=if", max_size=50).map(lambda text: "{{" + text))
def test_any_text_is_compiled_or_refused(text: str) -> None:
    """Nothing but TemplateMistake comes out of compiling."""
    try:
        Prompts().compile(text)
    except TemplateMistake as mistake:
        assert mistake.line >= 1  # noqa: PT017  # either way is fine, but no other exception
