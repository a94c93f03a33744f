"""Prompts are Jinja2 with almost nothing of Jinja2: text, params, `if`, comparisons and a few filters.

The sandbox alone bounds neither time nor memory, so the parsed template may hold only the nodes listed here, and what
comes out is counted while it is made. Names are checked against the params, also in branches that are not taken.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from taskcal.core.task import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jinja2 import Environment, Template, nodes

    from taskcal.core.task import Scalar

MAX_PROMPT = 1024**2
MAX_TEMPLATE_DEPTH = 40
MAX_MARKS = 1_000
MARKS = ("{{", "{%", "{#")
FILTERS = {  # how many arguments each may have
    "upper": 0,
    "lower": 0,
    "title": 0,
    "capitalize": 0,
    "trim": 0,
    "length": 0,
    "abs": 0,
    "string": 0,
    "int": 0,
    "float": 0,
    "round": 1,
    "default": 1,
}
NODES = frozenset(
    {"Template", "Output", "TemplateData", "Name", "Const", "If", "CondExpr", "List", "Tuple"}
    | {"Compare", "Operand", "And", "Or", "Not", "Filter", "Neg", "Pos"}
)
OWN_NAMES = frozenset({"self", "super", "caller", "loop", "varargs", "kwargs"})


class TemplateMistake(Exception):
    """A prompt that is no template of ours; `line` counts from 1 inside the prompt."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A checked prompt. `names` maps the params that it needs to the line of their first use; no template, no names."""

    text: str
    names: Mapping[str, int]
    template: Template | None

    def render(self, params: Mapping[str, Scalar]) -> str:
        """Give the prompt with `params` filled in; raises ValueError if that fails or is longer than 1 MiB."""
        if self.template is None:
            return self.text
        with rendering():
            return "".join(limit_length(self.template.generate(params)))


@contextlib.contextmanager
def rendering() -> Iterator[None]:
    """Turn what a checked template may raise into ValueError."""
    try:
        yield
    except ArithmeticError as error:
        raise ValueError(str(error)) from error
    except TypeError as error:
        raise ValueError(f"{error}; compare values of one kind") from error


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Turn what compiling may raise into TemplateMistake."""
    from jinja2 import TemplateSyntaxError  # noqa: PLC0415  # most tasksets' commands never need it

    try:
        yield
    except TemplateSyntaxError as error:
        raise TemplateMistake(error.lineno, f"not a template: {error.message}") from error
    except (RecursionError, MemoryError, SyntaxError, ValueError) as error:
        raise TemplateMistake(1, "not a template: too deep or too large") from error


def limit_length(chunks: Iterator[str]) -> Iterator[str]:
    """Pass on what a template gives. Raises ValueError beyond 1 MiB."""
    length = 0
    for chunk in chunks:
        length += len(chunk)
        if length > MAX_PROMPT:
            raise ValueError("the rendered text is longer than 1 MiB")
        yield chunk


class Prompts:
    """Compiles prompts, each text once."""

    def __init__(self) -> None:
        self._known: dict[str, Prompt] = {}

    def compile(self, text: str) -> Prompt:
        """Give the prompt of `text`; raises TemplateMistake."""
        if len(text) > MAX_PROMPT:
            raise TemplateMistake(1, "longer than 1 MiB")
        marks = sum(text.count(mark) for mark in MARKS)
        if not marks:
            return Prompt(text, {}, None)
        if marks > MAX_MARKS:
            raise TemplateMistake(1, f"more than {MAX_MARKS:,} places to fill in")
        if text not in self._known:
            self._known[text] = self._compile(text)
        return self._known[text]

    def _compile(self, text: str) -> Prompt:
        with compiling():
            tree = self._environment.parse(text)
            names = check_tree(tree)
            return Prompt(text, names, self._environment.from_string(tree))

    @cached_property
    def _environment(self) -> Environment:
        return make_sandbox(_finalize)


def make_sandbox(finalize: Callable[[object], object], **options: str) -> Environment:
    """Give Jinja's sandbox without its globals; `finalize` gets every value that is put into the text."""
    from jinja2 import StrictUndefined  # noqa: PLC0415  # most tasksets' commands never need it
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415  # likewise

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, finalize=finalize, cache_size=0, **options
    )
    environment.globals.clear()
    environment.filters.update(int=_whole, float=_real)
    return environment


def _real(value: object) -> float:
    """The filter `float`. Jinja's own gives 0.0 for what is no number, so an empty cell would ask for the answer 0."""
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{as_text(value)[:40]!r} is not a number" if isinstance(value, str) else "must be a number")
    return number


def _whole(value: object) -> int:
    """The filter `int`, which drops what is after the point and keeps whole numbers of any size."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return int(value)
    return value if isinstance(value, int) else int(_real(value))


def _finalize(value: object) -> object:
    return as_text(value) if value is None or isinstance(value, bool) else value


def check_tree(tree: nodes.Template) -> dict[str, int]:
    """Refuse what is not listed; give the names that must be params, with their lines."""
    names: dict[str, int] = {}
    todo: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while todo:
        node, depth = todo.pop()
        kind = type(node).__name__
        if depth > MAX_TEMPLATE_DEPTH:
            raise TemplateMistake(node.lineno, f"nested deeper than {MAX_TEMPLATE_DEPTH} levels")
        if kind not in NODES:
            raise TemplateMistake(node.lineno, _refusal(kind))
        children = _filter_children(node) if kind == "Filter" else [*node.iter_child_nodes()]
        if kind == "Name":
            name = _name(node)
            names[name] = min(node.lineno, names.get(name, node.lineno))
        todo.extend((child, depth + 1) for child in children)
    return names


def _name(node: nodes.Node) -> str:
    name = str(getattr(node, "name", ""))
    if name in OWN_NAMES:
        raise TemplateMistake(node.lineno, f"{name} is Jinja's own; choose another name for the param")
    return name


def _refusal(kind: str) -> str:
    return (
        f"a template may hold params, if, comparisons and the filters {', '.join(FILTERS)}; "
        f"{kind.lower()} is not among them (compute values before, as params)"
    )


def _filter_children(node: nodes.Node) -> list[nodes.Node]:
    """Check one filter; give what it is applied to, unless that is a name with a default, which need not be defined."""
    name, args = str(getattr(node, "name", "")), list(getattr(node, "args", ()))
    if name not in FILTERS:
        raise TemplateMistake(node.lineno, f"unknown filter {name}; known are {', '.join(FILTERS)}")
    extras = [getattr(node, field, None) for field in ("kwargs", "dyn_args", "dyn_kwargs")]
    if len(args) > FILTERS[name] or any(extras):
        raise TemplateMistake(node.lineno, f"the filter {name} takes at most {FILTERS[name]} plain arguments here")
    if name == "round" and any(getattr(arg, "value", None) not in range(16) for arg in args):
        raise TemplateMistake(node.lineno, "round takes a number of digits from 0 to 15")
    target = getattr(node, "node", None)
    optional = name == "default" and type(target).__name__ == "Name"
    return args if target is None or optional else [target, *args]
