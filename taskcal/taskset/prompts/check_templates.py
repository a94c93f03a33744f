"""Values of checks that name params: found once in a grader, then filled in and validated for each variant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from taskcal.core.task import as_text
from taskcal.taskset import convert
from taskcal.taskset.models.check_rules import check_mistakes
from taskcal.taskset.models.grader import CheckModel, GraderModel
from taskcal.taskset.prompts.template import MAX_MARKS, TemplateMistake
from taskcal.taskset.prompts.value_template import LITERAL, Target, ValueTemplate, is_template
from taskcal.taskset.variants.variants import TOO_MANY
from taskcal.yamlfile.mistakes import validate_model
from taskcal.yamlfile.nodes import KeyPlace, Map, Seq, locate
from taskcal.yamlfile.problems import Problems
from taskcal.yamlfile.scalars import read_scalar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from taskcal.core.task import Check, Grader, Scalar, Variant
    from taskcal.taskset.scope import Scope
    from taskcal.taskset.shared_parts import Located

Steps = tuple[str | int, ...]
TARGETS = {"matches": Target.PATTERN, "pointer": Target.POINTER}
NUMBERS = ("number", "tolerance")
TEXT_KEYS = ("file", "contains", "matches", "pointer")
STAND_INS: Mapping[str, object] = {"file": "/", "pointer": "/a", "number": 0, "tolerance": 0}
"""Values that any check may have in a template's place, while the rest of it is validated; elsewhere "a"."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A value that names params; `steps` lead to it from its check, the one at `index`."""

    index: int
    steps: Steps
    template: ValueTemplate
    place: KeyPlace

    @property
    def key(self) -> str:
        """The key of the check, or of its answer, that the value belongs to."""
        return "equals" if self.steps[0] == "equals" else str(self.steps[-1])

    def render(self, params: Mapping[str, Scalar]) -> Scalar:
        """Give its value for these params, of the type that the key needs. Raises ValueError."""
        value = self.template.render(params)
        if self.key in NUMBERS:
            return _number(value)
        return value if self.steps[0] == "equals" else as_text(value)


def _number(value: Scalar) -> Scalar:
    """Read a number also from text: all values of a CSV file are text."""
    if value is None:
        raise ValueError("must be a number, not null")
    read = read_scalar(value.strip()) if isinstance(value, str) else value
    return value if read is None or isinstance(read, bool) else read


class GraderDraft(NamedTuple):
    """A grader whose checks hold stand-ins in the slots; `size` counts the values of the checks with slots."""

    grader: Grader
    slots: tuple[Slot, ...] = ()
    size: int = 0


class _Value(NamedTuple):
    """A value of a check with the steps to it."""

    steps: Steps
    value: object


def build_grader(raw: Map, _name: str, scope: Scope) -> GraderDraft | None:
    """Read one grader; None after its mistakes were reported."""
    before = scope.problems.count()
    slots = find_slots(raw, scope)
    checks = raw.get("checks")
    for index, check in enumerate(checks if isinstance(checks, Seq) else ()):
        for mistake in check_mistakes(check) if isinstance(check, Map) else ():
            scope.report(locate(raw, ("checks", index, *mistake.steps)), mistake.message)
    data = _with_stand_ins(raw, slots)
    model = validate_model(GraderModel, raw, scope.file, scope.folder, scope.problems, data)
    if model is None or scope.problems.count() > before:
        return None
    return GraderDraft(convert.grader(model), slots, _size(checks, {slot.index for slot in slots}))


def _size(checks: object, indices: Collection[int]) -> int:
    items = checks if isinstance(checks, Seq) else ()
    filled = (check for index, check in enumerate(items) if index in indices and isinstance(check, Map))
    return sum(sum(1 for _ in _values(check)) for check in filled)


def find_slots(raw: Map, scope: Scope) -> tuple[Slot, ...]:
    """Give the slots of a grader; mistakes in templates go to the scope's problems."""
    checks = raw.get("checks")
    slots: list[Slot] = []
    for index, check in enumerate(checks if isinstance(checks, Seq) else ()):
        for steps, value in _values(check) if isinstance(check, Map) else ():
            if isinstance(value, Map) and any(map(is_template, value)):
                scope.report(locate(raw, ("checks", index, *steps)), "a key cannot be a template, only a value")
            if isinstance(value, str) and is_template(value):
                place = locate(raw, ("checks", index, *steps))
                if len(slots) >= MAX_MARKS:
                    scope.report(place, f"more than {MAX_MARKS:,} values of one grader take params")
                    return tuple(slots)
                slots.extend(_slot(index, steps, value, place, scope))
    return tuple(slots)


