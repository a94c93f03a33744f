"""One task becomes several: a map of lists is a product, a list of maps is taken as it is, a file gives one a row."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.core.task import as_text
from taskcal.errors import InputError
from taskcal.taskset.variants.rows import read_rows
from taskcal.yamlfile.fields import IDENTIFIER, check_param_name, check_scalar
from taskcal.yamlfile.nodes import KeyPlace, Map, Seq

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from taskcal.core.task import Scalar
    from taskcal.taskset.scope import Scope

SHORT = re.compile(r"[A-Za-z0-9._-]{1,24}")
LONGEST_SLUG = 60
EMPTY = "must name at least one param"
TOO_MANY = "too many variants; all variants together may hold 2,000,000 values of 128 million characters"


@dataclass(frozen=True, slots=True)
class Draft:
    """A variant before its prompt is rendered: its own params, the id that it was given, and where it stands."""

    own: Mapping[str, Scalar]
    own_id: str | None
    file: str
    place: KeyPlace


def read_variants(raw: object, place: KeyPlace, scope: Scope) -> list[Draft]:
    """Give the variants that a task's `variants` asks for; mistakes go to the scope's problems."""
    if isinstance(raw, Seq) and raw:
        return [draft for index, item in enumerate(raw) for draft in _from_map(item, raw.at(index), scope)]
    if isinstance(raw, Map) and list(raw) == ["from"] and isinstance(raw["from"], str):
        return [*_from_file(raw["from"], raw.at("from"), scope)]
    if isinstance(raw, Map) and raw:
        return [*_product(raw, scope)]
    scope.report(place, "must be a map of lists (their product), a list of maps, or {from: FILE.jsonl or FILE.csv}")
    return []


def _from_map(item: object, place: KeyPlace, scope: Scope) -> Iterator[Draft]:
    if not isinstance(item, Map):
        scope.report(place, "must be a map of params, and may have an id")
        return
    checked = [_check(None if key == "id" else key, item.as_written(key), item.at(key), scope) for key in item]
    if not item:
        scope.report(place, EMPTY)
    elif all(checked):
        yield from _draft(item, scope.file, place, scope)


def _draft(values: Mapping[str, object], file: str, place: KeyPlace, scope: Scope) -> Iterator[Draft]:
    """Make the draft of one listed variant or row, whose values are checked already."""
    own_id = values.get("id")
    name = None if own_id is None else as_text(check_scalar(own_id)) if not isinstance(own_id, list | dict) else ""
    if name is not None and not re.fullmatch(IDENTIFIER, name):
        scope.problems.at(file, place, f'id "{name[:60]}": must be letters, digits, ".", "_" or "-", 100 at most')
        return
    own = {key: check_scalar(value) for key, value in values.items() if key != "id"}
    if scope.budget.take(len(own) + 1, _characters(own.values())):
        yield Draft(own, name, file, place)
    else:
        scope.problems.at(scope.file, place, TOO_MANY)


def _product(raw: Map, scope: Scope) -> Iterator[Draft]:
    """Give every combination, the last key running fastest."""
    checked = [_axis(key, values, raw, scope) for key, values in raw.items()]
    if not all(checked):
        return
    axes = [[check_scalar(value) for value in values] for values in raw.values() if isinstance(values, Seq)]
    if not scope.budget.take(math.prod(map(len, axes)) * (len(axes) + 1)):
        scope.report(raw.place(), TOO_MANY)
        return
    for combination in itertools.product(*axes):
        yield Draft(dict(zip(raw, combination, strict=True)), None, scope.file, raw.place())


def _axis(key: str, values: object, raw: Map, scope: Scope) -> bool:
    if not isinstance(values, Seq) or not values:
        scope.report(raw.at(key), "must be a list with at least one value; constants go into params")
        return False
    named = _check(key, None, raw.at(key), scope)
    good = [_check(None, values.as_written(index), values.at(index), scope) for index in range(len(values))]
    return named and all(good)


def _from_file(source: str, place: KeyPlace, scope: Scope) -> Iterator[Draft]:
    shown = os.path.normpath(Path(scope.file).parent / source)
    try:
        path = Path(scope.folder.inside(source))
        rows = 0
        for row in read_rows(path, shown):
            rows += 1
            yield from _row(row.values, shown, row.line, scope)
        if not rows:
            scope.report(place, f"no rows in {source}")
    except InputError as error:
        scope.problems.extend(error.problems)
    except (ValueError, OSError) as error:
        scope.report(place, str(error))


def _row(values: Mapping[str, object], file: str, line: int, scope: Scope) -> Iterator[Draft]:
    place = KeyPlace(line, "")
    if not values:
        scope.problems.at(file, place, EMPTY)
        return
    for key, value in values.items():
        try:
            check_scalar(value)
            if key != "id":
                check_param_name(key)
        except ValueError as error:
            scope.problems.at(file, KeyPlace(line, key[:60]), str(error))
            return
    yield from _draft(values, file, place, scope)


def _check(key: str | None, value: object, place: KeyPlace, scope: Scope) -> bool:
    try:
        if key is not None:
            check_param_name(key)
        check_scalar(value)
    except ValueError as error:
        scope.report(place, str(error))
        return False
    return True


def _characters(values: Iterable[Scalar]) -> int:
    return sum(len(value) for value in values if isinstance(value, str))


def name_variants(drafts: list[Draft], scope: Scope) -> list[str]:
    """Give the id of each variant: the given one, else the shortest of its slug and its hashes that is its own.

    Reports ids given twice, and variants that are the same.
    """
    names = [draft.own_id or "" for draft in drafts]
    for make in (_slug, _short_hash, _long_hash):
        candidates = [name or make(draft.own) for name, draft in zip(names, drafts, strict=True)]
        counts = Counter(candidates)
        kept = [name if counts[name] == 1 else "" for name in candidates]
        names = [draft.own_id or name for draft, name in zip(drafts, kept, strict=True)]
    _report_twins(names, drafts, scope)
    return names


def _report_twins(names: list[str], drafts: list[Draft], scope: Scope) -> None:
    counts = Counter(names)
    for name, draft in zip(names, drafts, strict=True):
        if not name:
            scope.problems.at(
                draft.file, draft.place, f"two variants have the same values: {_canonical(draft.own)[:80]}"
            )
        elif counts[name] > 1:
            scope.problems.at(draft.file, draft.place, f'two variants have the id "{name}"')


def _slug(own: Mapping[str, Scalar]) -> str:
    """Join short plain values with `-`; '' if one is long, empty or has odd characters."""
    words = [as_text(value) for value in own.values()]
    text = "-".join(words)
    short = all(SHORT.fullmatch(word) for word in words) and len(text) <= LONGEST_SLUG and text[:1].isalnum()
    return text if short else ""


def _canonical(own: Mapping[str, Scalar]) -> str:
    return json.dumps(own, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _short_hash(own: Mapping[str, Scalar]) -> str:
    return hashlib.sha256(_canonical(own).encode()).hexdigest()[:8]


def _long_hash(own: Mapping[str, Scalar]) -> str:
    return hashlib.sha256(_canonical(own).encode()).hexdigest()[:16]
