"""An environment or a grader that many tasks name is read once, and is one object in all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from taskcal.taskset import convert
from taskcal.taskset.merge import extend, unknown_name
from taskcal.taskset.models.environment import EnvironmentModel
from taskcal.yamlfile.mistakes import describe_value, validate_model
from taskcal.yamlfile.nodes import KeyPlace, Map

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskcal.core.task import Environment
    from taskcal.taskset.scope import Scope

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Located(Generic[T]):
    """A value with the YAML that it was read from."""

    raw: Map
    value: T


class SharedParts(Generic[T]):
    """Reads environments or graders, by name or written out, each piece of YAML once."""

    def __init__(self, named: Map, build: Callable[[Map, str, Scope], T | None], scope: Scope) -> None:
        self._named = named
        self._build = build
        self._scope = scope
        self._known: dict[int, tuple[Map, Located[T] | None]] = {}  # the map is kept, so that its identity is

    def read_all(self) -> None:
        """Read all that have a name, also those that no task uses."""
        for raw in self._named.values():
            if isinstance(raw, Map):
                self._read(raw)

    def get(self, value: object, place: KeyPlace) -> Located[T] | None:
        """Give what `value`, a name or a map, stands for; None after a mistake was reported."""
        if isinstance(value, Map):
            return self._read(value)
        if isinstance(value, str) and value in self._named:
            named = self._named[value]
            return self._read(named) if isinstance(named, Map) else None
        wanted = (
            unknown_name(value, self._named, self._scope) if isinstance(value, str) else f"not {describe_value(value)}"
        )
        self._scope.report(place, wanted if isinstance(value, str) else f"must be a name or a map, {wanted}")
        return None

    def _read(self, raw: Map) -> Located[T] | None:
        if id(raw) not in self._known:
            self._known[id(raw)] = (raw, self._fresh(raw))
        return self._known[id(raw)][1]

    def _fresh(self, raw: Map) -> Located[T] | None:
        whole = extend(raw, self._named, self._scope)
        if whole is None:
            return None
        name = str(raw.step) if raw.parent is self._named else raw.path()
        value = self._build(whole, name, self._scope)
        return None if value is None else Located(whole, value)


def build_environment(raw: Map, name: str, scope: Scope) -> Environment | None:
    """Read one environment; None after its mistakes were reported."""
    model = validate_model(EnvironmentModel, raw, scope.file, scope.folder, scope.problems)
    return None if model is None else convert.environment(model, name)
