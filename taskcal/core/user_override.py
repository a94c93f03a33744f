"""An agent's file may name another user than the task does: its numbers are then of another task than the author's.

As root it can replace what judges it, and as another user it may lack what the task takes for granted.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UserOverride:
    """Who an agent acts as, and who the task says it is; '' for the image's own user."""

    agent: str
    task: str

    @property
    def words(self) -> str:
        """`root instead of nobody`."""
        return f"{self.agent} instead of {self.task or 'the user of the image'}"


def override_of(agent: str | None, task: str | None) -> UserOverride | None:
    """What an agent's user makes of a task's, None for no change. Without a user of the task, any user is a change."""
    if agent is None or (task is not None and _plain(agent) == _plain(task)):
        return None
    return UserOverride(agent, task or "")


def _plain(user: str) -> str:
    """A user as NAME or NAME:GROUP, root's by number; its own group is the one that it has anyway."""
    parts = ["0" if part == "root" else part for part in user.split(":")]
    return "0" if parts == ["0", "0"] else ":".join(parts)
