"""Which params the variants of a task have, and which they lack: a missing one would be an empty text to a script."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.taskset.variants.variants import Draft, name_variants, read_variants
from taskcal.yamlfile.nodes import KeyPlace, Map

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from taskcal.core.task import Environment, Grader
    from taskcal.taskset.models.taskset import TaskModel
    from taskcal.taskset.scope import Scope

USED = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?!:?[-+=?]|\w)|([A-Za-z_]\w*))")
"""A variable of a shell script, unless the script gives it a default there."""
ASSIGNED = re.compile(r"\b([A-Za-z_]\w*)=|\bfor[ \t]+([A-Za-z_]\w*)|\bread[ \t]+(?:-r[ \t]+)?([A-Za-z_]\w*)")
"""Assignments, loops and `read`: such a name is the script's own."""


@dataclass(frozen=True, slots=True)
class VariantParams:
    """The variants of one task before their texts are rendered, and the names of the constants that all of them have.

    `reported` are the names that rows of a file lack, which need no second message.
    """

    drafts: list[Draft]
    names: list[str]
    constants: Collection[str]
    reported: frozenset[str] = frozenset()

    def report_undefined(self, name: str, place: KeyPlace, scope: Scope, where: str = "") -> bool:
        """Report a name of a template that some variant lacks; True if one does. `where` names the template's task."""
        lacking = [index for index, draft in enumerate(self.drafts) if self._lacks(draft, name)]
        if not lacking or name in self.reported:
            return bool(lacking)
        first = lacking[0]
        variant = f" in the variant {self.names[first]}" if len(lacking) < len(self.drafts) else ""
        hint = scope.hint(name, (*self.constants, *self.drafts[first].own)) or "; add it to params or variants"
        scope.report(place, f"undefined name {name[:60]}{where}{variant}{hint}")
        return True

    def report_unset(self, scripts: Iterable[str], scope: Scope) -> None:
        """Report params that some listed variants have, that others lack, and that a script names as `$name`."""
        named = {name for script in scripts for name in _variables(script)}
        known = {name: None for draft in self.drafts for name in draft.own if name in named}
        for draft in self.drafts:
            for name in known:
                if self._lacks(draft, name) and name not in self.reported:
                    message = f"lacks {name}, which other variants have and a script reads as ${name}"
                    scope.problems.at(draft.file, draft.place, f"{message}; add it, or a default in params")

    def _lacks(self, draft: Draft, name: str) -> bool:
        return name not in self.constants and name not in draft.own


def read_variant_params(raw: Map, scope: Scope) -> VariantParams:
    """Read a task's variants, one without an id if it names none; mistakes go to the scope's problems."""
    constants_of_task = raw.get("params")
    constants: Collection[str] = constants_of_task if isinstance(constants_of_task, Map) else ()
    if raw.get("variants") is None:
        return VariantParams([Draft({}, None, scope.file, raw.place())], [""], constants)
    drafts = read_variants(raw["variants"], raw.at("variants"), scope)
    reported = frozenset(_report_gaps(drafts, constants, scope))
    return VariantParams(drafts, name_variants(drafts, scope), constants, reported)


def _report_gaps(drafts: list[Draft], constants: Collection[str], scope: Scope) -> Iterator[str]:
    """Report rows of a file that lack a key which other rows have; give those keys."""
    rows = [draft for draft in drafts if draft.file != scope.file]
    keys = {name: None for draft in rows for name in draft.own if name not in constants}
    for draft in rows:
        for name in [key for key in keys if key not in draft.own]:
            message = "missing, and other rows have it; add it (null for nothing), or a default in the task's params"
            scope.problems.at(draft.file, KeyPlace(draft.place.line, name[:60]), message)
            yield name


def scripts_of(model: TaskModel | None, environment: Environment | None, grader: Grader | None) -> Iterator[str]:
    """Give every shell script that receives a task's params."""
    if environment is not None:
        yield from (environment.setup, environment.start, environment.ready, environment.finish)
        for service in environment.services:
            yield from (service.setup, service.ready)
    if grader is not None:
        yield grader.run
        yield from (getattr(check.probe, "script", "") for check in grader.checks)
    if model is not None:
        yield from (attempt.run for attempt in (*model.solutions, *model.wrong))


def _variables(script: str) -> set[str]:
    """Give the variables that a script reads and does not assign itself."""
    used = {match[1] or match[2] for match in USED.finditer(script)}
    return used - {name for match in ASSIGNED.finditer(script) for name in match.groups() if name}
