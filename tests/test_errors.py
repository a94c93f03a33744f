"""The error tree: what the docstring draws is what the classes are, and each loss has a boundary of its own."""

from __future__ import annotations

import re

import pytest

from taskcal import errors
from taskcal.errors import Boundary, InputError, LostError, Problem, TaskcalError

DRAWN = re.compile(r"^    (?P<branch>[│ ]*)(?:[├└]── )?(?P<name>[A-Z]\w+) +(?:\((?P<code>\d|-)\))? +\S", re.MULTILINE)


def drawn() -> list[tuple[int, str, str | None]]:
    """The docstring's tree: depth, name and exit code of each class."""
    found = DRAWN.finditer(errors.__doc__ or "")
    return [(len(line["branch"]) // 4 + ("──" in line[0]), line["name"], line["code"]) for line in found]


def subclasses(parent: type[TaskcalError]) -> list[type[TaskcalError]]:
    """A class's descendants, in the order of their definition."""
    return [found for child in parent.__subclasses__() for found in (child, *subclasses(child))]


def ours(parent: type[TaskcalError]) -> list[type[TaskcalError]]:
    return [found for found in subclasses(parent) if found.__module__ == errors.__name__]


def test_the_drawn_tree_is_the_classes() -> None:
    """Every class stands in the drawing, in its place below its parent, and nothing else does."""
    names = [name for _, name, _ in drawn()]
    assert sorted(names) == sorted(["TaskcalError", *(one.__name__ for one in ours(TaskcalError))])
    path: list[type] = [Exception]
    for depth, name, _ in drawn():
        one = getattr(errors, name)
        assert one.__bases__ == (path[depth],), name
        path[depth + 1 :] = [one]


def test_the_drawn_exit_codes_are_the_classes() -> None:
    """A class without a code in the drawing never ends a command."""
    codes = {name: code for _, name, code in drawn() if code is not None}
    assert codes.pop("LostError") == "-"
    assert {name: str(getattr(errors, name).exit_code) for name in codes} == codes
    assert set(codes) == {one.__name__ for one in TaskcalError.__subclasses__()} - {"LostError"}


def test_each_loss_has_its_own_boundary() -> None:
    """An exception names whose fault it was: one class for each boundary, and `unknown` for everything else."""
    boundaries = {one.__name__: one.boundary for one in LostError.__subclasses__()}
    assert len(set(boundaries.values())) == len(boundaries)
    assert set(boundaries.values()) == set(Boundary) - {Boundary.UNKNOWN}
    assert LostError.boundary is Boundary.UNKNOWN
    for name, boundary in boundaries.items():
        assert name == boundary.value.title().replace("-", "") + "Lost"


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("a.yaml", 3, "tasks[0].id", "missing"), "a.yaml:3: tasks[0].id: missing"),
        (Problem("a.yaml", None, "", "no such file"), "a.yaml: no such file"),
        (Problem("a.yaml", 1, "", "not valid YAML"), "a.yaml:1: not valid YAML"),
    ],
)
def test_a_problem_is_one_line(problem: Problem, text: str) -> None:
    """Place, key and message, without the parts that are not known."""
    assert str(problem) == text
    assert str(InputError((problem, problem))) == f"{text}\n{text}"
