"""Fields are described by docstrings below them. They are read when a schema is made, since reading takes 60 ms."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def field_docstrings(model: type) -> Mapping[str, str]:
    """Return the docstring below each field of a class and of its bases, by the field's name."""
    own = (owner for owner in reversed(model.__mro__) if owner.__module__.startswith("taskcal."))
    return {name: text for owner in own for name, text in _docstrings_in(owner)}


def _docstrings_in(owner: type) -> Iterator[tuple[str, str]]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    statements = definition.body if isinstance(definition, ast.ClassDef) else []
    for field, below in itertools.pairwise(statements):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, text
