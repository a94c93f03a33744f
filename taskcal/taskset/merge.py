"""`defaults` and `extends` are merged on parsed YAML, before anything is validated, so that lines are still known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.yamlfile.nodes import Map

if TYPE_CHECKING:
    from taskcal.taskset.scope import Scope

TOO_MUCH = "inherits too much; the maps that tasks inherit may hold 2,000,000 values in all"
MAX_CHAIN = 8


def merge(base: Map, over: Map, scope: Scope) -> Map:
    """Give `over` with what `base` adds: maps merge key by key, lists and single values replace.

    The result stands where `over` stands; each of its keys knows where it was written.
    """
    if not scope.budget.take(len(base) + len(over)):
        scope.report(over.place(), TOO_MUCH)
        return over
    merged = Map(over.line, over.parent, over.step)
    merged.origins = {}
    for source in (base, over):
        for key, value in source.items():
            mine = merged.get(key)
            if isinstance(mine, Map) and isinstance(value, Map):
                merged[key] = merge(mine, value, scope)
            else:
                merged[key] = value
            merged.origins[key] = source.origin(key)
            _keep_written(merged, source, key)
    return merged


def _keep_written(merged: Map, source: Map, key: str) -> None:
    """Keep how the value at `key` was written, and forget how one was that it replaces."""
    written = merged.written or {}
    written.pop(key, None)
    if key in (source.written or {}):
        written[key] = (source.written or {})[key]
    merged.written = written or None


def extend(raw: Map, named: Map, scope: Scope) -> Map | None:
    """Give `raw` with everything that `extends: NAME` adds from `named`, or None after reporting a mistake."""
    chain = [raw]
    while "extends" in chain[-1]:
        base = _base(chain[-1], named, scope)
        if base is None:
            return None
        if len(chain) > MAX_CHAIN or any(base is link for link in chain):
            scope.report(chain[-1].at("extends"), "extends itself, or too long a chain of others")
            return None
        chain.append(base)
    merged = chain.pop()
    while chain:
        merged = merge(merged, chain.pop(), scope)
    return _without_extends(merged)


def _base(raw: Map, named: Map, scope: Scope) -> Map | None:
    name = raw["extends"]
    found = named.get(name) if isinstance(name, str) else None
    if isinstance(found, Map):
        return found
    scope.report(raw.at("extends"), unknown_name(name, named, scope))
    return None


def unknown_name(name: object, named: Map, scope: Scope) -> str:
    """Word the mistake that nothing has this name, with the nearest one."""
    if not isinstance(name, str):
        return "must be one name"
    return f'nothing is named "{name[:60]}"{scope.hint(name, named)}'


def _without_extends(merged: Map) -> Map:
    if merged.origins is not None:
        merged.pop("extends", None)
    return merged
