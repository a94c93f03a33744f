"""A group as a run remembers it, so that no report needs the taskset again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.core.rollout import GroupId
    from taskcal.core.task import Scalar
    from taskcal.core.user_override import UserOverride


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """Enough of a group to calibrate it, and to recognise it, without its taskset.

    `passing` is a reward in [0, 1], `checks` are names with weights, `file` and `line` are the place in the taskset.
    `parts` are the digests of `core.identity`; an import and a run of an older version have none. `override` is set if
    the agent's file names another user than the task.
    """

    id: GroupId
    params: Mapping[str, Scalar]
    prompt: str
    tags: tuple[str, ...]
    passing: float
    checks: tuple[tuple[str, float], ...]
    file: str
    line: int
    parts: Mapping[str, str] = field(default_factory=dict)
    override: UserOverride | None = None