def _slot(index: int, steps: Steps, text: str, place: KeyPlace, scope: Scope) -> Iterator[Slot]:
    target = Target.TEXT if steps[0] == "equals" else TARGETS.get(str(steps[-1]), Target.TEXT)
    try:
        yield Slot(index, steps, scope.values.compile(text, target), place)
    except TemplateMistake as mistake:
        scope.report(place, f"{mistake}; {LITERAL}")


def _values(check: Map) -> Iterator[_Value]:
    """Give every value of a check that may be a template, and the maps and lists around it."""
    answer = check.get("answer")
    places = [_Value((key,), check[key]) for key in (*TEXT_KEYS, "equals") if key in check]
    places += [_Value(("answer", key), value) for key, value in answer.items()] if isinstance(answer, Map) else []
    while places:
        steps, value = places.pop()
        yield _Value(steps, value)
        if steps[0] == "equals" and isinstance(value, Map):
            places += [_Value((*steps, key), item) for key, item in value.items()]
        elif steps[0] == "equals" and isinstance(value, Seq):
            places += [_Value((*steps, index), item) for index, item in enumerate(value)]


def _with_stand_ins(raw: Map, slots: Sequence[Slot]) -> Mapping[str, object]:
    """Give a grader's map with a value in each slot that validation accepts."""
    checks = raw.get("checks")
    if not slots or not isinstance(checks, Seq):
        return raw
    filled = list(checks)
    for index, values in _by_check((slot, STAND_INS.get(slot.key, "a")) for slot in slots).items():
        filled[index] = _fill(checks[index], values)
    return {**raw, "checks": filled}


def _by_check(pairs: Iterable[tuple[Slot, object]]) -> Mapping[int, Mapping[Steps, object]]:
    grouped: dict[int, dict[Steps, object]] = {}
    for slot, value in pairs:
        grouped.setdefault(slot.index, {})[slot.steps] = value
    return grouped


def _fill(check: object, values: Mapping[Steps, object]) -> object:
    """Give a check with the values at these steps replaced; only the maps and lists on the way to them are copied."""
    on_the_way = {steps[:length] for steps in values for length in range(len(steps))}
    return _copy(check, (), values, on_the_way)


def _copy(value: object, steps: Steps, values: Mapping[Steps, object], on_the_way: Collection[Steps]) -> object:
    if steps in values:
        return values[steps]
    if steps not in on_the_way:
        return value
    if isinstance(value, dict):
        return {key: _copy(item, (*steps, key), values, on_the_way) for key, item in value.items()}
    items = value if isinstance(value, list) else ()
    return [_copy(item, (*steps, index), values, on_the_way) for index, item in enumerate(items)]


def with_checks(group: str, variant: Variant, grader: Located[GraderDraft], scope: Scope) -> Variant | None:
    """Give a variant with its checks, or None after its mistakes were added to the scope's problems.

    `group` names it in messages, since many tasks may share the grader.
    """
    own = replace(scope, problems=Problems())
    checks = _render_checks(variant, grader.raw, grader.value, own)
    mistakes = own.problems.in_file_order()
    scope.problems.extend(replace(mistake, message=f"{mistake.message} (in {group})") for mistake in mistakes)
    return None if checks is None else replace(variant, checks=checks)


def _render_checks(variant: Variant, raw: Map, draft: GraderDraft, scope: Scope) -> tuple[Check, ...] | None:
    rendered: list[tuple[Slot, object]] = []
    characters = 0
    if not scope.budget.take(draft.size):
        scope.report(raw.at("checks"), TOO_MANY)
        return None
    for slot in draft.slots:
        try:
            value = slot.render(variant.params)
        except ValueError as error:
            scope.report(slot.place, f"cannot be rendered: {error}")
            return None
        characters += len(value) if isinstance(value, str) else 0
        rendered.append((slot, value))
    if not scope.budget.take(0, characters):
        scope.report(raw.at("checks"), TOO_MANY)
        return None
    return _checks(raw, draft, _by_check(rendered), scope)


def _checks(
    raw: Map, draft: GraderDraft, values: Mapping[int, Mapping[Steps, object]], scope: Scope
) -> tuple[Check, ...] | None:
    checks = raw["checks"]
    kept = list(draft.grader.checks)
    before = scope.problems.count()
    for index, own in values.items():
        check = _check(checks[index], own, scope) if isinstance(checks, Seq) else None
        kept[index] = check or kept[index]
    return tuple(kept) if scope.problems.count() == before else None


def _check(raw: object, values: Mapping[Steps, object], scope: Scope) -> Check | None:
    data = _fill(raw, values)
    if not isinstance(raw, Map) or not isinstance(data, dict):
        return None
    before = scope.problems.count()
    model = validate_model(CheckModel, raw, scope.file, scope.folder, scope.problems, data)
    for mistake in check_mistakes(data):
        scope.report(locate(raw, mistake.steps), mistake.message)
    return None if model is None or scope.problems.count() > before else convert.check(model)
