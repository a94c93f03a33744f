"""Whether two runs measured the same task: the comparison behind --resume and --prior."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from taskcal.core.identity import changed_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.core.group_record import GroupRecord


def is_same_task(before: GroupRecord, now: GroupRecord) -> bool:
    """Whether results of one are results of the other, for two groups of the same id.

    An imported group has neither prompt nor checks, so its id has to do. A run of an older version recorded no parts.
    """
    if not before.prompt:
        return True
    if before.parts:
        return before.parts == now.parts
    return replace(before, tags=(), file="", line=0) == replace(now, tags=(), file="", line=0, parts={})


def changes_of_groups(before: Sequence[GroupRecord], now: Sequence[GroupRecord]) -> dict[str, tuple[str, ...]]:
    """The groups that differ, by what differs in them: the names of their parts, or that one of the two is missing."""
    old, new = {group.id: group.parts for group in before}, {group.id: group.parts for group in now}
    names: dict[str, list[str]] = {}
    for group in dict.fromkeys((*new, *old)):
        if old.get(group) != new.get(group):
            names.setdefault(_change(old.get(group), new.get(group)), []).append(str(group))
    return {change: tuple(groups) for change, groups in names.items()}


def _change(before: Mapping[str, str] | None, now: Mapping[str, str] | None) -> str:
    if before is None:
        return "not in the run"
    return "not chosen now" if now is None else ", ".join(changed_parts(before, now))
