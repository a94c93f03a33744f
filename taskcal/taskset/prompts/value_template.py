"""Values of checks take params as `{{ name }}`: the language of prompts, with two differences.

A value that is one expression keeps its type, so that a number in a param is compared as a number. Elsewhere a param is
text; in a regular expression it stands for exactly that text, and in a JSON pointer for one key. Comments (`{# #}`) are
ordinary text here: a condition that renders to nothing would be met by every file.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from taskcal.core.task import as_text
from taskcal.taskset.prompts.template import (
    MAX_MARKS,
    MAX_PROMPT,
    TemplateMistake,
    check_tree,
    compiling,
    limit_length,
    make_sandbox,
    rendering,
)
from taskcal.yamlfile.fields import check_scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jinja2 import Environment, Template, nodes

    from taskcal.core.task import Scalar

MARKS = ("{{", "{%")
LITERAL = 'for the text {{ itself write {{ "{{" }}'
RESULT = "TASKCAL_VALUE"
"""Where a sole expression leaves its value; no param can have this name."""
NO_COMMENTS = {"comment_start_string": "\0#", "comment_end_string": "#\0"}
"""No value can hold a NUL character."""


class Target(StrEnum):
    """What a value is part of, which decides how a param is written into it."""

    TEXT = "text"
    PATTERN = "regular expression"
    POINTER = "JSON pointer"


@dataclass(frozen=True, slots=True)
class ValueTemplate:
    """A checked value and the `names` of the params that it needs; `sole` if it is one expression and nothing else."""

    names: Mapping[str, int]
    template: Template
    sole: bool
    target: Target

    def render(self, params: Mapping[str, Scalar]) -> Scalar:
        """Give the value for these params. Raises ValueError if that fails or is no single value."""
        with rendering():
            if not self.sole:
                return "".join(limit_length(self.template.generate(params)))
            context = self.template.new_context(dict(params))
            deque(self.template.root_render_func(context), maxlen=0)
            value = check_scalar(context.vars[RESULT])
        return re.escape(as_text(value)) if self.target is Target.PATTERN else value


def is_template(text: str) -> bool:
    """Whether a value takes params; any other one is the text that it is."""
    return any(mark in text for mark in MARKS)


class ValueTemplates:
    """Compiles values, each once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Target], ValueTemplate] = {}

    def compile(self, text: str, target: Target) -> ValueTemplate:
        """Give the template of `text`. Raises TemplateMistake."""
        if len(text) > MAX_PROMPT or sum(text.count(mark) for mark in MARKS) > MAX_MARKS:
            raise TemplateMistake(1, f"longer than 1 MiB, or more than {MAX_MARKS:,} places to fill in")
        if "\r" in text:
            raise TemplateMistake(1, "a template cannot hold a carriage return; put it into a param")
        if (text, target) not in self._known:
            self._known[text, target] = self._compile(text, target)
        return self._known[text, target]

    def _compile(self, text: str, target: Target) -> ValueTemplate:
        environment = self._environments[target]
        with compiling():
            tree = environment.parse(text)
            names = check_tree(tree)
            expression = _sole_expression(tree)
            template = environment.from_string(tree if expression is None else _assignment(expression))
        return ValueTemplate(names, template, expression is not None, target)

    @cached_property
    def _environments(self) -> Mapping[Target, Environment]:
        return {target: make_sandbox(writer, **NO_COMMENTS) for target, writer in WRITERS.items()}


def _sole_expression(tree: nodes.Template) -> nodes.Expr | None:
    from jinja2 import nodes  # noqa: PLC0415  # most tasksets have no template in a check

    parts = [part for node in tree.body for part in (node.nodes if isinstance(node, nodes.Output) else [node])]
    first = parts[0] if len(parts) == 1 else None
    return first if isinstance(first, nodes.Expr) and not isinstance(first, nodes.TemplateData) else None


def _assignment(expression: nodes.Expr) -> nodes.Template:
    from jinja2 import nodes  # noqa: PLC0415  # likewise

    target = nodes.Name(RESULT, "store", lineno=1)
    return nodes.Template([nodes.Assign(target, expression, lineno=1)], lineno=1)


def _plain(value: object) -> object:
    return as_text(value) if value is None or isinstance(value, bool) else value


def _escape(value: object) -> str:
    return re.escape(str(_plain(value)))


def _one_key(value: object) -> str:
    return str(_plain(value)).replace("~", "~0").replace("/", "~1")


WRITERS: Mapping[Target, Callable[[object], object]] = {
    Target.TEXT: _plain,
    Target.PATTERN: _escape,
    Target.POINTER: _one_key,
}
